//! What answers said of accounts and the store does not have yet. It counts for this relay at once;
//! the store gets it some time soon, several in one commit, in the order in which it was seen.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::task;

use super::{Pool, Wanted, lock};
use crate::account::observation::Observation;
use crate::store::Document;

/// What was learned waits so long for more, so that the store is not written for each answer.
const GATHERING: Duration = Duration::from_millis(200);

/// A store that could not be written is tried again after this.
const FLUSH_AGAIN: Duration = Duration::from_secs(1);

/// So much is kept for a store that can't be written.
const MOST: usize = 1000;

/// See the module.
#[derive(Default)]
pub(super) struct Pending {
    queue: Mutex<Queue>,
    /// Held by whoever writes the store.
    flushing: Mutex<()>,
}

#[derive(Default)]
struct Queue {
    /// The oldest first.
    observations: Vec<Observation>,
    /// How many were let go because there were too many.
    forgotten: usize,
    /// A task sees to it that the store is written, and will see what is added meanwhile.
    seen_to: bool,
}

/// What was in the queue at some time.
struct Snapshot {
    observations: Vec<Observation>,
    forgotten: usize,
}

impl Queue {
    /// Adds one. Whether a task has to be started that sees to it.
    fn push(&mut self, observation: Observation) -> bool {
        if self.observations.len() == MOST {
            self.observations.remove(0);
            self.forgotten += 1;
        }
        self.observations.push(observation);
        !std::mem::replace(&mut self.seen_to, true)
    }

    fn snapshot(&self) -> Snapshot {
        Snapshot {
            observations: self.observations.clone(),
            forgotten: self.forgotten,
        }
    }

    /// Takes out what the store has now. Some of it may have been let go meanwhile.
    fn drop_flushed(&mut self, flushed: &Snapshot) {
        let gone = self.forgotten - flushed.forgotten;
        let flushed = flushed.observations.len().saturating_sub(gone);
        self.observations.drain(..flushed);
    }

    /// Whether the task that sees to it may end.
    fn is_over(&mut self) -> bool {
        self.seen_to = !self.observations.is_empty();
        !self.seen_to
    }
}

impl Pending {
    /// Shows each one, the oldest first.
    pub(super) fn each(&self, show: impl FnMut(&Observation)) {
        lock(&self.queue).observations.iter().for_each(show);
    }
}

impl Pool {
    /// Records what an answer said: at once for this relay, and in the store some time soon.
    pub fn record_soon(self: &Arc<Self>, observation: Observation) {
        self.record_and(observation, |_| ());
    }

    /// The same, and what comes of the document then.
    pub(super) fn record_and<T>(
        self: &Arc<Self>,
        observation: Observation,
        then: impl FnOnce(&mut Document) -> T,
    ) -> T {
        // Together, so that a look at the store meanwhile loses neither.
        let (begin, result) = self.cached.amend(|document| {
            record(document, &observation);
            let begin = lock(&self.pending.queue).push(observation);
            (begin, then(document))
        });
        if begin {
            tokio::spawn(Arc::clone(self).see_to_pending());
        }
        result
    }

    /// Writes the store, until nothing is pending.
    async fn see_to_pending(self: Arc<Self>) {
        loop {
            tokio::time::sleep(GATHERING).await;
            let pool = Arc::clone(&self);
            let flushed = task::spawn_blocking(move || pool.flush(None)).await;
            if !flushed.unwrap_or(false) {
                tokio::time::sleep(FLUSH_AGAIN).await;
            }
            if lock(&self.pending.queue).is_over() {
                return;
            }
        }
    }

    /// Writes what is pending now, and who is active then where somebody has turned to another
    /// account. Whether that was possible.
    pub(super) fn flush(&self, turned: Option<&Wanted>) -> bool {
        let _alone = lock(&self.pending.flushing);
        let now = lock(&self.pending.queue).snapshot();
        if now.observations.is_empty() && turned.is_none() {
            return true;
        }
        let flushed = self.change(|document| {
            for observation in &now.observations {
                record(document, observation);
            }
            if let Some(wanted) = turned {
                // Whether there is one was said before.
                let _ = self.choose_in(document, wanted);
            }
        });
        if flushed.is_some() {
            lock(&self.pending.queue).drop_flushed(&now);
        }
        flushed.is_some()
    }

    /// Returns when nothing is pending, or the store can't be written.
    pub async fn settle(self: &Arc<Self>) {
        let pool = Arc::clone(self);
        let _ = task::spawn_blocking(move || pool.flush(None)).await;
    }
}

/// Records what an answer said in a document, if the account is still in it.
pub(super) fn record(document: &mut Document, observation: &Observation) {
    if let Some(index) = observation.asking.who.find(&document.accounts) {
        document.accounts[index].record(observation);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::Account;
    use crate::account::handle::Handle;
    use crate::account::limit::{Reading, Verdict};
    use crate::account::observation::Asking;
    use crate::account::secret::RefreshToken;
    use crate::account::time::UnixMillis;

    fn who(number: usize) -> Handle {
        let token = RefreshToken::new(format!("token-{number}"));
        Handle::from(&Account::new(token))
    }

    fn observation(number: usize) -> Observation {
        Observation {
            asking: Asking {
                who: who(number),
                model: None,
                at: UnixMillis::from_secs(1),
            },
            reading: Reading::of(Verdict::Ok),
            seen_at: UnixMillis::from_secs(1),
        }
    }

    fn pending(queue: &Queue) -> Vec<Handle> {
        let observations = queue.observations.iter();
        observations.map(|it| it.asking.who.clone()).collect()
    }

    #[test]
    fn what_comes_while_the_store_is_written_stays_pending() {
        let mut queue = Queue::default();
        assert!(queue.push(observation(1)), "a task is started");
        assert!(!queue.push(observation(2)), "and not another one");
        let flushed = queue.snapshot();
        assert!(!queue.push(observation(3)));
        queue.drop_flushed(&flushed);
        assert_eq!(pending(&queue), [who(3)]);
        assert!(!queue.is_over());
        let flushed = queue.snapshot();
        queue.drop_flushed(&flushed);
        assert!(queue.is_over());
        assert!(queue.push(observation(4)), "the task had ended");
    }

    #[test]
    fn what_was_let_go_meanwhile_is_not_taken_out_twice() {
        let mut queue = Queue::default();
        for number in 0..MOST {
            queue.push(observation(number));
        }
        let flushed = queue.snapshot();
        queue.push(observation(MOST));
        queue.push(observation(MOST + 1));
        queue.drop_flushed(&flushed);
        assert_eq!(pending(&queue), [who(MOST), who(MOST + 1)]);
    }
}
