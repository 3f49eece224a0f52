//! Who stands at the door: connections that have not shown the key yet. They are few, and not for
//! long, so that nobody on this machine who does not know the key can take the room of those who do.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::timeout;

/// So many stand there at once; the one that came first goes for one that comes.
const MOST: usize = 128;

/// Who comes has to show the key within this.
const PATIENCE: Duration = Duration::from_secs(5);

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Door(Mutex<VecDeque<Arc<Standing>>>);

/// One connection.
#[derive(Debug, Default)]
struct Standing {
    /// It has shown the key.
    admitted: AtomicBool,
    /// It is let in, or sent away.
    decided: Notify,
}

/// What a connection has of the door; it is gone when this is.
#[derive(Debug)]
pub(super) struct Guest {
    door: Arc<Door>,
    standing: Arc<Standing>,
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.door.leave(&self.standing);
    }
}

impl Door {
    /// Somebody comes.
    pub(super) fn come(self: &Arc<Self>) -> Guest {
        let standing = Arc::new(Standing::default());
        let mut waiting = self.waiting();
        if waiting.len() == MOST
            && let Some(first) = waiting.pop_front()
        {
            first.decided.notify_one();
        }
        waiting.push_back(Arc::clone(&standing));
        drop(waiting);
        Guest {
            door: Arc::clone(self),
            standing,
        }
    }

    fn leave(&self, standing: &Arc<Standing>) {
        self.waiting().retain(|other| !Arc::ptr_eq(other, standing));
    }

    /// What is behind the lock is whole between any two statements.
    fn waiting(&self) -> MutexGuard<'_, VecDeque<Arc<Standing>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Guest {
    /// It has shown the key.
    pub(super) fn admit(&self) {
        if !self.standing.admitted.swap(true, Ordering::Relaxed) {
            self.door.leave(&self.standing);
            self.standing.decided.notify_one();
        }
    }

    /// Returns when it has to go, because it did not show the key in time or others came.
    pub(super) async fn sent_away(&self) {
        let decided = timeout(PATIENCE, self.standing.decided.notified()).await;
        if decided.is_ok() && self.standing.admitted.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn is_sent_away(guest: &Guest) -> bool {
        timeout(Duration::from_millis(20), guest.sent_away())
            .await
            .is_ok()
    }

    #[tokio::test]
    async fn the_first_silent_one_goes_for_one_that_comes() {
        let door = Arc::new(Door::default());
        let known = door.come();
        known.admit();
        let silent: Vec<Guest> = (0..MOST).map(|_| door.come()).collect();
        assert!(!is_sent_away(&silent[0]).await);
        let late = door.come();
        assert!(is_sent_away(&silent[0]).await);
        assert!(!is_sent_away(&silent[1]).await);
        assert!(!is_sent_away(&known).await);
        assert!(!is_sent_away(&late).await);
    }
}
