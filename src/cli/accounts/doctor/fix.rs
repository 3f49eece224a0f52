//! What can be mended without harm.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::accounts::is_stale;
use crate::account::Lease;
use crate::cli::exit::{Code, Error};
use crate::cli::shell::Shell;
use crate::client::opencode;
use crate::store::{self, Absent};

/// A change that loses nothing.
pub(super) enum Fix {
    /// Keeps others out of a file.
    Private(PathBuf),
    /// Takes away what a write that was cut off left.
    Remove(PathBuf),
    /// Takes back the entry that a launch left in opencode's file.
    TakeBack(PathBuf),
    /// Gives back what processes hold that are gone.
    DropLeases(Vec<usize>),
}

impl Fix {
    /// The command that does the same.
    pub(super) fn command(&self) -> String {
        match self {
            Self::Private(path) => format!("chmod 600 '{}'", path.display()),
            Self::Remove(path) => format!("rm '{}'", path.display()),
            Self::TakeBack(_) | Self::DropLeases(_) => "codex-accounts doctor --fix".to_owned(),
        }
    }

    /// Does it. Whether anything is different now: what can't be changed is not tried for ever.
    pub(super) fn apply(&self, shell: &Shell) -> Result<bool, Error> {
        match self {
            Self::Private(path) => keep_private(path).map_err(|error| failed(path, &error)),
            Self::Remove(path) => match fs::remove_file(path) {
                Ok(()) => Ok(true),
                Err(error) => Err(failed(path, &error)),
            },
            Self::TakeBack(path) => Ok(opencode::take_back(path).map(|()| true)?),
            Self::DropLeases(indices) => drop_leases(shell, indices),
        }
    }
}

fn drop_leases(shell: &Shell, indices: &[usize]) -> Result<bool, Error> {
    let dropped = store::update(shell.store(), Absent::Refuse, |document| {
        let mut dropped = false;
        for index in indices {
            if let Some(account) = document.accounts.get_mut(*index) {
                let stale = |lease: &mut Lease| is_stale(lease, shell);
                dropped |= account.lease.take_if(stale).is_some();
            }
        }
        dropped
    })?;
    Ok(dropped)
}

fn failed(path: &Path, error: &io::Error) -> Error {
    Error::new(Code::Io, format!("'{}': {error}", path.display()))
}

#[cfg(unix)]
fn keep_private(path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::PermissionsExt;
    let mode = |path: &Path| fs::metadata(path).map(|it| it.permissions().mode());
    let before = mode(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    Ok(mode(path)? != before)
}

#[cfg(not(unix))]
fn keep_private(_: &Path) -> io::Result<bool> {
    Ok(false)
}
