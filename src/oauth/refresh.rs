//! Renewing an account's tokens. A refresh token is single use, and presenting one twice can kill
//! the login (PROTOCOL §1): so one process at a time, who reads the store again first, takes over
//! what another process or a client got, and commits what it got itself before anybody uses it.

use std::io;
use std::time::Duration;

use thiserror::Error;

use super::issuer::{self, Issuer};
use super::turn::{self, Turn};
use crate::account::Account;
use crate::account::handle::Handle;
use crate::account::time::UnixMillis;
use crate::clock::Clock;
use crate::store::locator::Locator;
use crate::store::{self, Absent, Store};

/// Tokens that expire sooner than this are renewed before they are handed out (DESIGN §2).
pub const USUAL_MARGIN: Duration = Duration::from_secs(5 * 60);

/// When a token is to be renewed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// When it expires within this time, or is not there.
    ExpiresWithin(Duration),
    /// When it was last renewed longer ago than this: keeps idle accounts alive.
    OlderThan(Duration),
    /// In any case, unless somebody else did it meanwhile.
    Now,
}

/// What was done.
#[derive(Debug)]
pub struct Refreshed {
    /// The account, as the store has it now.
    pub account: Account,
    /// What it took.
    pub how: How,
    /// What the person should know: where a client's file could not be brought up to date.
    pub notes: Vec<String>,
}

/// What it took to have a fresh token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// Nothing: it was fresh.
    Kept,
    /// Another process, or a client, had renewed it.
    Adopted,
    /// The issuer gave a new one.
    Renewed,
}

/// Why there is no fresh token.
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
    #[error("'{name}' is not in the store any more")]
    Gone {
        /// What the account was called.
        name: String,
    },
    /// The issuer gave no tokens, and did not say that the login is dead.
    #[error("the token of '{name}' was not renewed: {source}")]
    Issuer {
        /// What the account is called.
        name: String,
        /// What it said.
        source: issuer::Error,
    },
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

/// Sees to it that an account's token is fresh, and brings to its end what a refresh before this
/// one could not.
///
/// # Errors
/// When the login is dead, the account gone, the issuer out of reach or the store unusable. Except
/// for a dead login, which is noted, nothing is changed then.
pub fn refresh(
    store: &dyn Store,
    issuer: &Issuer,
    before: &Account,
    need: Need,
    clock: Clock,
) -> Result<Refreshed, Error> {
    let is_due = before.login_required.is_some() || needs(before, need, clock.now());
    if !is_due {
        return Ok(finish(store, before));
    }
    let (turn, account) = Turn::take(store, before)?;
    let (account, mut notes) = turn.settle(account)?;
    let account = turn.adopt(account)?;
    let renewed_meanwhile = account.tokens.refresh != before.tokens.refresh
        || account.tokens.refreshed_at != before.tokens.refreshed_at;
    if renewed_meanwhile && account.login_required.is_none() && serves(&account, need, clock.now())
    {
        return Ok(Refreshed {
            account,
            how: How::Adopted,
            notes,
        });
    }
    if let Some(code) = turn.known_dead(&account) {
        return Err(dead_login(store, &account, code));
    }
    let mut refreshed = if turn.is_of(&account)? {
        turn.exchange(issuer, &account, clock)?
    } else {
        // What was taken over is under another lock.
        drop(turn);
        refresh(store, issuer, &account, need, clock)?
    };
    notes.append(&mut refreshed.notes);
    Ok(Refreshed { notes, ..refreshed })
}

/// Brings to its end what a refresh before could not, for an account whose token is good as it is:
/// whatever comes of that.
fn finish(store: &dyn Store, before: &Account) -> Refreshed {
    let kept = |notes| Refreshed {
        account: before.clone(),
        how: How::Kept,
        notes,
    };
    if !turn::is_something_left(store, before) {
        return kept(Vec::new());
    }
    let settled = Turn::take(store, before).and_then(|(turn, account)| turn.settle(account));
    match settled {
        Ok((account, notes)) if account.tokens.refresh == before.tokens.refresh => kept(notes),
        Ok((account, notes)) => Refreshed {
            account,
            how: How::Adopted,
            notes,
        },
        Err(error) => kept(vec![error.to_string()]),
    }
}

/// Takes away what refreshes left undone for an account that is out of the store, and hands it out
/// with the last tokens that are known of it.
#[must_use]
pub fn forget(store: &dyn Store, account: Account) -> Account {
    turn::forget(store, account)
}

/// Changes an account as the store has it then, and hands it out as it is now.
pub(super) fn change(
    store: &dyn Store,
    account: &Account,
    mut change: impl FnMut(&mut Account),
) -> Result<Account, Error> {
    let changed = store::update(store, Absent::Refuse, |document| {
        let index = Handle::from(account).find(&document.accounts)?;
        change(&mut document.accounts[index]);
        Some(document.accounts[index].clone())
    })?;
    changed.ok_or_else(|| gone(account))
}

fn needs(account: &Account, need: Need, now: UnixMillis) -> bool {
    match need {
        Need::ExpiresWithin(margin) => account.fresh_token(now, margin).is_none(),
        Need::OlderThan(age) => {
            let refreshed_at = account.tokens.refreshed_at;
            refreshed_at.is_none_or(|at| now.since(at) > age)
        }
        Need::Now => true,
    }
}

/// Whether a token that somebody else got will do.
fn serves(account: &Account, need: Need, now: UnixMillis) -> bool {
    match need {
        Need::Now => account.fresh_token(now, Duration::ZERO).is_some(),
        other => !needs(account, other, now),
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
    }
}
