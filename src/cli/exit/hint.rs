//! What a person can do about an error.

use std::io;
use std::path::Path;

use super::error::Error;
use crate::cli::typed::quoted;
use crate::net::{callback, endpoint};
use crate::oauth::{device, login, redeem, refresh, usage};
use crate::store;
use crate::store::locator::Locator;

impl Error {
    /// What to do about it, if that can be said.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Own { hint, .. } => hint.clone(),
            Self::Select { candidates, .. } if candidates.is_empty() => None,
            Self::Select {
                candidates,
                nearest,
                ..
            } => {
                let there = format!("there is {}", candidates.join(", "));
                Some(match nearest {
                    Some(name) => format!("did you mean '{name}'? {there}"),
                    None => there,
                })
            }
            Self::Store(error) | Self::Login(login::Error::Store(error)) => of_store_hint(error),
            Self::Login(error) => of_login_hint(error).map(str::to_owned),
            Self::Refresh(error)
            | Self::Usage(usage::Error::Refresh(error))
            | Self::Redeem(redeem::Error::Usage(usage::Error::Refresh(error))) => {
                of_refresh_hint(error)
            }
            Self::Redeem(redeem::Error::Unclear { .. }) => {
                Some("the next run asks again, and spends no second one".to_owned())
            }
            Self::Usage(usage::Error::NotAccepted { store, .. })
            | Self::Redeem(redeem::Error::Usage(usage::Error::NotAccepted { store, .. })) => {
                Some(log_in_again(store.as_ref()))
            }
            Self::Endpoint(endpoint::Error::NoRelay { elsewhere, .. }) => {
                Some(of_no_relay(elsewhere.as_ref()))
            }
            Self::Endpoint(_) => Some("use https, or http to 127.0.0.1".to_owned()),
            _ => None,
        }
    }
}

/// `store`: the one to log in to, where it is not the usual one.
fn log_in_again(store: Option<&Locator>) -> String {
    match store {
        None => "log in again with 'codex-accounts add'".to_owned(),
        Some(at) => format!(
            "log in again with: codex-accounts --store {} add",
            quoted(at.as_os_str())
        ),
    }
}

fn of_refresh_hint(error: &refresh::Error) -> Option<String> {
    match error {
        refresh::Error::LoginRequired { store, .. } | refresh::Error::Lost { store, .. } => {
            Some(log_in_again(store.as_ref()))
        }
        refresh::Error::Store(source) | refresh::Error::Uncommitted { source, .. } => {
            of_store_hint(source)
        }
        refresh::Error::UsedUp { by, .. } => Some(format!(
            "take its successor over: codex-accounts import {}",
            quoted(std::ffi::OsStr::new(by))
        )),
        refresh::Error::Journal(_) => Some(
            "a token may be in it that is nowhere else; if nobody can mend it, move it away and log \
             in again"
                .to_owned(),
        ),
        refresh::Error::Gone { .. }
        | refresh::Error::Issuer { .. }
        | refresh::Error::BackingOff { .. } => None,
    }
}

fn of_login_hint(error: &login::Error) -> Option<&'static str> {
    match error {
        login::Error::Callback(callback::Error::Taken(_)) => {
            Some("end the program that listens there, or use --no-browser or --device")
        }
        login::Error::Device(device::Error::Off) => Some("log in with a browser or --no-browser"),
        login::Error::TimedOut | login::Error::Device(device::Error::Expired) => {
            Some("start the login again")
        }
        login::Error::Unusable(_) => {
            Some("paste the whole address that the browser ends at, or the code in it")
        }
        _ => None,
    }
}

fn of_store_hint(error: &store::Error) -> Option<String> {
    match error {
        store::Error::Missing { .. } => Some("log in with 'codex-accounts add'".to_owned()),
        store::Error::Exposed { path, .. } => Some(format!("chmod 600 {}", quoted(path))),
        store::Error::Format {
            source: store::format::Error::Newer { .. },
            ..
        } => Some("update codex-accounts".to_owned()),
        store::Error::Format { at, .. } => at
            .file()
            .filter(|path| store::commit::backup_path(path).exists())
            .map(restore),
        store::Error::Helper(error) => error.hint.clone(),
        store::Error::NoHome => Some("set HOME, or name the store with --store".to_owned()),
        store::Error::NoLocks { .. } => Some(
            "keep the store where there are locks, on a local disk: set CODEX_ACCOUNTS_FILE"
                .to_owned(),
        ),
        // A mount can't be renamed over.
        store::Error::Io { source, .. } if source.kind() == io::ErrorKind::ResourceBusy => {
            Some("mount the folder that it is in, and not the file alone".to_owned())
        }
        store::Error::Locked { .. } | store::Error::Io { .. } => None,
    }
}

/// The command that brings a store back, which names it unless it is where everybody looks.
fn restore(path: &Path) -> String {
    match store::default_path() {
        Ok(usual) if usual == path => "codex-accounts doctor --restore".to_owned(),
        _ => format!("codex-accounts --store {} doctor --restore", quoted(path)),
    }
}

/// A relay listens on loopback only; the way to one elsewhere is ssh's.
fn of_no_relay(elsewhere: Option<&(String, u16)>) -> String {
    match elsewhere {
        Some((host, port)) => format!(
            "let ssh carry it: ssh -N -L {port}:127.0.0.1:{port} {host}, and --proxy \
             http://127.0.0.1:{port}/codex; or --proxy ssh://{host}/{port}"
        ),
        None => "use the address that codex-proxy prints".to_owned(),
    }
}
