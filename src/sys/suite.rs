//! Where the other commands of the suite are.

use std::path::{Path, PathBuf};

/// The folder of this program: the other commands of the suite are in it.
#[must_use]
pub fn folder() -> Option<PathBuf> {
    let this = std::env::current_exe().ok()?;
    this.parent().map(Path::to_owned)
}

/// Another command of the suite: the one beside this program, else the one in the `PATH`.
#[must_use]
pub fn beside(command: &str) -> PathBuf {
    folder()
        .map(|folder| folder.join(format!("{command}{}", std::env::consts::EXE_SUFFIX)))
        .filter(|path| path.exists())
        .unwrap_or_else(|| command.into())
}
