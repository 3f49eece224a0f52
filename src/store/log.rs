//! What became of the accounts over time: a line for each change of the active one, in one file of
//! bounded length. It is for people to read; nothing is decided by it, and nothing fails when it
//! can't be written.

use std::fs::{self, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::commit;
use super::error::Error;
use super::format::Document;
use super::locator::Locator;
use super::lock::{self, Patience};
use super::places::state_folder;
use crate::account::time::UnixMillis;
use crate::account::{Account, State, SwitchReason, identity};
use crate::sys::file;

/// When the file has grown to this, in bytes, the older half of it goes: it holds some thousand
/// lines then.
const LONGEST: u64 = 256 << 10;

/// Nobody waits long for a line that nothing depends on.
const PATIENCE: Patience = Patience {
    quiet: Duration::from_secs(1),
    most: Duration::from_secs(1),
};

/// One change of the active account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Switch {
    /// When it was.
    pub at: UnixMillis,
    /// What the account before is called.
    pub from: String,
    /// What the account after is called.
    pub to: String,
    /// Why it was.
    pub reason: SwitchReason,
    /// When the limit of the account before ends, if that was why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<UnixMillis>,
    /// The index that the account before had; older lines have none.
    #[serde(default, rename = "fromIndex", skip_serializing_if = "Option::is_none")]
    pub from_index: Option<usize>,
    /// The index that the account after has.
    #[serde(default, rename = "toIndex", skip_serializing_if = "Option::is_none")]
    pub to_index: Option<usize>,
}

/// A line of the file: stores of any number share it.
#[derive(Debug, Serialize, Deserialize)]
struct Line {
    store: PathBuf,
    #[serde(flatten)]
    switch: Switch,
}

/// The account that is active before a change, as far as it takes to tell whether it is after it.
#[derive(Debug)]
pub struct Active(Option<Before>);

#[derive(Debug)]
struct Before {
    index: usize,
    count: usize,
    key: u64,
    name: String,
}

impl Active {
    /// That of a document.
    #[must_use]
    pub fn of(document: &Document) -> Self {
        let index = document.active_index;
        Self(document.accounts.get(index).map(|account| Before {
            index,
            count: document.accounts.len(),
            key: identity::key(account),
            name: account.name().to_owned(),
        }))
    }

    /// What there is to write down when the document is this one after the change; nothing, if the
    /// active account is the same.
    #[must_use]
    pub fn switch(self, document: &Document, why: Option<&str>) -> Option<Switch> {
        let from = self.0?;
        let index = document.active_index;
        let to = document.accounts.get(index)?;
        // Where none came or went, an account is what stands in its place, whatever was learned.
        let is_same = match document.accounts.len() == from.count {
            true => index == from.index,
            false => identity::key(to) == from.key,
        };
        if is_same {
            return None;
        }
        let at = to.activation.as_ref()?.at;
        let reason = match why {
            Some(why) => SwitchReason::Other(why.to_owned()),
            None => to.last_switch_reason.clone()?,
        };
        let is_it = |account: &&Account| identity::key(account) == from.key;
        let ends = |account: &Account| match account.state(None, at) {
            State::Limited { mark, .. } => Some(mark.until),
            _ => None,
        };
        Some(Switch {
            at,
            until: match reason {
                SwitchReason::RateLimit => document.accounts.iter().find(is_it).and_then(ends),
                _ => None,
            },
            from: from.name,
            to: to.name().to_owned(),
            reason,
            from_index: Some(from.index),
            to_index: Some(index),
        })
    }
}

/// Writes down a change of a store's active account.
///
/// # Errors
/// When it can't be written; the caller goes on all the same.
pub fn record(store: &Locator, switch: Switch) -> Result<(), Error> {
    let store = called(store);
    let path = path()?;
    append(&path, &Line { store, switch }).map_err(Error::io(&path))
}

/// The changes of a store's active account that are still known, the oldest first.
///
/// # Errors
/// When the file can't be read.
pub fn switches(store: &Locator) -> Result<Vec<Switch>, Error> {
    let (path, store) = (path()?, called(store));
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Error::io(&path)(error)),
    };
    // A line that was cut off by a crash is no reason to hide the others.
    let lines = text
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok());
    let of_store = lines.filter(|line: &Line| line.store == store);
    Ok(of_store.map(|line| line.switch).collect())
}

/// One store has one name, however it was called.
fn called(store: &Locator) -> PathBuf {
    store.absolute().as_os_str().into()
}

fn path() -> Result<PathBuf, Error> {
    Ok(state_folder()?.join("switches.jsonl"))
}

fn append(path: &Path, line: &Line) -> io::Result<()> {
    commit::make_folder(path)?;
    let lock = commit::with_suffix(path, ".lock");
    let Some(_lock) = lock::exclusive(&lock, PATIENCE, |_| {})? else {
        return Err(io::Error::from(io::ErrorKind::TimedOut));
    };
    let mut text = serde_json::to_string(line)?;
    text.push('\n');
    let mut options = OpenOptions::new();
    options.create(true).append(true);
    let mut file = file::open_private(&mut options, path)?;
    file::write_all(&mut file, text.as_bytes())?;
    if file.metadata()?.len() > LONGEST {
        shorten(path)?;
    }
    Ok(())
}

/// Lets the older half of the lines go.
fn shorten(path: &Path) -> io::Result<()> {
    let bytes = fs::read(path)?;
    // Its other half begins in the middle of a line, or it is empty: others may have shortened it.
    let half = &bytes[bytes.len() / 2..];
    let whole_lines = memchr::memchr(b'\n', half).map_or(half, |end| &half[end + 1..]);
    commit::replace(path, whole_lines, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_file_is_shortened_to_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("switches.jsonl");
        for (text, left) in [("", ""), ("x", "x"), ("a\nb\nc\n", "c\n")] {
            fs::write(&path, text).unwrap();
            shorten(&path).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), left, "{text:?}");
        }
    }

    #[test]
    fn the_file_does_not_grow_without_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("switches.jsonl");
        let mut line = Line {
            store: PathBuf::from("/store.json"),
            switch: Switch {
                at: UnixMillis::from_secs(1),
                from: "x".repeat(20_000),
                to: "personal".into(),
                reason: SwitchReason::Rotation,
                until: None,
                from_index: None,
                to_index: None,
            },
        };
        for secs in 1..40 {
            line.switch.at = UnixMillis::from_secs(secs);
            append(&path, &line).unwrap();
            assert!(fs::metadata(&path).unwrap().len() <= LONGEST);
        }
        let text = fs::read_to_string(&path).unwrap();
        let times: Vec<u64> = text
            .lines()
            .map(|line| {
                serde_json::from_str::<Line>(line)
                    .unwrap()
                    .switch
                    .at
                    .as_secs_ceil()
            })
            .collect();
        assert_eq!(times.last(), Some(&39), "the newest stays");
        assert!(
            times.windows(2).all(|pair| pair[0] + 1 == pair[1]),
            "{times:?}"
        );
    }
}
