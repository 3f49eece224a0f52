//! What other programs that keep several accounts write of one: CLIProxyAPI, the multi-account plugins
//! of opencode, sub2api and codex-switcher. Only what is a person's own login is taken; their limits
//! are left behind, as the first answer says how things are.

use jiff::Timestamp;
use serde_json::Value;

use super::contract::NoLogin;
use crate::account::secret::{AccessToken, IdToken, RefreshToken};
use crate::account::time::{self, UnixMillis};
use crate::account::{Account, AccountId};

/// Whether a value is CLIProxyAPI's file of one account.
#[must_use]
pub fn is_cliproxy(record: &Value) -> bool {
    record["type"] == "codex"
}

/// The account in such a file.
///
/// # Errors
/// When it has no refresh token.
pub fn cliproxy(record: &Value) -> Result<Account, NoLogin> {
    let mut account = with_tokens(record, "CLIProxyAPI")?;
    account.chatgpt_account_id = text(record, &["account_id"]).map(AccountId::new);
    account.email = text(record, &["email"]).map(str::to_owned);
    account.tokens.refreshed_at = moment(record, "last_refresh");
    account.tokens.expires_at = moment(record, "expired");
    account.enabled = record["disabled"] != true;
    Ok(account)
}

/// An account of the multi-account plugins.
///
/// # Errors
/// When it has no refresh token.
pub fn of_plugin(record: &Value) -> Result<Account, NoLogin> {
    let mut account = with_tokens(record, "a multi-account plugin")?;
    account.chatgpt_account_id =
        text(record, &["accountId", "chatgptAccountId"]).map(AccountId::new);
    account.email = text(record, &["email"]).map(str::to_owned);
    account.label = text(record, &["accountLabel"]).map(str::to_owned);
    account.enabled = record["enabled"] != false;
    account.added_at = millis(record, "addedAt");
    account.last_used = millis(record, "lastUsed");
    account.tokens.expires_at = millis(record, "expiresAt");
    Ok(account)
}

/// Where sub2api and codex-switcher keep the tokens of an account.
const NESTED: [&str; 2] = ["credentials", "auth_data"];

/// Whether an account is one of sub2api's or codex-switcher's.
#[must_use]
pub fn is_managed(record: &Value) -> bool {
    NESTED.iter().any(|name| record[name].is_object())
}

/// The account in such a record.
///
/// # Errors
/// When it is an API key, another service's, or has no refresh token.
pub fn managed(record: &Value) -> Result<Account, NoLogin> {
    let platform = record["platform"].as_str().unwrap_or("openai");
    if platform != "openai" {
        return Err(NoLogin::OtherService);
    }
    let nested = NESTED.iter().map(|name| &record[name]);
    let tokens = nested.into_iter().find(|it| it.is_object());
    let tokens = tokens.ok_or(NoLogin::OtherShape)?;
    let is_key = ["api_key", "key"].iter().any(|it| tokens.get(it).is_some());
    if is_key && text(tokens, &["refresh_token"]).is_none() {
        return Err(NoLogin::NoChatGpt);
    }
    let mut account = with_tokens(tokens, "another manager")?;
    let id = text(tokens, &["chatgpt_account_id", "account_id"]);
    account.chatgpt_account_id = id.map(AccountId::new);
    let email = text(tokens, &["email"]).or_else(|| text(record, &["email"]));
    account.email = email.map(str::to_owned);
    Ok(account)
}

/// An account with the tokens of a record, which are written as the protocol or as JavaScript names
/// them.
fn with_tokens(record: &Value, of: &'static str) -> Result<Account, NoLogin> {
    let refresh = text(record, &["refresh_token", "refreshToken"]);
    let refresh = refresh.ok_or(NoLogin::WithoutRefresh { of })?;
    let mut account = Account::new(RefreshToken::new(refresh));
    account.tokens.access = text(record, &["access_token", "accessToken"]).map(AccessToken::new);
    account.tokens.id = text(record, &["id_token", "idToken"]).map(IdToken::new);
    Ok(account)
}

fn text<'a>(record: &'a Value, names: &[&str]) -> Option<&'a str> {
    let texts = names.iter().filter_map(|name| record[name].as_str());
    texts.into_iter().find(|text| !text.trim().is_empty())
}

fn millis(record: &Value, name: &str) -> Option<UnixMillis> {
    time::or_zero::deserialize(&record[name]).ok()?
}

/// RFC 3339.
fn moment(record: &Value, name: &str) -> Option<UnixMillis> {
    let timestamp: Timestamp = text(record, &[name])?.parse().ok()?;
    UnixMillis::known(u64::try_from(timestamp.as_millisecond()).ok()?)
}
