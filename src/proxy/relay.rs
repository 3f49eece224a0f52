//! One request, from the client's head to the last byte of the answer. Until the first byte of
//! content has gone to the client, whatever fails is tried again where nobody sees it; from then on
//! bytes pass as they come, and are only watched.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use serde::Deserialize;
use serde_json::json;

use super::failover::{Outcome, Step, Tries};
use super::guard::{self, Key};
use super::hold;
use super::log::{Event as LogEvent, Line, Log};
use super::pool::{Choice, Pool, Wanted, Word};
use super::turns::Turns;
use super::upstream::{self, Question, TURN_STATE, Upstream};
use crate::account::Account;
use crate::account::limit::{self, Reading, Verdict};
use crate::account::pick::Nothing;
use crate::account::stream::{Event, Events};
use crate::account::time::UnixMillis;

/// A request larger than this is refused: it has to be kept to be asked again.
const LARGEST_REQUEST: usize = 64 << 20;

/// Of an answer that is no success, this much is read to be judged.
pub(super) const LARGEST_ERROR: usize = 1 << 20;

/// Of a stream, this much is held back at most while nothing but preamble has come.
const LARGEST_PREAMBLE: usize = 1 << 20;

/// A request that is held looks for an account this often.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// How long an error's body may take.
const ERROR_PATIENCE: Duration = Duration::from_secs(10);

/// The body of an answer to the client.
pub type Answer = UnsyncBoxBody<Bytes, reqwest::Error>;

/// What serves requests.
pub struct Relay {
    /// Who is let in.
    pub key: Key,
    /// The accounts.
    pub pool: Arc<Pool>,
    /// Where requests go.
    pub upstream: Upstream,
    /// How long a request is held when every account is limited.
    pub max_wait: Duration,
    /// How long the head of an answer may take.
    pub head_patience: Duration,
    /// Where it is written down.
    pub log: Arc<Log>,
    /// Which account gave which turn state.
    pub turns: Turns,
    /// The number of the last request.
    pub count: AtomicU64,
}

/// One request on its way.
pub(super) struct Errand {
    relay: Arc<Relay>,
    number: u64,
    started: Instant,
    question: Question,
    wanted: Wanted,
    /// The client takes the answer as a stream of events.
    streams: bool,
    tries: Tries,
    /// When the account was chosen that is asked now: a mark made since then tells of the same
    /// event, and was not there to be seen.
    chosen_at: UnixMillis,
}

/// What came of asking the accounts.
pub(super) enum Attempt {
    /// The client's answer.
    Answer(Response<Answer>),
    /// Every account is limited; this one comes back first.
    Limited { name: String, until: UnixMillis },
}

/// What came of asking one account.
enum Asked {
    /// An answer to be passed on, if nothing better comes.
    Answer(Box<Answered>),
    /// No answer, or one that broke off.
    Nothing { reason: String },
}

/// An answer, and what it means.
struct Answered {
    head: http::response::Parts,
    body: Content,
    reading: Reading,
}

/// The body of an answer, as far as it was read.
struct Content {
    held: VecDeque<Frame<Bytes>>,
    rest: Option<reqwest::Body>,
    /// Cuts what passes into events, where it is a stream of them.
    events: Option<Events>,
}

impl Relay {
    /// Serves one request.
    ///
    /// # Errors
    /// Never: what goes wrong is an answer.
    pub async fn serve(
        self: Arc<Self>,
        request: hyper::Request<Incoming>,
    ) -> Result<Response<Answer>, Infallible> {
        let (head, body) = request.into_parts();
        if let Err(status) = guard::admit(&head, &self.key) {
            return Ok(refusal(status));
        }
        let body = match Limited::new(body, LARGEST_REQUEST).collect().await {
            Ok(body) => body.to_bytes(),
            Err(error) if error.is::<LengthLimitError>() => {
                return Ok(refusal(StatusCode::PAYLOAD_TOO_LARGE));
            }
            Err(_) => return Ok(refusal(StatusCode::BAD_REQUEST)),
        };
        let named = Named::of(&body);
        let errand = Errand {
            number: self.count.fetch_add(1, Ordering::Relaxed),
            relay: self,
            started: Instant::now(),
            streams: named.stream || accepts_events(&head.headers),
            wanted: Wanted {
                model: named.model,
                tried: Vec::new(),
            },
            question: Question {
                method: head.method,
                uri: head.uri,
                headers: upstream::request_headers(&head.headers),
                body,
            },
            tries: Tries::default(),
            chosen_at: UnixMillis::NEVER,
        };
        Ok(errand.run().await)
    }
}

impl Errand {
    /// Asks until there is an answer for the client.
    async fn run(mut self) -> Response<Answer> {
        loop {
            match self.attempt().await {
                Attempt::Answer(answer) => return answer,
                Attempt::Limited { name, until } if !self.can_wait(until) => {
                    return self.all_limited(&name, until);
                }
                Attempt::Limited { until, .. } if self.streams && until > self.next_look() => {
                    return hold::hold(self, until);
                }
                Attempt::Limited { until, .. } => self.wait(until).await,
            }
        }
    }

    /// Asks every account that can be used, one after the other, until one has an answer.
    pub(super) async fn attempt(&mut self) -> Attempt {
        self.wanted.tried.clear();
        let mut choice = self.choose().await;
        // The best answer so far, for when nobody has a better one.
        let mut last = None;
        loop {
            let account = match choice {
                Choice::Account(account) => *account,
                Choice::Limited { name, until } => return Attempt::Limited { name, until },
                Choice::Nothing(nothing) => {
                    return Attempt::Answer(match last {
                        Some((account, answer)) => self.pass_on(account, answer),
                        None => self.nobody(nothing),
                    });
                }
            };
            let (account, answer, next) = self.ask_as(account).await;
            match next {
                None => return Attempt::Answer(self.pass_on(account, answer)),
                Some(next) => choice = next,
            }
            last = Some((account, answer));
        }
    }

    async fn choose(&mut self) -> Choice {
        self.chosen_at = self.just_before_now();
        self.relay.pool.choose(&self.wanted).await
    }

    async fn fail_over(&mut self, word: Word) -> Choice {
        self.chosen_at = self.just_before_now();
        self.relay.pool.fail_over(word, &self.wanted).await
    }

    /// A mark of this very millisecond may still be to come.
    fn just_before_now(&self) -> UnixMillis {
        UnixMillis::from_millis(self.relay.pool.now().as_millis().saturating_sub(1))
    }

    /// Asks as one account, until the answer is the client's or another account is to be asked.
    async fn ask_as(&mut self, mut account: Account) -> (Account, Asked, Option<Choice>) {
        match self.relay.pool.with_token(&account).await {
            Ok(fresh) => account = fresh,
            Err(error) => {
                let reason = error.to_string();
                self.wanted.tried.push(account.clone());
                let next = self.choose().await;
                return (account, Asked::Nothing { reason }, Some(next));
            }
        }
        loop {
            let asked_at = self.chosen_at;
            let sent = Instant::now();
            let answer = self.ask(&account).await;
            let step = self.tries.step(answer.outcome(), self.relay.pool.now());
            self.write_answer(&account, &answer, step, sent);
            match step {
                Step::PassOn => {
                    self.record(&account, &answer, asked_at);
                    return (account, answer, None);
                }
                Step::Again(after) => tokio::time::sleep(after).await,
                Step::Refresh => match self.relay.pool.with_other_token(&account).await {
                    Ok(fresh) => account = fresh,
                    Err(_) => {
                        self.wanted.tried.push(account.clone());
                        let next = self.choose().await;
                        return (account, answer, Some(next));
                    }
                },
                Step::Next => {
                    self.wanted.tried.push(account.clone());
                    let next = match self.word(&account, &answer, asked_at) {
                        Some(word) => self.fail_over(word).await,
                        None => self.choose().await,
                    };
                    return (account, answer, Some(next));
                }
            }
        }
    }

    /// Asks once, and reads as much of the answer as it takes to judge it.
    async fn ask(&self, account: &Account) -> Asked {
        let relay = &self.relay;
        let turn_state = self.question.headers.get(TURN_STATE);
        let keeps_turn = turn_state.is_some_and(|turn| relay.turns.is_of(turn, account));
        let asking = relay.upstream.ask(&self.question, account, keeps_turn);
        let answer = match tokio::time::timeout(relay.head_patience, asking).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => return Asked::nothing(&error),
            Err(_) => {
                return Asked::Nothing {
                    reason: "the upstream did not answer in time".to_owned(),
                };
            }
        };
        let (head, body) = answer.into_parts();
        if let Some(turn) = head.headers.get(TURN_STATE) {
            relay.turns.remember(turn, account);
        }
        if !head.status.is_success() {
            return read_error(head, body, relay.pool.now()).await;
        }
        if is_event_stream(&head.headers) {
            return read_preamble(head, body, relay.pool.now()).await;
        }
        let reading = read_head(&head, relay.pool.now());
        Asked::answer(head, Content::whole(body), reading)
    }

    /// Whether the request may be held so long.
    pub(super) fn can_wait(&self, until: UnixMillis) -> bool {
        self.started.elapsed() + until.since(self.relay.pool.now()) <= self.relay.max_wait
    }

    /// Waits for an account to come back, but no longer than until the next look.
    pub(super) async fn wait(&self, until: UnixMillis) {
        let wait = until.min(self.next_look()).since(self.relay.pool.now());
        tokio::time::sleep(wait).await;
    }

    /// When the accounts are looked at again at the latest: another command may have lifted a limit
    /// or brought an account.
    fn next_look(&self) -> UnixMillis {
        self.relay.pool.now().plus(LOOK_AGAIN)
    }

    fn word(&self, account: &Account, answer: &Asked, asked_at: UnixMillis) -> Option<Word> {
        let Asked::Answer(answer) = answer else {
            return None;
        };
        let reading = &answer.reading;
        // That a login is dead only the issuer can say, and a refused token was renewed already.
        let no_proof = matches!(
            reading.verdict,
            Verdict::LoginRequired { .. } | Verdict::Unauthorized { .. }
        );
        (!no_proof).then(|| Word {
            account: account.clone(),
            reading: reading.clone(),
            asked_at,
            model: self.wanted.model.clone(),
        })
    }

    fn record(&self, account: &Account, answer: &Asked, asked_at: UnixMillis) {
        if let Some(word) = self.word(account, answer, asked_at) {
            // A success lifts marks; where there are none, it is no news.
            let says_nothing = word.reading.windows.is_empty()
                && match word.reading.verdict {
                    Verdict::Ok => account.limits().is_empty(),
                    Verdict::Server | Verdict::Other => true,
                    _ => false,
                };
            if !says_nothing {
                self.relay.pool.record_soon(word);
            }
        }
    }

    fn pass_on(&self, account: Account, answer: Asked) -> Response<Answer> {
        let Answered { head, body, .. } = match answer {
            Asked::Answer(answer) => *answer,
            Asked::Nothing { reason } => return self.bad_gateway(&reason),
        };
        let mut response = Response::new(());
        *response.status_mut() = head.status;
        *response.headers_mut() = upstream::end_to_end(&head.headers);
        let passing = Passing {
            content: body,
            account: account.name().to_owned(),
            session: self.session(),
            watcher: Watcher {
                pool: Arc::clone(&self.relay.pool),
                head: head.headers,
                account,
                model: self.wanted.model.clone(),
                asked_at: self.relay.pool.now(),
            },
            log: Arc::clone(&self.relay.log),
            number: self.number,
            started: self.started,
            status: head.status,
            first_byte: None,
            bytes: 0,
            whole: false,
        };
        response.map(|()| passing.boxed_unsync())
    }

    /// In the upstream's own shape, so that clients know what to do with it (PROTOCOL §4).
    pub(super) fn all_limited(&self, name: &str, until: UnixMillis) -> Response<Answer> {
        let wait = until.since(self.relay.pool.now());
        let seconds = wait.as_millis().div_ceil(1000);
        let body = json!({"error": {
            "type": "usage_limit_reached",
            "message": format!(
                "The usage limit of every account has been reached. '{name}' comes back first, in {}.",
                spoken(wait)
            ),
            "resets_at": until.as_secs_ceil(),
            "resets_in_seconds": seconds as u64,
        }});
        let mut response = self.own(StatusCode::TOO_MANY_REQUESTS, &body);
        if let Ok(seconds) = HeaderValue::try_from(seconds.to_string()) {
            response.headers_mut().insert(RETRY_AFTER, seconds);
        }
        response
    }

    fn nobody(&self, nothing: Nothing) -> Response<Answer> {
        let message = match nothing {
            Nothing::NoAccounts => "There is no account. Log in with: codex-accounts add",
            Nothing::NoneAllowed => "No account can be used for this. See: codex-accounts list",
            Nothing::LoginRequired => {
                "No account can be used without a new login. Log in with: codex-accounts add"
            }
        };
        let body =
            json!({"error": {"type": "no_account", "code": "no_account", "message": message}});
        self.own(StatusCode::FORBIDDEN, &body)
    }

    fn bad_gateway(&self, reason: &str) -> Response<Answer> {
        let body = json!({"error": {
            "type": "upstream_unreachable",
            "message": format!("The backend could not be reached: {reason}"),
        }});
        self.own(StatusCode::BAD_GATEWAY, &body)
    }

    /// An answer of the relay's own.
    fn own(&self, status: StatusCode, body: &serde_json::Value) -> Response<Answer> {
        let text = body.to_string();
        self.relay.log.write(&Line {
            at: self.relay.pool.now(),
            request: self.number,
            event: LogEvent::Done {
                session: self.session().as_deref(),
                account: None,
                status: status.as_u16(),
                first_byte_ms: None,
                bytes: text.len() as u64,
                whole: true,
            },
        });
        let mut response = Response::new(full(text));
        *response.status_mut() = status;
        response
            .headers_mut()
            .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        response
    }

    fn session(&self) -> Option<String> {
        let value = self.question.headers.get("session-id")?;
        value.to_str().ok().map(str::to_owned)
    }

    fn write_answer(&self, account: &Account, answer: &Asked, step: Step, sent: Instant) {
        let (status, verdict) = match answer {
            Asked::Answer(answer) => (
                Some(answer.head.status.as_u16()),
                answer.reading.verdict.word(),
            ),
            Asked::Nothing { reason } => (None, reason.as_str()),
        };
        self.relay.log.write(&Line {
            at: self.relay.pool.now(),
            request: self.number,
            event: LogEvent::Answer {
                account: account.name(),
                status,
                verdict,
                step: match step {
                    Step::PassOn => "pass-on",
                    Step::Again(_) => "again",
                    Step::Refresh => "refresh",
                    Step::Next => "next",
                },
                head_ms: millis(sent.elapsed()),
            },
        });
    }
}

impl Asked {
    fn answer(head: http::response::Parts, body: Content, reading: Reading) -> Self {
        Self::Answer(Box::new(Answered {
            head,
            body,
            reading,
        }))
    }

    fn outcome(&self) -> Outcome<'_> {
        match self {
            Self::Answer(answer) => Outcome::Answer(&answer.reading.verdict),
            Self::Nothing { .. } => Outcome::NoAnswer,
        }
    }

    /// The reason without the address, and with the causes that say what it is.
    fn nothing(error: &reqwest::Error) -> Self {
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
    let text = body.held_bytes();
    let reading = limit::Response {
        status: Some(head.status),
        headers: &head.headers,
        body: &text,
    }
    .read(now);
    Asked::answer(head, body, reading)
}

/// Reads a stream up to its first output: a limit that comes before it is as good as one that came
/// with the head.
async fn read_preamble(head: http::response::Parts, body: reqwest::Body, now: UnixMillis) -> Asked {
    let mut reading = read_head(&head, now);
    let mut body = Content::whole(body);
    let mut events = Events::default();
    let held = body
        .hold(LARGEST_PREAMBLE, |bytes| {
            events.push(bytes).into_iter().any(|event| match event {
                Event::Preamble => false,
                Event::Notice(notice) => take_notice(&mut reading, &notice, &head.headers, now),
                Event::Output => true,
            })
        })
        .await;
    if let Err(error) = held {
        return Asked::nothing(&error);
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
    reading.windows.extend(said.windows);
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

/// An answer on its way to the client. What is held goes first; the rest passes as it comes.
struct Passing {
    content: Content,
    watcher: Watcher,
    log: Arc<Log>,
    number: u64,
    account: String,
    session: Option<String>,
    started: Instant,
    status: StatusCode,
    first_byte: Option<Duration>,
    bytes: u64,
    whole: bool,
}

/// Sees what passes: a limit that comes after the first output is too late for this answer, but
/// not for the account.
struct Watcher {
    pool: Arc<Pool>,
    head: HeaderMap,
    account: Account,
    model: Option<String>,
    asked_at: UnixMillis,
}

impl Watcher {
    fn see(&self, notice: &serde_json::Value) {
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
                if let Event::Notice(notice) = event {
                    self.watcher.see(&notice);
                }
            }
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
            this.whole = true;
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
            None => this.whole = true,
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

/// What a request says of itself; one whose body is encoded says nothing that can be seen.
#[derive(Default, Deserialize)]
struct Named {
    model: Option<String>,
    #[serde(default)]
    stream: bool,
}

impl Named {
    fn of(body: &Bytes) -> Self {
        if !body.starts_with(b"{") {
            return Self::default();
        }
        serde_json::from_slice(body).unwrap_or_default()
    }
}

fn accepts_events(headers: &HeaderMap) -> bool {
    headers
        .get_all(ACCEPT)
        .into_iter()
        .any(|kinds| memchr::memmem::find(kinds.as_bytes(), b"text/event-stream").is_some())
}

fn refusal(status: StatusCode) -> Response<Answer> {
    let mut response = Response::new(full(String::new()));
    *response.status_mut() = status;
    if status == StatusCode::UPGRADE_REQUIRED {
        let http = HeaderValue::from_static("HTTP/1.1");
        response.headers_mut().insert(http::header::UPGRADE, http);
    }
    response
}

fn full(text: String) -> Answer {
    Full::new(Bytes::from(text))
        .map_err(|never| match never {})
        .boxed_unsync()
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// A wait in words: minutes where they matter, hours and days where those do.
fn spoken(wait: Duration) -> String {
    let minutes = wait.as_secs().div_ceil(60);
    match (minutes / 1440, minutes / 60 % 24, minutes % 60) {
        (0, 0, minutes) => format!("{minutes} min"),
        (0, hours, minutes) => format!("{hours} h {minutes} min"),
        (days, hours, _) => format!("{days} d {hours} h"),
    }
}
