//! Renewing an account's tokens. A refresh token is single use, and presenting one twice can kill
//! the login (PROTOCOL §1): so one process at a time, who reads the store again first, takes over
//! what another process or a client got, and commits what it got itself before anybody uses it.

mod chain;
mod error;
pub mod journal;
mod lock;
mod need;
mod renewal;
mod undone;

use std::time::Duration;

pub use error::Error;
pub use need::{Need, USUAL_MARGIN};
use renewal::Renewal;
pub use renewal::{How, Refreshed};
pub use undone::{Undone, remove, undone};

use super::issuer::Issuer;
use crate::account::Account;
use crate::account::handle::Handle;
use crate::clock::Clock;
use crate::store::{self, Absent, Store};

/// Sees to it that an account's token is fresh, and brings to its end what a refresh before this
/// one could not.
///
/// # Errors
/// When the login is dead, the account gone, the issuer out of reach or left alone for now, or the
/// store or the journal unusable. Except for a dead login, which is noted, nothing is changed then.
pub fn refresh(
    store: &dyn Store,
    issuer: &Issuer,
    before: &Account,
    need: Need,
    clock: Clock,
) -> Result<Refreshed, Error> {
    let is_due = before.login_required.is_some() || need.is_of(before, clock.now());
    if !is_due {
        return Ok(finish(store, before));
    }
    let (renewal, account) = Renewal::begin(store, before)?;
    let (account, mut notes) = renewal.settle(account)?;
    let account = renewal.adopt(account)?;
    let renewed_meanwhile = account.tokens.refresh != before.tokens.refresh
        || account.tokens.refreshed_at != before.tokens.refreshed_at;
    let serves = |account: &Account| {
        account.login_required.is_none() && need.is_met_by(account, clock.now())
    };
    if renewed_meanwhile && serves(&account) {
        return Ok(adopted(account, notes));
    }
    let account = match renewal.known_dead(&account)? {
        Some(code) => renewal.take_other_login(account, code)?,
        None => account,
    };
    if account.tokens.refresh != before.tokens.refresh && serves(&account) {
        return Ok(adopted(account, notes));
    }
    if need != Need::Now && account.fresh_token(clock.now(), Duration::ZERO).is_some() {
        let (account, left) = renewal.left_with(&account)?;
        if !left.is_empty() {
            notes.extend(left);
            return Ok(Refreshed {
                account,
                how: How::Kept,
                notes,
            });
        }
    }
    let mut refreshed = if renewal.is_of(&account)? {
        match renewal.ask(issuer, &account, clock) {
            Err(Error::LoginRequired { code, .. }) => {
                let revived = renewal.take_other_login(account, code)?;
                drop(renewal);
                let refreshed = refresh(store, issuer, &revived, need, clock)?;
                adopted(refreshed.account, refreshed.notes)
            }
            asked => asked?,
        }
    } else {
        // What was taken over is under another lock.
        drop(renewal);
        refresh(store, issuer, &account, need, clock)?
    };
    notes.append(&mut refreshed.notes);
    Ok(Refreshed { notes, ..refreshed })
}

fn adopted(account: Account, notes: Vec<String>) -> Refreshed {
    Refreshed {
        account,
        how: How::Adopted,
        notes,
    }
}

/// Brings to its end what a refresh before could not, for an account whose token is good as it is:
/// whatever comes of that.
fn finish(store: &dyn Store, before: &Account) -> Refreshed {
    let kept = |notes| Refreshed {
        account: before.clone(),
        how: How::Kept,
        notes,
    };
    match undone(store, before) {
        Some(Undone::Pending { .. }) => {}
        Some(Undone::Unreadable(error)) => return kept(vec![error.to_string()]),
        Some(Undone::Asked(_)) | None => return kept(Vec::new()),
    }
    let settled = Renewal::begin(store, before).and_then(|(it, account)| it.settle(account));
    match settled {
        Ok((account, notes)) if account.tokens.refresh == before.tokens.refresh => kept(notes),
        Ok((account, notes)) => adopted(account, notes),
        Err(error) => kept(vec![error.to_string()]),
    }
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
    changed.ok_or_else(|| error::gone(account))
}
