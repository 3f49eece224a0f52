//! What the server was asked, for tests to look at and to wait for.

use bytes::Bytes;
use http::{HeaderMap, Method};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// One request, as it came in.
#[derive(Clone, Debug)]
pub struct Seen {
    /// When it was complete, in Unix milliseconds.
    pub at: u64,
    /// The method.
    pub method: Method,
    /// The path, without the query.
    pub path: String,
    /// The query without its `?`; empty where there is none.
    pub query: String,
    /// The header fields.
    pub headers: HeaderMap,
    /// The body as sent, compressed or not: its first mebibyte.
    pub body: Bytes,
    /// The length of the whole body, in bytes.
    pub body_length: usize,
    /// The index of the account whose access token the request carries, good or not.
    pub account: Option<usize>,
    /// The status it was answered with; `None` before that, and where there is no answer.
    pub status: Option<u16>,
}

impl Seen {
    /// Whether it is a request for this path with this method.
    pub fn is(&self, method: &str, path: &str) -> bool {
        self.method == method && self.path == path
    }

    /// A header field, if it is there and is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// The requests so far, in order.
#[derive(Default)]
pub(super) struct Log {
    seen: Mutex<Vec<Seen>>,
    changed: Condvar,
}

impl Log {
    /// Appends a request and returns its place.
    pub(super) fn push(&self, request: Seen) -> usize {
        let mut seen = self.lock();
        seen.push(request);
        self.changed.notify_all();
        seen.len() - 1
    }

    /// Notes how the request at this place was answered.
    pub(super) fn answered(&self, place: usize, status: u16) {
        if let Some(request) = self.lock().get_mut(place) {
            request.status = Some(status);
        }
        self.changed.notify_all();
    }

    pub(super) fn all(&self) -> Vec<Seen> {
        self.lock().clone()
    }

    /// Waits until `enough` holds of the requests so far. `false` if the time was over first.
    pub(super) fn wait_for(
        &self,
        timeout: Duration,
        mut enough: impl FnMut(&[Seen]) -> bool,
    ) -> bool {
        let start = Instant::now();
        let mut seen = self.lock();
        while !enough(&seen) {
            let Some(rest) = timeout.checked_sub(start.elapsed()) else {
                return false;
            };
            (seen, _) = self
                .changed
                .wait_timeout(seen, rest)
                .unwrap_or_else(PoisonError::into_inner);
        }
        true
    }

    /// A test that panics inside `wait_for` must not take the server with it.
    fn lock(&self) -> MutexGuard<'_, Vec<Seen>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
