//! The pool beside a store that can be slow, broken, or changed by others.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

use super::narrowing::Narrowing;
use super::*;
use crate::account::limit::{Class, Limit, Reading, Reset, Source, Verdict};
use crate::account::observation::{Asking, Observation};
use crate::account::secret::RefreshToken;
use crate::account::{Account, Scope};
use crate::net::endpoint::Endpoint;
use crate::store::locator::Locator;
use crate::store::lock::{Held, Patience};
use crate::store::scratch::Scratch;
use crate::store::version::Version;

/// A store in memory.
#[derive(Default)]
struct Memory {
    document: Mutex<Document>,
    reads: AtomicUsize,
    broken: Mutex<bool>,
    /// Each read waits for a word here, if there is somebody to say it.
    gate: Mutex<Option<mpsc::Receiver<()>>>,
}

/// What the pool has of it.
struct Shared(Arc<Memory>);

impl Store for Shared {
    fn read(&self) -> Result<Option<Document>, store::Error> {
        self.0.reads.fetch_add(1, Ordering::SeqCst);
        let gate = lock(&self.0.gate).take();
        if let Some(gate) = gate {
            let _ = gate.recv();
        }
        self.fail_if_broken()?;
        Ok(Some(lock(&self.0.document).clone()))
    }

    fn transact(
        &self,
        _: Absent,
        change: &mut dyn FnMut(&mut Document),
    ) -> Result<(), store::Error> {
        self.fail_if_broken()?;
        change(&mut lock(&self.0.document));
        Ok(())
    }

    fn hold(&self, _: &str, _: Patience) -> Result<Box<dyn Held>, store::Error> {
        Err(store::Error::NoHome)
    }

    fn scratch(&self, _: &str) -> Result<Box<dyn Scratch>, store::Error> {
        Err(store::Error::NoHome)
    }

    fn exists(&self) -> Result<bool, store::Error> {
        Ok(true)
    }

    fn version(&self) -> Option<Version> {
        None
    }

    fn locator(&self) -> Locator {
        Locator::File("/nowhere/at/all".into())
    }
}

impl Shared {
    fn fail_if_broken(&self) -> Result<(), store::Error> {
        match *lock(&self.0.broken) {
            true => Err(store::Error::NoHome),
            false => Ok(()),
        }
    }
}

fn account(name: &str, added: u64) -> Account {
    let mut account = Account::new(RefreshToken::new(name));
    account.label = Some(name.to_owned());
    account.added_at = UnixMillis::known(added);
    account
}

/// A pool of two accounts, and their store.
fn pool() -> (Arc<Pool>, Arc<Memory>) {
    let memory = Arc::new(Memory::default());
    lock(&memory.document).accounts = vec![account("one", 1), account("two", 2)];
    let issuer = Endpoint::parse("issuer", "http://127.0.0.1:1").unwrap();
    let pool = Pool::new(
        Arc::new(Shared(Arc::clone(&memory))),
        Issuer::new(issuer),
        Wishes::default(),
        Narrowing::default(),
        Clock::System,
        Box::new(|_| ()),
    );
    (pool, memory)
}

fn limited(pool: &Pool, name: &str, added: u64) -> Observation {
    Observation {
        asking: Asking {
            who: Handle::from(&account(name, added)),
            model: None,
            at: pool.now(),
        },
        reading: Reading::of(Verdict::Limited(Limit {
            class: Class::Quota,
            reset: Some(Reset {
                at: pool.now().plus(Duration::from_secs(3600)),
                source: Source::BodyResetsAt,
            }),
            ..Limit::unexplained(Scope::default_scope())
        })),
        seen_at: pool.now(),
    }
}

fn chosen(choice: &Choice) -> Option<&str> {
    choice.as_ref().ok().map(|account| account.name())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_limit_is_recorded_and_the_next_account_chosen_in_one_commit() {
    let (pool, memory) = pool();
    let choice = pool.choose(&Wanted::default()).await;
    assert_eq!(chosen(&choice), Some("one"));
    let (choice, mut committing) = pool
        .fail_over(limited(&pool, "one", 1), &Wanted::default())
        .await;
    assert_eq!(chosen(&choice), Some("two"));
    committing.done().await;
    let document = lock(&memory.document).clone();
    assert_eq!(document.active_index, 1);
    assert_eq!(document.accounts[0].limits().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn what_a_broken_store_can_t_be_told_counts_all_the_same_and_is_told_later() {
    let (pool, memory) = pool();
    let choice = pool.choose(&Wanted::default()).await;
    assert_eq!(chosen(&choice), Some("one"));
    *lock(&memory.broken) = true;
    let (choice, _committing) = pool
        .fail_over(limited(&pool, "one", 1), &Wanted::default())
        .await;
    assert_eq!(chosen(&choice), Some("two"));
    let choice = pool.choose(&Wanted::default()).await;
    assert_eq!(chosen(&choice), Some("two"), "it is remembered");
    *lock(&memory.broken) = false;
    let choice = pool.choose(&Wanted::default()).await;
    assert_eq!(chosen(&choice), Some("two"), "and not forgotten at a read");
    pool.settle().await;
    assert_eq!(lock(&memory.document).accounts[0].limits().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_store_that_hangs_stops_nobody_and_no_other_task() {
    let (pool, memory) = pool();
    let choice = pool.choose(&Wanted::default()).await;
    assert_eq!(chosen(&choice), Some("one"));
    let (release, gate) = mpsc::channel();
    *lock(&memory.gate) = Some(gate);
    // The only worker must stay free: a task of its own has to come to its end meanwhile.
    let (done, other) = tokio::sync::oneshot::channel();
    let choosing = {
        let pool = Arc::clone(&pool);
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(5)).await;
            pool.document().await
        })
    };
    tokio::spawn(async move { done.send(()) });
    other.await.unwrap();
    let document = choosing.await.unwrap();
    assert_eq!(document.accounts.len(), 2, "what was known");
    // Whoever comes now does not wait for it.
    let before = std::time::Instant::now();
    assert_eq!(pool.document().await.accounts.len(), 2);
    assert!(before.elapsed() < STORE_PATIENCE / 2);
    release.send(()).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn requests_at_once_share_one_look_at_the_store() {
    let (pool, memory) = pool();
    let asking: Vec<_> = (0..50)
        .map(|_| {
            let pool = Arc::clone(&pool);
            tokio::spawn(async move { pool.document().await.accounts.len() })
        })
        .collect();
    for one in asking {
        assert_eq!(one.await.unwrap(), 2);
    }
    let reads = memory.reads.load(Ordering::SeqCst);
    assert!(reads < 10, "{reads} reads for 50 requests");
}
