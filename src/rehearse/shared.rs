//! What every connection has in common: the world, and the log of what was asked.

use super::seen::Log;
use super::world::World;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

pub(super) struct Shared {
    world: Mutex<World>,
    pub(super) log: Log,
    sockets: AtomicU64,
}

impl Shared {
    pub(super) fn new(world: World) -> Self {
        Self {
            world: Mutex::new(world),
            log: Log::default(),
            sockets: AtomicU64::new(0),
        }
    }

    /// A test that panics inside `change` must not take the server with it.
    pub(super) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The number of a new WebSocket, from one on.
    pub(super) fn count_socket(&self) -> u64 {
        self.sockets.fetch_add(1, Ordering::Relaxed) + 1
    }
}
