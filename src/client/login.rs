//! Login files: those of the clients, those that other account programs keep, and what this suite
//! itself exports. They are told apart by their shape and read for the accounts in them; nothing
//! here writes.

use jiff::Timestamp;
use serde_json::Value;
use thiserror::Error;

use super::codex;
use super::opencode::{self, NoLogin};
use crate::account::secret::{AccessToken, IdToken, RefreshToken};
use crate::account::time::{self, UnixMillis};
use crate::account::{Account, AccountId, identity, token};
use crate::store::{self, Document, format, lock::Waiting};

/// Why a text holds no login. It is never quoted: it is full of secrets.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Error {
    /// It is neither JSON nor the packed form.
    #[error("not valid JSON at line {line}, column {column}")]
    NotJson {
        /// Counted from 1.
        line: usize,
        /// Counted from 1.
        column: usize,
    },
    /// It is JSON of another kind.
    #[error("it is no login file that is known here")]
    OtherShape,
    /// It has accounts, but no tokens.
    #[error("it has no refresh tokens: it was exported without --with-secrets")]
    WithoutSecrets,
    /// Codex CLI is logged in by an API key, or not at all.
    #[error("it has no ChatGPT login, only an API key or nothing")]
    NoChatGpt,
    /// See [`NoLogin`].
    #[error(transparent)]
    Opencode(#[from] NoLogin),
    /// See [`format::Error`].
    #[error(transparent)]
    Store(#[from] format::Error),
    /// See [`token::Error`].
    #[error(transparent)]
    Token(#[from] token::Error),
}

/// The clients whose login file holds this very token: they are logged out when it is revoked.
///
/// # Errors
/// When there is no home directory.
pub fn holders(token: &RefreshToken, waiting: Waiting) -> Result<Vec<&'static str>, store::Error> {
    let mut holders = Vec::new();
    for file in super::login_files(waiting)? {
        // What can't be read holds nothing that anybody can use.
        let logins = file.logins().unwrap_or_default();
        if logins.iter().any(|login| login.tokens.refresh == *token) {
            holders.push(file.client());
        }
    }
    Ok(holders)
}

/// The accounts in a login file of any kind, with what their tokens say about their owners.
///
/// # Errors
/// When it holds no login.
pub fn read(text: &[u8]) -> Result<Vec<Account>, Error> {
    let mut accounts = match text.trim_ascii_start() {
        [b'{' | b'[', ..] => read_json(text)?,
        _ => {
            let text = std::str::from_utf8(text).map_err(|_| Error::OtherShape)?;
            token::decode(text)?
                .into_iter()
                .map(Account::from)
                .collect()
        }
    };
    for account in &mut accounts {
        identity::learn_owner(account);
        let expiry = account.tokens.expires_at;
        account.tokens.expires_at = expiry.or_else(|| account.tokens.claims().expires_at);
    }
    Ok(accounts)
}

fn read_json(text: &[u8]) -> Result<Vec<Account>, Error> {
    let values: Result<Vec<Value>, _> = serde_json::Deserializer::from_slice(text)
        .into_iter()
        .collect();
    let values = values.map_err(|error| Error::NotJson {
        line: error.line(),
        column: error.column(),
    })?;
    match values.as_slice() {
        [one] if one.get("accounts").is_some() => read_store(text, one),
        [one] if one.get("tokens").is_some() || one.get("OPENAI_API_KEY").is_some() => {
            read_codex(one)
        }
        [one] if one["type"] == "codex" => Ok(vec![read_cliproxy(one)?]),
        [one] if one.get("refreshToken").is_none() && one.is_object() => read_opencode(one),
        [Value::Array(records)] => records.iter().map(read_record).collect(),
        records => records.iter().map(read_record).collect(),
    }
}

/// A store: ours, that of the plugin proposal, or that of the multi-account plugins, whose version
/// 1 has our version and their names.
fn read_store(text: &[u8], store: &Value) -> Result<Vec<Account>, Error> {
    let accounts = store["accounts"].as_array().ok_or(Error::OtherShape)?;
    let has = |name: &str| accounts.iter().any(|account| account.get(name).is_some());
    if !accounts.is_empty() && !has("refreshToken") {
        return Err(Error::WithoutSecrets);
    }
    if store["version"] == 3 || has("accountId") {
        return accounts.iter().map(read_plugin).collect();
    }
    Ok(Document::parse(text)?.accounts)
}

fn read_opencode(auth: &Value) -> Result<Vec<Account>, Error> {
    // Anything that is an object would else be called a file of opencode's without a login.
    let is_entry = |value: &Value| value.get("type").is_some();
    let entries = auth.as_object().filter(|it| it.values().any(is_entry));
    entries.ok_or(Error::OtherShape)?;
    Ok(opencode::accounts(auth)?)
}

/// A record, as `codex-token-decode` prints it.
fn read_record(record: &Value) -> Result<Account, Error> {
    let mut account = named(record, "refreshToken")?;
    account.chatgpt_account_id = text(record, "chatgptAccountId").map(AccountId::new);
    Ok(account)
}

/// An account of the multi-account plugins. Their limits are left behind: the first answer says
/// how things are.
fn read_plugin(record: &Value) -> Result<Account, Error> {
    let mut account = named(record, "refreshToken")?;
    account.chatgpt_account_id = text(record, "accountId")
        .or_else(|| text(record, "chatgptAccountId"))
        .map(AccountId::new);
    account.email = text(record, "email").map(str::to_owned);
    account.label = text(record, "accountLabel").map(str::to_owned);
    account.tokens.access = text(record, "accessToken").map(AccessToken::new);
    account.enabled = record["enabled"] != false;
    account.added_at = millis(record, "addedAt");
    account.last_used = millis(record, "lastUsed");
    account.tokens.expires_at = millis(record, "expiresAt");
    Ok(account)
}

/// Codex CLI's `auth.json`.
fn read_codex(auth: &Value) -> Result<Vec<Account>, Error> {
    let mut account = codex::account(auth).ok_or(Error::NoChatGpt)?;
    account.tokens.refreshed_at = moment(auth, "last_refresh");
    Ok(vec![account])
}

/// CLIProxyAPI's file of one account.
fn read_cliproxy(record: &Value) -> Result<Account, Error> {
    let mut account = named(record, "refresh_token")?;
    account.tokens.access = text(record, "access_token").map(AccessToken::new);
    account.tokens.id = text(record, "id_token").map(IdToken::new);
    account.chatgpt_account_id = text(record, "account_id").map(AccountId::new);
    account.email = text(record, "email").map(str::to_owned);
    account.tokens.refreshed_at = moment(record, "last_refresh");
    account.tokens.expires_at = moment(record, "expired");
    account.enabled = record["disabled"] != true;
    Ok(account)
}

fn named(record: &Value, name: &str) -> Result<Account, Error> {
    let token = text(record, name).ok_or(Error::OtherShape)?;
    Ok(Account::new(RefreshToken::new(token)))
}

fn text<'a>(record: &'a Value, name: &str) -> Option<&'a str> {
    record[name].as_str().filter(|text| !text.trim().is_empty())
}

fn millis(record: &Value, name: &str) -> Option<UnixMillis> {
    time::or_zero::deserialize(&record[name]).ok()?
}

/// RFC 3339.
fn moment(record: &Value, name: &str) -> Option<UnixMillis> {
    let timestamp: Timestamp = text(record, name)?.parse().ok()?;
    UnixMillis::known(u64::try_from(timestamp.as_millisecond()).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn accounts(file: &Value) -> Vec<Account> {
        read(file.to_string().as_bytes()).unwrap()
    }

    fn error(file: &Value) -> Error {
        read(file.to_string().as_bytes()).unwrap_err()
    }

    fn id(account: &Account) -> Option<&str> {
        account.chatgpt_account_id.as_ref().map(AccountId::as_str)
    }

    #[test]
    fn every_kind_of_file_is_told_by_its_shape() {
        let files = [
            json!({"openai": {"type": "oauth", "refresh": "r", "accountId": "acc"}}),
            json!({"auth_mode": "chatgpt", "OPENAI_API_KEY": null,
                "tokens": {"refresh_token": "r", "account_id": "acc"}}),
            json!({"version": 1, "accounts": [{"refreshToken": "r", "chatgptAccountId": "acc"}]}),
            json!({"version": 1, "accounts": [{"refreshToken": "r", "accountId": "acc"}]}),
            json!({"version": 3, "accounts": [{"refreshToken": "r", "accountId": "acc"}],
                "activeIndexByFamily": {"codex": 0}}),
            json!({"type": "codex", "refresh_token": "r", "account_id": "acc"}),
            json!({"v": 1, "index": 0, "refreshToken": "r", "chatgptAccountId": "acc"}),
            json!([{"refreshToken": "r", "chatgptAccountId": "acc"}]),
        ];
        for file in files {
            let found = accounts(&file);
            assert_eq!(found.len(), 1, "{file}");
            assert_eq!(found[0].tokens.refresh.expose(), "r", "{file}");
            assert_eq!(id(&found[0]), Some("acc"), "{file}");
        }
        assert_eq!(read(b"r1|a1||r2|a2\n").unwrap().len(), 2);
        let lines = b"{\"refreshToken\":\"a\"}\n{\"refreshToken\":\"b\"}\n";
        assert_eq!(read(lines).unwrap().len(), 2);
    }

    #[test]
    fn times_and_states_come_along() {
        let found = accounts(
            &json!({"type": "codex", "refresh_token": "r", "email": "a@b",
            "last_refresh": "2026-09-22T10:00:00Z", "expired": "2026-09-22T19:00:00+08:00"}),
        );
        assert_eq!(
            found[0].tokens.refreshed_at,
            Some(UnixMillis::from_secs(1_790_071_200))
        );
        assert_eq!(
            found[0].tokens.expires_at,
            Some(UnixMillis::from_secs(1_790_074_800))
        );
        let found = accounts(&json!({"version": 3, "accounts": [
            {"refreshToken": "r", "accountId": "acc", "enabled": false, "accountLabel": "work",
             "rateLimitResetTimes": {"codex": 1}}]}));
        assert!(!found[0].enabled);
        assert_eq!(found[0].label.as_deref(), Some("work"));
        assert!(found[0].extra.is_empty(), "what is theirs stays theirs");
    }

    #[test]
    fn what_is_no_login_says_why() {
        let none: [Value; 0] = [];
        for (file, expected) in [
            (
                json!({"OPENAI_API_KEY": "sk", "tokens": null}),
                Error::NoChatGpt,
            ),
            (
                json!({"version": 1, "accounts": [{"email": "a@b"}]}),
                Error::WithoutSecrets,
            ),
            (
                json!({"anthropic": {"type": "api"}}),
                Error::Opencode(NoLogin::NoEntry),
            ),
            (
                json!({"type": "gemini", "refresh_token": "r"}),
                Error::OtherShape,
            ),
            (json!({"name": "package"}), Error::OtherShape),
            (
                json!({"version": 9, "accounts": [{"refreshToken": "r"}]}),
                Error::Store(format::Error::Newer { version: 9 }),
            ),
        ] {
            assert_eq!(error(&file), expected, "{file}");
        }
        assert_eq!(accounts(&json!(none)), []);
        assert!(matches!(read(b"{\"canary\":"), Err(Error::NotJson { .. })));
    }
}
