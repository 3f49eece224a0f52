//! An answer on its way to the client, and what is seen of it in passing. It changes no byte.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::HeaderMap;
use hyper::body::{Body, Frame, SizeHint};

use super::answer::Content;
use crate::account::limit::{self, Verdict};
use crate::account::observation::{Asking, Observation};
use crate::account::stream::Event;

use crate::proxy::decode::EventReader;
use crate::proxy::entry::Entry;
use crate::proxy::exchange::Exchange;
use crate::proxy::pool::Pool;

/// An answer on its way to the client. What is held goes first; the rest passes as it comes. When
/// the client goes away this goes, and the upstream's connection with it.
pub(super) struct Passing {
    content: Content,
    watcher: Watcher,
    entry: Entry,
}

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

    fn see(&self, event: &Event) {
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

impl Passing {
    pub(super) fn new(content: Content, watcher: Watcher, entry: Entry) -> Self {
        let mut passing = Self {
            content,
            watcher,
            entry,
        };
        if passing.is_end_stream() {
            passing.note_end();
        }
        passing
    }

    /// Counts and watches what is about to go out. Held bytes were cut into events before.
    fn note(&mut self, data: &Bytes, held: bool) {
        self.entry.note_bytes(data.len());
        if let Some(events) = self.content.events.as_mut().filter(|_| !held) {
            for event in events.push(data) {
                self.watcher.see(&event);
            }
        }
    }

    /// The answer has passed to its end.
    fn note_end(&mut self) {
        self.entry.note_end();
        let last = self.content.events.as_mut().and_then(EventReader::finish);
        if let Some(event) = last {
            self.watcher.see(&event);
        }
    }
}

impl Body for Passing {
    type Data = Bytes;
    type Error = reqwest::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, reqwest::Error>>> {
        let this = self.get_mut();
        let held = this.content.held.pop_front();
        let was_held = held.is_some();
        let frame = match (held, &mut this.content.rest) {
            (Some(frame), _) => Some(Ok(frame)),
            (None, Some(rest)) => ready!(Pin::new(rest).poll_frame(context)),
            (None, None) => None,
        };
        match &frame {
            Some(Ok(frame)) => {
                if let Some(data) = frame.data_ref() {
                    this.note(data, was_held);
                }
                // Nobody asks for more where a length says that there is none.
                if this.is_end_stream() {
                    this.note_end();
                }
            }
            Some(Err(_)) => {}
            None => this.note_end(),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.content.held.is_empty() && self.content.rest.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        let held: u64 = self
            .content
            .held
            .iter()
            .filter_map(Frame::data_ref)
            .map(|data| data.len() as u64)
            .sum();
        let rest = self.content.rest.as_ref().map(Body::size_hint);
        let mut hint = SizeHint::new();
        let rest = rest.unwrap_or_else(|| SizeHint::with_exact(0));
        hint.set_lower(held + rest.lower());
        if let Some(upper) = rest.upper() {
            hint.set_upper(held + upper);
        }
        hint
    }
}
