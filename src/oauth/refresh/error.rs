//! Why there is no fresh token.

use std::io;
use std::time::Duration;

use thiserror::Error;

use super::journal::Unreadable;
use crate::account::Account;
use crate::account::time::UnixMillis;
use crate::oauth::issuer;
use crate::store::locator::Locator;
use crate::store::{self, Store};

/// See the module.
#[derive(Debug, Error)]
pub enum Error {
    /// The login is dead; the store says so too now.
    #[error("'{name}' needs a new login ({code})")]
    LoginRequired {
        /// What the account is called.
        name: String,
        /// The issuer's code.
        code: String,
        /// The store to log in to again, where it is not the usual one.
        store: Option<Locator>,
    },
    /// It was removed meanwhile.
    #[error("'{name}' is not in the store any more{}", after(left))]
    Gone {
        /// What the account was called.
        name: String,
        /// What follows for the clients that have its login.
        left: Vec<String>,
    },
    /// The issuer gave no tokens, and did not say that the login is dead.
    #[error("the token of '{name}' was not renewed: {source}")]
    Issuer {
        /// What the account is called.
        name: String,
        /// What it said.
        source: issuer::Error,
    },
    /// The issuer was asked a short time ago, and is not asked again yet.
    #[error(
        "the token of '{name}' is not renewed for another {} s: {}",
        wait.as_secs().max(1),
        tried(*at, *answered)
    )]
    BackingOff {
        /// What the account is called.
        name: String,
        /// When the issuer was asked.
        at: UnixMillis,
        /// Whether it answered; if not, the token may be used up.
        answered: bool,
        /// How long it is not asked yet.
        wait: Duration,
    },
    /// The token was used up by a refresh for another store, and what it gave is not to be had.
    #[error("the token of '{name}' was used up for the store '{by}'")]
    UsedUp {
        /// What the account is called.
        name: String,
        /// The store that has its successor.
        by: String,
    },
    /// The journal can't be read, and what is in it may be the only copy of a token.
    #[error(transparent)]
    Journal(#[from] Unreadable),
    /// The store can't be used.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The issuer gave new tokens, and the store could not take them. The next refresh finds them.
    #[error("the new token of '{name}' waits in '{place}' until the store can take it: {source}")]
    Uncommitted {
        /// What the account is called.
        name: String,
        /// Where they are now.
        place: Locator,
        /// What is wrong with the store.
        source: store::Error,
    },
    /// The issuer gave new tokens, and they could be kept nowhere.
    #[error("the new token of '{name}' is lost: {source}")]
    Lost {
        /// What the account is called.
        name: String,
        /// The store to log in to again, where it is not the usual one.
        store: Option<Locator>,
        /// What the system said.
        source: io::Error,
    },
}

fn tried(at: UnixMillis, answered: bool) -> String {
    let at = at.rfc3339();
    match answered {
        true => format!("the issuer failed at {at}"),
        false => format!("no answer came when it was presented at {at}"),
    }
}

fn after(left: &[String]) -> String {
    left.iter().map(|note| format!("; {note}")).collect()
}

impl Error {
    /// Whether the token that is there is no worse for it: it can be used as long as it is good.
    #[must_use]
    pub const fn leaves_token(&self) -> bool {
        matches!(
            self,
            Self::Issuer { .. }
                | Self::BackingOff { .. }
                | Self::UsedUp { .. }
                | Self::Journal(_)
                | Self::Store(_)
        )
    }
}

pub(super) fn dead_login(store: &dyn Store, account: &Account, code: String) -> Error {
    Error::LoginRequired {
        name: account.name().to_owned(),
        code,
        store: store::named(store),
    }
}

pub(super) fn gone(account: &Account) -> Error {
    Error::Gone {
        name: account.name().to_owned(),
        left: Vec::new(),
    }
}
