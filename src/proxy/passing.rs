//! An answer on its way to the client, and what is seen of it in passing. It changes no byte.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use hyper::body::{Body, Frame, SizeHint};

use super::answered::Content;
use super::decode::EventReader;
use super::log::{Event as LogEvent, Line, Log, millis};
use super::pool::{Pool, Word};
use crate::account::Account;
use crate::account::limit::{self, Verdict};
use crate::account::stream::Event;
use crate::account::time::UnixMillis;

/// An answer on its way to the client. What is held goes first; the rest passes as it comes.
pub(super) struct Passing {
    pub(super) content: Content,
    pub(super) watcher: Watcher,
    pub(super) log: Arc<Log>,
    pub(super) number: u64,
    pub(super) account: String,
    pub(super) session: Option<String>,
    pub(super) started: Instant,
    pub(super) status: StatusCode,
    pub(super) first_byte: Option<Duration>,
    pub(super) bytes: u64,
    pub(super) whole: bool,
}

/// Sees what passes: a limit that comes after the first output is too late for this answer, but
/// not for the account.
pub(super) struct Watcher {
    pub(super) pool: Arc<Pool>,
    pub(super) head: HeaderMap,
    pub(super) account: Account,
    pub(super) model: Option<String>,
    pub(super) asked_at: UnixMillis,
}

impl Watcher {
    fn see(&self, event: &Event) {
        let Event::Notice(notice) = event else {
            return;
        };
        let Some(reading) = limit::read_event(notice, &self.head, self.pool.now()) else {
            return;
        };
        if matches!(reading.verdict, Verdict::Ok | Verdict::Limited(_)) {
            self.pool.record_soon(Word {
                account: self.account.clone(),
                reading,
                asked_at: self.asked_at,
                model: self.model.clone(),
            });
        }
    }
}

impl Passing {
    /// Counts and watches what is about to go out. Held bytes were cut into events before.
    fn note(&mut self, data: &Bytes, held: bool) {
        self.first_byte
            .get_or_insert_with(|| self.started.elapsed());
        self.bytes += data.len() as u64;
        if let Some(events) = self.content.events.as_mut().filter(|_| !held) {
            for event in events.push(data) {
                self.watcher.see(&event);
            }
        }
    }

    /// The answer has passed to its end.
    fn note_end(&mut self) {
        self.whole = true;
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
        if let Some(frame) = this.content.held.pop_front() {
            if let Some(data) = frame.data_ref().cloned() {
                this.note(&data, true);
            }
            return Poll::Ready(Some(Ok(frame)));
        }
        let Some(rest) = &mut this.content.rest else {
            this.note_end();
            return Poll::Ready(None);
        };
        let frame = ready!(Pin::new(rest).poll_frame(context));
        match &frame {
            Some(Ok(frame)) => {
                if let Some(data) = frame.data_ref().cloned() {
                    this.note(&data, false);
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

impl Drop for Passing {
    /// Also when the client went away: then the upstream's connection goes with this.
    fn drop(&mut self) {
        self.log.write(&Line {
            at: self.watcher.pool.now(),
            request: self.number,
            event: LogEvent::Done {
                session: self.session.as_deref(),
                account: Some(&self.account),
                status: self.status.as_u16(),
                first_byte_ms: self.first_byte.map(millis),
                bytes: self.bytes,
                whole: self.whole || self.is_end_stream(),
            },
        });
    }
}
