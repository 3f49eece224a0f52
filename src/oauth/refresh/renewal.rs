//! One process that renews a login while it holds the login's lock. What a process before this one
//! left undone is done first; what the issuer gives is put aside, committed, and written through to
//! the clients' files, and what of that fails is left for the next one.

use std::cmp::Ordering;
use std::path::PathBuf;

use super::error::{Error, dead_login, gone};
use super::journal::{self, Asked, Chain, Journal, Pending};
use super::lock::{PATIENCE, read_again};
use super::need::refuse_too_soon;
use crate::account::handle::Handle;
use crate::account::identity;
use crate::account::secret::RefreshToken;
use crate::account::{Account, Extra, LoginRequired};
use crate::clock::Clock;
use crate::oauth::issuer::{self, Issuer};
use crate::oauth::mirror::{Mirror, Other};
use crate::store::locator::Locator;
use crate::store::lock::Held;
use crate::store::{self, Absent, Store};
use crate::sys::signals::Shield;

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

/// See the module.
pub(super) struct Renewal<'a> {
    store: &'a dyn Store,
    /// The name of the lock.
    name: String,
    journal: Journal,
    mirror: Mirror,
    _lock: Box<dyn Held>,
}

impl<'a> Renewal<'a> {
    /// Waits for the lock; hands the account out as the store has it then.
    pub(super) fn begin(store: &'a dyn Store, before: &Account) -> Result<(Self, Account), Error> {
        let mut name = read_again(store, before)?.1;
        loop {
            let lock = store.hold(&name, PATIENCE)?;
            let (account, name_now) = read_again(store, before)?;
            if name_now == name {
                let renewal = Self {
                    store,
                    journal: Journal::of(store, &name)?,
                    name,
                    mirror: Mirror::of_person(store),
                    _lock: lock,
                };
                return Ok((renewal, account));
            }
            name = name_now;
        }
    }

    /// Whether the lock is still the account's, after what was learned of it.
    pub(super) fn is_of(&self, account: &Account) -> Result<bool, Error> {
        Ok(read_again(self.store, account)?.1 == self.name)
    }

    /// Brings to its end what a process before this one could not: takes over tokens that were not
    /// committed, if they are later than those that the store has, and puts them where the used-up
    /// ones still are.
    pub(super) fn settle(&self, account: Account) -> Result<(Account, Vec<String>), Error> {
        let (chains, index) = self.chains(&account)?;
        let Some(Pending {
            mut consumed,
            account: renewed,
        }) = chains[index].pending.clone()
        else {
            return Ok((account, Vec::new()));
        };
        let account = if renewed.tokens.follow(&account.tokens, &consumed) {
            let shared = self.mirror.holders(&consumed);
            if !consumed.contains(&account.tokens.refresh) {
                consumed.push(account.tokens.refresh.clone());
            }
            self.put(&account, &consumed, &renewed, &shared)?
        } else {
            account
        };
        let notes = self.write_through(consumed, &account, chains, index);
        Ok((account, notes))
    }

    /// Takes over what was renewed elsewhere: by a client that shares the chain, or for another
    /// store.
    pub(super) fn adopt(&self, account: Account) -> Result<Account, Error> {
        let (mut chains, index) = self.chains(&account)?;
        let chain = &chains[index];
        let is_used = chain.has_used(&account.tokens.refresh);
        let shares = |other: &Other| {
            let later = other.order == Some(Ordering::Greater);
            is_used || (later && account.shared_with.contains(other.client))
        };
        let mut others = self.mirror.others(&account);
        others.retain(|other| !chain.has_used(&other.login.tokens.refresh) && shares(other));
        let (login, client) = match latest(others) {
            Some(other) => (other.login, Some(other.client)),
            None if is_used && chain.store != self.here() => {
                match self.renewed_elsewhere(&account, chain)? {
                    Some(login) => (login, None),
                    None => return Ok(account),
                }
            }
            None => return Ok(account),
        };
        let replaced = [account.tokens.refresh.clone()];
        let adopted = self.put(&account, &replaced, &login, client.as_slice())?;
        chains[index].go_on(&adopted.tokens.refresh);
        self.keep_as(chains, index, &adopted);
        Ok(adopted)
    }

    /// The login of the account in the store that has the chain's last token.
    fn renewed_elsewhere(
        &self,
        account: &Account,
        chain: &Chain,
    ) -> Result<Option<Account>, Error> {
        let other = store::open(Locator::named(PathBuf::from(&chain.store)), |_| ());
        let accounts = match other.read() {
            Ok(document) => document.unwrap_or_default().accounts,
            // It has it, and nobody can tell what it is.
            Err(_) => {
                return Err(Error::UsedUp {
                    name: account.name().to_owned(),
                    by: chain.store.clone(),
                });
            }
        };
        let is_next = |it: &Account| {
            let token = &it.tokens.refresh;
            chain.has(token) && !chain.has_used(token)
        };
        let is_another =
            |it: &Account| identity::same(it, account) && !chain.has_used(&it.tokens.refresh);
        let next = accounts.iter().find(|it| is_next(it));
        Ok(next
            .or_else(|| accounts.iter().find(|it| is_another(it)))
            .cloned())
    }

    /// Notes on the clients that would be left with the account's token when it is used up. That they
    /// share it is remembered: what they renew themselves is taken over.
    pub(super) fn left_with(&self, account: &Account) -> Result<(Account, Vec<String>), Error> {
        let left = self.mirror.left_with(account);
        if left.is_empty() {
            return Ok((account.clone(), left));
        }
        let consumed = [account.tokens.refresh.clone()];
        let shared = self.mirror.holders(&consumed);
        Ok((self.put(account, &consumed, account, &shared)?, left))
    }

    /// The issuer's code, if it is known that the login is dead.
    pub(super) fn known_dead(&self, account: &Account) -> Result<Option<String>, Error> {
        if let Some(dead) = &account.login_required {
            return Ok(Some(dead.code.clone()));
        }
        let (chains, index) = self.chains(account)?;
        Ok(chains[index].dead.clone())
    }

    /// Takes over another login of a dead account, from a client's file.
    ///
    /// # Errors
    /// When there is none: the account needs a new login.
    pub(super) fn take_other_login(
        &self,
        account: Account,
        code: String,
    ) -> Result<Account, Error> {
        let (mut chains, index) = self.chains(&account)?;
        let mut others = self.mirror.others(&account);
        others.retain(|other| {
            let is_used = chains[index].has_used(&other.login.tokens.refresh);
            !is_used && other.order != Some(Ordering::Less)
        });
        let Some(other) = latest(others) else {
            return Err(dead_login(self.store, &account, code));
        };
        let replaced = [account.tokens.refresh.clone()];
        let revived = self.put(&account, &replaced, &other.login, &[other.client])?;
        chains[index].go_on(&revived.tokens.refresh);
        self.keep_as(chains, index, &revived);
        Ok(revived)
    }

    /// Presents the refresh token and commits what comes back.
    pub(super) fn ask(
        &self,
        issuer: &Issuer,
        account: &Account,
        clock: Clock,
    ) -> Result<Refreshed, Error> {
        let _shield = Shield::raise();
        let (mut chains, index) = self.chains(account)?;
        refuse_too_soon(account, chains[index].asked, clock.now(), journal::here())?;
        let mut consumed = chains[index].left();
        consumed.push(account.tokens.refresh.clone());
        let shared = self.mirror.holders(&consumed);
        chains[index].store = self.here();
        chains[index].asked = Some(Asked::again(
            chains[index].asked,
            clock.now(),
            journal::here(),
        ));
        // Without room for new tokens none are asked for; and whoever comes after a process that
        // is killed now knows that the token was presented.
        let mut room = self.journal.make_room(&chains).map_err(|source| {
            let path = self.journal.locator().as_os_str().into();
            store::Error::Io { path, source }
        })?;
        let mut renewed = account.clone();
        let asked = issuer.refresh(&account.tokens.refresh);
        let given = asked.and_then(|grant| grant.renew(&mut renewed, clock.now()));
        if let Err(error) = given {
            let has_new = renewed.tokens != account.tokens;
            if !has_new {
                return self.refused(account, error, chains, index, clock);
            }
        }
        chains[index].go_on(&renewed.tokens.refresh);
        chains[index].pending = Some(Pending {
            consumed: consumed.clone(),
            account: renewed.clone(),
        });
        let put_aside = room.fill(&chains);
        let committed = match self.put(account, &consumed, &renewed, &shared) {
            Ok(committed) => committed,
            Err(Error::Store(source)) => {
                return Err(self.uncommitted(account, put_aside, source));
            }
            Err(Error::Gone { name, .. }) => {
                let left = self.abandon(issuer, &consumed, &renewed);
                chains.remove(index);
                let _ = self.journal.keep(&chains);
                return Err(Error::Gone { name, left });
            }
            Err(error) => return Err(error),
        };
        let notes = self.write_through(consumed, &committed, chains, index);
        if renewed.tokens.access.is_none() {
            return Err(Error::Issuer {
                name: account.name().to_owned(),
                source: issuer::WITHOUT_TOKENS,
            });
        }
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

    fn uncommitted(
        &self,
        account: &Account,
        put_aside: std::io::Result<()>,
        source: store::Error,
    ) -> Error {
        let name = account.name().to_owned();
        match put_aside {
            Ok(()) => Error::Uncommitted {
                name,
                place: self.journal.locator(),
                source,
            },
            Err(source) => Error::Lost {
                name,
                store: store::named(self.store),
                source,
            },
        }
    }

    /// New tokens of an account that was taken out meanwhile: whoever else has the login goes on
    /// with them, and where nobody has, it ends. Notes say who could not be given them.
    fn abandon(
        &self,
        issuer: &Issuer,
        consumed: &[RefreshToken],
        renewed: &Account,
    ) -> Vec<String> {
        let tokens = consumed.iter();
        let left = tokens.flat_map(|token| self.mirror.write_through(token, renewed));
        let left = left.collect();
        let token = &renewed.tokens.refresh;
        let now = Mirror::of_person(self.store);
        if now.holders(std::slice::from_ref(token)).is_empty() {
            // Nothing is left to be done where it can't be told.
            let _ = issuer.revoke(token);
        }
        left
    }

    /// Puts the tokens of a login in the place of used-up ones, on every account that has one of
    /// those; hands out what this account is then. `shared` are the clients that have the chain.
    fn put(
        &self,
        account: &Account,
        consumed: &[RefreshToken],
        login: &Account,
        shared: &[&str],
    ) -> Result<Account, Error> {
        let put = store::update(self.store, Absent::Refuse, |document| {
            let index = Handle::from(account).find(&document.accounts);
            for kept in &mut document.accounts {
                if consumed.contains(&kept.tokens.refresh) {
                    kept.tokens.replace(login.tokens.clone());
                    kept.login_required = None;
                    let clients = shared.iter().map(|&client| client.to_owned());
                    kept.shared_with.extend(clients);
                    identity::learn_owner(kept);
                }
            }
            Some(document.accounts[index?].clone())
        })?;
        put.ok_or_else(|| gone(account))
    }

    /// Puts an account's tokens where the used-up ones still are, and keeps a note of where that
    /// failed. Notes for the person say so.
    fn write_through(
        &self,
        consumed: Vec<RefreshToken>,
        account: &Account,
        mut chains: Vec<Chain>,
        index: usize,
    ) -> Vec<String> {
        let mut left = Vec::new();
        let mut notes: Vec<String> = Vec::new();
        for token in consumed {
            let failures = self.mirror.write_through(&token, account);
            if !failures.is_empty() {
                left.push(token);
            }
            for failure in failures {
                if !notes.contains(&failure) {
                    notes.push(failure);
                }
            }
        }
        chains[index].go_on(&account.tokens.refresh);
        chains[index].pending = (!left.is_empty()).then(|| Pending {
            consumed: left,
            account: account.clone(),
        });
        self.keep_as(chains, index, account);
        notes
    }

    /// Keeps the chains, that of the account where its lock is now: it may have learned its ids.
    /// What can't be written stays as it was, which is more than is left to do.
    fn keep_as(&self, mut chains: Vec<Chain>, index: usize, account: &Account) {
        chains[index].store = self.here();
        if let Some(there) = self.moved(account) {
            let chain = chains[index].clone();
            let moved = there.read().is_ok_and(|mut others| {
                others.retain(|other| other.head != chain.head);
                others.push(chain);
                there.keep(&others).is_ok()
            });
            if moved {
                chains.remove(index);
            }
        }
        let _ = self.journal.keep(&chains);
    }

    /// Where the account's journal is from now on, if that is not here.
    fn moved(&self, account: &Account) -> Option<Journal> {
        let (_, name) = read_again(self.store, account).ok()?;
        let journal = Journal::of(self.store, &name).ok()?;
        (name != self.name).then_some(journal)
    }

    /// The chains of the login, and which of them is the account's.
    fn chains(&self, account: &Account) -> Result<(Vec<Chain>, usize), Error> {
        let mut chains = self.journal.read()?;
        let at = self.store.locator();
        let index = journal::find(&chains, account, &at).unwrap_or_else(|| {
            chains.push(Chain::of(account, &at));
            chains.len() - 1
        });
        Ok((chains, index))
    }

    fn here(&self) -> String {
        self.store.locator().absolute().to_string()
    }

    /// What follows from an answer without tokens, or from none.
    fn refused(
        &self,
        account: &Account,
        error: issuer::Error,
        mut chains: Vec<Chain>,
        index: usize,
        clock: Clock,
    ) -> Result<Refreshed, Error> {
        match error {
            issuer::Error::Dead { code } => {
                chains[index].asked = None;
                chains[index].dead = (!self.store.keeps_all()).then(|| code.clone());
                let _ = self.journal.keep(&chains);
                self.note_dead(account, code, clock)
            }
            source => {
                if let Some(asked) = &mut chains[index].asked {
                    asked.answered = !source.may_have_used_it();
                }
                let _ = self.journal.keep(&chains);
                Err(Error::Issuer {
                    name: account.name().to_owned(),
                    source,
                })
            }
        }
    }

    /// Notes that a login is dead, unless somebody logged in again while the issuer was asked.
    fn note_dead(&self, account: &Account, code: String, clock: Clock) -> Result<Refreshed, Error> {
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

fn latest(others: Vec<Other>) -> Option<Other> {
    let latest = |other: &Other| other.login.tokens.expires_at;
    others.into_iter().max_by_key(latest)
}
