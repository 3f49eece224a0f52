//! The accounts as the relay uses them: who is next, what was learned of whom, whose token is
//! fresh. The store stays the truth, so that other commands see and change all of it while the
//! relay runs. When the store can't be used, the relay goes on with what it has and says so.

use std::fs;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::task;

use crate::account::limit::Reading;
use crate::account::mark::Asked;
use crate::account::pick::{self, Decision, Nothing, Request, Strategy};
use crate::account::time::UnixMillis;
use crate::account::{Account, identity};
use crate::clock::Clock;
use crate::oauth::issuer::Issuer;
use crate::oauth::refresh::{self, Need, USUAL_MARGIN};
use crate::store::{self, Absent, Document, Store};

/// The accounts.
pub struct Pool {
    store: Box<dyn Store>,
    issuer: Issuer,
    strategy: Strategy,
    clock: Clock,
    complain: Box<dyn Fn(&str) + Send + Sync>,
    last: Mutex<Last>,
    /// What answers said, and the store was not told yet.
    untold: Mutex<Untold>,
    /// Nothing is untold any more.
    told: Condvar,
}

/// The last document that could be read, and what was changed in it since if the store could not be
/// written.
#[derive(Default)]
struct Last {
    document: Document,
    /// The file that it was read from, as that was then.
    stamp: Option<Stamp>,
}

/// What tells a file from the one that takes its place: the store is replaced with each change, so
/// a request that finds it as it was need not read it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    modified: SystemTime,
    length: u64,
    #[cfg(unix)]
    inode: u64,
}

impl Stamp {
    fn of(path: &Path) -> Option<Self> {
        let metadata = fs::metadata(path).ok()?;
        Some(Self {
            modified: metadata.modified().ok()?,
            length: metadata.len(),
            #[cfg(unix)]
            inode: std::os::unix::fs::MetadataExt::ino(&metadata),
        })
    }
}

#[derive(Default)]
struct Untold {
    words: Vec<Word>,
    /// Somebody is telling the store, and will see what is added meanwhile.
    telling: bool,
}

/// What an answer said of an account.
#[derive(Clone, Debug)]
pub struct Word {
    /// The account, as it was when it was asked.
    pub account: Account,
    /// What was said.
    pub reading: Reading,
    /// When the request was sent.
    pub asked_at: UnixMillis,
    /// The model that was asked.
    pub model: Option<String>,
}

/// What a request needs.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// The model, if it is known.
    pub model: Option<String>,
    /// The accounts that were tried for this request and will not do.
    pub tried: Vec<Account>,
}

/// Who is next.
#[derive(Clone, Debug)]
pub enum Choice {
    /// This account.
    Account(Box<Account>),
    /// Nobody now; this one comes back first.
    Limited {
        /// What it is called.
        name: String,
        /// When it comes back.
        until: UnixMillis,
    },
    /// Nobody, and it is no use to wait.
    Nothing(Nothing),
}

impl Pool {
    /// The accounts of a store. `complain` is told what is wrong with it.
    #[must_use]
    pub fn new(
        store: Box<dyn Store>,
        issuer: Issuer,
        strategy: Strategy,
        clock: Clock,
        complain: Box<dyn Fn(&str) + Send + Sync>,
    ) -> Arc<Self> {
        Arc::new(Self {
            store,
            issuer,
            strategy,
            clock,
            complain,
            last: Mutex::default(),
            untold: Mutex::default(),
            told: Condvar::new(),
        })
    }

    /// The present time.
    #[must_use]
    pub fn now(&self) -> UnixMillis {
        self.clock.now()
    }

    /// Chooses, and records who is active if that changes.
    pub async fn choose(self: &Arc<Self>, wanted: &Wanted) -> Choice {
        let mut document = self.read();
        let active = document.active_index;
        let (choice, news) = self.choose_in(&mut document, wanted);
        if !news {
            return choice;
        }
        let (pool, wanted) = (Arc::clone(self), wanted.clone());
        let record = task::spawn_blocking(move || {
            pool.change(|document| pool.choose_in(document, &wanted).0)
        });
        // That the active account was used again needs no waiting for.
        if document.active_index == active && !document.accounts.is_empty() {
            return choice;
        }
        record.await.unwrap_or(choice)
    }

    /// Records what an answer said, and chooses who is next: one change, one commit.
    pub async fn fail_over(self: &Arc<Self>, word: Word, wanted: &Wanted) -> Choice {
        let (pool, wanted) = (Arc::clone(self), wanted.clone());
        let both = task::spawn_blocking(move || {
            pool.change(|document| {
                record(document, &word, pool.now());
                pool.choose_in(document, &wanted).0
            })
        });
        both.await.unwrap_or(Choice::Nothing(Nothing::NoneAllowed))
    }

    /// Records what an answer said, some time soon: nobody waits for it.
    pub fn record_soon(self: &Arc<Self>, word: Word) {
        let mut untold = lock(&self.untold);
        untold.words.push(word);
        if !std::mem::replace(&mut untold.telling, true) {
            let pool = Arc::clone(self);
            task::spawn_blocking(move || pool.tell());
        }
    }

    /// Tells the store what is untold, until nothing is.
    fn tell(&self) {
        loop {
            let words = {
                let mut untold = lock(&self.untold);
                if untold.words.is_empty() {
                    untold.telling = false;
                    self.told.notify_all();
                    return;
                }
                std::mem::take(&mut untold.words)
            };
            self.change(|document| {
                for word in &words {
                    record(document, word, self.now());
                }
            });
        }
    }

    /// Returns when the store was told everything that was to be recorded soon.
    pub async fn settle(self: &Arc<Self>) {
        let pool = Arc::clone(self);
        let _ = task::spawn_blocking(move || {
            let mut untold = lock(&pool.untold);
            while untold.telling {
                untold = pool
                    .told
                    .wait(untold)
                    .unwrap_or_else(PoisonError::into_inner);
            }
        })
        .await;
    }

    /// The account with a token that can be used. If it can't be renewed now, one that has not
    /// expired yet will do.
    ///
    /// # Errors
    /// When there is no such token.
    pub async fn with_token(
        self: &Arc<Self>,
        account: &Account,
    ) -> Result<Account, refresh::Error> {
        let now = self.now();
        if account.fresh_token(now, USUAL_MARGIN).is_some() {
            return Ok(account.clone());
        }
        match self.renew(account, Need::ExpiresWithin(USUAL_MARGIN)).await {
            Err(refresh::Error::Issuer { .. } | refresh::Error::Store(_))
                if account.fresh_token(now, Duration::ZERO).is_some() =>
            {
                Ok(account.clone())
            }
            result => result,
        }
    }

    /// The account with another token than the one it has, which the upstream did not accept.
    ///
    /// # Errors
    /// When there is none to be had.
    pub async fn with_other_token(
        self: &Arc<Self>,
        account: &Account,
    ) -> Result<Account, refresh::Error> {
        self.renew(account, Need::Now).await
    }

    async fn renew(
        self: &Arc<Self>,
        account: &Account,
        need: Need,
    ) -> Result<Account, refresh::Error> {
        let (pool, before) = (Arc::clone(self), account.clone());
        let gone = || refresh::Error::Gone {
            name: account.name().to_owned(),
        };
        let renewal = task::spawn_blocking(move || {
            refresh::refresh(pool.store.as_ref(), &pool.issuer, &before, need, pool.clock)
        });
        let refreshed = renewal.await.map_err(|_| gone())?;
        if let Err(error) = &refreshed {
            (self.complain)(&error.to_string());
        }
        refreshed.map(|refreshed| refreshed.account)
    }

    /// Decides in a document and notes there who is active. Whether that is worth a write.
    fn choose_in(&self, document: &mut Document, wanted: &Wanted) -> (Choice, bool) {
        let now = self.now();
        let accounts = &mut document.accounts;
        let tried = |tried| identity::find_again(accounts, tried);
        let mut request = Request {
            strategy: self.strategy,
            model: wanted.model.as_deref(),
            exclude: wanted.tried.iter().filter_map(tried).collect(),
            ..Request::default()
        };
        let mut decision = pick::pick(accounts, document.active_index, &request, now);
        if decision == Decision::Nothing(Nothing::NoneAllowed) {
            // All were tried. Those that turned out to be limited will be back.
            request.exclude.clear();
            let later = pick::pick(accounts, document.active_index, &request, now);
            if let Decision::Limited { .. } = later {
                decision = later;
            }
        }
        match decision {
            Decision::Use { index, switch } => {
                let active = &mut document.active_index;
                let news = pick::apply(accounts, active, index, switch, now);
                (Choice::Account(Box::new(accounts[index].clone())), news)
            }
            Decision::Limited { index, until } => {
                let name = accounts[index].name().to_owned();
                (Choice::Limited { name, until }, false)
            }
            Decision::Nothing(nothing) => (Choice::Nothing(nothing), false),
        }
    }

    fn read(&self) -> Document {
        // Taken before the file is read: if it is replaced meanwhile, the next request reads again.
        let stamp = Stamp::of(self.store.path());
        let mut last = lock(&self.last);
        if stamp.is_some() && last.stamp == stamp {
            return last.document.clone();
        }
        match self.store.read() {
            Ok(Some(mut document)) => {
                self.remember(&mut document, &last.document);
                *last = Last { document, stamp };
            }
            Ok(None) => {}
            Err(error) => (self.complain)(&error.to_string()),
        }
        last.document.clone()
    }

    /// Changes the document in the store, and where that fails the one that is remembered.
    fn change<T>(&self, change: impl Fn(&mut Document) -> T) -> T {
        let known = lock(&self.last).document.clone();
        let changed = store::update(self.store.as_ref(), Absent::Refuse, |document| {
            self.remember(document, &known);
            let before = document.active_index;
            let result = change(document);
            (result, before, document.clone())
        });
        match changed {
            Ok((result, before, document)) => {
                self.log_switch(before, &document);
                *lock(&self.last) = Last {
                    document,
                    stamp: None,
                };
                result
            }
            Err(error) => {
                (self.complain)(&error.to_string());
                change(&mut lock(&self.last).document)
            }
        }
    }

    /// Adds what is known of the accounts to a document whose store has no place for it.
    fn remember(&self, document: &mut Document, known: &Document) {
        if self.store.keeps_all() {
            return;
        }
        for account in &mut document.accounts {
            if let Some(index) = identity::find_again(&known.accounts, account) {
                let tokens = std::mem::replace(account, known.accounts[index].clone());
                account.refresh_token = tokens.refresh_token;
                account.access_token = tokens.access_token;
                account.expires_at = tokens.expires_at;
            }
        }
        if known.active_index < document.accounts.len() {
            document.active_index = known.active_index;
        }
    }

    /// Notes for people that another account is active now; nothing depends on it.
    fn log_switch(&self, before: usize, document: &Document) {
        let active = document.accounts.get(document.active_index);
        if let Some(reason) = active.and_then(|account| account.last_switch_reason.clone()) {
            let path = self.store.path();
            let _ = store::log::record_switch(path, document, before, reason, self.now());
        }
    }
}

fn record(document: &mut Document, word: &Word, now: UnixMillis) {
    if let Some(index) = identity::find_again(&document.accounts, &word.account) {
        let asked = Asked {
            at: word.asked_at,
            model: word.model.as_deref(),
        };
        document.accounts[index].record(&word.reading, asked, now);
    }
}

/// What is behind these locks is whole between any two statements: a panic elsewhere is no reason
/// to stop.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
