//! The records that commands print: JSON Lines with `"v":1` first, a fixed order of keys, and the
//! field names of the store. None of these holds a secret, except where it says so.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::account::mark::Mark;
use crate::account::pick::Policy;
use crate::account::secret::RefreshToken;
use crate::account::time::{self, UnixMillis};
use crate::account::usage::Usage;
use crate::account::{Account, AccountId, LoginRequired, Scope, SwitchReason, UserId};
use crate::store::Document;

/// The version of all records.
pub const VERSION: u8 = 1;

/// Which account a record is about: the keys that all records begin with.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Who<'a> {
    v: u8,
    index: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    chatgpt_account_id: Option<&'a AccountId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    chatgpt_user_id: Option<&'a UserId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<&'a str>,
}

impl<'a> Who<'a> {
    /// The account at this index.
    #[must_use]
    pub fn new(index: usize, account: &'a Account) -> Self {
        Self {
            v: VERSION,
            index,
            chatgpt_account_id: account.chatgpt_account_id.as_ref(),
            chatgpt_user_id: account.chatgpt_user_id.as_ref(),
            email: account.email.as_deref(),
            label: account.label.as_deref(),
        }
    }
}

/// An account as it is: for `list --json`, and for what a login or a refresh made of it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AccountRecord<'a> {
    #[serde(flatten)]
    who: Who<'a>,
    active: bool,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<UnixMillis>,
    #[serde(skip_serializing_if = "Option::is_none")]
    plan_type: Option<&'a str>,
    enabled: bool,
    #[serde(with = "time::or_zero")]
    added_at: Option<UnixMillis>,
    #[serde(with = "time::or_zero")]
    last_used: Option<UnixMillis>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_switch_reason: Option<&'a SwitchReason>,
    #[serde(with = "time::or_zero")]
    expires_at: Option<UnixMillis>,
    #[serde(with = "time::or_zero")]
    refreshed_at: Option<UnixMillis>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    limits: &'a BTreeMap<Scope, Mark>,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<&'a Usage>,
    #[serde(skip_serializing_if = "Option::is_none")]
    login_required: Option<&'a LoginRequired>,
    #[serde(skip_serializing_if = "Policy::is_empty")]
    policy: &'a Policy,
}

impl<'a> AccountRecord<'a> {
    /// The account at this index of the document.
    #[must_use]
    pub fn new(document: &'a Document, index: usize, now: UnixMillis) -> Self {
        let account = &document.accounts[index];
        let state = account.state(None, now);
        Self {
            who: Who::new(index, account),
            active: index == document.active_index,
            state: state.word(),
            until: state.until(),
            plan_type: account.plan_type.as_deref(),
            enabled: account.enabled,
            added_at: account.added_at,
            last_used: account.last_used,
            last_switch_reason: account.last_switch_reason.as_ref(),
            expires_at: account.tokens.expires_at,
            refreshed_at: account.tokens.refreshed_at,
            limits: account.limits(),
            usage: account.usage.as_ref(),
            login_required: account.login_required.as_ref(),
            policy: &account.policy,
        }
    }
}

/// An account with its refresh token: a secret, for `codex-token-decode` and for what
/// `codex-token-encode` reads.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TokenRecord<'a> {
    v: u8,
    index: usize,
    refresh_token: &'a RefreshToken,
    #[serde(skip_serializing_if = "Option::is_none")]
    chatgpt_account_id: Option<&'a AccountId>,
}

impl<'a> TokenRecord<'a> {
    /// The account at this index.
    #[must_use]
    pub fn new(index: usize, account: &'a Account) -> Self {
        Self {
            v: VERSION,
            index,
            refresh_token: &account.tokens.refresh,
            chatgpt_account_id: account.chatgpt_account_id.as_ref(),
        }
    }
}
