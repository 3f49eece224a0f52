//! One request, from the client's head to the last byte of the answer. Until the first byte of
//! content has gone to the client, whatever fails is tried again where nobody sees it; from then on
//! bytes pass as they come, and are only watched.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Response;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;

use super::answered::{Answered, Asked};
use super::failover::{Step, Tries};
use super::guard::{self, Key};
use super::log::{Event as LogEvent, Line, Log, millis};
use super::passing::{Passing, Watcher};
use super::pool::{Choice, Pool, Wanted, Word};
use super::turns::Turns;
use super::upstream::{self, Question, TURN_STATE, Upstream};
use super::{hold, intake, own};
use crate::account::Account;
use crate::account::limit::Verdict;
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
            return Ok(own::refusal(status).map(full));
        }
        let body = match intake::read(body).await {
            Ok(body) => body,
            Err(status) => return Ok(own::refusal(status).map(full)),
        };
        let named = intake::Named::of(&head.headers, &body);
        let errand = Errand {
            number: self.count.fetch_add(1, Ordering::Relaxed),
            relay: self,
            started: Instant::now(),
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
                        None => self.own(own::nobody(nothing)),
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
        self.tries.turn_to_another();
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
            Asked::Nothing { reason } => return self.own(own::bad_gateway(&reason)),
        };
        let mut response = Response::new(());
        *response.status_mut() = head.status;
        *response.headers_mut() = upstream::answer_headers(&head.headers);
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

    pub(super) fn all_limited(&self, name: &str, until: UnixMillis) -> Response<Answer> {
        self.own(own::all_limited(name, until, self.relay.pool.now()))
    }

    /// An answer of the relay's own.
    fn own(&self, response: Response<String>) -> Response<Answer> {
        self.relay.log.write(&Line {
            at: self.relay.pool.now(),
            request: self.number,
            event: LogEvent::Done {
                session: self.session().as_deref(),
                account: None,
                status: response.status().as_u16(),
                first_byte_ms: None,
                bytes: response.body().len() as u64,
                whole: true,
            },
        });
        response.map(full)
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

fn full(text: String) -> Answer {
    Full::new(Bytes::from(text))
        .map_err(|never| match never {})
        .boxed_unsync()
}
