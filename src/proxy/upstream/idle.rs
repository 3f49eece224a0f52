//! Connections that nobody uses now, to be asked again. One that the server has closed is never
//! handed out where that was heard of.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use super::connection::Connection;

/// So long a connection stays idle.
const LONGEST: Duration = Duration::from_secs(90);

/// How often they are looked through.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Idle(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// Since when each is idle; the last one was used last.
    connections: Vec<(Connection, Instant)>,
    /// A task looks through them.
    watched: bool,
}

impl Idle {
    /// One that can be asked now: the one that was used last, so that those that are not needed
    /// grow old.
    pub(super) fn take(&self) -> Option<Connection> {
        loop {
            let (mut connection, since) = self.state().connections.pop()?;
            if since.elapsed() < LONGEST && connection.is_ready() {
                return Some(connection);
            }
        }
    }

    /// The answer on it has been read to its end.
    pub(super) fn put(self: &Arc<Self>, mut connection: Connection) {
        if !connection.is_ready() {
            return;
        }
        let mut state = self.state();
        state.connections.push((connection, Instant::now()));
        if !std::mem::replace(&mut state.watched, true) {
            tokio::spawn(watch(Arc::downgrade(self)));
        }
    }

    /// Lets those go that are old, or that the server has closed. Whether any is left.
    fn look_through(&self) -> bool {
        let mut state = self.state();
        let stays = |(connection, since): &mut (Connection, Instant)| {
            since.elapsed() < LONGEST && connection.is_ready()
        };
        state.connections.retain_mut(stays);
        state.watched = !state.connections.is_empty();
        state.watched
    }

    /// What is behind the lock is whole between any two statements.
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn watch(idle: Weak<Idle>) {
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        if !idle.upgrade().is_some_and(|idle| idle.look_through()) {
            return;
        }
    }
}
