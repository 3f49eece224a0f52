//! What the requests of one run share. It does nothing by itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::watch;

use super::budget::Budget;
use super::entry::Entry;
use super::guard::Key;
use super::log::Log;
use super::pace::Pace;
use super::pool::Pool;
use super::session::Sessions;
use super::sockets_seen::SocketsSeen;
use super::turns::Turns;
use super::upstream::Upstream;
use crate::account::session::SessionKey;

/// What serves requests.
pub(super) struct Relay {
    /// Who is let in.
    pub(super) key: Key,
    /// The accounts.
    pub(super) pool: Arc<Pool>,
    /// Where requests go.
    pub(super) upstream: Upstream,
    /// How long a request is held when every account is limited.
    pub(super) max_wait: Duration,
    /// How long the head of an answer may take.
    pub(super) head_patience: Duration,
    /// Where it is written down.
    pub(super) log: Arc<Log>,
    /// Which account gave which turn state.
    pub(super) turns: Turns,
    /// Which account a session is with, and who made what is in it.
    pub(super) sessions: Sessions,
    /// Who may ask an account that is asked too fast.
    pub(super) pace: Pace,
    /// Room for the bodies of requests.
    pub(super) bodies: Budget,
    /// WebSockets are to be had here.
    pub(super) websocket: bool,
    /// What is remembered of WebSockets.
    pub(super) sockets: SocketsSeen,
    /// Set when the relay ends. Who serves a WebSocket listens to it until that is closed.
    pub(super) ending: watch::Sender<bool>,
    /// The number of the last request.
    pub(super) count: AtomicU64,
}

impl Relay {
    /// The entry of a request that comes now.
    pub(super) fn entry(&self, session: Option<SessionKey>) -> Entry {
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        Entry::new(Arc::clone(&self.log), self.pool.clock(), number, session)
    }
}
