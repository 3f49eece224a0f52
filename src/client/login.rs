//! Login files: those of the clients, those that other account programs keep, and what this suite
//! itself exports. They are told apart by their shape and read for the accounts in them; nothing
//! here writes.

use serde::Deserialize;
use serde_json::Value;

use super::contract::NoLogin;
use super::exports;
use super::registry::CLIENTS;
use crate::account::secret::RefreshToken;
use crate::account::utf8::without_mark;
use crate::account::{Account, AccountId, identity, token};
use crate::store::Document;

/// What a login file holds.
#[derive(Debug, Default, PartialEq)]
pub struct Logins {
    /// The accounts that can be refreshed.
    pub accounts: Vec<Account>,
    /// Why others in it are no use, one for each.
    pub passed_over: Vec<NoLogin>,
}

/// The accounts in a login file of any kind, with what their tokens say about their owners.
///
/// # Errors
/// When it holds none that could be used.
pub fn read(text: &[u8]) -> Result<Logins, NoLogin> {
    let text = without_mark(text);
    let mut logins = match text.trim_ascii_start() {
        [b'{' | b'[', ..] => read_json(text)?,
        _ => read_packed(text)?,
    };
    for account in &mut logins.accounts {
        identity::learn_owner(account);
        let expiry = account.tokens.expires_at;
        account.tokens.expires_at = expiry.or_else(|| account.tokens.claims().expires_at);
    }
    Ok(logins)
}

fn read_packed(text: &[u8]) -> Result<Logins, NoLogin> {
    let text = std::str::from_utf8(text).map_err(|_| NoLogin::OtherShape)?;
    let entries = token::decode(text)?.into_iter();
    Ok(Logins {
        accounts: entries.map(Account::from).collect(),
        passed_over: Vec::new(),
    })
}

/// One value, a list of them, or one after the other: a file of many accounts is each of these
/// somewhere.
fn read_json(text: &[u8]) -> Result<Logins, NoLogin> {
    let values: Result<Vec<Value>, _> = serde_json::Deserializer::from_slice(text)
        .into_iter()
        .collect();
    let values = values.map_err(|error| NoLogin::NotJson {
        line: error.line(),
        column: error.column(),
    })?;
    match values.as_slice() {
        [one] if one.get("accounts").is_some() => read_store(text, one),
        [Value::Array(list)] => gather(list, read_one),
        several => gather(several, read_one),
    }
}

/// The accounts of all these values. Those that are no use do not keep the others out.
fn gather(
    values: &[Value],
    read: impl Fn(&Value) -> Result<Vec<Account>, NoLogin>,
) -> Result<Logins, NoLogin> {
    let mut logins = Logins::default();
    for value in values {
        match read(value) {
            Ok(accounts) => logins.accounts.extend(accounts),
            Err(NoLogin::OtherShape) => return Err(NoLogin::OtherShape),
            Err(why) => logins.passed_over.push(why),
        }
    }
    match logins.passed_over.first() {
        Some(why) if logins.accounts.is_empty() => Err(why.clone()),
        _ => Ok(logins),
    }
}

fn read_one(value: &Value) -> Result<Vec<Account>, NoLogin> {
    if value.get("refreshToken").is_some() {
        return read_record(value).map(|account| vec![account]);
    }
    if value.get("consumed").is_some() {
        return read_kept(value).map(|account| vec![account]);
    }
    if exports::is_cliproxy(value) {
        return exports::cliproxy(value).map(|account| vec![account]);
    }
    let client = CLIENTS.iter().find(|client| client.recognises(value));
    client.ok_or(NoLogin::OtherShape)?.accounts(value)
}

/// A store: ours, that of the plugin proposal, that of the multi-account plugins, whose version 1 has
/// our version and their names, or what another manager exports.
fn read_store(text: &[u8], store: &Value) -> Result<Logins, NoLogin> {
    let accounts = store["accounts"].as_array().ok_or(NoLogin::OtherShape)?;
    let has = |name: &str| accounts.iter().any(|account| account.get(name).is_some());
    if !accounts.is_empty() && !has("refreshToken") {
        return match accounts.iter().any(exports::is_managed) {
            true => gather(accounts, |it| exports::managed(it).map(|it| vec![it])),
            false => Err(NoLogin::WithoutSecrets),
        };
    }
    if store["version"] == 3 || has("accountId") {
        return gather(accounts, |it| exports::of_plugin(it).map(|it| vec![it]));
    }
    Ok(Logins {
        accounts: Document::parse(text)?.accounts,
        passed_over: Vec::new(),
    })
}

/// A record, as `codex-token-decode` prints it.
fn read_record(record: &Value) -> Result<Account, NoLogin> {
    let text = |name: &str| record[name].as_str().filter(|it| !it.trim().is_empty());
    let token = text("refreshToken").ok_or(NoLogin::OtherShape)?;
    let mut account = Account::new(RefreshToken::new(token));
    account.chatgpt_account_id = text("chatgptAccountId").map(AccountId::new);
    Ok(account)
}

/// What versions before 0.2 kept where a store could not take new tokens (`….rescued`): the account
/// that has them, and the tokens that they were got for.
fn read_kept(record: &Value) -> Result<Account, NoLogin> {
    Account::deserialize(&record["account"]).map_err(|_| NoLogin::OtherShape)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::time::UnixMillis;
    use crate::store::format;
    use serde_json::json;

    fn accounts(file: &Value) -> Vec<Account> {
        read(file.to_string().as_bytes()).unwrap().accounts
    }

    fn error(file: &Value) -> NoLogin {
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
            json!([{"consumed": ["q"], "account": {"refreshToken": "r", "chatgptAccountId": "acc"}}]),
        ];
        for file in files {
            let found = accounts(&file);
            assert_eq!(found.len(), 1, "{file}");
            assert_eq!(found[0].tokens.refresh.expose(), "r", "{file}");
            assert_eq!(id(&found[0]), Some("acc"), "{file}");
        }
        assert_eq!(read(b"r1|a1||r2|a2\n").unwrap().accounts.len(), 2);
        let lines = b"{\"refreshToken\":\"a\"}\n{\"refreshToken\":\"b\"}\n";
        assert_eq!(read(lines).unwrap().accounts.len(), 2);
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
                NoLogin::NoChatGpt,
            ),
            (
                json!({"version": 1, "accounts": [{"email": "a@b"}]}),
                NoLogin::WithoutSecrets,
            ),
            (json!({"anthropic": {"type": "api"}}), NoLogin::NoEntry),
            (
                json!({"type": "gemini", "refresh_token": "r"}),
                NoLogin::OtherShape,
            ),
            (json!({"name": "package"}), NoLogin::OtherShape),
            (
                json!({"version": 9, "accounts": [{"refreshToken": "r"}]}),
                NoLogin::Store(format::Error::Newer { version: 9 }),
            ),
        ] {
            assert_eq!(error(&file), expected, "{file}");
        }
        assert_eq!(accounts(&json!(none)), []);
        assert!(matches!(
            read(b"{\"canary\":"),
            Err(NoLogin::NotJson { .. })
        ));
    }
}
