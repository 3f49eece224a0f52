//! An account's turn to be renewed: between processes one at a time, by the account's lock. What a
//! turn before this one left undone is done first; what the issuer gives is put aside, committed,
//! and written through to the clients' files, and what of that fails is left for the next turn.

use std::time::Duration;

use super::issuer::{self, Issuer};
use super::mirror::Mirror;
use super::refresh::{Error, How, Refreshed, dead_login, gone};
use super::rescue::{Record, Rescue};
use super::verdict;
use crate::account::handle::Handle;
use crate::account::secret::RefreshToken;
use crate::account::{Account, Extra, LoginRequired, identity};
use crate::clock::Clock;
use crate::store::lock::{Held, Patience};
use crate::store::{self, Absent, Store};
use crate::sys::signals::Shield;

/// As long as the holder of the lock may take: half a minute for the issuer, ten seconds for the
/// store's lock, and as much for each of the three locks of the clients' files.
const PATIENCE: Patience = Patience {
    quiet: Duration::from_secs(2),
    most: Duration::from_secs(90),
};

/// See the module.
pub(super) struct Turn<'a> {
    store: &'a dyn Store,
    name: String,
    _lock: Box<dyn Held>,
    rescue: Rescue,
    mirror: Mirror,
}

/// Whether a turn before left something undone for this account.
pub(super) fn is_something_left(store: &dyn Store, account: &Account) -> bool {
    let name = lock_name(std::slice::from_ref(account), account);
    Rescue::of(store, &name).is_ok_and(|rescue| {
        let mut records = rescue.records().into_iter();
        records.any(|record| record.is_of(account))
    })
}

/// Takes away what was left undone for an account that is out of the store, and hands it out with
/// the last tokens that are known of it. What is under somebody's lock is left.
pub(super) fn forget(store: &dyn Store, account: Account) -> Account {
    let name = lock_name(std::slice::from_ref(&account), &account);
    let held = store.hold(&name, Patience::USUAL);
    let (Ok(_lock), Ok(rescue)) = (held, Rescue::of(store, &name)) else {
        return account;
    };
    let records = rescue.records();
    let accounts = store.read().ok().flatten().unwrap_or_default().accounts;
    let of_others = |record: &&Record| accounts.iter().any(|other| record.is_of(other));
    let kept: Vec<Record> = records.iter().filter(of_others).cloned().collect();
    // What can't be taken away now is told by the doctor.
    let _ = rescue.keep(&kept);
    let mut records = records.into_iter();
    match records.find(|record| record.is_of(&account) && is_later(record, &account)) {
        Some(record) => record.account,
        None => account,
    }
}

impl<'a> Turn<'a> {
    /// Waits for the account's turn; hands it out with the account as the store has it then.
    pub(super) fn take(store: &'a dyn Store, before: &Account) -> Result<(Self, Account), Error> {
        let mut name = read_again(store, before)?.1;
        loop {
            let lock = store.hold(&name, PATIENCE)?;
            let (account, name_now) = read_again(store, before)?;
            if name_now == name {
                let turn = Self {
                    store,
                    rescue: Rescue::of(store, &name)?,
                    name,
                    _lock: lock,
                    mirror: Mirror::of_person(store),
                };
                return Ok((turn, account));
            }
            name = name_now;
        }
    }

    /// Whether this is still the turn of the account, after what was learned of it.
    pub(super) fn is_of(&self, account: &Account) -> Result<bool, Error> {
        Ok(read_again(self.store, account)?.1 == self.name)
    }

    /// Brings to its end what a turn before this one could not: takes over tokens that were not
    /// committed, if they are later than those that the store has, and puts them where the used-up
    /// ones still are.
    pub(super) fn settle(&self, account: Account) -> Result<(Account, Vec<String>), Error> {
        let mut records = self.rescue.records().into_iter();
        let Some(record) = records.find(|record| record.is_of(&account)) else {
            return Ok((account, Vec::new()));
        };
        let account = if is_later(&record, &account) {
            let mut consumed = record.consumed.clone();
            consumed.push(account.tokens.refresh.clone());
            self.put(&account, &consumed, &record.account)?
        } else {
            account
        };
        let notes = self.write_through(record.consumed, &account);
        Ok((account, notes))
    }

    /// Takes over what a client has renewed by itself.
    pub(super) fn adopt(&self, account: Account) -> Result<Account, Error> {
        match self.mirror.newer(&account, &self.left(&account)) {
            Some(newer) => {
                let replaced = [account.tokens.refresh.clone()];
                self.put(&account, &replaced, &newer)
            }
            None => Ok(account),
        }
    }

    /// The issuer's code, if it is known that the login is dead.
    pub(super) fn known_dead(&self, account: &Account) -> Option<String> {
        if let Some(dead) = &account.login_required {
            return Some(dead.code.clone());
        }
        if self.store.keeps_all() {
            return None;
        }
        verdict::of(self.store, &self.name, &account.tokens.refresh)
    }

    /// Presents the refresh token and commits what comes back.
    pub(super) fn exchange(
        &self,
        issuer: &Issuer,
        account: &Account,
        clock: Clock,
    ) -> Result<Refreshed, Error> {
        let _shield = Shield::raise();
        let before = self.rescue.records();
        // Without room for new tokens none are asked for.
        let mut ready = self.rescue.prepare(&before).map_err(|source| {
            let path = self.rescue.locator().as_os_str().into();
            store::Error::Io { path, source }
        })?;
        let tokens = match issuer.refresh(&account.tokens.refresh) {
            Ok(tokens) => tokens,
            Err(error) => {
                self.keep(&before);
                return self.refused(account, error, clock);
            }
        };
        let mut renewed = account.clone();
        let is_whole = tokens.renew(&mut renewed, clock.now());
        let mut consumed = self.left(account);
        consumed.push(account.tokens.refresh.clone());
        let mut records = of_others(before, account);
        records.push(Record {
            consumed: consumed.clone(),
            account: renewed.clone(),
        });
        let put_aside = ready.fill(&records);
        let committed = match self.put(account, &consumed, &renewed) {
            Err(Error::Store(source)) => {
                let name = account.name().to_owned();
                return Err(match put_aside {
                    Ok(()) => Error::Uncommitted {
                        name,
                        place: self.rescue.locator(),
                        source,
                    },
                    Err(source) => Error::Lost {
                        name,
                        store: store::named(self.store),
                        source,
                    },
                });
            }
            Err(error) => {
                self.keep(&of_others(records, account));
                return Err(error);
            }
            Ok(committed) => committed,
        };
        let notes = self.write_through(consumed, &committed);
        is_whole.map_err(|source| Error::Issuer {
            name: account.name().to_owned(),
            source,
        })?;
        let how = match committed.tokens.refresh == renewed.tokens.refresh {
            true => How::Renewed,
            // Somebody logged in again while the issuer was asked.
            false => How::Adopted,
        };
        Ok(Refreshed {
            account: committed,
            how,
            notes,
        })
    }

    /// Puts the tokens of a login in the place of used-up ones, on every account that has one of
    /// those; hands out what this account is then.
    fn put(
        &self,
        account: &Account,
        consumed: &[RefreshToken],
        login: &Account,
    ) -> Result<Account, Error> {
        let put = store::update(self.store, Absent::Refuse, |document| {
            let index = Handle::from(account).find(&document.accounts);
            for kept in &mut document.accounts {
                if consumed.contains(&kept.tokens.refresh) {
                    take_tokens(kept, login);
                }
            }
            Some(document.accounts[index?].clone())
        })?;
        put.ok_or_else(|| gone(account))
    }

    /// Puts an account's tokens where the used-up ones still are, and leaves a record of where that
    /// failed. Notes for the person say so.
    fn write_through(&self, consumed: Vec<RefreshToken>, account: &Account) -> Vec<String> {
        let mut left = Vec::new();
        let mut notes = Vec::new();
        for token in consumed {
            let failures = self.mirror.write_through(&token, account);
            if !failures.is_empty() {
                left.push(token);
            }
            notes.extend(
                failures
                    .into_iter()
                    .filter(|it| !notes.contains(it))
                    .collect::<Vec<_>>(),
            );
        }
        self.leave(left, account);
        notes
    }

    /// Leaves a record, with the lock that the account has now: it may have learned its ids.
    fn leave(&self, consumed: Vec<RefreshToken>, account: &Account) {
        let others = of_others(self.rescue.records(), account);
        if consumed.is_empty() {
            return self.keep(&others);
        }
        let record = Record {
            consumed,
            account: account.clone(),
        };
        match self.moved(account) {
            Some(rescue) => {
                let mut records = of_others(rescue.records(), account);
                records.push(record);
                if rescue.keep(&records).is_ok() {
                    self.keep(&others);
                }
            }
            None => self.keep(&[others, vec![record]].concat()),
        }
    }

    /// Where the account's records are from now on, if that is not here.
    fn moved(&self, account: &Account) -> Option<Rescue> {
        let (_, name) = read_again(self.store, account).ok()?;
        let rescue = Rescue::of(self.store, &name).ok()?;
        (name != self.name).then_some(rescue)
    }

    /// What can't be written stays as it was, which is more than is left to do.
    fn keep(&self, records: &[Record]) {
        let _ = self.rescue.keep(records);
    }

    /// The used-up tokens of the account that may still be in somebody's file.
    fn left(&self, account: &Account) -> Vec<RefreshToken> {
        let mut records = self.rescue.records().into_iter();
        let record = records.find(|record| record.is_of(account));
        record.map(|record| record.consumed).unwrap_or_default()
    }

    fn refused(
        &self,
        account: &Account,
        error: issuer::Error,
        clock: Clock,
    ) -> Result<Refreshed, Error> {
        match error {
            issuer::Error::Dead { code } => self.note_dead(account, code, clock),
            source => Err(Error::Issuer {
                name: account.name().to_owned(),
                source,
            }),
        }
    }

    /// Notes that a login is dead, unless somebody logged in again while the issuer was asked.
    fn note_dead(&self, account: &Account, code: String, clock: Clock) -> Result<Refreshed, Error> {
        if !self.store.keeps_all() {
            verdict::note(self.store, &self.name, &account.tokens.refresh, &code);
        }
        let dead = LoginRequired {
            code,
            at: clock.now(),
            extra: Extra::new(),
        };
        let kept = store::update(self.store, Absent::Refuse, |document| {
            let index = Handle::from(account).find(&document.accounts);
            for kept in &mut document.accounts {
                if kept.tokens.refresh == account.tokens.refresh {
                    kept.login_required = Some(dead.clone());
                }
            }
            Some(document.accounts[index?].clone())
        })?;
        let kept = kept.ok_or_else(|| gone(account))?;
        match &kept.login_required {
            Some(dead) => Err(dead_login(self.store, &kept, dead.code.clone())),
            None => Ok(Refreshed {
                account: kept,
                how: How::Adopted,
                notes: Vec::new(),
            }),
        }
    }
}

/// Puts the tokens of a login in the place of the account's.
fn take_tokens(kept: &mut Account, login: &Account) {
    kept.tokens.replace(login.tokens.clone());
    kept.login_required = None;
    identity::learn_owner(kept);
}

/// Whether the tokens in a record are later than the account's own.
fn is_later(record: &Record, account: &Account) -> bool {
    let tokens = &record.account.tokens;
    tokens.follow(&account.tokens, &record.consumed)
}

fn of_others(records: Vec<Record>, account: &Account) -> Vec<Record> {
    let is_another = |record: &Record| !record.is_of(account);
    records.into_iter().filter(is_another).collect()
}

/// The account as the store has it now, and the name of its lock.
fn read_again(store: &dyn Store, before: &Account) -> Result<(Account, String), Error> {
    let accounts = store.read()?.ok_or_else(|| gone(before))?.accounts;
    let index = Handle::from(before)
        .find(&accounts)
        .ok_or_else(|| gone(before))?;
    let name = lock_name(&accounts, &accounts[index]);
    accounts
        .into_iter()
        .nth(index)
        .map(|account| (account, name))
        .ok_or_else(|| gone(before))
}

/// The lock of an account: that of the first one with its token, since a token that two accounts
/// have is still used once.
fn lock_name(accounts: &[Account], account: &Account) -> String {
    let holds_it = |it: &&Account| it.tokens.refresh == account.tokens.refresh;
    let first = accounts.iter().find(holds_it).unwrap_or(account);
    format!("refresh-{:016x}", identity::key(first))
}
