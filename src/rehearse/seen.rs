//! What the server was asked, for tests to look at and to wait for.

use bytes::Bytes;
use http::{HeaderMap, Method};
use std::collections::HashSet;
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
    /// The session it is of, as the clients name it.
    pub session: Option<String>,
    /// What a request to the model asks for: the same number for a request that is sent again.
    pub asks_for: Option<u64>,
    /// What it was refused for, where it was a refusal by PROTOCOL-SWITCH.
    pub refused: Option<Refused>,
    /// The number of the WebSocket that it came by as a frame.
    pub socket: Option<u64>,
    /// The status it was answered with; `None` before that, and where there is no answer. That of a frame is 200 where
    /// events are the answer.
    pub status: Option<u16>,
}

/// What a refusal is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The request: no account takes it.
    Request,
    /// The model, which this account does not have.
    Model,
    /// An encrypted item that this account can't read.
    Foreign,
    /// The same in the output of a tool or the message of an agent: noticed once the response has begun.
    ForeignOutput,
    /// Reasoning that nothing follows.
    Unfollowed,
}

impl Refused {
    /// Whether it is about what the session carries, and not about what is asked.
    pub const fn is_of_session(self) -> bool {
        matches!(self, Self::Foreign | Self::ForeignOutput | Self::Unfollowed)
    }
}

impl Seen {
    /// Whether it is a request for this path with this method.
    pub fn is(&self, method: &str, path: &str) -> bool {
        self.method == method && self.path == path
    }

    /// Whether it asks the model for something: by a POST, or by a frame.
    pub fn asks_the_model(&self) -> bool {
        self.asks_for.is_some()
    }

    /// The method that frames of a WebSocket have here.
    pub(super) fn frame_method() -> Method {
        Method::from_bytes(b"WEBSOCKET").unwrap_or(Method::GET)
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

    /// The most requests that were made for one and the same thing of which an account could not take something.
    pub(super) fn most_for_one_refusal(&self) -> usize {
        let seen = self.lock();
        let is_of_session = |one: &Seen| one.refused.is_some_and(Refused::is_of_session);
        let refused: HashSet<_> = seen
            .iter()
            .filter(|one| is_of_session(one))
            .map(|one| (&one.session, one.asks_for))
            .collect();
        let requests = |what| {
            seen.iter()
                .filter(|one| (&one.session, one.asks_for) == what)
                .count()
        };
        refused.into_iter().map(requests).max().unwrap_or(0)
    }

    /// A test that panics inside `wait_for` must not take the server with it.
    fn lock(&self) -> MutexGuard<'_, Vec<Seen>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
