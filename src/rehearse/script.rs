//! The script: which accounts there are, and how issuer and backend treat them.
//!
//! Plain data with public fields, so that a test says what it means. Nothing here serves a request.

use super::account::PretendAccount;
use super::answer::{Answer, TokenAnswer};
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
    /// Takes requests that name no account, such as those of a client that has an access token for an API key.
    pub nameless: bool,
    /// Whether accounts can read what another one sealed.
    pub blobs: Blobs,
    /// How what an account can't read is refused.
    pub foreign: Foreign,
    /// How long a compaction is silent before its first event.
    pub compaction_silence: Duration,
    /// The WebSocket.
    pub socket: Socket,
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
            nameless: false,
            blobs: Blobs::Bound,
            foreign: Foreign::default(),
            compaction_silence: Duration::ZERO,
            socket: Socket::default(),
            remember: true,
            stopped_at: None,
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

/// Whether an account can read the encrypted items of another (PROTOCOL-SWITCH §0).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Blobs {
    /// It can't, as seen until June 2026.
    #[default]
    Bound,
    /// It can, as seen in September 2026. What was altered, or stands under another id, is refused all the same.
    Portable,
}

/// How an item that the account can't read is refused (PROTOCOL-SWITCH §1, E1 to E5 and E14).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Foreign {
    /// What is said to be wrong.
    pub reason: Reason,
    /// How it is put.
    pub delivery: Delivery,
    /// Leaves the code out: `"code": null`.
    pub codeless: bool,
}

/// What is said to be wrong with an encrypted item of another account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reason {
    /// E2: it could not be decrypted. The commonest one.
    #[default]
    Key,
    /// E1: it is another organization's.
    Organization,
    /// E5: nothing.
    Unsaid,
}

/// How a refusal is put.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Delivery {
    /// As a 400; over a WebSocket as an `error` frame with that status.
    #[default]
    Status,
    /// As a 200 whose stream fails after `response.created`.
    Failed,
    /// As a 200 with an `error` event of status 400.
    Event,
}

/// How the backend's WebSocket behaves (PROTOCOL-WEBSOCKET).
#[derive(Clone, Debug)]
pub struct Socket {
    /// Whether there is one; otherwise an upgrade is answered 426.
    pub offered: bool,
    /// Refuses an account that is limited at the handshake already; otherwise its first request meets the limit.
    pub limits_at_handshake: bool,
    /// How old a connection may get before its next request is refused.
    pub max_age: Duration,
    /// The length of a message, in bytes, from which on the connection is closed with 1009.
    pub max_message: usize,
}

impl Default for Socket {
    /// Offered; 60 minutes; 16 MiB.
    fn default() -> Self {
        Self {
            offered: true,
            limits_at_handshake: false,
            max_age: HOUR,
            max_message: 16 << 20,
        }
    }
}
