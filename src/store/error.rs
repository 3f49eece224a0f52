//! Why a store can't be used.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::format;
use super::helper::error as helper;
use super::locator::Locator;
use crate::sys::rights::Rights;

/// Why the store can't be used.
#[derive(Debug, Error)]
pub enum Error {
    /// There is none, and this command does not create one.
    #[error("there is no account store at '{at}'")]
    Missing {
        /// Where it was looked for.
        at: Locator,
    },
    /// It is no document.
    #[error("'{at}' is left as it is: {source}")]
    Format {
        /// Where it is.
        at: Locator,
        /// What is wrong with it.
        source: format::Error,
    },
    /// Others could read or write the secrets in it.
    #[error("'{}' can be read or written by others (mode {rights})", path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Who may do what with it.
        rights: Rights,
    },
    /// Another process held the lock all the time.
    #[error("timed out after {} s waiting for the lock '{}'", waited.as_secs(), path.display())]
    Locked {
        /// The lock file.
        path: PathBuf,
        /// How long was waited.
        waited: std::time::Duration,
    },
    /// There are no locks where it is.
    #[error("'{}' can't be locked: {source}", path.display())]
    NoLocks {
        /// The lock file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// No place for it is known.
    #[error("there is no home directory, and no store was named")]
    NoHome,
    /// See [`helper::Error`].
    #[error(transparent)]
    Helper(Box<helper::Error>),
    /// The system said no.
    #[error("'{}': {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl From<helper::Error> for Error {
    fn from(error: helper::Error) -> Self {
        Self::Helper(Box::new(error))
    }
}

impl Error {
    /// What the system said of a file.
    pub fn io(path: &Path) -> impl FnOnce(io::Error) -> Self + '_ {
        move |source| Self::Io {
            path: path.to_owned(),
            source,
        }
    }
}
