//! Codex CLI (PROTOCOL §6): its `auth.json`, and the arguments that point it at the proxy.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::LoginFile;
use super::json_file::{JsonFile, Text};
use super::wiring::{Relay, Wiring};
use crate::account::secret::{AccessToken, IdToken, RefreshToken};
use crate::account::time::UnixMillis;
use crate::account::{Account, AccountId, identity};
use crate::store::lock::{Patience, Waiting};
use crate::store::{self, lock_file};

/// An account as Codex CLI's `auth.json`, with no refresh token: Codex can use it until it expires
/// and has nothing to renew it with. `refreshed` is RFC 3339.
#[must_use]
pub fn auth(account: &Account, refreshed: &str) -> Value {
    let access = account.access_token.as_ref().map(AccessToken::expose);
    json!({
        "auth_mode": "chatgpt",
        "OPENAI_API_KEY": null,
        "tokens": {
            // Codex reads claims from it and refuses what is no JWT; the access token has them too.
            "id_token": account.id_token.as_ref().map(IdToken::expose).or(access),
            "access_token": access,
            "refresh_token": "",
            "account_id": account.chatgpt_account_id,
        },
        "last_refresh": refreshed,
    })
}

/// The account in an `auth.json`; `None` where it holds no login that can be refreshed: an API key,
/// or what [`auth`] makes.
#[must_use]
pub fn account(auth: &Value) -> Option<Account> {
    let text = |name: &str| {
        auth["tokens"][name]
            .as_str()
            .filter(|text| !text.is_empty())
    };
    let mut account = Account::new(RefreshToken::new(text("refresh_token")?));
    account.access_token = text("access_token").map(AccessToken::new);
    account.id_token = text("id_token").map(IdToken::new);
    account.chatgpt_account_id = text("account_id").map(AccountId::new);
    account.expires_at = identity::claims(&account)
        .expires_at
        .unwrap_or(UnixMillis::NEVER);
    identity::learn_owner(&mut account);
    Some(account)
}

/// Codex's `auth.json`.
#[derive(Clone, Debug)]
pub struct AuthFile {
    folder: PathBuf,
    file: JsonFile,
    waiting: Waiting,
}

impl AuthFile {
    /// That of the person who runs this: in `$CODEX_HOME`, or else in `~/.codex`.
    ///
    /// # Errors
    /// When there is no home directory.
    pub fn of_person(waiting: Waiting) -> Result<Self, store::Error> {
        let named = std::env::var_os("CODEX_HOME").filter(|folder| !folder.is_empty());
        let folder = match named {
            Some(folder) => PathBuf::from(folder),
            None => dirs::home_dir().ok_or(store::Error::NoHome)?.join(".codex"),
        };
        Ok(Self {
            file: JsonFile::new(folder.join("auth.json")),
            folder,
            waiting,
        })
    }

    fn login(&self) -> Result<Option<Account>, store::Error> {
        Ok(self.file.read()?.and_then(|text| account(&text.value())))
    }
}

impl LoginFile for AuthFile {
    fn client(&self) -> &'static str {
        "codex"
    }

    fn path(&self) -> &Path {
        self.file.path()
    }

    fn logins(&self) -> Result<Vec<Account>, store::Error> {
        Ok(self.login()?.into_iter().collect())
    }

    fn renew(&self, consumed: &RefreshToken, renewed: &Account) -> Result<(), store::Error> {
        let holds_it =
            |login: Option<Account>| login.is_some_and(|login| login.refresh_token == *consumed);
        // Nothing of ours is left in the folder of somebody who has another login there, or none.
        if !holds_it(self.login()?) {
            return Ok(());
        }
        // Codex's own two locks, in its own order (PROTOCOL §6).
        let lock = |name| lock_file(self.folder.join(name), Patience::USUAL, self.waiting);
        let _before_all = lock("auth.lock")?;
        let _before_the_file = lock("auth.json.lock")?;
        let put_in_place = |text: &mut Text| {
            if holds_it(account(&text.value())) {
                renew(text, renewed);
            }
            Ok(())
        };
        self.file.change(put_in_place).map(drop)
    }
}

fn renew(text: &mut Text, renewed: &Account) {
    text.set(&["tokens", "refresh_token"], renewed.refresh_token.expose());
    if let Some(access) = &renewed.access_token {
        text.set(&["tokens", "access_token"], access.expose());
    }
    if let Some(id) = &renewed.id_token {
        text.set(&["tokens", "id_token"], id.expose());
    }
    text.set(&["last_refresh"], renewed.refreshed_at.rfc3339());
}

/// Points Codex CLI at a relay for one run, without touching its files: a provider of its own, with
/// the key in a variable. The name `OpenAI` keeps what Codex does only for OpenAI.
#[must_use]
pub fn wire(relay: Relay<'_>) -> Wiring {
    const PROVIDER: &str = "codex_accounts";
    const KEY: &str = "CODEX_ACCOUNTS_KEY";
    let provider = format!(
        "model_providers.{PROVIDER}={{name=\"OpenAI\",base_url=\"{}\",wire_api=\"responses\",\
         env_key=\"{KEY}\",supports_websockets=false}}",
        relay.url
    );
    Wiring {
        arguments: ["-c", &format!("model_provider={PROVIDER}"), "-c", &provider]
            .map(OsString::from)
            .into(),
        environment: vec![(KEY, relay.key.to_owned())],
        placeholder: None,
    }
}
