//! What a setup keeps of the files that it changes, so that it can be undone to the byte. It is a file
//! of the person's only (0600): what is kept may hold secrets of theirs.

use std::fs;
use std::io;
use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::change::Undone;
use super::setup_error;
use crate::account::identity::fingerprint;
use crate::cli::exit::{Code, Error};
use crate::client::for_good::Edit;
use crate::client::registry::CLIENTS;
use crate::store::{self, commit};

/// What is kept.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Kept {
    files: Vec<File>,
}

#[derive(Debug, Serialize, Deserialize)]
struct File {
    path: PathBuf,
    /// The client whose file it is; none if it is ours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    client: Option<String>,
    /// What it held, in base64; none if it was not there.
    before: Option<String>,
    /// What tells whether somebody has changed it since.
    made: String,
}

impl Kept {
    /// What is kept; `None` if nothing is set up.
    pub(super) fn read() -> Result<Option<Self>, Error> {
        let path = place()?;
        match fs::read(&path) {
            Ok(text) => serde_json::from_slice(&text).map(Some).map_err(|_| {
                let message = format!("'{}' can't be read", path.display());
                Error::new(Code::Config, message)
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(store::Error::io(&path)(error).into()),
        }
    }

    /// Keeps what these edits change, before they are made. What was there before an earlier setup
    /// is what an undo brings back.
    pub(super) fn add(edits: &[(Option<&'static str>, Edit)]) -> Result<(), Error> {
        let mut kept = Self::read()?.unwrap_or_default();
        for (client, edit) in edits {
            let earlier = kept.files.iter().position(|file| file.path == edit.path);
            let now = edit.before.as_deref();
            let before = match earlier.map(|at| &kept.files[at]) {
                Some(file) if file.is_as_made(now) => file.before.clone(),
                Some(file) => encoded(file.without_ours(now)?.as_deref()),
                None => encoded(now),
            };
            let file = File {
                path: edit.path.clone(),
                client: client.map(str::to_owned),
                before,
                made: mark(&edit.after),
            };
            match earlier {
                Some(at) => kept.files[at] = file,
                None => kept.files.push(file),
            }
        }
        let path = place()?;
        let text = serde_json::to_vec(&kept).map_err(|error| Error::output(error.into()))?;
        commit::make_folder(&path).map_err(store::Error::io(&path))?;
        commit::replace(&path, &text, None).map_err(store::Error::io(&path))?;
        Ok(())
    }

    /// What an undo makes of each file.
    pub(super) fn undone(&self) -> Result<Vec<Undone>, Error> {
        let undone = self.files.iter().map(|file| {
            let now = match fs::read(&file.path) {
                Ok(bytes) => Some(bytes),
                Err(error) if error.kind() == io::ErrorKind::NotFound => None,
                Err(error) => return Err(store::Error::io(&file.path)(error).into()),
            };
            let is_by_hand = now.is_some() && !file.is_as_made(now.as_deref());
            let then = match is_by_hand {
                false if now.is_none() => None,
                false => decoded(file.before.as_deref()),
                true => file.without_ours(now.as_deref())?,
            };
            Ok(Undone {
                path: file.path.clone(),
                now,
                then,
                is_by_hand,
            })
        });
        undone.collect()
    }

    /// Nothing is set up any more.
    pub(super) fn remove() -> Result<(), Error> {
        let path = place()?;
        fs::remove_file(&path).map_err(store::Error::io(&path))?;
        Ok(())
    }
}

impl File {
    fn is_as_made(&self, now: Option<&[u8]>) -> bool {
        now.is_some_and(|now| mark(now) == self.made)
    }

    /// The text as the person has it now, without what is ours. A file of ours goes.
    fn without_ours(&self, now: Option<&[u8]>) -> Result<Option<Vec<u8>>, Error> {
        let client = CLIENTS
            .iter()
            .find(|client| self.client.as_deref() == Some(client.name()));
        match (client, now) {
            (Some(client), Some(now)) => client
                .let_go(&self.path, now)
                .map(Some)
                .map_err(setup_error),
            _ => Ok(None),
        }
    }
}

fn encoded(bytes: Option<&[u8]>) -> Option<String> {
    bytes.map(|bytes| STANDARD.encode(bytes))
}

fn decoded(text: Option<&str>) -> Option<Vec<u8>> {
    STANDARD.decode(text?).ok()
}

/// It keeps no one from anything; it tells two texts apart.
fn mark(bytes: &[u8]) -> String {
    format!("{:016x}", fingerprint(&[&String::from_utf8_lossy(bytes)]))
}

fn place() -> Result<PathBuf, Error> {
    Ok(store::state_folder()?.join("setup.json"))
}
