//! Renewing an account's tokens. A refresh token is single use, and presenting one twice can kill
//! the login (PROTOCOL §1): so one process at a time, who reads the store again first, takes over
//! what another process or a client got, and commits what it got itself before anybody uses it.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use thiserror::Error;

use super::issuer::{self, Issuer};
use super::mirror::Mirror;
use super::rescue::{Rescue, Rescued};
use super::shield::Shield;
use crate::account::time::UnixMillis;
use crate::account::{Account, Extra, LoginRequired, identity};
use crate::clock::Clock;
use crate::store::lock::Patience;
use crate::store::{self, Absent, Store};

/// Tokens that expire sooner than this are renewed before they are handed out (DESIGN §2).
pub const USUAL_MARGIN: Duration = Duration::from_secs(5 * 60);

/// As long as the holder of the lock may wait for the issuer, and some.
const PATIENCE: Patience = Patience {
    quiet: Duration::from_secs(2),
    most: Duration::from_secs(45),
};

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
    #[error("the new token of '{name}' waits in '{}' until the store can take it: {source}", path.display())]
    Uncommitted {
        /// What the account is called.
        name: String,
        /// The file that they are in now.
        path: PathBuf,
        /// What is wrong with the store.
        source: store::Error,
    },
    /// The issuer gave new tokens, and they could be kept nowhere.
    #[error("the new token of '{name}' is lost: {source}")]
    Lost {
        /// What the account is called.
        name: String,
        /// What the system said.
        source: io::Error,
    },
}

/// Sees to it that an account's token is fresh.
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
    if before.login_required.is_none() && !needs(before, need, clock.now()) {
        return Ok(Refreshed {
            account: before.clone(),
            how: How::Kept,
            notes: Vec::new(),
        });
    }
    let lock = store.hold(&lock_name(before), PATIENCE)?;
    let mirror = Mirror::of_person(store);
    let rescue = Rescue::beside(&lock);
    let account = read_again(store, before)?;
    let (account, mut notes) = take_over_rescued(store, &rescue, &mirror, account)?;
    let account = match mirror.newer(&account) {
        Some(newer) => change(store, &account, |kept| take_tokens(kept, &newer))?,
        None => account,
    };
    let renewed_meanwhile = account.refresh_token != before.refresh_token
        || account.refreshed_at != before.refreshed_at;
    if renewed_meanwhile && account.login_required.is_none() && serves(&account, need, clock.now())
    {
        return Ok(Refreshed {
            account,
            how: How::Adopted,
            notes,
        });
    }
    if let Some(dead) = &account.login_required {
        return Err(dead_login(&account, &dead.code));
    }
    let mut refreshed = exchange(store, issuer, &account, rescue, &mirror, clock)?;
    notes.append(&mut refreshed.notes);
    Ok(Refreshed { notes, ..refreshed })
}

/// Presents the refresh token and commits what comes back. To be called with the account's lock.
fn exchange(
    store: &dyn Store,
    issuer: &Issuer,
    account: &Account,
    rescue: Rescue,
    mirror: &Mirror,
    clock: Clock,
) -> Result<Refreshed, Error> {
    let _shield = Shield::raise();
    let path = rescue.path().to_owned();
    // Without room for new tokens none are asked for.
    let ready = rescue
        .prepare()
        .map_err(|source| store::Error::Io { path, source })?;
    let tokens = match issuer.refresh(&account.refresh_token) {
        Ok(tokens) => tokens,
        Err(error) => {
            ready.dismiss();
            return refused(store, account, error, clock);
        }
    };
    let mut renewed = account.clone();
    tokens.renew(&mut renewed, clock.now());
    match change(store, account, |kept| take_tokens(kept, &renewed)) {
        Err(Error::Store(source)) => {
            let name = account.name().to_owned();
            let rescued = Rescued {
                consumed: account.refresh_token.clone(),
                account: renewed,
            };
            Err(match ready.keep(&rescued) {
                Ok(path) => Error::Uncommitted { name, path, source },
                Err(source) => Error::Lost { name, source },
            })
        }
        Err(error) => {
            ready.dismiss();
            Err(error)
        }
        Ok(committed) => {
            ready.dismiss();
            Ok(Refreshed {
                notes: mirror.write_through(&account.refresh_token, &committed),
                account: committed,
                how: How::Renewed,
            })
        }
    }
}

/// Takes over the tokens that a refresh before this one could not commit, if the account still has
/// the token that they were got for.
fn take_over_rescued(
    store: &dyn Store,
    rescue: &Rescue,
    mirror: &Mirror,
    account: Account,
) -> Result<(Account, Vec<String>), Error> {
    let Some(rescued) = rescue.left_behind() else {
        return Ok((account, Vec::new()));
    };
    if rescued.consumed != account.refresh_token {
        rescue.clear();
        return Ok((account, Vec::new()));
    }
    let committed = change(store, &account, |kept| take_tokens(kept, &rescued.account))?;
    rescue.clear();
    let notes = mirror.write_through(&rescued.consumed, &committed);
    Ok((committed, notes))
}

/// Puts the tokens of a login in the place of the account's.
fn take_tokens(kept: &mut Account, login: &Account) {
    kept.refresh_token = login.refresh_token.clone();
    kept.access_token = login.access_token.clone();
    kept.id_token = login.id_token.clone().or(kept.id_token.take());
    kept.expires_at = login.expires_at;
    kept.refreshed_at = kept.refreshed_at.max(login.refreshed_at);
    kept.login_required = None;
    identity::learn_owner(kept);
}

fn refused(
    store: &dyn Store,
    account: &Account,
    error: issuer::Error,
    clock: Clock,
) -> Result<Refreshed, Error> {
    match error {
        issuer::Error::Dead { code } => note_dead(store, account, code, clock),
        source => Err(Error::Issuer {
            name: account.name().to_owned(),
            source,
        }),
    }
}

/// Notes that a login is dead, unless somebody logged in again while the issuer was asked.
fn note_dead(
    store: &dyn Store,
    account: &Account,
    code: String,
    clock: Clock,
) -> Result<Refreshed, Error> {
    let kept = change(store, account, |kept| {
        if kept.refresh_token == account.refresh_token {
            kept.login_required = Some(LoginRequired {
                code: code.clone(),
                at: clock.now(),
                extra: Extra::new(),
            });
        }
    })?;
    match &kept.login_required {
        Some(dead) => Err(dead_login(&kept, &dead.code)),
        None => Ok(Refreshed {
            account: kept,
            how: How::Adopted,
            notes: Vec::new(),
        }),
    }
}

/// Changes an account as the store has it then, and hands it out as it is now.
pub(super) fn change(
    store: &dyn Store,
    account: &Account,
    change: impl FnOnce(&mut Account),
) -> Result<Account, Error> {
    let changed = store::update(store, Absent::Refuse, |document| {
        let index = identity::find_again(&document.accounts, account)?;
        change(&mut document.accounts[index]);
        Some(document.accounts[index].clone())
    })?;
    changed.ok_or_else(|| gone(account))
}

fn read_again(store: &dyn Store, before: &Account) -> Result<Account, Error> {
    let document = store.read()?.ok_or_else(|| gone(before))?;
    identity::find_again(&document.accounts, before)
        .and_then(|index| document.accounts.into_iter().nth(index))
        .ok_or_else(|| gone(before))
}

fn needs(account: &Account, need: Need, now: UnixMillis) -> bool {
    match need {
        Need::ExpiresWithin(margin) => account.fresh_token(now, margin).is_none(),
        Need::OlderThan(age) => now.since(account.refreshed_at) > age,
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

fn lock_name(account: &Account) -> String {
    format!("refresh-{:016x}", identity::key(account))
}

fn dead_login(account: &Account, code: &str) -> Error {
    Error::LoginRequired {
        name: account.name().to_owned(),
        code: code.to_owned(),
    }
}

fn gone(account: &Account) -> Error {
    Error::Gone {
        name: account.name().to_owned(),
    }
}
