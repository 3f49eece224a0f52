//! An answer that came back, read as far as it takes to say what it means. Until its first byte of
//! content it is held here; it goes nowhere from here by itself.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use http_body_util::BodyExt;
use hyper::body::Frame;
use tokio::time::{Instant, timeout};

use crate::account::Account;
use crate::account::limit::{self, Reading, Verdict};
use crate::account::secret::AccessToken;
use crate::account::session::Blob;
use crate::account::stream::Event;
use crate::account::time::UnixMillis;
use crate::account::usage;
use crate::proxy::decode::{self, EventReader};
use crate::proxy::exchange::Judged;
use crate::proxy::silence::Silence;
use crate::proxy::upstream;

/// Of an answer that is no success, this much is read to be judged.
pub(super) const LARGEST_ERROR: usize = 1 << 20;

/// Of a stream, this much is held back at most while nothing but preamble has come.
const LARGEST_PREAMBLE: usize = 1 << 20;

/// A stream that lives is held back so long at most: after a few minutes without anything clients
/// take it for dead.
const LONGEST_PREAMBLE: Duration = Duration::from_secs(60);

/// How long an error's body may take.
const ERROR_PATIENCE: Duration = Duration::from_secs(10);

/// An answer that is held, as far as it was read.
pub(in crate::proxy) struct Held {
    pub(in crate::proxy) head: http::response::Parts,
    pub(in crate::proxy) body: Content,
    /// The blobs that are in it so far.
    pub(in crate::proxy) made: Vec<Blob>,
}

impl Held {
    /// Whether it is a refusal that repeats the token it was asked with: no business of the client.
    pub(in crate::proxy) fn holds(&self, account: &Account) -> bool {
        let Some(token) = account.tokens.access.as_ref().map(AccessToken::expose) else {
            return false;
        };
        if self.head.status.is_success() || token.is_empty() {
            return false;
        }
        let holds = |text: &[u8]| memchr::memmem::find(text, token.as_bytes()).is_some();
        let held = self.body.held_bytes();
        holds(&decode::whole(&self.head.headers, &held, LARGEST_ERROR))
            || holds(&held)
            || self
                .head
                .headers
                .values()
                .any(|value| holds(value.as_bytes()))
    }
}

/// The body of an answer, as far as it was read.
pub(in crate::proxy) struct Content {
    pub(super) held: VecDeque<Frame<Bytes>>,
    pub(super) rest: Option<upstream::Answer>,
    /// Reads what passes, where it is a stream of events.
    pub(super) events: Option<EventReader>,
}

/// Reads as much of an answer as it takes to judge it; a stream may fall silent for `patience`.
pub(in crate::proxy) async fn read(
    answer: http::Response<upstream::Answer>,
    patience: Duration,
    now: UnixMillis,
) -> Result<Judged<Held>, Silence> {
    let (head, body) = answer.into_parts();
    if !head.status.is_success() {
        return read_error(head, body, now).await;
    }
    if is_event_stream(&head.headers) {
        return read_preamble(head, body, patience, now).await;
    }
    let reading = read_head(&head, now);
    Ok(judged(head, Content::whole(body), reading))
}

const fn judged(head: http::response::Parts, body: Content, reading: Reading) -> Judged<Held> {
    Judged {
        status: Some(head.status.as_u16()),
        reading,
        answer: Held {
            head,
            body,
            made: Vec::new(),
        },
    }
}

/// Reads an answer that is no success, as far as it is needed to judge it.
async fn read_error(
    head: http::response::Parts,
    body: upstream::Answer,
    now: UnixMillis,
) -> Result<Judged<Held>, Silence> {
    let mut body = Content::whole(body);
    let reading_it = body.hold(LARGEST_ERROR, None, |_| false);
    // When it takes too long, what came so far has to do.
    if let Ok(Err(silence)) = timeout(ERROR_PATIENCE, reading_it).await {
        return Err(silence);
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

/// Reads a stream up to its first output: what fails before it is as good as a failure that came
/// with the head. Patience is for silence: a stream that lives and says nothing is held so long,
/// and then it is the client's.
async fn read_preamble(
    head: http::response::Parts,
    body: upstream::Answer,
    patience: Duration,
    now: UnixMillis,
) -> Result<Judged<Held>, Silence> {
    let mut preamble = Preamble {
        reading: read_head(&head, now),
        decided: false,
        made: Vec::new(),
        head: &head.headers,
        now,
    };
    let mut body = Content::whole(body);
    let mut events = EventReader::of(&head.headers);
    let held = body
        .hold(LARGEST_PREAMBLE, Some(patience), |bytes| {
            // All of them: a limit may stand right behind the first output.
            events.push(bytes, |event| preamble.take(event));
            preamble.decided
        })
        .await;
    held?;
    if body.rest.is_none() {
        // The last event of a stream may lack its blank line.
        events
            .finish()
            .iter()
            .for_each(|event| preamble.take(event));
        if !preamble.decided {
            preamble.reading.verdict = Verdict::Server;
        }
    }
    body.events = Some(events);
    let Preamble { reading, made, .. } = preamble;
    let mut judged = judged(head, body, reading);
    judged.answer.made = made;
    Ok(judged)
}

/// What the beginning of a stream said.
struct Preamble<'a> {
    reading: Reading,
    /// There was output, or a failure: it is known what the answer is.
    decided: bool,
    made: Vec<Blob>,
    head: &'a HeaderMap,
    now: UnixMillis,
}

impl Preamble<'_> {
    fn take(&mut self, event: &Event) {
        self.decided |= event.is_terminal() || event.is_output();
        if let Event::Item(blobs) = event {
            self.made.extend(blobs);
        }
        let Event::Notice(notice) = event else {
            return;
        };
        let Some(said) = limit::read_event(notice, self.head, self.now) else {
            return;
        };
        usage::update(&mut self.reading.windows, &said.windows);
        self.reading.plan_type = said.plan_type.or(self.reading.plan_type.take());
        if said.verdict != Verdict::Ok {
            self.reading.verdict = said.verdict;
        }
    }
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
    fn whole(body: upstream::Answer) -> Self {
        Self {
            held: VecDeque::new(),
            rest: Some(body),
            events: None,
        }
    }

    /// Reads on and keeps what comes, until `enough` says so, or it is too much, or the end. Where
    /// there is a patience, no silence may last longer, and no more is read when it is over.
    async fn hold(
        &mut self,
        most: usize,
        patience: Option<Duration>,
        mut enough: impl FnMut(&Bytes) -> bool,
    ) -> Result<(), Silence> {
        let until = patience.map(|patience| Instant::now() + patience.min(LONGEST_PREAMBLE));
        let mut length = 0;
        while let Some(rest) = &mut self.rest {
            let frame = match patience {
                Some(patience) => timeout(patience, rest.frame())
                    .await
                    .map_err(|_| Silence::of_server("the upstream fell silent"))?,
                None => rest.frame().await,
            };
            let Some(frame) = frame.transpose()? else {
                self.rest = None;
                break;
            };
            let stop = frame.data_ref().is_some_and(|data| {
                length += data.len();
                enough(data)
            });
            self.held.push_back(frame);
            if stop || length > most || until.is_some_and(|until| Instant::now() >= until) {
                break;
            }
        }
        Ok(())
    }

    /// What was read of it.
    pub(in crate::proxy) fn held_bytes(&self) -> Vec<u8> {
        let data = self.held.iter().filter_map(Frame::data_ref);
        data.flat_map(|bytes| bytes.iter().copied()).collect()
    }
}
