//! An answer on its way to the client, and what is seen of it in passing. It changes no byte; but a
//! stream that ends without the event that answers end with gets one, since clients ask again and
//! again after one that did not (PROTOCOL-SWITCH §3).

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};

use super::answer::Content;
use crate::account::limit::Verdict;
use crate::proxy::decode::EventReader;
use crate::proxy::entry::Entry;
use crate::proxy::pool::Committing;
use crate::proxy::replies::{self, Place};
use crate::proxy::upstream;
use crate::proxy::watcher::Watcher;

/// An answer on its way to the client. What is held goes first; the rest passes as it comes. When
/// the client goes away this goes, and the upstream's connection with it.
pub(super) struct Passing {
    content: Content,
    watcher: Watcher,
    entry: Entry,
    /// It is a stream of events that must not end without the last one.
    must_end: bool,
    /// What the store must have before the end is passed on.
    committing: Committing,
    /// The end, while it waits for that.
    waiting: Option<Option<Piece>>,
}

type Piece = Result<Frame<Bytes>, upstream::Error>;

impl Passing {
    pub(super) fn new(
        content: Content,
        watcher: Watcher,
        entry: Entry,
        committing: Committing,
    ) -> Self {
        let must_end = content.events.is_some();
        let mut passing = Self {
            content,
            watcher,
            entry,
            must_end,
            committing,
            waiting: None,
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
            events.push(data, |event| self.watcher.see(event));
        }
    }

    /// The answer has passed to its end.
    fn note_end(&mut self) {
        self.entry.note_end();
        self.finish();
    }

    /// The last event of a stream may lack its blank line.
    fn finish(&mut self) {
        let last = self.content.events.as_mut().and_then(EventReader::finish);
        if let Some(event) = last {
            self.watcher.see(&event);
        }
    }

    /// What is put at the end of a stream that has come to its own, or broke off, if it lacks one.
    fn missing_end(&mut self) -> Option<Frame<Bytes>> {
        if !std::mem::take(&mut self.must_end) {
            return None;
        }
        self.finish();
        let events = self.content.events.as_ref();
        let number = events.filter(|it| it.lacks_its_end())?.next_number();
        self.entry.verdict = Some(Verdict::Server.word());
        let event = replies::broke_off(Place {
            number,
            model: self.watcher.model(),
            at: self.watcher.now(),
        });
        // An event that was cut off ends here, too.
        let data = Bytes::from(format!("\n\n{event}"));
        self.entry.note_bytes(data.len());
        Some(Frame::data(data))
    }
}

impl Passing {
    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Piece>> {
        let this = self;
        let held = this.content.held.pop_front();
        let was_held = held.is_some();
        let frame = match (held, &mut this.content.rest) {
            (Some(frame), _) => Some(Ok(frame)),
            (None, Some(rest)) => ready!(Pin::new(rest).poll_frame(context)),
            (None, None) => None,
        };
        match frame {
            Some(Ok(frame)) => {
                if let Some(data) = frame.data_ref() {
                    this.note(data, was_held);
                }
                // Nobody asks for more where a length says that there is none.
                if this.is_end_stream() {
                    this.note_end();
                }
                Poll::Ready(Some(Ok(frame)))
            }
            other => {
                this.content.rest = None;
                if let Some(end) = this.missing_end() {
                    return Poll::Ready(Some(Ok(end)));
                }
                if other.is_none() {
                    this.note_end();
                }
                Poll::Ready(other)
            }
        }
    }

    /// Whether a client takes this for the end, or what comes before it.
    fn is_end(&self, piece: Option<&Piece>) -> bool {
        let events = self.content.events.as_ref();
        !matches!(piece, Some(Ok(_)))
            || self.is_end_stream()
            || events.is_some_and(EventReader::has_ended)
    }
}

impl Body for Passing {
    type Data = Bytes;
    type Error = upstream::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, upstream::Error>>> {
        let this = self.get_mut();
        let piece = match this.waiting.take() {
            Some(piece) => piece,
            None => ready!(this.poll_next(context)),
        };
        if this.is_end(piece.as_ref()) && this.committing.poll_done(context).is_pending() {
            this.waiting = Some(piece);
            return Poll::Pending;
        }
        Poll::Ready(piece)
    }

    fn is_end_stream(&self) -> bool {
        !self.must_end
            && self.waiting.is_none()
            && self.content.held.is_empty()
            && self.content.rest.as_ref().is_none_or(Body::is_end_stream)
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
        if let Some(upper) = rest.upper().filter(|_| !self.must_end) {
            hint.set_upper(held + upper);
        }
        hint
    }
}
