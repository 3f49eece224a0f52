//! Commands as a person types them, for hints and for what mends things.

use std::ffi::OsStr;

use crate::sys::shell;

/// A path as one word of the person's shell.
#[must_use]
pub fn quoted(path: impl AsRef<OsStr>) -> String {
    shell::word(&path.as_ref().display().to_string())
}
