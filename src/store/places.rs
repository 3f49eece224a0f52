//! Where a person's files are, if they did not say so.

use std::path::PathBuf;

use super::commit;
use super::error::Error;
use crate::sys::place;

/// The person's home. A relative one is none: it would be another one in each folder.
///
/// # Errors
/// When there is none.
pub fn home() -> Result<PathBuf, Error> {
    let home = place::home().filter(|path| path.is_absolute());
    home.ok_or(Error::NoHome)
}

/// The folder that opencode keeps its data in: `$XDG_DATA_HOME/opencode`, which is
/// `~/.local/share/opencode` on macOS too (PROTOCOL §5).
///
/// # Errors
/// When there is no home directory.
pub fn opencode_data() -> Result<PathBuf, Error> {
    let named = std::env::var_os("XDG_DATA_HOME")
        .map(PathBuf::from)
        .filter(|path| path.is_absolute());
    match named {
        Some(data) => Ok(data.join("opencode")),
        None => Ok(home()?.join(".local").join("share").join("opencode")),
    }
}

/// The folder for what need not be kept: logs, and locks of files that are not ours.
///
/// # Errors
/// When there is no home directory.
pub fn state_folder() -> Result<PathBuf, Error> {
    let state = place::state();
    let state = state.filter(|path| path.is_absolute());
    Ok(state.ok_or(Error::NoHome)?.join("codex-accounts"))
}

/// The store of a person who named none.
///
/// # Errors
/// When there is no home directory.
pub fn default_path() -> Result<PathBuf, Error> {
    const NAME: &str = "openai-codex-accounts.json";
    match place::roaming_data() {
        Some(data) => Ok(data.join("opencode").join(NAME)),
        None => Ok(opencode_data()?.join(NAME)),
    }
}

/// Where the lock and the journal of a login are: one place for all stores that have it, and for
/// opencode's own file. `None` where there is no folder for it: then each store has its own.
#[must_use]
pub fn of_login(name: &str) -> Option<PathBuf> {
    let path = state_folder().ok()?.join(name);
    commit::make_folder(&path).ok()?;
    Some(path)
}
