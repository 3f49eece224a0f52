//! Why a command fails.

use thiserror::Error;

use super::code::Code;
use crate::account::{Account, label, response, select, token};
use crate::client::wiring;
use crate::net::agent::Unreachable;
use crate::net::endpoint;
use crate::oauth::{issuer, login, redeem, refresh, usage};
use crate::store;
use crate::sys::stdio;

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
}
