//! An answer that came back, read as far as it takes to say what it means. Until its first byte of
//! content it is held here; it goes nowhere from here by itself.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use http_body_util::BodyExt;
use hyper::body::Frame;

use crate::account::limit::{self, Reading, Verdict};
use crate::account::stream::Event;
use crate::account::time::UnixMillis;
use crate::account::usage;
use crate::proxy::decode::{self, EventReader};
use crate::proxy::exchange::{Judged, Silence};

/// Of an answer that is no success, this much is read to be judged.
pub(super) const LARGEST_ERROR: usize = 1 << 20;

/// Of a stream, this much is held back at most while nothing but preamble has come.
const LARGEST_PREAMBLE: usize = 1 << 20;

/// How long an error's body may take.
const ERROR_PATIENCE: Duration = Duration::from_secs(10);

/// An answer that is held, as far as it was read.
pub(super) struct Held {
    pub(super) head: http::response::Parts,
    pub(super) body: Content,
}

/// The body of an answer, as far as it was read.
pub(super) struct Content {
    pub(super) held: VecDeque<Frame<Bytes>>,
    pub(super) rest: Option<reqwest::Body>,
    /// Reads what passes, where it is a stream of events.
    pub(super) events: Option<EventReader>,
}

/// Reads as much of an answer as it takes to judge it.
pub(super) async fn read(
    answer: http::Response<reqwest::Body>,
    now: UnixMillis,
) -> Result<Judged<Held>, Silence> {
    let (head, body) = answer.into_parts();
    if !head.status.is_success() {
        return read_error(head, body, now).await;
    }
    if is_event_stream(&head.headers) {
        return read_preamble(head, body, now).await;
    }
    let reading = read_head(&head, now);
    Ok(judged(head, Content::whole(body), reading))
}

const fn judged(head: http::response::Parts, body: Content, reading: Reading) -> Judged<Held> {
    Judged {
        status: Some(head.status.as_u16()),
        reading,
        answer: Held { head, body },
    }
}

/// Reads an answer that is no success, as far as it is needed to judge it.
async fn read_error(
    head: http::response::Parts,
    body: reqwest::Body,
    now: UnixMillis,
) -> Result<Judged<Held>, Silence> {
    let mut body = Content::whole(body);
    let reading_it = body.hold(LARGEST_ERROR, |_| false);
    // When it takes too long, what came so far has to do.
    if let Ok(Err(error)) = tokio::time::timeout(ERROR_PATIENCE, reading_it).await {
        return Err(error.into());
    }
    let held = body.held_bytes();
    let reading = limit::Response {
        status: Some(head.status),
        headers: &head.headers,
        body: &decode::whole(&head.headers, &held, LARGEST_ERROR),
    }
    .read(now);
    Ok(judged(head, body, reading))
}

/// Reads a stream up to its first output: a limit that comes before it is as good as one that came
/// with the head.
async fn read_preamble(
    head: http::response::Parts,
    body: reqwest::Body,
    now: UnixMillis,
) -> Result<Judged<Held>, Silence> {
    let mut reading = read_head(&head, now);
    let mut body = Content::whole(body);
    let mut events = EventReader::of(&head.headers);
    let mut decides = |event| match event {
        Event::Preamble => false,
        Event::Notice(notice) => take_notice(&mut reading, &notice, &head.headers, now),
        Event::Output => true,
    };
    let held = body
        .hold(LARGEST_PREAMBLE, |bytes| {
            events.push(bytes).into_iter().any(&mut decides)
        })
        .await;
    if let Err(error) = held {
        return Err(error.into());
    }
    if body.rest.is_none() {
        // The last event of a stream may lack its blank line.
        events.finish().into_iter().for_each(|event| {
            decides(event);
        });
    }
    body.events = Some(events);
    Ok(judged(head, body, reading))
}

/// Adds what an event says to what the head said. Whether that decides it.
fn take_notice(
    reading: &mut Reading,
    notice: &serde_json::Value,
    head: &HeaderMap,
    now: UnixMillis,
) -> bool {
    let Some(said) = limit::read_event(notice, head, now) else {
        return false;
    };
    usage::update(&mut reading.windows, &said.windows);
    reading.plan_type = said.plan_type.or(reading.plan_type.take());
    let decides = said.verdict != Verdict::Ok;
    if decides {
        reading.verdict = said.verdict;
    }
    decides
}

fn read_head(head: &http::response::Parts, now: UnixMillis) -> Reading {
    limit::Response {
        status: Some(head.status),
        headers: &head.headers,
        body: b"",
    }
    .read(now)
}

pub(super) fn is_event_stream(headers: &HeaderMap) -> bool {
    headers
        .get(CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"))
}

impl Content {
    fn whole(body: reqwest::Body) -> Self {
        Self {
            held: VecDeque::new(),
            rest: Some(body),
            events: None,
        }
    }

    /// Reads on and keeps what comes, until `enough` says so, or it is too much, or the end.
    async fn hold(
        &mut self,
        most: usize,
        mut enough: impl FnMut(&Bytes) -> bool,
    ) -> Result<(), reqwest::Error> {
        let mut length = 0;
        while let Some(rest) = &mut self.rest {
            let Some(frame) = rest.frame().await else {
                self.rest = None;
                break;
            };
            let frame = frame?;
            let stop = frame.data_ref().is_some_and(|data| {
                length += data.len();
                enough(data)
            });
            self.held.push_back(frame);
            if stop || length > most {
                break;
            }
        }
        Ok(())
    }

    fn held_bytes(&self) -> Vec<u8> {
        let data = self.held.iter().filter_map(Frame::data_ref);
        data.flat_map(|bytes| bytes.iter().copied()).collect()
    }
}
