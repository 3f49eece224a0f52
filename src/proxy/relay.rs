//! What serves requests: everything that the requests of one run share, and who is let in.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ::http::{HeaderMap, Response, StatusCode};
use hyper::body::Incoming;

use super::entry::Entry;
use super::guard::{self, Key, Wish};
use super::http;
use super::log::Log;
use super::pace::Pace;
use super::pool::Pool;
use super::replies::{self, Body};
use super::session::Sessions;
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
    /// The number of the last request.
    pub(super) count: AtomicU64,
}

impl Relay {
    /// Serves one request.
    ///
    /// # Errors
    /// Never: what goes wrong is an answer.
    pub(super) async fn serve(
        self: Arc<Self>,
        request: hyper::Request<Incoming>,
    ) -> Result<Response<Body>, Infallible> {
        let (head, body) = request.into_parts();
        let entry = self.entry(&head.headers);
        Ok(match guard::admit(&head, &self.key) {
            Err(status) => replies::send(entry, replies::refusal(status)),
            Ok(Wish::Identity) => replies::send(entry, replies::identity()),
            // The clients go on by HTTP at once when they see this (PROTOCOL §6).
            Ok(Wish::Upgrade) => {
                replies::send(entry, replies::refusal(StatusCode::UPGRADE_REQUIRED))
            }
            Ok(Wish::Upstream) => http::serve(self, entry, head, body).await,
        })
    }

    fn entry(&self, headers: &HeaderMap) -> Entry {
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        let session = SessionKey::of(headers);
        Entry::new(Arc::clone(&self.log), self.pool.clock(), number, session)
    }
}
