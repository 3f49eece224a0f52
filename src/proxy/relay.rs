//! One request, from the client's head to the last byte of the answer. Until the first byte of
//! content has gone to the client, whatever fails is tried again where nobody sees it; from then on
//! bytes pass as they come, and are only watched.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;

use super::answered::{Answered, Asked};
use super::entry::Entry;
use super::failover::{Step, Tries};
use super::guard::{self, Key};
use super::log::{Event, Log, millis};
use super::pace::Pace;
use super::passing::{Passing, Watcher};
use super::pool::{Choice, Pool, Wanted, Word};
use super::turns::Turns;
use super::upstream::{self, Question, TURN_STATE, Upstream};
use super::{hold, intake, own};
use crate::account::Account;
use crate::account::limit::Verdict;
use crate::account::pick::Nothing;
use crate::account::time::UnixMillis;

/// A request that is held looks for an account this often.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

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
    /// Who may ask an account that is asked too fast.
    pub pace: Pace,
    /// The number of the last request.
    pub count: AtomicU64,
}

/// One request on its way.
pub(super) struct Errand {
    relay: Arc<Relay>,
    entry: Entry,
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
    /// An account's answer.
    Answer(Box<Tried>),
    /// Nobody has one, and the relay says why.
    Own(Response<String>),
    /// Every account is limited; this one comes back first.
    Limited { name: String, until: UnixMillis },
}

/// What came of asking one account.
pub(super) struct Tried {
    account: Account,
    answer: Asked,
    /// When the account was chosen.
    asked_at: UnixMillis,
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
        let entry = self.entry(&head.headers);
        if let Err(status) = guard::admit(&head, &self.key) {
            return Ok(send_own(entry, own::refusal(status)));
        }
        let body = match intake::read(body).await {
            Ok(body) => body,
            Err(status) => return Ok(send_own(entry, own::refusal(status))),
        };
        let named = intake::Named::of(&head.headers, &body);
        let errand = Errand {
            chosen_at: self.pool.now(),
            relay: self,
            entry,
            streams: named.stream || intake::accepts_events(&head.headers),
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
        };
        Ok(errand.run().await)
    }

    fn entry(&self, headers: &HeaderMap) -> Entry {
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        let session = headers.get("session-id").and_then(|id| id.to_str().ok());
        let session = session.map(str::to_owned);
        Entry::new(Arc::clone(&self.log), self.pool.clock(), number, session)
    }
}

impl Errand {
    /// Asks until there is an answer for the client.
    async fn run(mut self) -> Response<Answer> {
        loop {
            match self.attempt().await {
                Attempt::Answer(tried) => return self.pass_on(*tried),
                Attempt::Own(answer) => return send_own(self.entry, answer),
                Attempt::Limited { name, until } if !self.can_wait(until) => {
                    let answer = self.all_limited(&name, until);
                    return send_own(self.entry, answer);
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
                Choice::Nothing(nothing) => return nobody_else(last, nothing),
            };
            let (tried, next) = self.ask_as(account).await;
            match next {
                None => return Attempt::Answer(Box::new(tried)),
                Some(next) => choice = next,
            }
            last = Some(tried);
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
    async fn ask_as(&mut self, account: Account) -> (Tried, Option<Choice>) {
        self.tries.turn_to_another();
        let mut account = match self.relay.pool.with_token(&account).await {
            Ok(fresh) => fresh,
            Err(error) => {
                let reason = error.to_string();
                let tried = self.tried(account, Asked::NoToken { reason });
                return self.leave(tried).await;
            }
        };
        let relay = Arc::clone(&self.relay);
        let mut turn = relay.pace.turn(&account).await;
        loop {
            let sent = Instant::now();
            let answer = self.ask(&account).await;
            let step = self.tries.step(answer.outcome(), relay.pool.now());
            self.write_answer(&account, &answer, step, sent);
            match step {
                Step::PassOn => {
                    relay.pace.served(&turn);
                    let tried = self.tried(account, answer);
                    self.record(&tried);
                    return (tried, None);
                }
                Step::Again(after) => tokio::time::sleep(after).await,
                Step::Wait(wait) => match relay.pace.turn_again(turn, wait).await {
                    Some(another) => turn = another,
                    None => {
                        self.tries.hop();
                        let tried = self.tried(account, answer);
                        return self.leave(tried).await;
                    }
                },
                Step::Refresh => match relay.pool.with_other_token(&account).await {
                    Ok(fresh) => account = fresh,
                    Err(_) => {
                        let tried = self.tried(account, answer);
                        return self.leave(tried).await;
                    }
                },
                Step::Next => {
                    let tried = self.tried(account, answer);
                    return self.leave(tried).await;
                }
            }
        }
    }

    const fn tried(&self, account: Account, answer: Asked) -> Tried {
        Tried {
            account,
            answer,
            asked_at: self.chosen_at,
        }
    }

    /// Turns to the next account, and records what the answer of this one said.
    async fn leave(&mut self, tried: Tried) -> (Tried, Option<Choice>) {
        self.wanted.tried.push(tried.account.clone());
        let next = match self.word(&tried) {
            Some(word) => self.fail_over(word).await,
            None => self.choose().await,
        };
        (tried, Some(next))
    }

    /// Asks once, and reads as much of the answer as it takes to judge it.
    async fn ask(&self, account: &Account) -> Asked {
        let relay = &self.relay;
        let mut states = self.question.headers.get_all(TURN_STATE).iter();
        let keeps_turn = states.all(|state| relay.turns.is_of(state, account));
        let asking = async {
            let answer = relay
                .upstream
                .ask(&self.question, account, keeps_turn)
                .await?;
            if let Some(turn) = answer.headers().get(TURN_STATE) {
                relay.turns.remember(turn, account);
            }
            Ok(Asked::read(answer, relay.pool.now()).await)
        };
        match tokio::time::timeout(relay.head_patience, asking).await {
            Ok(Ok(asked)) => asked,
            Ok(Err(error)) => Asked::nothing(&error),
            Err(_) => Asked::Nothing {
                reason: "the upstream did not answer in time".to_owned(),
            },
        }
    }

    /// Whether the request may be held so long.
    pub(super) fn can_wait(&self, until: UnixMillis) -> bool {
        self.entry.age() + until.since(self.relay.pool.now()) <= self.relay.max_wait
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

    fn word(&self, tried: &Tried) -> Option<Word> {
        let Asked::Answer(answer) = &tried.answer else {
            return None;
        };
        // That a login is dead only the issuer can say, and a refused token was renewed already.
        let no_proof = matches!(
            answer.reading.verdict,
            Verdict::LoginRequired { .. } | Verdict::Unauthorized { .. }
        );
        (!no_proof).then(|| Word {
            account: tried.account.clone(),
            reading: answer.reading.clone(),
            asked_at: tried.asked_at,
            heard_at: self.relay.pool.now(),
            model: self.wanted.model.clone(),
        })
    }

    fn record(&self, tried: &Tried) {
        if let Some(word) = self.word(tried) {
            // A success lifts marks; where there are none, it is no news.
            let says_nothing = word.reading.windows.is_empty()
                && match word.reading.verdict {
                    Verdict::Ok => tried.account.limits().is_empty(),
                    Verdict::Server | Verdict::Other => true,
                    _ => false,
                };
            if !says_nothing {
                self.relay.pool.record_soon(word);
            }
        }
    }

    pub(super) fn pass_on(mut self, tried: Tried) -> Response<Answer> {
        let Answered {
            head,
            body,
            reading,
        } = match tried.answer {
            Asked::Answer(answer) => *answer,
            Asked::Nothing { reason } => {
                return send_own(self.entry, own::bad_gateway(&reason));
            }
            Asked::NoToken { reason } => return send_own(self.entry, own::no_token(&reason)),
        };
        self.entry.account = Some(tried.account.name().to_owned());
        self.entry.verdict = Some(reading.verdict.word());
        self.entry.note_head(head.status.as_u16());
        let mut response = Response::new(());
        *response.status_mut() = head.status;
        *response.headers_mut() = upstream::answer_headers(&head.headers);
        let watcher = Watcher {
            pool: Arc::clone(&self.relay.pool),
            head: head.headers,
            account: tried.account,
            model: self.wanted.model,
            asked_at: tried.asked_at,
        };
        let passing = Passing::new(body, watcher, self.entry);
        response.map(|()| passing.boxed_unsync())
    }

    pub(super) fn all_limited(&self, name: &str, until: UnixMillis) -> Response<String> {
        own::all_limited(name, until, self.relay.pool.now())
    }

    /// Sends an answer of the relay's own.
    pub(super) fn send_own(self, answer: Response<String>) -> Response<Answer> {
        send_own(self.entry, answer)
    }

    /// The head goes out before there is an answer.
    pub(super) fn note_head(&mut self, status: StatusCode) {
        self.entry.note_head(status.as_u16());
    }

    fn write_answer(&self, account: &Account, answer: &Asked, step: Step, sent: Instant) {
        let (status, verdict) = match answer {
            Asked::Answer(answer) => (
                Some(answer.head.status.as_u16()),
                answer.reading.verdict.word(),
            ),
            Asked::Nothing { reason } | Asked::NoToken { reason } => (None, reason.as_str()),
        };
        self.entry.write(Event::Answer {
            account: account.name(),
            status,
            verdict,
            step: step.word(),
            head_ms: millis(sent.elapsed()),
        });
    }
}

/// When there is no other account to ask: the last answer, unless the person has to do something
/// before there can be a better one.
fn nobody_else(last: Option<Tried>, nothing: Nothing) -> Attempt {
    match last {
        Some(tried) if nothing != Nothing::LoginRequired => Attempt::Answer(Box::new(tried)),
        _ => Attempt::Own(own::nobody(nothing)),
    }
}

fn send_own(mut entry: Entry, answer: Response<String>) -> Response<Answer> {
    entry.note_head(answer.status().as_u16());
    entry.note_bytes(answer.body().len());
    entry.note_end();
    answer.map(full)
}

fn full(text: String) -> Answer {
    Full::new(Bytes::from(text))
        .map_err(|never| match never {})
        .boxed_unsync()
}
