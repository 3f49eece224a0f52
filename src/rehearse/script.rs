//! The script: which accounts there are, and how issuer and backend treat them.
//!
//! Plain data with public fields, so that a test says what it means. Nothing here serves a request.

use super::answer::{Answer, Style};
use super::clock::after;
use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, SystemTime};

const HOUR: Duration = Duration::from_secs(60 * 60);

/// Everything the pretend issuer and backend go by. [`Pretend::change`](super::Pretend::change) alters it while they run.
#[derive(Clone, Debug)]
pub struct Script {
    /// The accounts, in the order in which they log in.
    pub accounts: Vec<PretendAccount>,

    /// The account the pretend browser is signed in as; `None` before the first login. A login without `prompt=login`
    /// answers as this one; with it, as the next one, and after the last as the first again. The server keeps it up to
    /// date.
    pub browser: Option<usize>,
    /// What the person at the pretend browser does at the next logins, one after the other; then they consent.
    pub consents: VecDeque<Consent>,
    /// Takes a callback on any port. Otherwise only 1455 and 1457, the ones registered with the real issuer (PROTOCOL §1).
    pub any_port: bool,
    /// Device login.
    pub device: Device,

    /// How long an access token lives.
    pub access_lifetime: Duration,
    /// What a successful answer of the token endpoint holds.
    pub token_reply: TokenReply,
    /// What the token endpoint does with the next requests, one after the other; then it grants them.
    pub token_answers: VecDeque<TokenAnswer>,

    /// Answers by path (`/backend-api/wham/usage`), before anything else is looked at. [`Answer::Good`] and the styles
    /// that cut an answer short leave the request to be carried out as usual.
    pub answers_at: BTreeMap<String, Answer>,
    /// How long the answer to a request for this path waits, once the request has been carried out.
    pub delays: BTreeMap<String, Duration>,
    /// The time between two chunks of a streamed answer.
    pub pace: Duration,
    /// Sends `x-codex-turn-state`, which belongs to the account that answers (PROTOCOL §6).
    pub turn_state: bool,
    /// Keeps every request for [`Pretend::seen`](super::Pretend::seen). Off, a benchmark can run for as long as it likes.
    pub remember: bool,
    /// What time it is, for issuer and backend, if their clock stands still: where a time is shown. `None`: the real time.
    pub stopped_at: Option<SystemTime>,
}

impl Script {
    /// `count` accounts called one, two, three …, all of them good.
    pub fn with_accounts(count: usize) -> Self {
        Self::at(SystemTime::now(), count)
    }

    /// The same, whose windows are counted from `now`. The clock goes on.
    pub fn at(now: SystemTime, count: usize) -> Self {
        const NAMES: [&str; 10] = [
            "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
        ];
        Self {
            accounts: (0..count)
                .map(|index| match NAMES.get(index) {
                    Some(name) => PretendAccount::named_at(now, name),
                    None => PretendAccount::named_at(now, &format!("number-{}", index + 1)),
                })
                .collect(),
            ..Self::default()
        }
    }

    /// What time it is for issuer and backend.
    pub fn now(&self) -> SystemTime {
        self.stopped_at.unwrap_or_else(SystemTime::now)
    }
}

impl Default for Script {
    /// No accounts, no trouble.
    fn default() -> Self {
        Self {
            accounts: Vec::new(),
            browser: None,
            consents: VecDeque::new(),
            any_port: false,
            device: Device::default(),
            access_lifetime: HOUR,
            token_reply: TokenReply::default(),
            token_answers: VecDeque::new(),
            answers_at: BTreeMap::new(),
            delays: BTreeMap::new(),
            pace: Duration::ZERO,
            turn_state: false,
            remember: true,
            stopped_at: None,
        }
    }
}

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
    /// Claim `chatgpt_compute_residency`, where there is one.
    pub residency: Option<String>,
    /// What a good answer says; `answered by EMAIL` where this is `None`.
    pub text: Option<String>,
    /// The answers to the next model requests, one after the other, before [`standing`](Self::standing) counts.
    pub next: VecDeque<Answer>,
    /// The answer to every other model request.
    pub standing: Standing,
    /// The usage windows, while the account is not limited.
    pub windows: Windows,
    /// What every refresh of this account's token meets; `None`: it is granted.
    pub refresh: Option<TokenAnswer>,
}

impl PretendAccount {
    /// A Plus account `account-NAME` of `user-NAME`, `NAME@example.com`, with a little of both windows used.
    pub fn named(name: &str) -> Self {
        Self::named_at(SystemTime::now(), name)
    }

    fn named_at(now: SystemTime, name: &str) -> Self {
        Self {
            account_id: format!("account-{name}"),
            user_id: format!("user-{name}"),
            email: format!("{name}@example.com"),
            plan: "plus".into(),
            residency: None,
            text: None,
            next: VecDeque::new(),
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
            refresh: None,
        }
    }

    /// Whether it is scripted to be limited until some time.
    pub fn is_limited(&self) -> bool {
        matches!(self.standing, Standing::LimitedUntil { .. })
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
            Self::Good => Answer::Good(None),
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

/// What the person at the pretend browser does with a login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Consent {
    /// Consents.
    Grant,
    /// Does not: the callback gets these two instead of a code.
    Deny {
        /// `error`, as in `access_denied`.
        error: String,
        /// `error_description`.
        description: String,
    },
    /// Consents, but the callback gets a `state` that is not the one asked for. The browser stays as it was.
    WrongState,
    /// Comes back with the right state and neither code nor error.
    NoCode,
}

impl Consent {
    /// A plain refusal.
    pub fn deny() -> Self {
        Self::Deny {
            error: "access_denied".into(),
            description: "The pretend person said no".into(),
        }
    }
}

/// How device login goes (PROTOCOL §1).
#[derive(Clone, Debug)]
pub struct Device {
    /// Whether this issuer has device login at all; without it both endpoints answer 404.
    pub offered: bool,
    /// How many polls come too early.
    pub pending: u32,
    /// How a poll that is too early is answered: 403 or 404.
    pub pending_status: u16,
    /// Answers the polls after the pending ones with an error instead of a code: the person took too long.
    pub expires: bool,
    /// The interval the client is told to keep.
    pub interval: Interval,
    /// Calls the code `usercode` instead of `user_code`.
    pub short_name: bool,
}

impl Default for Device {
    /// Offered, one poll too early, an interval of `"1"`.
    fn default() -> Self {
        Self {
            offered: true,
            pending: 1,
            pending_status: 403,
            expires: false,
            interval: Interval::Text("1".into()),
            short_name: false,
        }
    }
}

/// `interval` of a device login, which is a string of seconds from the real issuer and a number from others.
#[derive(Clone, Debug)]
pub enum Interval {
    /// A JSON string.
    Text(String),
    /// A JSON number, in seconds.
    Number(u64),
    /// Not there.
    Missing,
}

/// What a successful answer of the token endpoint holds besides the access token.
#[derive(Clone, Copy, Debug)]
pub struct TokenReply {
    /// `refresh_token`. Without it a refresh does not use up the old token either.
    pub refresh_token: bool,
    /// `id_token`.
    pub id_token: bool,
    /// `expires_in`.
    pub expires_in: bool,
}

impl Default for TokenReply {
    /// All of them.
    fn default() -> Self {
        Self {
            refresh_token: true,
            id_token: true,
            expires_in: true,
        }
    }
}

/// What the token endpoint does with a request.
#[derive(Clone, Debug)]
pub enum TokenAnswer {
    /// Answers so without carrying the request out: no code and no token is used up. [`Answer::Good`] is an empty object.
    Refuse(Answer),
    /// Carries the request out, using up what it brought, and answers so. With [`Answer::Good`] that is an ordinary
    /// grant; with anything else the new tokens are lost on the way, or a part of them.
    Grant(Answer),
}
