//! What is known of an account, and whether it can be used now. How that is written, `wire` knows.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::limit::Class;
use super::mark::Mark;
use super::pick::Policy;
use super::secret::{AccessToken, RefreshToken};
use super::time::UnixMillis;
use super::tokens::Tokens;
use super::usage::Usage;
use super::{AccountId, Extra, Scope, UserId};

/// One account, as the store holds it (DESIGN §3).
#[derive(Clone, Debug, PartialEq)]
pub struct Account {
    /// What its login gave, or the last refresh of that.
    pub tokens: Tokens,
    /// The workspace.
    pub chatgpt_account_id: Option<AccountId>,
    /// The person's address, as the token says it.
    pub email: Option<String>,
    /// When the account was first added.
    pub added_at: Option<UnixMillis>,
    /// When it was last picked.
    pub last_used: Option<UnixMillis>,
    /// Why it last became the active one.
    pub last_switch_reason: Option<SwitchReason>,
    /// The person.
    pub chatgpt_user_id: Option<UserId>,
    /// The plan, an open set of words (PROTOCOL §2).
    pub plan_type: Option<String>,
    /// A name of the person's own choice.
    pub label: Option<String>,
    /// Whether it may be picked.
    pub enabled: bool,
    /// The marks, by scope.
    pub(super) limits: BTreeMap<Scope, Mark>,
    /// The models that the limit of each family was seen to cover, where it has no mark now.
    pub(super) families: BTreeMap<Scope, Vec<String>>,
    /// The end of the default mark, for programs that know only this field.
    pub(super) rate_limit_reset_time: Option<UnixMillis>,
    /// Who has it in use.
    pub lease: Option<Lease>,
    /// What the person wishes of it.
    pub policy: Policy,
    /// What was last seen of its quota.
    pub usage: Option<Usage>,
    /// When it became the active one, and with how much used.
    pub activation: Option<Activation>,
    /// Set when the issuer said that the login is dead.
    pub login_required: Option<LoginRequired>,
    /// The clients in whose login files tokens of this very login were seen, or put: what they
    /// renew by themselves uses up ours. Any other login of the account there is not ours.
    pub shared_with: BTreeSet<String>,
    /// Fields that this program does not know.
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
    /// The machine that the process is on, by its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// Since when that machine runs, by its system's name for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boot: Option<String>,
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
        Self::of(Tokens::new(refresh_token))
    }

    /// An account of which nothing but the tokens is known.
    #[must_use]
    pub fn of(tokens: Tokens) -> Self {
        Self {
            tokens,
            chatgpt_account_id: None,
            email: None,
            added_at: None,
            last_used: None,
            last_switch_reason: None,
            chatgpt_user_id: None,
            plan_type: None,
            label: None,
            enabled: true,
            limits: BTreeMap::new(),
            families: BTreeMap::new(),
            rate_limit_reset_time: None,
            lease: None,
            policy: Policy::default(),
            usage: None,
            activation: None,
            login_required: None,
            shared_with: BTreeSet::new(),
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
        self.rate_limit_reset_time = self.default_until();
    }

    fn default_until(&self) -> Option<UnixMillis> {
        let mark = self.limits.get(Scope::DEFAULT)?;
        UnixMillis::known(mark.until.as_millis())
    }

    /// Takes over what a program wrote that knows only `rateLimitResetTime`: we keep that field
    /// equal to the default mark, so where they differ it is the newer word.
    pub(crate) fn adopt_reset_time(&mut self) {
        if self.rate_limit_reset_time == self.default_until() {
            return;
        }
        match self.rate_limit_reset_time {
            None => {
                self.limits.remove(Scope::DEFAULT);
            }
            Some(told) => {
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
            .filter(|(scope, mark)| mark.holds(now) && mark.covers(scope, model))
            .max_by_key(|(_, mark)| mark.until)
            .map_or(State::Ready, |(scope, mark)| match mark.class {
                Class::ModelNotIncluded => State::ModelNotIncluded(mark),
                Class::Refused => State::Refused(mark),
                _ => State::Limited { scope, mark },
            })
    }

    /// The access token, if it can still be used for at least this long.
    #[must_use]
    pub fn fresh_token(&self, now: UnixMillis, left: Duration) -> Option<&AccessToken> {
        self.tokens.fresh(now, left)
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
    /// Not with this model, before the mark ends.
    ModelNotIncluded(&'a Mark),
    /// Not even its fresh token was accepted: not before the mark ends.
    Refused(&'a Mark),
    /// Not before the person logs in again.
    LoginRequired(&'a LoginRequired),
    /// The person does not want it, or its workspace is gone.
    Disabled,
}

impl State<'_> {
    /// When it can be used again, where that comes by itself.
    #[must_use]
    pub const fn until(&self) -> Option<UnixMillis> {
        match self {
            Self::Limited { mark, .. } | Self::ModelNotIncluded(mark) | Self::Refused(mark) => {
                Some(mark.until)
            }
            Self::Ready | Self::LoginRequired(_) | Self::Disabled => None,
        }
    }

    /// The word for it in records.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Limited { .. } => "limited",
            Self::ModelNotIncluded(_) => "model-not-included",
            Self::Refused(_) => "refused",
            Self::LoginRequired(_) => "login-required",
            Self::Disabled => "disabled",
        }
    }
}
