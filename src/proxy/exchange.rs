//! One request on its way through the accounts: choose one, ask it, judge what it says, and go on
//! as [`failover`] decides, until there is an answer for the client. How an account is asked is the
//! [`Transport`]'s; nothing here knows of HTTP or of WebSockets, and nothing goes to the client
//! from here.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::entry::Entry;
use super::failover::{Step, Tries};
use super::log::{Event, millis};
use super::pool::{Choice, Committing, Kept, Unavailable, Wanted};
use super::relay::Relay;
use super::session::{Carried, Carrier, Recovery};
use super::silence::Silence;
use crate::account::Account;
use crate::account::handle::Handle;
use crate::account::limit::{Reading, Verdict};
use crate::account::observation::{Asking, Observation};
use crate::account::pick::Nothing;
use crate::account::session::Counts;
use crate::account::time::UnixMillis;

/// What a person has to look at where no account is to blame.
const NETWORK_REFUSED: &str = "the network of this machine is not let through to the backend \
    (its address, its country or a proxy), whichever account asks";

/// How one account is asked.
pub(super) trait Transport: Carrier + Send {
    /// What an account said, as far as it was read: enough to judge it.
    type Answer: Send;

    /// Whether this account can be asked so, now: what goes on from an answer on one connection can
    /// be asked there only, and once.
    fn can_ask(&self, _account: &Account) -> bool {
        true
    }

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

impl<A> Judged<A> {
    /// The same of another form of the answer.
    pub(super) fn map<B>(self, form: impl FnOnce(A) -> B) -> Judged<B> {
        Judged {
            status: self.status,
            reading: self.reading,
            answer: form(self.answer),
        }
    }
}

/// One request on its way.
pub(super) struct Exchange {
    pub(super) relay: Arc<Relay>,
    pub(super) entry: Entry,
    wanted: Wanted,
    tries: Tries,
    carried: Carried,
    /// What the store gets meanwhile.
    pub(super) committing: Committing,
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
    /// An account could answer that can't be asked so: the client has to ask anew.
    AskAnew,
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
    /// There is nobody to ask.
    Unavailable(Unavailable),
    /// The upstream was asked, and said nothing.
    Silent(Silence),
    /// The issuer gave no token to ask with.
    NoToken { reason: String },
}

/// What came of asking one account.
type Asked<A> = Result<Judged<A>, NoAnswer>;

/// An account that was asked, and what came of it.
struct Attempt<A> {
    account: Account,
    asking: Asking,
    asked: Asked<A>,
}

/// What became of the asking of one account.
enum Then<A> {
    /// This is the end of it all.
    Over(Attempt<A>),
    /// It failed, and this one is next.
    Next(Attempt<A>, Choice),
    /// It can't be asked so.
    Anew,
}

impl<A> Attempt<A> {
    fn is_served(&self) -> bool {
        let judged = self.asked.as_ref();
        judged.is_ok_and(|judged| judged.reading.verdict == Verdict::Ok)
    }

    /// Whether it failed for a reason that says nothing about the account.
    fn is_nobodys_fault(&self) -> bool {
        match &self.asked {
            Ok(judged) => judged.reading.verdict == Verdict::Server,
            Err(none) => matches!(none, NoAnswer::Silent(_)),
        }
    }

    fn outcome(self) -> Outcome<A> {
        match self.asked {
            Ok(judged) => Outcome::Answer(Box::new(Answered {
                account: self.account,
                asking: self.asking,
                judged,
            })),
            Err(none) => Outcome::None(none),
        }
    }
}

impl Exchange {
    pub(super) fn new(relay: Arc<Relay>, entry: Entry, model: Option<String>) -> Self {
        let chosen_at = relay.pool.now();
        let carried = Carried::new(entry.session.clone());
        let keep = carried.account(&relay.sessions, model.as_deref());
        Self {
            relay,
            entry,
            wanted: Wanted {
                model,
                keep,
                ..Wanted::default()
            },
            tries: Tries::default(),
            carried,
            committing: Committing::nothing(),
            chosen_at,
        }
    }

    /// Begins with this account, if it can serve.
    pub(super) fn keeping(mut self, account: Option<&Account>) -> Self {
        if let Some(account) = account {
            self.wanted.keep = Some(Kept {
                who: Handle::from(account),
                since: self.chosen_at,
            });
        }
        self
    }

    /// Whether it may be held so long.
    pub(super) fn can_wait(&self, until: UnixMillis) -> bool {
        self.entry.age() + until.since(self.relay.pool.now()) <= self.relay.max_wait
    }

    /// The model that the request names.
    pub(super) fn model(&self) -> Option<&str> {
        self.wanted.model.as_deref()
    }

    /// Asks every account that can be used, one after the other, until one has an answer. The store
    /// may still get what was learned of the others: whoever passes the answer on waits for that
    /// before its end.
    pub(super) async fn run<T: Transport>(&mut self, transport: &mut T) -> Outcome<T::Answer> {
        let outcome = self.ask_each(transport).await;
        if !matches!(outcome, Outcome::Answer(_)) {
            self.committing.done().await;
        }
        outcome
    }

    async fn ask_each<T: Transport>(&mut self, transport: &mut T) -> Outcome<T::Answer> {
        self.wanted.excluded.clear();
        let mut choice = self.choose().await;
        // The best answer so far, for when nobody has a better one.
        let mut last: Option<Attempt<T::Answer>> = None;
        loop {
            let account = match choice {
                Ok(account) => account,
                Err(unavailable) => return nobody_else(last, unavailable),
            };
            match self.ask_as(*account, transport).await {
                Then::Over(attempt) => return attempt.outcome(),
                Then::Next(attempt, next) => {
                    last = Some(attempt);
                    choice = next;
                }
                Then::Anew => return Outcome::AskAnew,
            }
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
    ) -> Then<T::Answer> {
        self.tries.turn_to_another();
        let mut account = match self.relay.pool.with_token(&account).await {
            Ok(fresh) => fresh,
            Err(error) => {
                let reason = error.to_string();
                let step = self.tries.leave();
                return self
                    .end(account, Err(NoAnswer::NoToken { reason }), step)
                    .await;
            }
        };
        let relay = Arc::clone(&self.relay);
        let mut turn = relay.pace.turn(&account).await;
        self.fit(&account, transport);
        loop {
            if !transport.can_ask(&account) {
                return Then::Anew;
            }
            let (asked, mut step, recovery) = self.ask_once(&account, transport).await;
            match step {
                Step::Again(after) => {
                    tokio::time::sleep(after).await;
                    continue;
                }
                Step::Wait(wait) => match relay.pace.turn_again(turn, wait).await {
                    Some(another) => {
                        turn = another;
                        continue;
                    }
                    None => step = self.tries.hop(),
                },
                Step::Refresh => match relay.pool.with_other_token(&account).await {
                    Ok(fresh) => {
                        account = fresh;
                        // What is said now is said of this token.
                        self.chosen_at = relay.pool.now();
                        continue;
                    }
                    Err(_) => step = self.tries.leave(),
                },
                Step::Recover => match self.way_back(recovery, &account, transport).await {
                    Some(maker) => {
                        let attempt = self.attempt(account, asked.map_err(NoAnswer::Silent));
                        return Then::Next(attempt, Ok(maker));
                    }
                    None => continue,
                },
                Step::PassOn => relay.pace.served(&turn),
                Step::Next => {}
            }
            let asked = asked.map_err(NoAnswer::Silent);
            return self.end(account, asked, step).await;
        }
    }

    /// Asks the account once, and decides what to do with what it said.
    async fn ask_once<T: Transport>(
        &mut self,
        account: &Account,
        transport: &mut T,
    ) -> (Result<Judged<T::Answer>, Silence>, Step, Option<Recovery>) {
        let sent = Instant::now();
        let asked = transport.ask(account).await;
        let verdict = match &asked {
            Ok(judged) => &judged.reading.verdict,
            Err(silence) => silence.verdict(),
        };
        let mut step = self.tries.step(verdict, self.relay.pool.now());
        let recovery = self.recovery(step, verdict, account, transport);
        if step == Step::Recover && recovery.is_none() {
            step = Step::PassOn;
        }
        self.write(account, &asked, step, sent.elapsed());
        (asked, step, recovery)
    }

    /// Sees to it that the account is sent what it is known to read.
    fn fit(&mut self, account: &Account, transport: &mut impl Transport) {
        let who = Handle::from(account);
        if let Some(cut) = self.carried.fit(&self.relay.sessions, &who, transport) {
            self.write_cut(account, cut);
        }
    }

    /// What can be done about a refusal of what another account made, if this is one.
    fn recovery(
        &mut self,
        step: Step,
        verdict: &Verdict,
        account: &Account,
        transport: &mut impl Transport,
    ) -> Option<Recovery> {
        let Verdict::ForeignContent(foreign) = verdict else {
            return None;
        };
        let who = (step == Step::Recover).then(|| Handle::from(account))?;
        let sessions = &self.relay.sessions;
        self.carried.recover(sessions, &who, foreign, transport)
    }

    /// The account that made what another refused, if it can serve now. If not, that one is asked
    /// again.
    async fn way_back(
        &mut self,
        recovery: Option<Recovery>,
        account: &Account,
        transport: &impl Transport,
    ) -> Option<Box<Account>> {
        let Recovery { maker, cut } = recovery?;
        if let Some(maker) = maker
            && let Some(maker) = self.relay.pool.usable(&maker, &self.wanted).await
        {
            self.chosen_at = self.just_before_now();
            return Some(maker);
        }
        self.write_cut(account, cut);
        if !transport.can_ask(account) {
            // The client sends it whole, and then it is cut before it is refused.
            let sessions = &self.relay.sessions;
            self.carried.refused(sessions, &Handle::from(account));
        }
        None
    }

    fn write_cut(&self, account: &Account, cut: Counts) {
        let account = account.name();
        self.entry.write(Event::Stripped { account, cut });
    }

    /// Ends the asking of one account: turns to the next one where that is the step.
    async fn end<A>(&mut self, account: Account, asked: Asked<A>, step: Step) -> Then<A> {
        if step == Step::Next {
            return self.leave(account, asked).await;
        }
        let attempt = self.attempt(account, asked);
        if attempt.is_served() {
            let by = Kept {
                who: attempt.asking.who.clone(),
                since: self.relay.pool.now(),
            };
            let sessions = &self.relay.sessions;
            self.carried.accepted(sessions, &by, self.model());
        }
        self.record(&attempt);
        Then::Over(attempt)
    }

    /// Turns to the next account, and records what the answer of this one said.
    async fn leave<A>(&mut self, account: Account, asked: Asked<A>) -> Then<A> {
        let attempt = self.attempt(account, asked);
        self.wanted.excluded.push(attempt.asking.who.clone());
        let next = match self.observation(&attempt) {
            Some(observation) => {
                self.chosen_at = self.just_before_now();
                let pool = &self.relay.pool;
                let (next, committing) = pool.fail_over(observation, &self.wanted).await;
                self.committing.and(committing);
                next
            }
            None => self.choose().await,
        };
        Then::Next(attempt, next)
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
        let judged = attempt.asked.as_ref().ok()?;
        // That a login is dead only the issuer can say; that a token is refused counts once it is a
        // fresh one.
        let no_proof = match judged.reading.verdict {
            Verdict::LoginRequired { .. } => true,
            Verdict::Unauthorized { .. } => !self.tries.has_fresh_token(),
            _ => false,
        };
        (!no_proof).then(|| Observation {
            asking: attempt.asking.clone(),
            reading: judged.reading.clone(),
            seen_at: self.relay.pool.now(),
        })
    }

    fn record<A>(&self, attempt: &Attempt<A>) {
        // A success lifts marks; where there are none, it is no news.
        let says_nothing = |reading: &Reading| {
            reading.windows.is_empty()
                && match reading.verdict {
                    Verdict::Ok => attempt.account.limits().is_empty(),
                    Verdict::ForeignContent(_)
                    | Verdict::Network
                    | Verdict::Server
                    | Verdict::Content
                    | Verdict::Other => true,
                    _ => false,
                }
        };
        let asked = attempt.asked.as_ref();
        if asked.is_ok_and(|judged| !says_nothing(&judged.reading))
            && let Some(observation) = self.observation(attempt)
        {
            self.relay.pool.record_soon(observation);
        }
    }

    fn write<A>(
        &self,
        account: &Account,
        asked: &Result<Judged<A>, Silence>,
        step: Step,
        took: Duration,
    ) {
        let (status, verdict, word) = match asked {
            Ok(judged) => {
                let verdict = &judged.reading.verdict;
                (judged.status, verdict, verdict.word())
            }
            Err(silence) => (None, silence.verdict(), silence.reason.as_str()),
        };
        self.entry.write(Event::Answer {
            account: account.name(),
            status,
            verdict: word,
            step: step.word(),
            head_ms: millis(took),
        });
        if *verdict == Verdict::Network && step == Step::PassOn {
            self.entry.write(Event::Network {
                status,
                message: NETWORK_REFUSED,
            });
        }
    }
}

/// When there is no other account to ask: the last answer, unless waiting or a login can lead to a
/// better one.
fn nobody_else<A>(last: Option<Attempt<A>>, why: Unavailable) -> Outcome<A> {
    let is_final = |attempt: &Attempt<A>| match why {
        Unavailable::Limited { .. } => attempt.is_nobodys_fault(),
        Unavailable::Nobody(nothing) => nothing != Nothing::LoginRequired,
    };
    match last.filter(is_final) {
        Some(attempt) => attempt.outcome(),
        None => Outcome::None(NoAnswer::Unavailable(why)),
    }
}
