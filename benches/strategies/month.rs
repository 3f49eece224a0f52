//! A month of several accounts, played with the pure `pick` and nothing else of the suite. There is
//! no chance in it but the seed: the same setting plays the same month.
//!
//! The accounts are as the backend's (PROTOCOL §4): a window begins with the first request after the
//! last one ended, and a request that begins within it is served whole. A session stays with its
//! account until that can't serve; only `step` moves one by itself.

use std::time::Duration;

use codex_accounts::account::mark::Mark;
use codex_accounts::account::pick::{self, Decision, Request, Strategy, Wishes};
use codex_accounts::account::time::UnixMillis;
use codex_accounts::account::{Account, Scope, State};
use serde_json::json;

use super::load::{Load, Session};

/// How far one look at the sessions is from the next.
pub(crate) const TICK: Duration = Duration::from_secs(30 * 60);
/// Four weeks.
pub(crate) const TICKS: usize = 28 * 24 * 2;

const SHORT: Duration = Duration::from_secs(5 * 60 * 60);
const WEEK: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// What a small plan gives in five hours, and in a week: seven times as much.
const SHORT_QUOTA: f64 = 100.0;
const WEEK_QUOTA: f64 = 700.0;
/// A large plan gives so many times as much.
const LARGE: f64 = 5.0;

/// What is played.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setting {
    /// How many accounts there are.
    pub(crate) accounts: usize,
    /// Whether their weeks end one after the other, and not together.
    pub(crate) staggered: bool,
    /// Whether the first has a large plan and the others small ones.
    pub(crate) mixed: bool,
    /// How much is asked for, as a part of all quota.
    pub(crate) demand: f64,
    /// What the work is like.
    pub(crate) load: Load,
    /// How accounts are chosen.
    pub(crate) wishes: Wishes,
}

/// What came of it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Outcome {
    /// Quota of weeks that nobody used before they ended, in percent.
    pub(crate) lapsed: f64,
    /// Hours in which somebody wanted an account and there was none.
    pub(crate) dry_hours: f64,
    /// How often a session went on as another account: its cache and its reasoning are lost.
    pub(crate) moved: f64,
    /// How often a request met a limit.
    pub(crate) limits: f64,
}

/// One window.
struct Quota {
    length: Duration,
    whole: f64,
    used: f64,
    ends: Option<UnixMillis>,
}

impl Quota {
    fn new(length: Duration, whole: f64) -> Self {
        Self {
            length,
            whole,
            used: 0.0,
            ends: None,
        }
    }

    /// Ends it where its time is over. What was left of it then.
    fn advance(&mut self, now: UnixMillis) -> Option<f64> {
        self.ends.take_if(|ends| *ends <= now)?;
        let used = std::mem::take(&mut self.used);
        Some(self.whole - used)
    }

    fn is_spent(&self) -> bool {
        self.used >= self.whole
    }

    fn spend(&mut self, cost: f64, now: UnixMillis) {
        self.ends.get_or_insert(now.plus(self.length));
        self.used = (self.used + cost).min(self.whole);
    }
}

/// The two windows of an account, as the backend knows them.
struct Quotas([Quota; 2]);

impl Quotas {
    /// Those of a plan that gives so many times what a small one does.
    fn new(times: f64) -> Self {
        Self([
            Quota::new(SHORT, SHORT_QUOTA * times),
            Quota::new(WEEK, WEEK_QUOTA * times),
        ])
    }

    fn week(&mut self) -> &mut Quota {
        &mut self.0[1]
    }

    /// Serves a request, or says until when the account is limited.
    fn serve(&mut self, cost: f64, now: UnixMillis) -> Result<(), UnixMillis> {
        let spent = self.0.iter().filter(|quota| quota.is_spent());
        if let Some(until) = spent.filter_map(|quota| quota.ends).max() {
            return Err(until);
        }
        self.0.iter_mut().for_each(|quota| quota.spend(cost, now));
        Ok(())
    }

    /// Tells the account what the headers of an answer would.
    fn show(&self, account: &mut Account) {
        let windows = account
            .usage
            .iter_mut()
            .flat_map(|usage| &mut usage.windows);
        for (quota, window) in self.0.iter().zip(windows) {
            window.used_percent = 100.0 * quota.used / quota.whole;
            window.resets_at = quota.ends;
        }
    }
}

/// An account of which nothing was used.
fn account(index: usize) -> Account {
    let windows = [SHORT, WEEK]
        .map(|length| json!({"minutes": length.as_secs() / 60, "usedPercent": 0.0, "resetsAt": 0}));
    let account = json!({
        "refreshToken": index.to_string(), "chatgptAccountId": index.to_string(),
        "usage": {"windows": windows},
    });
    serde_json::from_value(account).expect("an account")
}

/// Plays the month.
pub(crate) fn play(setting: Setting) -> Outcome {
    let mut pool = Pool::new(setting);
    let quota = pool.quota_of_a_week() * (TICK * TICKS as u32).as_secs_f64() / WEEK.as_secs_f64();
    let mut sessions = setting.load.sessions(setting.demand * quota);
    for tick in 0..TICKS {
        let now = pool.begin(tick);
        let mut is_dry = false;
        for session in sessions.iter_mut().filter(|it| it.lives(tick)) {
            is_dry |= !pool.ask(session, now);
        }
        if is_dry {
            pool.outcome.dry_hours += TICK.as_secs_f64() / 3600.0;
        }
    }
    pool.begin(TICKS);
    Outcome {
        lapsed: 100.0 * pool.left / pool.given,
        ..pool.outcome
    }
}

struct Pool {
    wishes: Wishes,
    accounts: Vec<Account>,
    quotas: Vec<Quotas>,
    active: usize,
    outcome: Outcome,
    /// Of the weeks that ended: what was left of them, and what they gave.
    left: f64,
    given: f64,
}

impl Pool {
    fn new(setting: Setting) -> Self {
        let indices = 0..setting.accounts;
        let times = |index| {
            if setting.mixed && index == 0 {
                LARGE
            } else {
                1.0
            }
        };
        let mut pool = Self {
            wishes: setting.wishes,
            accounts: indices.clone().map(account).collect(),
            quotas: indices.map(|index| Quotas::new(times(index))).collect(),
            active: 0,
            outcome: Outcome::default(),
            left: 0.0,
            given: 0.0,
        };
        if setting.staggered {
            for (index, quotas) in pool.quotas.iter_mut().enumerate() {
                let part = (index + 1) as f64 / setting.accounts as f64;
                quotas.week().ends = Some(time(0).plus(WEEK.mul_f64(part)));
                quotas.show(&mut pool.accounts[index]);
            }
        }
        pool
    }

    fn quota_of_a_week(&mut self) -> f64 {
        self.quotas.iter_mut().map(|it| it.week().whole).sum()
    }

    fn begin(&mut self, tick: usize) -> UnixMillis {
        let now = time(tick);
        for Quotas([short, week]) in &mut self.quotas {
            short.advance(now);
            if let Some(left) = week.advance(now) {
                self.left += left;
                self.given += week.whole;
            }
        }
        now
    }

    /// A request of a session. Whether anybody served it.
    fn ask(&mut self, session: &mut Session, now: UnixMillis) -> bool {
        while let Some(index) = self.account_of(session, now) {
            match self.quotas[index].serve(session.cost, now) {
                Ok(()) => {
                    self.quotas[index].show(&mut self.accounts[index]);
                    let before = session.account.replace(index);
                    if before.is_some_and(|before| before != index) {
                        self.outcome.moved += 1.0;
                    }
                    return true;
                }
                Err(until) => {
                    self.outcome.limits += 1.0;
                    let mark = Mark::by_other_program(until);
                    self.accounts[index].set_limit(Scope::default_scope(), mark);
                }
            }
        }
        false
    }

    /// The account that a session goes on with.
    fn account_of(&mut self, session: &Session, now: UnixMillis) -> Option<usize> {
        let moves_by_itself = matches!(self.wishes.strategy, Some(Strategy::Step { .. }));
        let stays = session.account.filter(|_| !moves_by_itself);
        if let Some(index) =
            stays.filter(|&index| self.accounts[index].state(None, now) == State::Ready)
        {
            return Some(index);
        }
        let request = Request {
            wishes: self.wishes,
            ..Request::default()
        };
        match pick::pick(&self.accounts, self.active, &request, now) {
            Decision::Use { index, switch } => {
                pick::apply(&mut self.accounts, &mut self.active, index, switch, now);
                Some(index)
            }
            Decision::Limited { .. } | Decision::Nothing(_) => None,
        }
    }
}

/// When a tick is. Far enough from 0, which is no time.
fn time(tick: usize) -> UnixMillis {
    UnixMillis::from_secs(1_800_000_000).plus(TICK * tick as u32)
}
