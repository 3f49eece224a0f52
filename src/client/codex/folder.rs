//! Where Codex CLI keeps everything of a person's.

use std::path::PathBuf;

use crate::store;

/// The folder in which Codex keeps everything of a person's: `$CODEX_HOME`, or else `~/.codex`.
///
/// # Errors
/// When there is no home directory.
pub(super) fn folder() -> Result<PathBuf, store::Error> {
    let named = std::env::var_os("CODEX_HOME").filter(|folder| !folder.is_empty());
    match named {
        Some(folder) => Ok(PathBuf::from(folder)),
        None => Ok(store::home()?.join(".codex")),
    }
}
