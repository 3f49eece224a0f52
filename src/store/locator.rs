//! Where something is kept, as a person names it.

use std::ffi::OsStr;
use std::fmt;
use std::path::{Path, PathBuf};

/// What `--store` takes: a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Locator {
    /// A file, by its path.
    File(PathBuf),
}

impl Locator {
    /// The file, if it is one.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::File(path) => Some(path),
        }
    }

    /// As it is typed, without quotes.
    #[must_use]
    pub fn as_os_str(&self) -> &OsStr {
        match self {
            Self::File(path) => path.as_os_str(),
        }
    }

    /// The one name of it, wherever it is said.
    #[must_use]
    pub fn absolute(&self) -> Self {
        match self {
            Self::File(path) => {
                Self::File(std::path::absolute(path).unwrap_or_else(|_| path.to_owned()))
            }
        }
    }
}

impl fmt::Display for Locator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_os_str().display().fmt(f)
    }
}

impl From<PathBuf> for Locator {
    fn from(path: PathBuf) -> Self {
        Self::File(path)
    }
}
