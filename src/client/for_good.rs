//! Pointing a client at a relay for good: edits of its own configuration, which can be shown before
//! they are made and taken back afterwards. Nothing here writes.

use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::sys::place;

/// A relay that runs as a service.
#[derive(Clone, Copy, Debug)]
pub struct Standing<'a> {
    /// The address that stands for the backend's `/codex`.
    pub url: &'a str,
    /// The file whose first line is its key.
    pub key_file: &'a Path,
}

/// The folder in which programs keep a person's configuration, as the XDG base directory
/// specification has it; opencode's is there on every system.
#[must_use]
pub fn config_folder() -> Option<PathBuf> {
    let named = env::var_os("XDG_CONFIG_HOME").map(PathBuf::from);
    let named = named.filter(|path| path.is_absolute());
    named.or_else(|| Some(place::home()?.join(".config")))
}

/// A file as it is, and as it is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// The file.
    pub path: PathBuf,
    /// Its bytes; `None` if there is no file.
    pub before: Option<Vec<u8>>,
    /// What it is to hold.
    pub after: Vec<u8>,
}

/// Why a client can't be pointed at a relay, or not be let go.
#[derive(Debug, Error)]
pub enum Error {
    /// There is no home directory.
    #[error("there is no home directory")]
    NoHome,
    /// A file can't be read.
    #[error("'{}': {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file is not what its client reads.
    #[error("'{}' can't be changed: {why}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, without a word of it.
        why: &'static str,
    },
}

impl Edit {
    /// The change of a file, as `change` makes it of the text that is there, or of an empty one.
    ///
    /// # Errors
    /// When it can't be read, or `change` says what is in the way.
    pub fn of(
        path: PathBuf,
        change: impl FnOnce(&str) -> Result<String, &'static str>,
    ) -> Result<Self, Error> {
        let before = match fs::read(&path) {
            Ok(bytes) => Some(bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(source) => return Err(Error::Io { path, source }),
        };
        let after = changed(&path, before.as_deref().unwrap_or_default(), change)?;
        Ok(Self {
            path,
            before,
            after,
        })
    }

    /// Whether it changes nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.before.as_ref() == Some(&self.after)
    }
}

/// A changed text, with the byte order mark before it that it had.
///
/// # Errors
/// When it is no text, or `change` says what is in the way.
pub fn changed(
    path: &Path,
    bytes: &[u8],
    change: impl FnOnce(&str) -> Result<String, &'static str>,
) -> Result<Vec<u8>, Error> {
    let unreadable = |why| Error::Unreadable {
        path: path.to_owned(),
        why,
    };
    let text = std::str::from_utf8(bytes).map_err(|_| unreadable("it is not UTF-8"))?;
    let bare = text.trim_start_matches('\u{feff}');
    let mark = &text[..text.len() - bare.len()];
    let after = change(bare).map_err(unreadable)?;
    Ok(format!("{mark}{after}").into_bytes())
}
