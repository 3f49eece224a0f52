//! That the store gets what was learned of an account while the next one is asked. Whoever is
//! answered then hears of the answer's end when that is so: what is asked next, by whichever command,
//! knows of it.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::STORE_PATIENCE;

/// See the module. It comes to pass whether or not somebody waits for it.
pub struct Committing(Option<Pin<Box<dyn Future<Output = ()> + Send + Sync>>>);

impl Committing {
    /// Nothing is committed.
    pub const fn nothing() -> Self {
        Self(None)
    }

    /// What a thread commits; nobody waits for it for long.
    pub(super) fn of(commit: JoinHandle<bool>) -> Self {
        Self(Some(Box::pin(async move {
            // Where that failed, it is tried again, and was complained of.
            let _ = timeout(STORE_PATIENCE, commit).await;
        })))
    }

    /// This and another one.
    pub fn and(&mut self, other: Self) {
        self.0 = match (self.0.take(), other.0) {
            (Some(one), Some(other)) => Some(Box::pin(async move {
                one.await;
                other.await;
            })),
            (one, other) => one.or(other),
        };
    }

    /// Waits until it is done.
    pub async fn done(&mut self) {
        if let Some(commit) = self.0.take() {
            commit.await;
        }
    }

    /// The same; ready at once where there is nothing to wait for.
    pub fn poll_done(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if let Some(commit) = &mut self.0 {
            ready!(commit.as_mut().poll(context));
            self.0 = None;
        }
        Poll::Ready(())
    }
}
