//! What a person should know of a change that succeeds all the same.

use std::fmt;
use std::io;
use std::path::Path;

use super::locator::Locator;

/// See the module.
#[derive(Debug)]
pub enum Notice<'a> {
    /// A lock takes long.
    Waiting(&'a Path),
    /// The lock of a store that is in no file takes long.
    WaitingAt(&'a Locator),
    /// What was written is there, but a power cut may undo it: the folder can't be synced.
    NotSynced(&'a Path, &'a io::Error),
    /// What was written is there, but the version before it is not kept.
    NoBackup(&'a Path, &'a io::Error),
}

impl fmt::Display for Notice<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Waiting(lock) => write!(f, "waiting for the lock '{}'", lock.display()),
            Self::WaitingAt(store) => write!(f, "waiting for the lock of '{store}'"),
            Self::NotSynced(path, error) => write!(
                f,
                "'{}' is written, but a power cut may undo it: its folder can't be synced: {error}",
                path.display()
            ),
            Self::NoBackup(path, error) => {
                write!(f, "no backup is kept in '{}': {error}", path.display())
            }
        }
    }
}
