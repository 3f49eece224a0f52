//! What is seen of an answer in passing. Nothing is changed, and nothing decided.

use std::sync::Arc;

use ::http::HeaderMap;

use super::exchange::Exchange;
use super::relay::Relay;
use crate::account::limit::{self, Verdict};
use crate::account::observation::{Asking, Observation};
use crate::account::session::Blob;
use crate::account::stream::Event;
use crate::account::time::UnixMillis;

/// Sees what passes: a limit that comes after the first output is too late for this answer, but
/// not for the account.
pub(super) struct Watcher {
    relay: Arc<Relay>,
    head: HeaderMap,
    asking: Asking,
}

impl Watcher {
    pub(super) fn new(exchange: &Exchange, head: &HeaderMap, asking: Asking) -> Self {
        Self {
            relay: Arc::clone(&exchange.relay),
            head: head.clone(),
            asking,
        }
    }

    pub(super) fn model(&self) -> Option<&str> {
        self.asking.model.as_deref()
    }

    pub(super) fn now(&self) -> UnixMillis {
        self.relay.pool.now()
    }

    pub(super) fn see(&self, event: &Event) {
        let notice = match event {
            Event::Notice(notice) => notice,
            Event::Item(blobs) => return self.made(blobs),
            Event::Preamble | Event::Output | Event::End => return,
        };
        let Some(reading) = limit::read_event(notice, &self.head, self.relay.pool.now()) else {
            return;
        };
        if matches!(reading.verdict, Verdict::Ok | Verdict::Limited(_)) {
            self.relay.pool.record_soon(Observation {
                asking: self.asking.clone(),
                reading,
                seen_at: self.relay.pool.now(),
            });
        }
    }

    /// The account made these.
    pub(super) fn made(&self, blobs: &[Blob]) {
        self.relay.sessions.made(blobs, &self.asking.who);
    }
}
