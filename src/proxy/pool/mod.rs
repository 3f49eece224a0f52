//! The accounts as the relay uses them. The store stays the truth, so that other commands see and
//! change all of it while the relay runs. When the store can't be used, the relay goes on with what
//! it has and says so. Each thing the pool does has a file; this one changes the store.

mod cached;
mod choosing;
mod committing;
pub mod narrowing;
mod pending;
#[cfg(test)]
mod tests;
mod tokens;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use cached::Cached;
pub use choosing::{Choice, Kept, Unavailable, Wanted};
pub use committing::Committing;
use pending::Pending;

use crate::account::handle::Handle;
use crate::account::pick::Wishes;
use crate::account::time::UnixMillis;
use crate::clock::Clock;
use crate::oauth::issuer::Issuer;
use crate::store::log::{self, Active};
use crate::store::{self, Absent, Document, Store};
use narrowing::Narrowing;

/// A request waits so long for the store, and goes on without it then.
const STORE_PATIENCE: Duration = Duration::from_secs(1);

/// The accounts.
pub struct Pool {
    store: Arc<dyn Store>,
    issuer: Issuer,
    wishes: Wishes,
    narrowing: Narrowing,
    clock: Clock,
    complain: Box<dyn Fn(&str) + Send + Sync>,
    cached: Cached,
    pending: Pending,
    /// Held by the change that a client waits for.
    changing: Arc<tokio::sync::Mutex<()>>,
    /// The accounts whose tokens are renewed beside requests, and since when; by
    /// [`identity::key`](crate::account::identity::key).
    renewals: Mutex<HashMap<u64, Instant>>,
}

impl Pool {
    /// The accounts of a store. `complain` is told what is wrong with it.
    #[must_use]
    pub fn new(
        store: Arc<dyn Store>,
        issuer: Issuer,
        wishes: Wishes,
        narrowing: Narrowing,
        clock: Clock,
        complain: Box<dyn Fn(&str) + Send + Sync>,
    ) -> Arc<Self> {
        Arc::new(Self {
            store,
            issuer,
            wishes,
            narrowing,
            clock,
            complain,
            cached: Cached::default(),
            pending: Pending::default(),
            changing: Arc::default(),
            renewals: Mutex::default(),
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

    /// Changes the document in the store; for a blocking thread. `None`: it could not be changed.
    fn change<T>(&self, change: impl Fn(&mut Document) -> T) -> Option<T> {
        let known = self.cached.document();
        let changed = store::update(self.store.as_ref(), Absent::Refuse, |document| {
            self.keep_what_the_store_does_not(document, &known);
            let before = Active::of(document);
            let result = change(document);
            (result, before, document.clone())
        });
        match changed {
            Ok((result, before, document)) => {
                self.log_switch(before, &document);
                self.cached.replace(document);
                Some(result)
            }
            Err(error) => {
                (self.complain)(&error.to_string());
                None
            }
        }
    }

    /// Adds what is known of the accounts to a document whose store has no place for it.
    fn keep_what_the_store_does_not(&self, document: &mut Document, known: &Document) {
        if self.store.keeps_all() {
            return;
        }
        for account in &mut document.accounts {
            if let Some(index) = Handle::from(&*account).find(&known.accounts) {
                let read = std::mem::replace(account, known.accounts[index].clone());
                account.tokens.replace(read.tokens);
            }
        }
        if known.active_index < document.accounts.len() {
            document.active_index = known.active_index;
        }
    }

    /// Notes for people that another account is active now, where the store can't tell; nothing
    /// depends on it.
    fn log_switch(&self, before: Active, document: &Document) {
        if !self.store.keeps_all()
            && let Some(switch) = before.switch(document, None)
        {
            let _ = log::record(&self.store.locator(), switch);
        }
    }
}

/// What is behind these locks is whole between any two statements: a panic elsewhere is no reason
/// to stop.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
