//! How a command ends: the one table of exit codes (DESIGN §2), the one place that maps errors to
//! them, and the one place that prints an error.

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use thiserror::Error;

use super::typed::quoted;
use crate::account::printable::printable;
use crate::account::{Account, label, response, select, token};
use crate::client::wiring;
use crate::net::agent::Unreachable;
use crate::net::{callback, endpoint};
use crate::oauth::{device, issuer, login, redeem, refresh, usage};
use crate::store;
use crate::store::locator::Locator;
use crate::sys::stdio;

/// How a command ends. One that goes on after a failure ends with the highest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Code {
    /// Done; also when the reader closed the pipe.
    Done,
    /// A clear no: nothing matches, no account, empty input.
    No,
    /// The arguments are wrong.
    Usage,
    /// Malformed input.
    Malformed,
    /// Issuer or upstream unreachable; nothing changed.
    Unavailable,
    /// Input or output failed.
    Io,
    /// Try later: every account is limited, a lock was not had, a login timed out.
    TryLater,
    /// Refused: login needed, consent denied, store readable by others.
    Refused,
    /// Configuration: store corrupt or newer than this program, bad setting.
    Config,
    /// As the program ended that the command ran in its place.
    OfProgram(u8),
}

impl Code {
    /// The number that the process ends with.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::No => 1,
            Self::Usage => 2,
            Self::Malformed => 65,
            Self::Unavailable => 69,
            Self::Io => 74,
            Self::TryLater => 75,
            Self::Refused => 77,
            Self::Config => 78,
            Self::OfProgram(status) => status,
        }
    }
}

impl From<Code> for ExitCode {
    fn from(code: Code) -> Self {
        Self::from(code.number())
    }
}

/// Why a command fails. What can be told in a module's own words is that module's error.
#[derive(Debug, Error)]
pub enum Error {
    /// The reader of standard output is gone; nobody is left to tell.
    #[error("standard output is closed")]
    ClosedPipe,
    /// Standard input or output failed.
    #[error("{what}: {source}")]
    Stream {
        /// Which.
        what: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
    /// Something of a command's own.
    #[error("{message}")]
    Own {
        /// How it ends.
        code: Code,
        /// Lower case, no full stop.
        message: String,
        /// What to do about it.
        hint: Option<String>,
    },
    /// An account name that fits none, or several.
    #[error("{source}")]
    Select {
        /// What is wrong with it.
        source: select::Error,
        /// The accounts that fit, or all there are.
        candidates: Vec<String>,
        /// The name of one that is written nearly so.
        nearest: Option<String>,
    },
    /// See [`label::Error`].
    #[error(transparent)]
    Label(#[from] label::Error),
    /// See [`store::Error`].
    #[error(transparent)]
    Store(#[from] store::Error),
    /// See [`token::Error`].
    #[error(transparent)]
    Token(#[from] token::Error),
    /// See [`response::Error`].
    #[error(transparent)]
    Response(#[from] response::Error),
    /// See [`endpoint::Error`].
    #[error(transparent)]
    Endpoint(#[from] endpoint::Error),
    /// See [`wiring::Error`].
    #[error(transparent)]
    Wiring(#[from] wiring::Error),
    /// See [`Unreachable`].
    #[error(transparent)]
    Unreachable(#[from] Unreachable),
    /// See [`issuer::Error`].
    #[error(transparent)]
    Issuer(#[from] issuer::Error),
    /// See [`refresh::Error`].
    #[error(transparent)]
    Refresh(#[from] refresh::Error),
    /// See [`login::Error`].
    #[error(transparent)]
    Login(#[from] login::Error),
    /// See [`usage::Error`].
    #[error(transparent)]
    Usage(#[from] usage::Error),
    /// See [`redeem::Error`].
    #[error(transparent)]
    Redeem(#[from] redeem::Error),
}

impl Error {
    /// An error of a command's own, without a hint.
    #[must_use]
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self::Own {
            code,
            message: message.into(),
            hint: None,
        }
    }

    /// An error of a command's own, with a hint.
    #[must_use]
    pub fn hinted(code: Code, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Own {
            code,
            message: message.into(),
            hint: Some(hint.into()),
        }
    }

    /// There is nothing to work on.
    #[must_use]
    pub fn no_accounts() -> Self {
        Self::hinted(
            Code::No,
            "there are no accounts",
            "log in with 'codex-accounts add'",
        )
    }

    /// A name that fits none of the accounts, or several.
    #[must_use]
    pub fn select(source: select::Error, accounts: &[Account]) -> Self {
        let shown: Vec<usize> = match &source {
            select::Error::Ambiguous { candidates, .. } => candidates.clone(),
            select::Error::Unknown { .. } => (0..accounts.len()).collect(),
        };
        let candidates = shown
            .into_iter()
            .map(|index| format!("{index} {}", accounts[index].name()))
            .collect();
        let nearest = match &source {
            select::Error::Ambiguous { .. } => None,
            select::Error::Unknown { name } => select::nearest(accounts, name),
        };
        Self::Select {
            source,
            candidates,
            nearest: nearest.map(str::to_owned),
        }
    }

    /// The failure of a write to standard output; a closed pipe is none.
    #[must_use]
    pub fn output(source: std::io::Error) -> Self {
        if stdio::reader_is_gone(&source) {
            return Self::ClosedPipe;
        }
        Self::Stream {
            what: "standard output",
            source,
        }
    }

    /// The failure of a read from standard input.
    #[must_use]
    pub fn input(source: std::io::Error) -> Self {
        Self::Stream {
            what: "standard input",
            source,
        }
    }

    /// How the command ends.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::ClosedPipe => Code::Done,
            Self::Own { code, .. } => *code,
            Self::Stream { .. } => Code::Io,
            Self::Select { .. } => Code::No,
            Self::Label(_) => Code::Usage,
            Self::Store(error) | Self::Wiring(wiring::Error::Store(error)) => of_store(error),
            Self::Wiring(wiring::Error::Setting { .. }) => Code::Config,
            Self::Response(response::Error::Empty) => Code::No,
            Self::Token(_) | Self::Response(_) => Code::Malformed,
            Self::Endpoint(_) => Code::Config,
            Self::Unreachable(_) => Code::Unavailable,
            Self::Issuer(error) => of_issuer(error),
            Self::Login(error) => of_login(error),
            Self::Refresh(error) => of_refresh(error),
            Self::Usage(error) => of_usage(error),
            Self::Redeem(error) => match error {
                redeem::Error::Usage(error) => of_usage(error),
                redeem::Error::Store(error) => of_store(error),
                redeem::Error::Journal { .. } => Code::Config,
                redeem::Error::NotKept { .. } => Code::Io,
                redeem::Error::Unclear { .. } => Code::Unavailable,
                redeem::Error::Refused { .. } => Code::Refused,
            },
        }
    }

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
            Self::Endpoint(endpoint::Error::NoRelay { .. }) => {
                Some("use the address that codex-proxy prints".to_owned())
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

fn of_usage(error: &usage::Error) -> Code {
    match error {
        usage::Error::Refresh(error) => of_refresh(error),
        usage::Error::NotAccepted { .. } | usage::Error::Refused { .. } => Code::Refused,
        usage::Error::Unreachable { .. } | usage::Error::Nonsense { .. } => Code::Unavailable,
    }
}

fn of_refresh(error: &refresh::Error) -> Code {
    match error {
        refresh::Error::LoginRequired { .. } => Code::Refused,
        refresh::Error::Gone { .. } => Code::No,
        refresh::Error::Issuer { .. } | refresh::Error::BackingOff { .. } => Code::Unavailable,
        refresh::Error::UsedUp { .. } => Code::Refused,
        refresh::Error::Journal(_) => Code::Config,
        refresh::Error::Store(source) | refresh::Error::Uncommitted { source, .. } => {
            of_store(source)
        }
        refresh::Error::Lost { .. } => Code::Io,
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

fn of_issuer(error: &issuer::Error) -> Code {
    match error {
        issuer::Error::Dead { .. } | issuer::Error::Refused { .. } => Code::Refused,
        issuer::Error::Unreachable(_)
        | issuer::Error::Nonsense { .. }
        | issuer::Error::OfAnother
        | issuer::Error::Unusable => Code::Unavailable,
    }
}

fn of_login(error: &login::Error) -> Code {
    match error {
        login::Error::Denied { .. } | login::Error::NoCode => Code::Refused,
        login::Error::Cancelled | login::Error::NoAnswer => Code::No,
        login::Error::TimedOut | login::Error::Device(device::Error::Expired) => Code::TryLater,
        login::Error::Unusable(_) => Code::Malformed,
        login::Error::Callback(_) => Code::Io,
        login::Error::Device(device::Error::Off) => Code::Unavailable,
        login::Error::Issuer(error) | login::Error::Device(device::Error::Issuer(error)) => {
            of_issuer(error)
        }
        login::Error::Store(error) => of_store(error),
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

fn of_store(error: &store::Error) -> Code {
    match error {
        store::Error::Missing { .. } => Code::No,
        store::Error::Format { .. } | store::Error::NoHome => Code::Config,
        store::Error::Exposed { .. } => Code::Refused,
        store::Error::Locked { .. } => Code::TryLater,
        store::Error::NoLocks { .. } | store::Error::Io { .. } => Code::Io,
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
        store::Error::Format { path, .. } => {
            let has_backup = store::commit::backup_path(path).exists();
            has_backup.then(|| restore(path))
        }
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

/// Prints an error and gives its exit code.
#[must_use]
pub fn report(name: &str, error: &Error) -> Code {
    if !matches!(error, Error::ClosedPipe) {
        complain(name, &error.to_string(), error.hint().as_deref());
    }
    error.code()
}

/// Prints a message for people: to standard error, where a failure to do so has nowhere to go.
pub fn complain(name: &str, message: &str, hint: Option<&str>) {
    let mut out = std::io::stderr().lock();
    let _ = writeln!(out, "{name}: error: {}", printable(message));
    if let Some(hint) = hint {
        let _ = writeln!(out, "hint: {}", printable(hint));
    }
}
