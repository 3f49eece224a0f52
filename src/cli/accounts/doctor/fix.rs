//! What can be mended without harm.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::PathBuf;

use super::leases::is_stale;
use crate::account::{Lease, SwitchReason, pick};
use crate::cli::exit::{Code, Error};
use crate::cli::shell::Shell;
use crate::cli::typed::quoted;
use crate::client::registry;
use crate::store::{self, Absent};
use crate::sys::file;

/// A change that loses nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fix {
    /// Keeps others out of a file.
    Private(PathBuf),
    /// Takes away what a write that was cut off left.
    Remove(PathBuf),
    /// Takes out of a client's file what a launch left in it.
    TakeBack {
        /// The client.
        client: &'static str,
        /// Its file.
        path: PathBuf,
    },
    /// Gives back what processes hold that are gone.
    DropLeases(Vec<usize>),
    /// Makes the first account the active one, where no account is.
    Activate,
}

impl Fix {
    /// The command that does the same.
    pub(super) fn command(&self, shell: &Shell) -> String {
        match self {
            Self::Private(path) => format!("chmod 600 {}", quoted(path)),
            Self::Remove(path) => format!("rm {}", quoted(path)),
            Self::TakeBack { .. } | Self::DropLeases(_) | Self::Activate => {
                shell.command("codex-accounts doctor --fix")
            }
        }
    }

    /// Does it. Whether anything is different now: what can't be changed is not tried for ever.
    pub(super) fn apply(&self, shell: &Shell) -> Result<bool, Error> {
        match self {
            Self::Private(path) => file::make_private(path).map_err(|error| failed(&error)),
            Self::Remove(path) => match fs::remove_file(path) {
                Ok(()) => Ok(true),
                Err(error) => Err(failed(&error)),
            },
            Self::TakeBack { client, path } => match registry::named(OsStr::new(client)) {
                Some(client) => Ok(client.take_back(path).map(|()| true)?),
                None => Ok(false),
            },
            Self::DropLeases(indices) => drop_leases(shell, indices),
            Self::Activate => activate(shell),
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

fn activate(shell: &Shell) -> Result<bool, Error> {
    let now = shell.now();
    store::update(shell.store(), Absent::Refuse, |document| {
        // Reading it made that the first one.
        let index = document.active_index;
        let (accounts, active) = (&mut document.accounts, &mut document.active_index);
        pick::activate(accounts, active, index, SwitchReason::Initial, now);
    })?;
    Ok(true)
}

/// What is to be mended names the file.
fn failed(error: &io::Error) -> Error {
    Error::new(Code::Io, error.to_string())
}
