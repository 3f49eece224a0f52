//! How much of what clients ask is kept in memory at once: a request is kept whole, so that it can
//! be asked again. Who finds no room waits for some.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// All requests together may have so much.
const MOST: usize = 256 << 20;

/// What is counted.
const UNIT: usize = 4 << 10;

/// How long somebody waits for room, before they are told to come back.
const PATIENCE: Duration = Duration::from_secs(10);

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Budget(Arc<Semaphore>);

/// The room of one request, given back when this goes.
#[derive(Debug)]
pub(super) struct Room {
    budget: Budget,
    taken: OwnedSemaphorePermit,
}

impl Default for Budget {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MOST / UNIT)))
    }
}

impl Budget {
    /// Room for so many bytes, and for more later.
    ///
    /// # Errors
    /// When there was none in time.
    pub(super) async fn room(&self, bytes: usize) -> Result<Room, StatusCode> {
        Ok(Room {
            taken: self.take(units(bytes)).await?,
            budget: self.clone(),
        })
    }

    async fn take(&self, units: usize) -> Result<OwnedSemaphorePermit, StatusCode> {
        let units = u32::try_from(units).map_err(|_| StatusCode::PAYLOAD_TOO_LARGE)?;
        let taking = Arc::clone(&self.0).acquire_many_owned(units);
        match timeout(PATIENCE, taking).await {
            Ok(Ok(taken)) => Ok(taken),
            Ok(Err(_)) | Err(_) => Err(StatusCode::SERVICE_UNAVAILABLE),
        }
    }
}

impl Room {
    /// Sees to it that there is room for so many bytes in all.
    ///
    /// # Errors
    /// When there was none in time.
    pub(super) async fn grow_to(&mut self, bytes: usize) -> Result<(), StatusCode> {
        let missing = units(bytes).saturating_sub(self.taken.num_permits());
        if missing > 0 {
            // More than is needed now, so that not every piece has to ask.
            let more = missing.max(self.taken.num_permits().min(256));
            self.taken.merge(self.budget.take(more).await?);
        }
        Ok(())
    }
}

const fn units(bytes: usize) -> usize {
    bytes.div_ceil(UNIT)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What somebody gets who does not wait.
    async fn at_once(budget: &Budget, bytes: usize) -> Option<Room> {
        let asking = tokio::time::timeout(Duration::from_millis(20), budget.room(bytes));
        asking.await.ok()?.ok()
    }

    #[tokio::test]
    async fn who_finds_no_room_waits_for_some() {
        let budget = Budget::default();
        let mut large = Vec::new();
        for _ in 0..4 {
            large.push(at_once(&budget, 64 << 20).await.expect("room"));
        }
        assert!(at_once(&budget, 1).await.is_none());
        let waiting = {
            let budget = budget.clone();
            tokio::spawn(async move { budget.room(1).await.is_ok() })
        };
        large.pop();
        assert!(waiting.await.unwrap());
        let mut small = at_once(&budget, 0).await.expect("room");
        small.grow_to(10 << 20).await.unwrap();
        assert!(
            at_once(&budget, 60 << 20).await.is_none(),
            "what it grew to counts"
        );
        drop(small);
        assert!(at_once(&budget, 60 << 20).await.is_some());
    }
}
