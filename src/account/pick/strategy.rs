//! The strategies: how they are called, and whom each chooses. All of a strategy is here.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::account::time::UnixMillis;
use crate::account::usage::{Usage, WEEKLY_MINUTES};
use crate::account::{Account, SwitchReason};

/// How the next account is chosen among the usable ones (DESIGN §2).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Strategy {
    /// The active one as long as it is usable: it keeps the prompt cache warm.
    #[default]
    Sticky,
    /// The one after the active one, every time.
    RoundRobin,
    /// The one with the most weekly quota left.
    LeastUsed,
    /// The one whose week ends first: what would lapse soonest is spent first.
    SoonestReset,
    /// The active one, until this many points of its weekly quota went since it became active.
    Step {
        /// The points, in percent of the weekly window.
        points: f64,
    },
}

impl Strategy {
    /// Whether a session that an account served at a time stays with it: the choice is for when it
    /// begins, and for when its account can't serve. But to spend in steps is to leave while it
    /// could; and who makes another account the active one by hand wants that one used.
    pub(super) fn lets_stay(self, accounts: &[Account], active: usize, since: UnixMillis) -> bool {
        let is_chosen_since = |account: &Account| {
            let activated = account.activation.as_ref().map(|it| it.at);
            account.last_switch_reason == Some(SwitchReason::Rotation) && activated > Some(since)
        };
        match self {
            Self::Step { .. } => false,
            Self::Sticky => !accounts.get(active).is_some_and(is_chosen_since),
            Self::RoundRobin | Self::LeastUsed | Self::SoonestReset => true,
        }
    }

    /// Chooses among the candidates, of which there is one at least.
    pub(super) fn choose(
        self,
        accounts: &[Account],
        candidates: &[usize],
        active: usize,
        now: UnixMillis,
    ) -> usize {
        match self {
            Self::Sticky => sticky(candidates, active),
            Self::RoundRobin => after(candidates, active),
            Self::LeastUsed => least_used(accounts, candidates, now),
            Self::SoonestReset => soonest_reset(accounts, candidates, now),
            Self::Step { points } => step(accounts, candidates, active, points, now),
        }
    }
}

/// All of them as they are written, for what a person is told.
pub const LIST: &str = "sticky, round-robin, least-used, soonest-reset or step=N";

/// Words that a shell can complete.
pub const WORDS: [&str; 5] = [
    "sticky",
    "round-robin",
    "least-used",
    "soonest-reset",
    "step=5",
];

/// Each in a few words, for help.
pub const EXPLAINED: &str =
    "  sticky         The active account until it is not usable, then the next one.
                 It keeps the prompt cache warm, and is the default
  round-robin    The next usable account, every time
  least-used     The one with the least of its week used, then of its shorter
                 window, then the one that was not used for longest
  soonest-reset  The one whose week ends first, then whose shorter window does:
                 what would lapse soonest is spent first
  step=N         The active account until N points of its week went since it
                 became active, then the next one";

/// A text that names no strategy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("not {LIST}")]
pub struct Unknown;

impl FromStr for Strategy {
    type Err = Unknown;

    fn from_str(text: &str) -> Result<Self, Unknown> {
        match text {
            "sticky" => Ok(Self::Sticky),
            "round-robin" => Ok(Self::RoundRobin),
            "least-used" => Ok(Self::LeastUsed),
            "soonest-reset" => Ok(Self::SoonestReset),
            _ => text
                .strip_prefix("step=")
                .and_then(|points| points.parse().ok())
                .filter(|points: &f64| points.is_finite() && *points > 0.0)
                .map(|points| Self::Step { points })
                .ok_or(Unknown),
        }
    }
}

impl fmt::Display for Strategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sticky => f.write_str("sticky"),
            Self::RoundRobin => f.write_str("round-robin"),
            Self::LeastUsed => f.write_str("least-used"),
            Self::SoonestReset => f.write_str("soonest-reset"),
            Self::Step { points } => write!(f, "step={points}"),
        }
    }
}

fn sticky(candidates: &[usize], active: usize) -> usize {
    if candidates.contains(&active) {
        active
    } else {
        after(candidates, active)
    }
}

/// The next candidate after the active one, round to the active one itself.
fn after(candidates: &[usize], active: usize) -> usize {
    let next = candidates.iter().find(|&&index| index > active);
    *next.unwrap_or(&candidates[0])
}

fn least_used(accounts: &[Account], candidates: &[usize], now: UnixMillis) -> usize {
    let percent = |index: usize, of: fn(&Usage, UnixMillis) -> Option<f64>| {
        accounts[index]
            .usage
            .as_ref()
            .and_then(|usage| of(usage, now))
            .unwrap_or(0.0)
    };
    let order = |&a: &usize, &b: &usize| {
        percent(a, Usage::weekly)
            .total_cmp(&percent(b, Usage::weekly))
            .then(percent(a, Usage::short).total_cmp(&percent(b, Usage::short)))
            .then(accounts[a].last_used.cmp(&accounts[b].last_used))
    };
    candidates
        .iter()
        .copied()
        .min_by(order)
        .unwrap_or(candidates[0])
}

fn soonest_reset(accounts: &[Account], candidates: &[usize], now: UnixMillis) -> usize {
    // A window that was not begun, or of which nothing is known, lapses last.
    let reset = |index: usize, wanted: fn(u32) -> bool| {
        let windows = accounts[index]
            .usage
            .iter()
            .flat_map(|usage| &usage.windows);
        let wanted = windows.filter(|window| window.scope.is_none() && wanted(window.minutes));
        let resets = wanted.filter_map(|window| window.resets_at.filter(|at| *at > now));
        resets.min().map_or(u64::MAX, UnixMillis::as_millis)
    };
    let order = |index: &usize| {
        (
            reset(*index, |minutes| minutes >= WEEKLY_MINUTES),
            reset(*index, |minutes| minutes < WEEKLY_MINUTES),
        )
    };
    let soonest = candidates.iter().copied().min_by_key(order);
    soonest.unwrap_or(candidates[0])
}

fn step(
    accounts: &[Account],
    candidates: &[usize],
    active: usize,
    points: f64,
    now: UnixMillis,
) -> usize {
    let spent = candidates.contains(&active) && weekly_growth(&accounts[active], now) >= points;
    if spent {
        after(candidates, active)
    } else {
        sticky(candidates, active)
    }
}

/// How many points of its weekly window an account used since it became the active one; none where
/// that is not known.
fn weekly_growth(account: &Account, now: UnixMillis) -> f64 {
    let (Some(usage), Some(activation)) = (&account.usage, &account.activation) else {
        return 0.0;
    };
    let (Some(used), Some(before)) = (usage.weekly(now), activation.weekly_used_percent) else {
        return 0.0;
    };
    if used < before || usage.new_week_since(activation.at) {
        used
    } else {
        used - before
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::account::pick::properties::{NOW, account, by, now, weekly};
    use crate::account::pick::{Decision, Keep, Request, pick};

    #[test]
    fn a_strategy_is_read_as_it_is_written() {
        for word in WORDS {
            let strategy: Strategy = word.parse().unwrap();
            assert_eq!(strategy.to_string(), word);
            let listed = word.replace('5', "N");
            assert!(
                LIST.contains(&listed) && EXPLAINED.contains(&listed),
                "{word}"
            );
        }
        for bad in [
            "", "random", "step", "step=", "step=0", "step=-5", "step=inf", "step=nan",
        ] {
            assert_eq!(bad.parse::<Strategy>(), Err(Unknown), "{bad}");
        }
    }

    #[test]
    fn a_session_stays_unless_it_is_spent_in_steps_or_somebody_chose_another() {
        let stays = |strategy: Strategy, reason: &str, at: u64| {
            let accounts = [
                account(json!({"refreshToken": "a", "lastSwitchReason": reason,
                    "activation": {"at": at}})),
                account(json!({"refreshToken": "b"})),
            ];
            let keep = Keep {
                index: 1,
                since: UnixMillis::from_millis(5),
            };
            let request = Request {
                wishes: by(strategy),
                keep: Some(keep),
                ..Request::default()
            };
            matches!(
                pick(&accounts, 0, &request, now()),
                Decision::Use { index: 1, .. }
            )
        };
        assert!(stays(Strategy::Sticky, "rotation", 5));
        assert!(stays(Strategy::Sticky, "rate-limit", 6));
        assert!(!stays(Strategy::Sticky, "rotation", 6), "chosen since");
        assert!(stays(Strategy::LeastUsed, "rotation", 6));
        assert!(stays(Strategy::SoonestReset, "rotation", 6));
        assert!(!stays(Strategy::Step { points: 5.0 }, "initial", 1));
    }

    #[test]
    fn steps_are_counted_from_when_the_account_became_active() {
        const WEEK: u64 = 7 * 24 * 60 * 60 * 1000;
        let leaves = |before: Value, used: Value| {
            let accounts = [
                account(json!({"refreshToken": "a", "usage": used,
                    "activation": {"at": 5, "weeklyUsedPercent": before}})),
                account(json!({"refreshToken": "b"})),
            ];
            let request = Request {
                wishes: by(Strategy::Step { points: 5.0 }),
                ..Request::default()
            };
            matches!(
                pick(&accounts, 0, &request, now()),
                Decision::Use { index: 1, .. }
            )
        };
        assert!(!leaves(json!(30.0), weekly(34.9, 0)));
        assert!(leaves(json!(30.0), weekly(35.0, 0)));
        assert!(!leaves(json!(null), weekly(35.0, 0)), "not known then");
        assert!(!leaves(json!(30.0), Value::Null), "not known now");
        // The week began anew: all that is used of it was used since.
        assert!(!leaves(json!(30.0), weekly(4.9, 0)));
        assert!(leaves(json!(30.0), weekly(5.0, 0)));
        assert!(
            !leaves(json!(30.0), weekly(31.0, 5 + WEEK)),
            "the same week"
        );
        assert!(leaves(json!(30.0), weekly(31.0, 6 + WEEK)), "another week");
        assert!(!leaves(json!(30.0), weekly(90.0, NOW)), "which is over");
    }
}
