//! What came back when an account was asked: the answer as far as it was read, and what it means.
//! Until its first byte of content an answer is held here; it goes nowhere from here by itself.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use http_body_util::BodyExt;
use hyper::body::Frame;

use super::decode::{self, EventReader};
use super::failover::Outcome;
use crate::account::limit::{self, Reading, Verdict};
use crate::account::stream::Event;
use crate::account::time::UnixMillis;
use crate::account::usage;

/// Of an answer that is no success, this much is read to be judged.
pub(super) const LARGEST_ERROR: usize = 1 << 20;

/// Of a stream, this much is held back at most while nothing but preamble has come.
const LARGEST_PREAMBLE: usize = 1 << 20;

/// How long an error's body may take.
const ERROR_PATIENCE: Duration = Duration::from_secs(10);

/// What came of asking one account.
pub(super) enum Asked {
    /// An answer to be passed on, if nothing better comes.
    Answer(Box<Answered>),
    /// No answer, or one that broke off.
    Nothing { reason: String },
    /// It was not asked: there is no token to ask with.
    NoToken { reason: String },
}

/// An answer, and what it means.
pub(super) struct Answered {
    pub(super) head: http::response::Parts,
    pub(super) body: Content,
    pub(super) reading: Reading,
}

/// The body of an answer, as far as it was read.
pub(super) struct Content {
    pub(super) held: VecDeque<Frame<Bytes>>,
    pub(super) rest: Option<reqwest::Body>,
    /// Reads what passes, where it is a stream of events.
    pub(super) events: Option<EventReader>,
}

impl Asked {
    /// Reads as much of an answer as it takes to judge it.
    pub(super) async fn read(answer: http::Response<reqwest::Body>, now: UnixMillis) -> Self {
        let (head, body) = answer.into_parts();
        if !head.status.is_success() {
            return read_error(head, body, now).await;
        }
        if is_event_stream(&head.headers) {
            return read_preamble(head, body, now).await;
        }
        let reading = read_head(&head, now);
        Self::answer(head, Content::whole(body), reading)
    }

    fn answer(head: http::response::Parts, body: Content, reading: Reading) -> Self {
        Self::Answer(Box::new(Answered {
            head,
            body,
            reading,
        }))
    }

    pub(super) fn outcome(&self) -> Outcome<'_> {
        match self {
            Self::Answer(answer) => Outcome::Answer(&answer.reading.verdict),
            Self::Nothing { .. } | Self::NoToken { .. } => Outcome::NoAnswer,
        }
    }

    /// The reason without the address, and with the causes that say what it is.
    pub(super) fn nothing(error: &reqwest::Error) -> Self {
        let mut reason = String::new();
        let mut cause: Option<&dyn std::error::Error> = std::error::Error::source(error);
        while let Some(error) = cause {
            if !reason.is_empty() {
                reason.push_str(": ");
            }
            reason.push_str(&error.to_string());
            cause = error.source();
        }
        Self::Nothing { reason }
    }
}

/// Reads an answer that is no success, as far as it is needed to judge it.
async fn read_error(head: http::response::Parts, body: reqwest::Body, now: UnixMillis) -> Asked {
    let mut body = Content::whole(body);
    let reading_it = body.hold(LARGEST_ERROR, |_| false);
    // When it takes too long, what came so far has to do.
    if let Ok(Err(error)) = tokio::time::timeout(ERROR_PATIENCE, reading_it).await {
        return Asked::nothing(&error);
    }
    let held = body.held_bytes();
    let reading = limit::Response {
        status: Some(head.status),
        headers: &head.headers,
        body: &decode::whole(&head.headers, &held, LARGEST_ERROR),
    }
    .read(now);
    Asked::answer(head, body, reading)
}

/// Reads a stream up to its first output: a limit that comes before it is as good as one that came
/// with the head.
async fn read_preamble(head: http::response::Parts, body: reqwest::Body, now: UnixMillis) -> Asked {
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
        return Asked::nothing(&error);
    }
    if body.rest.is_none() {
        // The last event of a stream may lack its blank line.
        events.finish().into_iter().for_each(|event| {
            decides(event);
        });
    }
    body.events = Some(events);
    Asked::answer(head, body, reading)
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
