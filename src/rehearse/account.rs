//! One pretend account: who it is, what it may use, and how it answers.
//!
//! Plain data with public fields, so that a test says what it means. Nothing here serves a request.

use super::answer::{Answer, TokenAnswer};
use super::clock::after;
use super::style::Style;
use std::collections::VecDeque;
use std::time::{Duration, SystemTime};

const HOUR: Duration = Duration::from_secs(60 * 60);

/// One pretend account.
#[derive(Clone, Debug)]
pub struct PretendAccount {
    /// Claim `chatgpt_account_id`, and what the header `ChatGPT-Account-Id` must say.
    pub account_id: String,
    /// Claim `chatgpt_user_id`. Two seats of one team differ only here and in the email.
    pub user_id: String,
    /// Claim `email`.
    pub email: String,
    /// Claim `chatgpt_plan_type`, and the plan in every answer.
    pub plan: String,
    /// Claim `chatgpt_compute_residency`, where there is one. Requests must name it, unless it is `no_constraint`.
    pub residency: Option<String>,
    /// Claim `chatgpt_account_is_fedramp`, where it is set.
    pub fedramp: bool,
    /// The models it may use; `None`: those of its plan.
    pub models: Option<Vec<String>>,
    /// Whether it has Responses-Lite yet, which is rolled out account by account.
    pub lite: bool,
    /// What a good answer says; `answered by EMAIL` where this is `None`.
    pub text: Option<String>,
    /// The answers to the next model requests, one after the other, before [`standing`](Self::standing) counts.
    pub next: VecDeque<Answer>,
    /// The answers to the next WebSocket handshakes; then they succeed.
    pub handshakes: VecDeque<Answer>,
    /// The answer to every other model request.
    pub standing: Standing,
    /// The usage windows, while the account is not limited.
    pub windows: Windows,
    /// What pays when the windows are used up.
    pub credits: Credits,
    /// A budget in the place of windows, as business seats have.
    pub budget: Option<Budget>,
    /// Resets that the account has in store.
    pub banked: Vec<BankedReset>,
    /// What every refresh of this account's token meets; `None`: it is granted.
    pub refresh: Option<TokenAnswer>,
}

impl PretendAccount {
    /// A Plus account `account-NAME` of `user-NAME`, `NAME@example.com`, with a little of both windows used.
    pub fn named(name: &str) -> Self {
        Self::named_at(SystemTime::now(), name)
    }

    pub(super) fn named_at(now: SystemTime, name: &str) -> Self {
        Self {
            account_id: format!("account-{name}"),
            user_id: format!("user-{name}"),
            email: format!("{name}@example.com"),
            plan: "plus".into(),
            residency: None,
            fedramp: false,
            models: None,
            lite: true,
            text: None,
            next: VecDeque::new(),
            handshakes: VecDeque::new(),
            standing: Standing::Good,
            windows: Windows {
                primary: Some(Window {
                    minutes: Window::SHORT_MINUTES,
                    used_percent: 12.5,
                    resets_at: after(now, 3 * HOUR),
                }),
                secondary: Some(Window {
                    minutes: Window::WEEKLY_MINUTES,
                    used_percent: 31.0,
                    resets_at: after(now, 88 * HOUR),
                }),
            },
            credits: Credits::default(),
            budget: None,
            banked: Vec::new(),
            refresh: None,
        }
    }

    /// Whether it is scripted to be limited, now or after some requests.
    pub fn is_limited(&self) -> bool {
        matches!(
            self.standing,
            Standing::LimitedUntil { .. } | Standing::LimitedAfter { .. }
        )
    }

    /// Limits the account once so many requests more have been served.
    pub fn limit_after(&mut self, requests: u32, resets_in: Duration, style: Style) {
        self.standing = Standing::LimitedAfter {
            requests,
            resets_in,
            style,
        };
    }

    /// The answer to its next model request, which is for `model`; a one-shot answer is used up by that.
    pub(super) fn next_answer(&mut self, model: &str, now: SystemTime) -> Answer {
        if let Some(answer) = self.next.pop_front() {
            return answer;
        }
        if let Standing::LimitedAfter {
            requests,
            resets_in,
            style,
        } = &mut self.standing
        {
            let (resets_in, style) = (*resets_in, *style);
            match requests.checked_sub(1) {
                Some(left) => *requests = left,
                None => self.limit_at(now, resets_in, style),
            }
        }
        self.standing.answer(model, now)
    }

    /// Limits the account from now on, in this style, and lifts the limit by itself when the time is over.
    pub fn limit(&mut self, resets_in: Duration, style: Style) {
        self.limit_at(SystemTime::now(), resets_in, style);
    }

    /// The same, counted from `now`.
    pub fn limit_at(&mut self, now: SystemTime, resets_in: Duration, style: Style) {
        self.standing = Standing::LimitedUntil {
            until: after(now, resets_in),
            style,
            model: None,
        };
    }
}

/// How an account answers once its one-shot answers are used up.
#[derive(Clone, Debug, Default)]
pub enum Standing {
    /// With its text.
    #[default]
    Good,
    /// With the same answer, always.
    Always(Answer),
    /// With its text for so many requests more, then with a limit.
    LimitedAfter {
        /// How many are still served.
        requests: u32,
        /// How long the limit lasts, from the first request that meets it.
        resets_in: Duration,
        /// How its answers look.
        style: Style,
    },
    /// With a limit until a point in time, which the answers name as their reset; afterwards with its text again.
    LimitedUntil {
        /// When the limit ends.
        until: SystemTime,
        /// How the answers look.
        style: Style,
        /// The one model it is for; `None`: all of them. A body that is compressed names no model.
        model: Option<String>,
    },
}

impl Standing {
    /// The answer to a request for `model` at `now`.
    pub(super) fn answer(&self, model: &str, now: SystemTime) -> Answer {
        match self {
            Self::Good | Self::LimitedAfter { .. } => Answer::Good(None),
            Self::Always(answer) => answer.clone(),
            Self::LimitedUntil {
                until,
                style,
                model: only,
            } => match until.duration_since(now) {
                Ok(resets_in)
                    if !resets_in.is_zero() && only.as_deref().is_none_or(|only| only == model) =>
                {
                    Answer::Styled {
                        style: *style,
                        resets_in,
                    }
                }
                _ => Answer::Good(None),
            },
        }
    }
}

/// The two slots in which the backend reports usage. What a slot holds goes by [`Window::minutes`]: weekly is seen as
/// primary (PROTOCOL §4).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Windows {
    /// The first slot, most often the five hours.
    pub primary: Option<Window>,
    /// The second slot, most often the week.
    pub secondary: Option<Window>,
}

impl Windows {
    /// Whether one of them is used up.
    pub(super) fn exhausted(&self) -> bool {
        let windows = [self.primary, self.secondary];
        windows
            .iter()
            .flatten()
            .any(|window| window.used_percent >= 100.0)
    }
}

/// One usage window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Window {
    /// Its length: 300 for the five hours, 10080 for the week.
    pub minutes: u64,
    /// How much of it is used, 0 to 100, with decimals.
    pub used_percent: f64,
    /// When it starts again.
    pub resets_at: SystemTime,
}

impl Window {
    pub(super) const SHORT_MINUTES: u64 = 300;
    pub(super) const WEEKLY_MINUTES: u64 = 10_080;

    /// The five-hour window.
    pub fn short(used_percent: f64, resets_in: Duration) -> Self {
        Self {
            minutes: Self::SHORT_MINUTES,
            used_percent,
            resets_at: after(SystemTime::now(), resets_in),
        }
    }

    /// The weekly window.
    pub fn weekly(used_percent: f64, resets_in: Duration) -> Self {
        Self {
            minutes: Self::WEEKLY_MINUTES,
            used_percent,
            resets_at: after(SystemTime::now(), resets_in),
        }
    }
}

/// What pays when the windows are used up (PROTOCOL §4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credits {
    /// `has_credits`.
    pub has: bool,
    /// `unlimited`.
    pub unlimited: bool,
    /// `balance`, a number as text.
    pub balance: String,
    /// `overage_limit_reached`.
    pub overage_limit_reached: bool,
}

impl Default for Credits {
    /// None.
    fn default() -> Self {
        Self {
            has: false,
            unlimited: false,
            balance: "0".into(),
            overage_limit_reached: false,
        }
    }
}

impl Credits {
    /// So much credit.
    pub fn of(balance: &str) -> Self {
        Self {
            has: true,
            balance: balance.into(),
            ..Self::default()
        }
    }

    /// Whether a request is served although the windows are used up.
    pub(super) fn pay(&self) -> bool {
        self.has && !self.overage_limit_reached
    }
}

/// The budget of a seat: `spend_control.individual_limit` (PROTOCOL §4).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Budget {
    /// How much of it is spent, 0 to 100.
    pub used_percent: f64,
    /// When it starts again.
    pub resets_at: SystemTime,
}

/// A reset that an account has in store (PROTOCOL §4, banked resets).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BankedReset {
    /// `id`.
    pub id: String,
    /// When it lapses.
    pub expires_at: SystemTime,
    /// The request that it was spent by.
    pub redeemed_by: Option<String>,
}
