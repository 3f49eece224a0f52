//! One request on its way through the accounts: choose one, ask it, judge what it says, and go on
//! as [`failover`] decides, until there is an answer for the client. How an account is asked is the
//! [`Transport`]'s; nothing here knows of HTTP or of WebSockets, and nothing goes to the client
//! from here.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::entry::Entry;
use super::failover::{Step, Tries};
use super::log::{Event, millis};
use super::pool::{Choice, Wanted};
use super::relay::Relay;
use crate::account::Account;
use crate::account::handle::Handle;
use crate::account::limit::{Reading, Verdict};
use crate::account::observation::{Asking, Observation};
use crate::account::pick::Nothing;
use crate::account::time::UnixMillis;

/// How one account is asked.
pub(super) trait Transport: Send {
    /// What an account said, as far as it was read: enough to judge it.
    type Answer: Send;

    /// Asks once, as this account.
    fn ask(
        &mut self,
        account: &Account,
    ) -> impl Future<Output = Result<Judged<Self::Answer>, Silence>> + Send;
}

/// What an account said, and what it means.
#[derive(Debug)]
pub(super) struct Judged<A> {
    /// Its status, if it has one.
    pub(super) status: Option<u16>,
    /// What it means.
    pub(super) reading: Reading,
    /// The answer itself.
    pub(super) answer: A,
}

/// No answer, or one that broke off before it could be judged: why.
#[derive(Clone, Debug)]
pub(super) struct Silence {
    pub(super) reason: String,
}

impl From<reqwest::Error> for Silence {
    /// The reason without the address, and with the causes that say what it is.
    fn from(error: reqwest::Error) -> Self {
        let mut reason = String::new();
        let mut cause = std::error::Error::source(&error);
        while let Some(error) = cause {
            if !reason.is_empty() {
                reason.push_str(": ");
            }
            reason.push_str(&error.to_string());
            cause = error.source();
        }
        Self { reason }
    }
}

/// One request on its way.
pub(super) struct Exchange {
    pub(super) relay: Arc<Relay>,
    pub(super) entry: Entry,
    wanted: Wanted,
    tries: Tries,
    /// When the account was chosen that is asked now: a mark made since then tells of the same
    /// event, and was not there to be seen.
    chosen_at: UnixMillis,
}

/// What came of asking the accounts.
pub(super) enum Outcome<A> {
    /// This is for the client.
    Answer(Box<Answered<A>>),
    /// There is no answer.
    None(NoAnswer),
}

/// An answer for the client, and who gave it.
pub(super) struct Answered<A> {
    pub(super) account: Account,
    pub(super) asking: Asking,
    pub(super) judged: Judged<A>,
}

/// Why there is no answer.
#[derive(Clone, Debug)]
pub(super) enum NoAnswer {
    /// Every account is limited; this one comes back first.
    Limited { name: String, until: UnixMillis },
    /// There is nobody to ask, and it is no use to wait.
    Nobody(Nothing),
    /// The upstream was asked, and said nothing.
    Silent(Silence),
    /// The issuer gave no token to ask with.
    NoToken { reason: String },
}

/// What came of asking one account.
enum Asked<A> {
    Judged(Judged<A>),
    Silent(Silence),
    NoToken { reason: String },
}

impl<A> Asked<A> {
    fn verdict(&self) -> Option<&Verdict> {
        match self {
            Self::Judged(judged) => Some(&judged.reading.verdict),
            Self::Silent(_) | Self::NoToken { .. } => None,
        }
    }
}

/// An account that was asked, and what came of it.
struct Attempt<A> {
    account: Account,
    asking: Asking,
    asked: Asked<A>,
}

impl<A> Attempt<A> {
    fn outcome(self) -> Outcome<A> {
        match self.asked {
            Asked::Judged(judged) => Outcome::Answer(Box::new(Answered {
                account: self.account,
                asking: self.asking,
                judged,
            })),
            Asked::Silent(silence) => Outcome::None(NoAnswer::Silent(silence)),
            Asked::NoToken { reason } => Outcome::None(NoAnswer::NoToken { reason }),
        }
    }
}

impl Exchange {
    pub(super) fn new(relay: Arc<Relay>, entry: Entry, model: Option<String>) -> Self {
        let chosen_at = relay.pool.now();
        Self {
            relay,
            entry,
            wanted: Wanted {
                model,
                excluded: Vec::new(),
            },
            tries: Tries::default(),
            chosen_at,
        }
    }

    /// Asks every account that can be used, one after the other, until one has an answer.
    pub(super) async fn run<T: Transport>(&mut self, transport: &mut T) -> Outcome<T::Answer> {
        self.wanted.excluded.clear();
        let mut choice = self.choose().await;
        // The best answer so far, for when nobody has a better one.
        let mut last: Option<Attempt<T::Answer>> = None;
        loop {
            let account = match choice {
                Choice::Account(account) => *account,
                Choice::Limited { name, until } => {
                    return Outcome::None(NoAnswer::Limited { name, until });
                }
                Choice::Nothing(nothing) => return nobody_else(last, nothing),
            };
            let (attempt, next) = self.ask_as(account, transport).await;
            match next {
                None => return attempt.outcome(),
                Some(next) => choice = next,
            }
            last = Some(attempt);
        }
    }

    async fn choose(&mut self) -> Choice {
        self.chosen_at = self.just_before_now();
        self.relay.pool.choose(&self.wanted).await
    }

    /// A mark of this very millisecond may still be to come.
    fn just_before_now(&self) -> UnixMillis {
        UnixMillis::from_millis(self.relay.pool.now().as_millis().saturating_sub(1))
    }

    /// Asks as one account, until the answer is the client's or another account is to be asked.
    async fn ask_as<T: Transport>(
        &mut self,
        account: Account,
        transport: &mut T,
    ) -> (Attempt<T::Answer>, Option<Choice>) {
        self.tries.turn_to_another();
        let mut account = match self.relay.pool.with_token(&account).await {
            Ok(fresh) => fresh,
            Err(error) => {
                let reason = error.to_string();
                return self.leave(account, Asked::NoToken { reason }).await;
            }
        };
        let relay = Arc::clone(&self.relay);
        let mut turn = relay.pace.turn(&account).await;
        loop {
            let sent = Instant::now();
            let asked = match transport.ask(&account).await {
                Ok(judged) => Asked::Judged(judged),
                Err(silence) => Asked::Silent(silence),
            };
            let step = self.tries.step(asked.verdict(), relay.pool.now());
            self.write(&account, &asked, step, sent.elapsed());
            match step {
                Step::PassOn => {
                    relay.pace.served(&turn);
                    let attempt = self.attempt(account, asked);
                    self.record(&attempt);
                    return (attempt, None);
                }
                Step::Again(after) => tokio::time::sleep(after).await,
                Step::Wait(wait) => match relay.pace.turn_again(turn, wait).await {
                    Some(another) => turn = another,
                    None => {
                        self.tries.hop();
                        return self.leave(account, asked).await;
                    }
                },
                Step::Refresh => match relay.pool.with_other_token(&account).await {
                    Ok(fresh) => account = fresh,
                    Err(_) => return self.leave(account, asked).await,
                },
                Step::Next => return self.leave(account, asked).await,
            }
        }
    }

    /// Turns to the next account, and records what the answer of this one said.
    async fn leave<A>(
        &mut self,
        account: Account,
        asked: Asked<A>,
    ) -> (Attempt<A>, Option<Choice>) {
        let attempt = self.attempt(account, asked);
        self.wanted.excluded.push(attempt.asking.who.clone());
        let next = match self.observation(&attempt) {
            Some(observation) => {
                self.chosen_at = self.just_before_now();
                self.relay.pool.fail_over(observation, &self.wanted).await
            }
            None => self.choose().await,
        };
        (attempt, Some(next))
    }

    fn attempt<A>(&self, account: Account, asked: Asked<A>) -> Attempt<A> {
        Attempt {
            asking: Asking {
                who: Handle::from(&account),
                model: self.wanted.model.clone(),
                at: self.chosen_at,
            },
            account,
            asked,
        }
    }

    fn observation<A>(&self, attempt: &Attempt<A>) -> Option<Observation> {
        let Asked::Judged(judged) = &attempt.asked else {
            return None;
        };
        // That a login is dead only the issuer can say, and a refused token was renewed already.
        let no_proof = matches!(
            judged.reading.verdict,
            Verdict::LoginRequired { .. } | Verdict::Unauthorized { .. }
        );
        (!no_proof).then(|| Observation {
            asking: attempt.asking.clone(),
            reading: judged.reading.clone(),
            seen_at: self.relay.pool.now(),
        })
    }

    fn record<A>(&self, attempt: &Attempt<A>) {
        if let Some(observation) = self.observation(attempt) {
            // A success lifts marks; where there are none, it is no news.
            let says_nothing = observation.reading.windows.is_empty()
                && match observation.reading.verdict {
                    Verdict::Ok => attempt.account.limits().is_empty(),
                    Verdict::ForeignContent(_)
                    | Verdict::Network
                    | Verdict::Server
                    | Verdict::Content
                    | Verdict::Other => true,
                    _ => false,
                };
            if !says_nothing {
                self.relay.pool.record_soon(observation);
            }
        }
    }

    fn write<A>(&self, account: &Account, asked: &Asked<A>, step: Step, took: Duration) {
        let (status, verdict) = match asked {
            Asked::Judged(judged) => (judged.status, judged.reading.verdict.word()),
            Asked::Silent(Silence { reason }) | Asked::NoToken { reason } => {
                (None, reason.as_str())
            }
        };
        self.entry.write(Event::Answer {
            account: account.name(),
            status,
            verdict,
            step: step.word(),
            head_ms: millis(took),
        });
    }
}

/// When there is no other account to ask: the last answer, unless the person has to do something
/// before there can be a better one.
fn nobody_else<A>(last: Option<Attempt<A>>, nothing: Nothing) -> Outcome<A> {
    match last {
        Some(attempt) if nothing != Nothing::LoginRequired => attempt.outcome(),
        _ => Outcome::None(NoAnswer::Nobody(nothing)),
    }
}
