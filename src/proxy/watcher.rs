//! What is seen of an answer in passing. Nothing is changed, and nothing decided.

use std::sync::Arc;

use ::http::HeaderMap;

use super::exchange::Exchange;
use super::pool::Pool;
use crate::account::limit::{self, Verdict};
use crate::account::observation::{Asking, Observation};
use crate::account::stream::Event;
use crate::account::time::UnixMillis;

/// Sees what passes: a limit that comes after the first output is too late for this answer, but
/// not for the account.
pub(super) struct Watcher {
    pool: Arc<Pool>,
    head: HeaderMap,
    asking: Asking,
}

impl Watcher {
    pub(super) fn new(exchange: &Exchange, head: &HeaderMap, asking: Asking) -> Self {
        Self {
            pool: Arc::clone(&exchange.relay.pool),
            head: head.clone(),
            asking,
        }
    }

    pub(super) fn model(&self) -> Option<&str> {
        self.asking.model.as_deref()
    }

    pub(super) fn now(&self) -> UnixMillis {
        self.pool.now()
    }

    pub(super) fn see(&self, event: &Event) {
        let Event::Notice(notice) = event else {
            return;
        };
        let Some(reading) = limit::read_event(notice, &self.head, self.pool.now()) else {
            return;
        };
        if matches!(reading.verdict, Verdict::Ok | Verdict::Limited(_)) {
            self.pool.record_soon(Observation {
                asking: self.asking.clone(),
                reading,
                seen_at: self.pool.now(),
            });
        }
    }
}
