//! An entry that stands in opencode's `auth.json` while launches of ours run, and is taken back when
//! the last of them ends. It holds no token: it is there because opencode wants to see a login. What
//! stood in its place is kept in a file of ours, on the disk before the entry is, and put back.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::auth_file::AuthFile;
use super::entry::{PROVIDER, is_stand_in};
use crate::account::identity;
use crate::client::contract::LoginFile;
use crate::client::json_file::{JsonFile, Text};
use crate::client::wiring::Borrowed;
use crate::store::lock::{self, Lock};
use crate::store::{self, commit};

/// The entry in a file, until it is taken back.
#[derive(Debug)]
pub(super) struct Placeholder {
    auth: AuthFile,
    displaced: Displaced,
    /// Shared by all launches; who can have it alone is the last one.
    running: Lock,
}

impl Placeholder {
    /// Puts it there. Another launch's may stand there already, and is replaced.
    ///
    /// # Errors
    /// When a file can't be read or written; `auth.json` is then as it was.
    pub(super) fn put(auth: AuthFile, entry: &Value) -> Result<Self, store::Error> {
        let running = share(auth.path())?;
        let displaced = Displaced::from(auth.path())?;
        auth.change(|text| {
            if let Some(theirs) = theirs(text) {
                displaced.keep(theirs)?;
            }
            text.put(PROVIDER, &entry.to_string());
            Ok(())
        })?;
        Ok(Self {
            auth,
            displaced,
            running,
        })
    }

    fn end(&self) -> Result<(), store::Error> {
        if self.running.is_last() {
            self.displaced.put_back(&self.auth)?;
        }
        Ok(())
    }
}

impl Borrowed for Placeholder {
    fn path(&self) -> &Path {
        self.auth.path()
    }

    fn take_back(self: Box<Self>) -> Result<(), store::Error> {
        self.end()
    }
}

/// Whether something of ours stands in the file, or is kept for it, with no launch running that it
/// would be for.
#[must_use]
pub(super) fn is_left_behind(auth: &AuthFile) -> bool {
    let Ok(Some(text)) = auth.text() else {
        return false;
    };
    let is_kept = || Displaced::from(auth.path()).is_ok_and(|it| it.0.path().exists());
    let is_over = || share(auth.path()).is_ok_and(|share| share.is_last());
    (is_ours(&text) || is_kept()) && is_over()
}

/// Takes back what a launch left that was cut off.
///
/// # Errors
/// When a file can't be read or written.
pub(super) fn take_back(auth: AuthFile) -> Result<(), store::Error> {
    let running = share(auth.path())?;
    let displaced = Displaced::from(auth.path())?;
    Placeholder {
        auth,
        displaced,
        running,
    }
    .end()
}

fn is_ours(text: &Text) -> bool {
    is_stand_in(&text.value()[PROVIDER])
}

/// The person's own entry, as it is written.
fn theirs(text: &Text) -> Option<&str> {
    text.raw(&[PROVIDER]).filter(|_| !is_ours(text))
}

/// Where the entry is kept that a placeholder stands for.
#[derive(Debug)]
struct Displaced(JsonFile);

impl Displaced {
    /// That from the `auth.json` at this path.
    fn from(auth: &Path) -> Result<Self, store::Error> {
        Ok(Self(JsonFile::new(state_file(auth, "displaced")?)))
    }

    fn keep(&self, entry: &str) -> Result<(), store::Error> {
        commit::replace(self.0.path(), entry.as_bytes(), None).map_err(|error| self.0.error(error))
    }

    /// Puts it back where the placeholder stands, or nothing does. An entry that the person made
    /// meanwhile stays.
    fn put_back(&self, auth: &AuthFile) -> Result<(), store::Error> {
        let kept = self.0.read()?;
        auth.change(|text| {
            match &kept {
                _ if theirs(text).is_some() => {}
                Some(kept) => text.put(PROVIDER, kept.as_str()),
                None => text.remove(PROVIDER),
            }
            Ok(())
        })?;
        match fs::remove_file(self.0.path()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(self.0.error(error)),
            _ => Ok(()),
        }
    }
}

fn share(auth: &Path) -> Result<Lock, store::Error> {
    let path = state_file(auth, "lock")?;
    commit::make_folder(&path).map_err(store::Error::io(&path))?;
    lock::shared(&path).map_err(store::Error::io(&path))
}

/// A file of ours about the `auth.json` at this path: its name tells it from that for another, since
/// a person can have several (`XDG_DATA_HOME`).
fn state_file(auth: &Path, kind: &str) -> Result<PathBuf, store::Error> {
    let of = identity::fingerprint(&[&auth.to_string_lossy()]);
    Ok(store::state_folder()?.join(format!("placeholder-{of:016x}.{kind}")))
}
