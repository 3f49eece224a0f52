//! Accounts, and everything that is decided about them: who an account is, whether it can be used
//! now, which one is next, what a response says about it.
//!
//! Nothing here reads a file, a clock, the environment or the network, and nothing knows of
//! arguments or output: all of it is functions of their arguments.

use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};

pub mod claims;
pub mod credentials;
pub mod extra;
pub mod identity;
pub mod label;
pub mod limit;
pub mod mark;
pub mod merge;
pub mod pick;
pub mod printable;
pub mod response;
pub mod secret;
pub mod select;
pub mod stream;
pub mod time;
pub mod token;
pub mod usage;

pub use extra::Extra;
use mark::Mark;
use secret::{AccessToken, IdToken, RefreshToken};
use time::UnixMillis;
use usage::Usage;

/// A text id, so that one kind can't be handed over for another.
macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// The id with this text.
            #[must_use]
            pub fn new(text: impl Into<String>) -> Self {
                Self(text.into())
            }

            /// Its text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

id! {
    /// The ChatGPT account, that is the workspace: `chatgpt_account_id` (PROTOCOL §2). The seats
    /// of a team share one.
    AccountId
}
id! {
    /// The person: `chatgpt_user_id` (PROTOCOL §2).
    UserId
}
id! {
    /// What a limit is for: `default`, or the id of a limit of one model family, such as
    /// `codex_bengalfox` (PROTOCOL §4).
    Scope
}

impl Scope {
    /// The scope of a limit that is for all models.
    pub const DEFAULT: &'static str = "default";

    /// The scope of a limit that is for all models.
    #[must_use]
    pub fn default_scope() -> Self {
        Self::new(Self::DEFAULT)
    }
}

/// One login, as the store holds it (DESIGN §3). Optional fields that are absent stay absent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Account {
    /// The refresh token; used up by a refresh and replaced in the same change.
    pub refresh_token: RefreshToken,
    /// The workspace.
    #[serde(
        default,
        deserialize_with = "filled",
        skip_serializing_if = "Option::is_none"
    )]
    pub chatgpt_account_id: Option<AccountId>,
    /// The person's address, as the token says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// When the account was first added.
    #[serde(default)]
    pub added_at: UnixMillis,
    /// When it was last picked.
    #[serde(default)]
    pub last_used: UnixMillis,
    /// Why it last became the active one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_switch_reason: Option<SwitchReason>,
    /// Mirrors the end of the default mark, for programs that know only this field.
    #[serde(default, skip_serializing_if = "UnixMillis::is_never")]
    rate_limit_reset_time: UnixMillis,
    /// The person.
    #[serde(
        default,
        deserialize_with = "filled",
        skip_serializing_if = "Option::is_none"
    )]
    pub chatgpt_user_id: Option<UserId>,
    /// The plan, an open set of words (PROTOCOL §2).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan_type: Option<String>,
    /// A name of the person's own choice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Whether it may be picked; written only when it may not.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub enabled: bool,
    /// The access token that the last refresh gave.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_token: Option<AccessToken>,
    /// When the access token expires.
    #[serde(default, skip_serializing_if = "UnixMillis::is_never")]
    pub expires_at: UnixMillis,
    /// The id token that the last login or refresh gave.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id_token: Option<IdToken>,
    /// When the tokens were last renewed.
    #[serde(default, skip_serializing_if = "UnixMillis::is_never")]
    pub refreshed_at: UnixMillis,
    /// The marks, by scope.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    limits: BTreeMap<Scope, Mark>,
    /// The models that the limit of each family was seen to cover, where it has no mark now.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    families: BTreeMap<Scope, Vec<String>>,
    /// Who has it in use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease: Option<Lease>,
    /// What was last seen of its quota.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// When it became the active one, and with how much used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub activation: Option<Activation>,
    /// Set when the issuer said that the login is dead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub login_required: Option<LoginRequired>,
    /// Fields that this program does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Why an account became the active one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SwitchReason {
    /// It was the first one.
    Initial,
    /// The one before was limited.
    RateLimit,
    /// The strategy, or the person, wanted another.
    Rotation,
    /// A word that another program wrote.
    #[serde(untagged)]
    Other(String),
}

impl SwitchReason {
    /// The word for it.
    #[must_use]
    pub fn word(&self) -> &str {
        match self {
            Self::Initial => "initial",
            Self::RateLimit => "rate-limit",
            Self::Rotation => "rotation",
            Self::Other(word) => word,
        }
    }
}

/// A claim on an account by a running process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// When it ends by itself.
    pub until: UnixMillis,
    /// The process that holds it; the lease ends with it.
    pub pid: u32,
    /// When that process started, as its system counts: it tells it from a later one of its number.
    #[serde(
        rename = "processStart",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub process_start: Option<u64>,
    /// Fields that this program does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// The moment an account became the active one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Activation {
    /// When that was.
    pub at: UnixMillis,
    /// How much of the weekly window was used then, in percent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weekly_used_percent: Option<f64>,
    /// Fields that this program does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// The issuer's word that a login is dead.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoginRequired {
    /// The issuer's code (PROTOCOL §1).
    pub code: String,
    /// When it said so.
    pub at: UnixMillis,
    /// Fields that this program does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

impl Account {
    /// An account of which nothing but the refresh token is known.
    #[must_use]
    pub fn new(refresh_token: RefreshToken) -> Self {
        Self {
            refresh_token,
            chatgpt_account_id: None,
            email: None,
            added_at: UnixMillis::NEVER,
            last_used: UnixMillis::NEVER,
            last_switch_reason: None,
            rate_limit_reset_time: UnixMillis::NEVER,
            chatgpt_user_id: None,
            plan_type: None,
            label: None,
            enabled: true,
            access_token: None,
            expires_at: UnixMillis::NEVER,
            id_token: None,
            refreshed_at: UnixMillis::NEVER,
            limits: BTreeMap::new(),
            families: BTreeMap::new(),
            lease: None,
            usage: None,
            activation: None,
            login_required: None,
            extra: Extra::new(),
        }
    }

    /// The marks, by scope; also those that are over.
    #[must_use]
    pub fn limits(&self) -> &BTreeMap<Scope, Mark> {
        &self.limits
    }

    /// Puts a mark in the place of the one its scope has.
    pub fn set_limit(&mut self, scope: Scope, mark: Mark) {
        self.limits.insert(scope, mark);
        self.mirror();
    }

    /// Takes the mark of a scope away; the models it covered stay known. Whether there was one.
    pub fn clear_limit(&mut self, scope: &str) -> bool {
        let removed = self.limits.remove_entry(scope);
        self.mirror();
        let Some((scope, mark)) = removed else {
            return false;
        };
        if !mark.models.is_empty() {
            self.families.insert(scope, mark.models);
        }
        true
    }

    fn mirror(&mut self) {
        self.rate_limit_reset_time = self
            .limits
            .get(Scope::DEFAULT)
            .map_or(UnixMillis::NEVER, |mark| mark.until);
    }

    /// Takes over what a program wrote that knows only `rateLimitResetTime`: we keep that field
    /// equal to the default mark, so where they differ it is the newer word.
    pub(crate) fn adopt_reset_time(&mut self) {
        let told = self.rate_limit_reset_time;
        let known = self.limits.get(Scope::DEFAULT).map(|mark| mark.until);
        match known {
            Some(until) if until == told => {}
            None if told.is_never() => {}
            _ if told.is_never() => {
                self.limits.remove(Scope::DEFAULT);
            }
            _ => {
                let mark = Mark::by_other_program(told);
                self.limits.insert(Scope::default_scope(), mark);
            }
        }
    }

    /// What to call it: the label, else the email, else the account id.
    #[must_use]
    pub fn name(&self) -> &str {
        let id = self.chatgpt_account_id.as_ref().map(AccountId::as_str);
        self.label
            .as_deref()
            .or(self.email.as_deref())
            .or(id)
            .unwrap_or("unnamed account")
    }

    /// Whether it can be used now for `model`; `None` stands for a request whose model is not known.
    #[must_use]
    pub fn state(&self, model: Option<&str>, now: UnixMillis) -> State<'_> {
        if !self.enabled {
            return State::Disabled;
        }
        if let Some(dead) = &self.login_required {
            return State::LoginRequired(dead);
        }
        self.limits
            .iter()
            .filter(|(scope, mark)| mark.until > now && mark.covers(scope, model))
            .max_by_key(|(_, mark)| mark.until)
            .map_or(State::Ready, |(scope, mark)| State::Limited { scope, mark })
    }

    /// Whether the access token can still be used for at least this long.
    #[must_use]
    pub fn fresh_token(&self, now: UnixMillis, left: std::time::Duration) -> Option<&AccessToken> {
        self.access_token
            .as_ref()
            .filter(|_| self.expires_at > now.plus(left))
    }
}

/// Whether an account can be used.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum State<'a> {
    /// It can.
    Ready,
    /// Not before the mark ends.
    Limited {
        /// What the limit is for.
        scope: &'a Scope,
        /// The mark that ends last.
        mark: &'a Mark,
    },
    /// Not before the person logs in again.
    LoginRequired(&'a LoginRequired),
    /// The person does not want it, or its workspace is gone.
    Disabled,
}

impl State<'_> {
    /// The word for it in records.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Limited { .. } => "limited",
            Self::LoginRequired(_) => "login-required",
            Self::Disabled => "disabled",
        }
    }
}

/// Reads an optional id; a blank one is none.
///
/// # Errors
/// When it is no text.
pub fn filled<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Borrow<str>,
{
    let id = Option::<T>::deserialize(deserializer)?;
    Ok(id.filter(|id| !id.borrow().trim().is_empty()))
}

const fn yes() -> bool {
    true
}

// serde passes a reference.
#[allow(clippy::trivially_copy_pass_by_ref)]
const fn is_yes(flag: &bool) -> bool {
    *flag
}
