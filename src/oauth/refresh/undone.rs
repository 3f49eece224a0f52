//! What refreshes left undone for an account: told where somebody asks, and forgotten with the
//! account. Who brings it to its end is `renewal`.

use super::journal::{self, Asked, Journal, Unreadable};
use super::lock::{PATIENCE, lock_name};
use crate::account::Account;
use crate::store::Store;
use crate::store::locator::Locator;

/// What a refresh left undone.
#[derive(Debug)]
pub enum Undone {
    /// New tokens are not everywhere yet.
    Pending {
        /// Where they wait.
        place: Locator,
    },
    /// The issuer was asked in vain.
    Asked(Asked),
    /// Nobody knows.
    Unreadable(Unreadable),
}

/// What a refresh of this account left undone.
#[must_use]
pub fn undone(store: &dyn Store, account: &Account) -> Option<Undone> {
    let journal = Journal::of(store, &lock_name(std::slice::from_ref(account), account)).ok()?;
    let chains = match journal.read() {
        Ok(chains) => chains,
        Err(error) => return Some(Undone::Unreadable(error)),
    };
    let chain = &chains[journal::find(&chains, account, &store.locator())?];
    match (&chain.pending, chain.asked) {
        (Some(_), _) => Some(Undone::Pending {
            place: journal.locator(),
        }),
        (None, Some(asked)) => Some(Undone::Asked(asked)),
        (None, None) => None,
    }
}

/// Takes an account out of its store, when nobody renews it; hands it out with the last tokens that
/// are known of it, and forgets what refreshes left undone for it.
///
/// # Errors
/// Those of `take_out`.
pub fn remove<T, E>(
    store: &dyn Store,
    before: &Account,
    take_out: impl FnOnce() -> Result<(Account, T), E>,
) -> Result<(Account, T), E> {
    let accounts = store.read().ok().flatten().unwrap_or_default().accounts;
    let name = lock_name(&accounts, before);
    // Whoever holds it for longer finds the account gone, and sees to the new token.
    let lock = store.hold(&name, PATIENCE);
    let (mut account, result) = take_out()?;
    if let (Ok(_lock), Ok(journal)) = (lock, Journal::of(store, &name)) {
        forget(store, &journal, &mut account);
    }
    Ok((account, result))
}

fn forget(store: &dyn Store, journal: &Journal, account: &mut Account) {
    let Ok(mut chains) = journal.read() else {
        return;
    };
    let Some(index) = journal::find(&chains, account, &store.locator()) else {
        return;
    };
    let left = store.read().ok().flatten().unwrap_or_default().accounts;
    let chain = match left.iter().any(|it| chains[index].has(&it.tokens.refresh)) {
        true => chains[index].clone(),
        false => chains.remove(index),
    };
    if let Some(pending) = chain.pending
        && (pending.account.tokens).follow(&account.tokens, &pending.consumed)
    {
        *account = pending.account;
    }
    // What can't be taken away now is told by the doctor.
    let _ = journal.keep(&chains);
}
