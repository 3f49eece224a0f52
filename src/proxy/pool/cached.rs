//! The last document that could be read. The store is looked at off the async workers, and only as
//! often as somebody could notice: a file system that hangs stops no stream.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::task;
use tokio::time::timeout;

use super::{Pool, STORE_PATIENCE, lock, pending};
use crate::store::Document;
use crate::store::version::Version;

/// Requests that come so soon after a look at the store go by what it saw. No command changes the
/// store and has its caller ask something in so short a time.
const STILL_FRESH: Duration = Duration::from_millis(2);

/// See the module.
#[derive(Default)]
pub(super) struct Cached {
    last: Mutex<Last>,
    /// Held by the one look that is under way.
    looking: Arc<tokio::sync::Mutex<()>>,
}

#[derive(Default)]
struct Last {
    /// As it was read, and what was changed in it since if the store could not be written.
    document: Arc<Document>,
    /// What the store had then. A look that finds it so need not read it.
    version: Option<Version>,
    /// When the last look that came to an end was begun.
    looked: Option<Instant>,
    /// When the look that is under way was begun.
    looking_since: Option<Instant>,
}

impl Cached {
    /// The document as it is known.
    pub(super) fn document(&self) -> Arc<Document> {
        Arc::clone(&lock(&self.last).document)
    }

    /// Changes what is known, and nothing else.
    pub(super) fn amend<T>(&self, change: impl FnOnce(&mut Document) -> T) -> T {
        change(Arc::make_mut(&mut lock(&self.last).document))
    }

    /// This was committed.
    pub(super) fn replace(&self, document: Document) {
        let mut last = lock(&self.last);
        last.document = Arc::new(document);
        // Somebody else may have changed it again since, or something is pending that it lacks:
        // whoever comes next looks at the store.
        last.version = None;
        last.looked = None;
    }

    fn is_fresh(&self) -> bool {
        let looked = lock(&self.last).looked;
        looked.is_some_and(|looked| looked.elapsed() < STILL_FRESH)
    }

    /// How long a look is worth waiting for: nobody waits for one that began long ago.
    fn patience(&self) -> Duration {
        let since = lock(&self.last).looking_since;
        since.map_or(STORE_PATIENCE, |since| {
            STORE_PATIENCE.saturating_sub(since.elapsed())
        })
    }
}

impl Pool {
    /// The document as the store has it, with what is pending. When the store takes too long, the
    /// last one that is known.
    pub(in crate::proxy) async fn document(self: &Arc<Self>) -> Arc<Document> {
        if !self.cached.is_fresh() {
            // When that takes too long, what is known has to do.
            let _ = timeout(self.cached.patience(), self.look()).await;
        }
        self.cached.document()
    }

    /// Looks at the store; one look serves all who wait for one.
    async fn look(self: &Arc<Self>) {
        let alone = Arc::clone(&self.cached.looking).lock_owned().await;
        if self.cached.is_fresh() {
            return;
        }
        let pool = Arc::clone(self);
        let looking = task::spawn_blocking(move || {
            let begun = Instant::now();
            lock(&pool.cached.last).looking_since = Some(begun);
            pool.look_now();
            let mut last = lock(&pool.cached.last);
            last.looking_since = None;
            last.looked = Some(begun);
            drop(last);
            drop(alone);
        });
        let _ = looking.await;
    }

    /// Reads the store, if it is another than it was.
    fn look_now(&self) {
        // Taken before it is read: if it is replaced meanwhile, the next look reads it again.
        let version = self.store.version();
        if version.is_some() && lock(&self.cached.last).version == version {
            return;
        }
        match self.store.read() {
            Ok(Some(mut document)) => {
                let mut last = lock(&self.cached.last);
                self.keep_what_the_store_does_not(&mut document, &last.document);
                self.pending
                    .each(|observation| pending::record(&mut document, observation));
                last.document = Arc::new(document);
                last.version = version;
            }
            Ok(None) => (self.complain)("the account store is gone"),
            Err(error) => (self.complain)(&error.to_string()),
        }
    }
}
