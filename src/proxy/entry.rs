//! What the log says of one request. It is written when the request is over, however it ends: with
//! the last byte of its answer, or with the client gone before the first.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::log::{Event, Line, Log, millis};
use crate::account::session::SessionKey;
use crate::clock::Clock;

/// The entry of a request that is under way; going, it is written.
pub(super) struct Entry {
    log: Arc<Log>,
    clock: Clock,
    number: u64,
    started: Instant,
    /// The session that the client named.
    pub(super) session: Option<SessionKey>,
    /// The account that answered, by its name for people.
    pub(super) account: Option<String>,
    /// The status that the client got.
    pub(super) status: Option<u16>,
    /// What the answer means.
    pub(super) verdict: Option<&'static str>,
    head: Option<Duration>,
    first_byte: Option<Duration>,
    bytes: u64,
    messages: u64,
    whole: bool,
    /// What it is to a WebSocket, if it came by one.
    socket: Option<&'static str>,
    /// The code with which the client was asked to begin anew.
    close: Option<u16>,
}

impl Entry {
    pub(super) fn new(
        log: Arc<Log>,
        clock: Clock,
        number: u64,
        session: Option<SessionKey>,
    ) -> Self {
        Self {
            log,
            clock,
            number,
            started: Instant::now(),
            session,
            account: None,
            status: None,
            verdict: None,
            head: None,
            first_byte: None,
            bytes: 0,
            messages: 0,
            whole: false,
            socket: None,
            close: None,
        }
    }

    /// How long the request has been under way.
    pub(super) fn age(&self) -> Duration {
        self.started.elapsed()
    }

    /// The head of the answer goes out.
    pub(super) fn note_head(&mut self, status: u16) {
        self.status = Some(status);
        self.head.get_or_insert_with(|| self.started.elapsed());
    }

    /// Bytes of content go out.
    pub(super) fn note_bytes(&mut self, bytes: usize) {
        self.first_byte
            .get_or_insert_with(|| self.started.elapsed());
        self.bytes += bytes as u64;
    }

    /// It came by a WebSocket: its handshake, a whole request, or an increment.
    pub(super) fn note_socket(&mut self, what: &'static str) {
        self.socket = Some(what);
    }

    /// A message goes out.
    pub(super) fn note_message(&mut self, bytes: usize) {
        self.note_bytes(bytes);
        self.messages += 1;
    }

    /// How many messages went out.
    pub(super) const fn messages(&self) -> u64 {
        self.messages
    }

    /// The client is asked to begin anew.
    pub(super) fn note_close(&mut self, code: u16) {
        self.close = Some(code);
    }

    /// The answer has gone out to its end.
    pub(super) fn note_end(&mut self) {
        self.whole = true;
    }

    /// Writes a line about this request before it is over.
    pub(super) fn write(&self, event: Event<'_>) {
        self.log.write(&Line {
            at: self.clock.now(),
            request: self.number,
            session: self.session.as_ref().map(SessionKey::as_str),
            event,
        });
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.write(Event::Done {
            account: self.account.as_deref(),
            status: self.status,
            verdict: self.verdict,
            head_ms: self.head.map(millis),
            first_byte_ms: self.first_byte.map(millis),
            bytes: self.bytes,
            whole: self.whole,
            ws: self.socket,
            close: self.close,
        });
    }
}
