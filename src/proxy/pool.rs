//! The accounts as the relay uses them: who is next, what was learned of whom, whose token is
//! fresh. The store stays the truth, so that other commands see and change all of it while the
//! relay runs. When the store can't be used, the relay goes on with what it has and says so.

use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::task;

use crate::account::limit::Reading;
use crate::account::mark::Asked;
use crate::account::pick::{self, Decision, Nothing, Request, Strategy};
use crate::account::time::UnixMillis;
use crate::account::{Account, identity};
use crate::client::login;
use crate::clock::Clock;
use crate::oauth::issuer::Issuer;
use crate::oauth::refresh::{self, Need, USUAL_MARGIN};
use crate::store::{self, Absent, Document, Store};
use crate::sys::file;

/// A request waits so long for a change of the store, and goes on without it then.
const STORE_PATIENCE: Duration = Duration::from_secs(1);

/// What was learned waits so long for more, so that the store is not written for each answer.
const GATHERING: Duration = Duration::from_millis(200);

/// A store that could not be told is tried again after this.
const TELL_AGAIN: Duration = Duration::from_secs(1);

/// A token that a client holds too is renewed so long before it expires.
const AHEAD: Duration = Duration::from_secs(10 * 60);

/// How often it is seen to that this is so.
const LOOK_AHEAD_EVERY: Duration = Duration::from_secs(60);

/// So much is kept for a store that can't be told.
const MOST_UNTOLD: usize = 1000;

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
    /// One at a time tells the store.
    telling: Mutex<()>,
}

/// The last document that could be read, and what was changed in it since if the store could not be
/// written.
#[derive(Default)]
struct Last {
    document: Arc<Document>,
    /// The file that it was read from, as that was then.
    stamp: Option<Stamp>,
}

/// What tells a file from the one that takes its place: the store is replaced with each change, so
/// a request that finds it as it was need not read it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    modified: SystemTime,
    length: u64,
    id: u64,
}

impl Stamp {
    fn of(path: &Path) -> Option<Self> {
        let metadata = fs::metadata(path).ok()?;
        Some(Self {
            modified: metadata.modified().ok()?,
            length: metadata.len(),
            id: file::id(&metadata),
        })
    }
}

#[derive(Default)]
struct Untold {
    /// The oldest first. They count already: whoever reads the document sees them in it.
    words: Vec<Word>,
    /// How many were let go because there were too many.
    forgotten: usize,
    /// Somebody sees to it that the store is told, and will see what is added meanwhile.
    seen_to: bool,
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
    /// When it was said.
    pub heard_at: UnixMillis,
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
            telling: Mutex::default(),
        })
    }

    /// The present time.
    #[must_use]
    pub fn now(&self) -> UnixMillis {
        self.clock.now()
    }

    /// The clock that it goes by.
    #[must_use]
    pub const fn clock(&self) -> Clock {
        self.clock
    }

    /// Chooses, and records who is active if that changes.
    pub async fn choose(self: &Arc<Self>, wanted: &Wanted) -> Choice {
        let mut document = self.read();
        let active = document.active_index;
        let decision = self.decide(&document, wanted);
        if let Decision::Use {
            index,
            switch: None,
        } = decision
        {
            let account = &document.accounts[index];
            if !pick::is_news(account, self.now()) {
                return Choice::Account(Box::new(account.clone()));
            }
        }
        let (choice, news) = self.carry_out(Arc::make_mut(&mut document), decision);
        if !news {
            return choice;
        }
        let change = self.changing(wanted, None);
        // That the active account was used again needs no waiting for.
        if document.active_index == active && !document.accounts.is_empty() {
            return choice;
        }
        match in_time(change).await {
            Some(choice) => choice,
            None => self.choose_meanwhile(wanted),
        }
    }

    /// Chooses, and remembers it, without the store.
    fn choose_meanwhile(&self, wanted: &Wanted) -> Choice {
        let mut document = self.read();
        let (choice, _) = self.choose_in(Arc::make_mut(&mut document), wanted);
        Arc::make_mut(&mut lock(&self.last).document).active_index = document.active_index;
        choice
    }

    /// Records what an answer said, and chooses who is next: one change, one commit. When the store
    /// takes long, nobody waits for it.
    pub async fn fail_over(self: &Arc<Self>, word: Word, wanted: &Wanted) -> Choice {
        let change = self.changing(wanted, Some(word.clone()));
        match in_time(change).await {
            Some(choice) => choice,
            None => {
                self.record_soon(word);
                self.choose_meanwhile(wanted)
            }
        }
    }

    /// The change that records a word, if there is one, and who is next. `None`: it did not come to
    /// pass.
    fn changing(
        self: &Arc<Self>,
        wanted: &Wanted,
        word: Option<Word>,
    ) -> task::JoinHandle<Option<Choice>> {
        let (pool, wanted) = (Arc::clone(self), wanted.clone());
        task::spawn_blocking(move || {
            pool.change(|document| {
                if let Some(word) = &word {
                    record(document, word);
                }
                pool.choose_in(document, &wanted).0
            })
        })
    }

    /// Records what an answer said: at once for this relay, and in the store some time soon.
    pub fn record_soon(self: &Arc<Self>, word: Word) {
        let mut last = lock(&self.last);
        record(Arc::make_mut(&mut last.document), &word);
        let mut untold = lock(&self.untold);
        drop(last);
        if untold.words.len() == MOST_UNTOLD {
            untold.words.remove(0);
            untold.forgotten += 1;
        }
        untold.words.push(word);
        if !std::mem::replace(&mut untold.seen_to, true) {
            tokio::spawn(Arc::clone(self).see_to_the_untold());
        }
    }

    /// Tells the store, until nothing is untold.
    async fn see_to_the_untold(self: Arc<Self>) {
        loop {
            tokio::time::sleep(GATHERING).await;
            let pool = Arc::clone(&self);
            let told = task::spawn_blocking(move || pool.tell()).await;
            if !told.unwrap_or(false) {
                tokio::time::sleep(TELL_AGAIN).await;
            }
            let mut untold = lock(&self.untold);
            if untold.words.is_empty() {
                untold.seen_to = false;
                return;
            }
        }
    }

    /// Tells the store what is untold now. Whether it could be told.
    fn tell(&self) -> bool {
        let _alone = lock(&self.telling);
        let (words, forgotten) = {
            let untold = lock(&self.untold);
            (untold.words.clone(), untold.forgotten)
        };
        if words.is_empty() {
            return true;
        }
        let told = self.change(|document| {
            for word in &words {
                record(document, word);
            }
        });
        if told.is_some() {
            let mut untold = lock(&self.untold);
            // Of those that were told some may have been let go meanwhile.
            let gone = untold.forgotten - forgotten;
            untold.words.drain(..words.len().saturating_sub(gone));
        }
        told.is_some()
    }

    /// Returns when the store was told everything that was to be recorded soon, or can't be told.
    pub async fn settle(self: &Arc<Self>) {
        let pool = Arc::clone(self);
        let _ = task::spawn_blocking(move || pool.tell()).await;
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

    /// Renews, time and again, the tokens that a client's own file holds too: a client renews at
    /// expiry, and the two would race for a token that is single use (DESIGN §2, `codex-launch`).
    pub async fn stay_ahead(self: Arc<Self>) {
        loop {
            self.renew_shared().await;
            tokio::time::sleep(LOOK_AHEAD_EVERY).await;
        }
    }

    /// Renews those of these tokens that expire soon.
    pub async fn renew_shared(self: &Arc<Self>) {
        let now = self.now();
        let document = self.read();
        for account in document.accounts.iter().filter(|it| is_due(it, now)) {
            let token = account.tokens.refresh.clone();
            let holders = task::spawn_blocking(move || login::holders(&token, |_| ()));
            if matches!(holders.await, Ok(Ok(holders)) if !holders.is_empty()) {
                // What is wrong was complained of; there is another time.
                let _ = self.renew(account, Need::ExpiresWithin(AHEAD)).await;
            }
        }
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
        let decision = self.decide(document, wanted);
        self.carry_out(document, decision)
    }

    fn decide(&self, document: &Document, wanted: &Wanted) -> Decision {
        let (accounts, active, now) = (&document.accounts, document.active_index, self.now());
        let tried = |tried| identity::find_again(accounts, tried);
        let mut request = Request {
            strategy: self.strategy,
            model: wanted.model.as_deref(),
            exclude: wanted.tried.iter().filter_map(tried).collect(),
            ..Request::default()
        };
        let decision = pick::pick(accounts, active, &request, now);
        if decision == Decision::Nothing(Nothing::NoneAllowed) {
            // All were tried. Those that turned out to be limited will be back; those that need a
            // login will not.
            request.exclude.clear();
            let later = pick::pick(accounts, active, &request, now);
            if !matches!(later, Decision::Use { .. }) {
                return later;
            }
        }
        decision
    }

    fn carry_out(&self, document: &mut Document, decision: Decision) -> (Choice, bool) {
        let accounts = &mut document.accounts;
        match decision {
            Decision::Use { index, switch } => {
                let active = &mut document.active_index;
                let news = pick::apply(accounts, active, index, switch, self.now());
                (Choice::Account(Box::new(accounts[index].clone())), news)
            }
            Decision::Limited { index, until } => {
                let name = accounts[index].name().to_owned();
                (Choice::Limited { name, until }, false)
            }
            Decision::Nothing(nothing) => (Choice::Nothing(nothing), false),
        }
    }

    /// The document, with what the store was not told yet.
    fn read(&self) -> Arc<Document> {
        // Taken before the file is read: if it is replaced meanwhile, the next request reads again.
        let stamp = Stamp::of(self.store.path());
        let mut last = lock(&self.last);
        if stamp.is_some() && last.stamp == stamp {
            return Arc::clone(&last.document);
        }
        match self.store.read() {
            Ok(Some(mut document)) => {
                self.remember(&mut document, &last.document);
                for word in &lock(&self.untold).words {
                    record(&mut document, word);
                }
                let document = Arc::new(document);
                *last = Last { document, stamp };
            }
            Ok(None) => (self.complain)("the account store is gone"),
            Err(error) => (self.complain)(&error.to_string()),
        }
        Arc::clone(&last.document)
    }

    /// Changes the document in the store. `None`: it could not be changed.
    fn change<T>(&self, change: impl Fn(&mut Document) -> T) -> Option<T> {
        let known = Arc::clone(&lock(&self.last).document);
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
                    document: Arc::new(document),
                    stamp: None,
                };
                Some(result)
            }
            Err(error) => {
                (self.complain)(&error.to_string());
                None
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
                let read = std::mem::replace(account, known.accounts[index].clone());
                account.tokens.replace(read.tokens);
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

fn record(document: &mut Document, word: &Word) {
    if let Some(index) = identity::find_again(&document.accounts, &word.account) {
        let asked = Asked {
            at: word.asked_at,
            model: word.model.as_deref(),
        };
        document.accounts[index].record(&word.reading, asked, word.heard_at);
    }
}

/// Whether an account's token expires soon. One that never lives long is not renewed all the time.
fn is_due(account: &Account, now: UnixMillis) -> bool {
    account.enabled
        && account.login_required.is_none()
        && account.fresh_token(now, AHEAD).is_none()
        && account
            .tokens
            .refreshed_at
            .is_none_or(|at| now.since(at) >= AHEAD)
}

/// What came of a change, unless it takes longer than a client should wait; it goes on then.
async fn in_time(change: task::JoinHandle<Option<Choice>>) -> Option<Choice> {
    tokio::time::timeout(STORE_PATIENCE, change)
        .await
        .ok()?
        .ok()?
}

/// What is behind these locks is whole between any two statements: a panic elsewhere is no reason
/// to stop.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
