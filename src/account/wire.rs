//! An account as it is written (DESIGN §3): names and order of the fields. Those that are not known
//! are left out, or 0 where programs look for a number.

use std::collections::{BTreeMap, BTreeSet};

use serde::ser::{Serialize, SerializeMap, Serializer};
use serde::{Deserialize, Deserializer};

use super::id::filled;
use super::mark::Mark;
use super::pick::Policy;
use super::record::{Account, Activation, Lease, LoginRequired, SwitchReason};
use super::secret::{AccessToken, IdToken, RefreshToken};
use super::time::{self, UnixMillis};
use super::tokens::Tokens;
use super::usage::Usage;
use super::{AccountId, Extra, Scope, UserId};

/// The fields as they are read.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire {
    refresh_token: RefreshToken,
    #[serde(default, deserialize_with = "filled")]
    chatgpt_account_id: Option<AccountId>,
    email: Option<String>,
    #[serde(default, with = "time::or_zero")]
    added_at: Option<UnixMillis>,
    #[serde(default, with = "time::or_zero")]
    last_used: Option<UnixMillis>,
    last_switch_reason: Option<SwitchReason>,
    #[serde(default, with = "time::or_zero")]
    rate_limit_reset_time: Option<UnixMillis>,
    #[serde(default, deserialize_with = "filled")]
    chatgpt_user_id: Option<UserId>,
    plan_type: Option<String>,
    label: Option<String>,
    #[serde(default = "yes")]
    enabled: bool,
    access_token: Option<AccessToken>,
    #[serde(default, with = "time::or_zero")]
    expires_at: Option<UnixMillis>,
    id_token: Option<IdToken>,
    #[serde(default, with = "time::or_zero")]
    refreshed_at: Option<UnixMillis>,
    #[serde(default)]
    limits: BTreeMap<Scope, Mark>,
    #[serde(default)]
    families: BTreeMap<Scope, Vec<String>>,
    lease: Option<Lease>,
    #[serde(default)]
    policy: Policy,
    usage: Option<Usage>,
    activation: Option<Activation>,
    login_required: Option<LoginRequired>,
    #[serde(default)]
    shared_with: BTreeSet<String>,
    #[serde(flatten)]
    extra: Extra,
}

const fn yes() -> bool {
    true
}

impl From<Wire> for Account {
    fn from(wire: Wire) -> Self {
        Self {
            tokens: Tokens {
                refresh: wire.refresh_token,
                access: wire.access_token,
                id: wire.id_token,
                expires_at: wire.expires_at,
                refreshed_at: wire.refreshed_at,
            },
            chatgpt_account_id: wire.chatgpt_account_id,
            email: wire.email,
            added_at: wire.added_at,
            last_used: wire.last_used,
            last_switch_reason: wire.last_switch_reason,
            chatgpt_user_id: wire.chatgpt_user_id,
            plan_type: wire.plan_type,
            label: wire.label,
            enabled: wire.enabled,
            limits: wire.limits,
            families: wire.families,
            rate_limit_reset_time: wire.rate_limit_reset_time,
            lease: wire.lease,
            policy: wire.policy,
            usage: wire.usage,
            activation: wire.activation,
            login_required: wire.login_required,
            shared_with: wire.shared_with,
            extra: wire.extra,
        }
    }
}

impl<'de> Deserialize<'de> for Account {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Wire::deserialize(deserializer).map(Self::from)
    }
}

impl Serialize for Account {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let zero = UnixMillis::from_millis(0);
        let mut fields = Fields(serializer.serialize_map(None)?);
        fields.put("refreshToken", &self.tokens.refresh)?;
        fields.put_known("chatgptAccountId", self.chatgpt_account_id.as_ref())?;
        fields.put_known("email", self.email.as_ref())?;
        fields.put("addedAt", &self.added_at.unwrap_or(zero))?;
        fields.put("lastUsed", &self.last_used.unwrap_or(zero))?;
        fields.put_known("lastSwitchReason", self.last_switch_reason.as_ref())?;
        fields.put_known("rateLimitResetTime", self.rate_limit_reset_time.as_ref())?;
        fields.put_known("chatgptUserId", self.chatgpt_user_id.as_ref())?;
        fields.put_known("planType", self.plan_type.as_ref())?;
        fields.put_known("label", self.label.as_ref())?;
        fields.put_known("enabled", (!self.enabled).then_some(&false))?;
        fields.put_known("accessToken", self.tokens.access.as_ref())?;
        fields.put_known("expiresAt", self.tokens.expires_at.as_ref())?;
        fields.put_known("idToken", self.tokens.id.as_ref())?;
        fields.put_known("refreshedAt", self.tokens.refreshed_at.as_ref())?;
        fields.put_known("limits", some(&self.limits))?;
        fields.put_known("families", some(&self.families))?;
        fields.put_known("lease", self.lease.as_ref())?;
        fields.put_known("policy", Some(&self.policy).filter(|it| !it.is_empty()))?;
        fields.put_known("usage", self.usage.as_ref())?;
        fields.put_known("activation", self.activation.as_ref())?;
        fields.put_known("loginRequired", self.login_required.as_ref())?;
        let shared_with = Some(&self.shared_with).filter(|it| !it.is_empty());
        fields.put_known("sharedWith", shared_with)?;
        for (name, value) in self.extra.fields() {
            fields.put(name, value)?;
        }
        fields.0.end()
    }
}

/// A map, unless nothing is in it.
fn some<K, V>(map: &BTreeMap<K, V>) -> Option<&BTreeMap<K, V>> {
    Some(map).filter(|map| !map.is_empty())
}

/// The fields as they are written.
struct Fields<M>(M);

impl<M: SerializeMap> Fields<M> {
    fn put<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) -> Result<(), M::Error> {
        self.0.serialize_entry(name, value)
    }

    fn put_known<T: Serialize>(&mut self, name: &str, value: Option<&T>) -> Result<(), M::Error> {
        match value {
            Some(value) => self.put(name, value),
            None => Ok(()),
        }
    }
}
