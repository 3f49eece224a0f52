//! Codex CLI's `auth.json` (PROTOCOL §6): the account in it, an account as such a file, and renewed
//! tokens put into it under Codex's own locks.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde_json::{Value, json};

use super::folder::folder;
use crate::account::secret::{AccessToken, IdToken, RefreshToken};
use crate::account::time::UnixMillis;
use crate::account::{Account, AccountId, identity};
use crate::client::contract::{LoginFile, NoLogin};
use crate::client::json_file::{JsonFile, Text};
use crate::store::lock::{Lock, Patience, Waiting};
use crate::store::{self, lock_file};

/// An account as Codex CLI's `auth.json`, with no refresh token: Codex can use it until it expires
/// and has nothing to renew it with.
#[must_use]
pub(super) fn auth(account: &Account) -> Value {
    let access = account.tokens.access.as_ref().map(AccessToken::expose);
    json!({
        "auth_mode": "chatgpt",
        "OPENAI_API_KEY": null,
        "tokens": {
            // Codex reads claims from it and refuses what is no JWT; the access token has them too.
            "id_token": account.tokens.id.as_ref().map(IdToken::expose).or(access),
            "access_token": access,
            "refresh_token": "",
            "account_id": account.chatgpt_account_id,
        },
        "last_refresh": account.tokens.refreshed_at.map(UnixMillis::rfc3339),
    })
}

/// The account in an `auth.json`; `None` where it holds no login that can be refreshed: an API key,
/// or what [`auth`] makes.
#[must_use]
pub(super) fn account(auth: &Value) -> Option<Account> {
    with_names(auth, |snake| snake.to_owned())
}

/// The account in a file that is like an `auth.json`: some programs write its names as JavaScript
/// does. Its time of refresh is the file's.
///
/// # Errors
/// When it holds no login that can be refreshed.
pub(super) fn read(auth: &Value) -> Result<Account, NoLogin> {
    let found = account(auth).or_else(|| with_names(auth, camel_case));
    let Some(mut account) = found else {
        let is_agent = auth["auth_mode"] == "agentIdentity" || auth["agent_identity"].is_object();
        return Err(match auth["tokens"].is_object() {
            _ if is_agent => NoLogin::AgentIdentity,
            true => NoLogin::WithoutRefresh { of: "Codex CLI" },
            false => NoLogin::NoChatGpt,
        });
    };
    let refreshed = auth["last_refresh"].as_str();
    let refreshed = refreshed.and_then(|text| text.parse::<Timestamp>().ok());
    account.tokens.refreshed_at = refreshed
        .and_then(|at| u64::try_from(at.as_millisecond()).ok())
        .and_then(UnixMillis::known);
    Ok(account)
}

fn with_names(auth: &Value, name: impl Fn(&str) -> String) -> Option<Account> {
    let text = |snake: &str| {
        auth["tokens"][name(snake)]
            .as_str()
            .filter(|text| !text.is_empty())
    };
    let mut account = Account::new(RefreshToken::new(text("refresh_token")?));
    account.tokens.access = text("access_token").map(AccessToken::new);
    account.tokens.id = text("id_token").map(IdToken::new);
    account.tokens.expires_at = account.tokens.claims().expires_at;
    account.chatgpt_account_id = text("account_id").map(AccountId::new);
    identity::learn_owner(&mut account);
    Some(account)
}

/// `refreshToken` for `refresh_token`.
fn camel_case(snake: &str) -> String {
    let mut words = snake.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |name, word| {
        let (head, rest) = word.split_at(word.len().min(1));
        name + &head.to_ascii_uppercase() + rest
    })
}

/// Codex's `auth.json`.
#[derive(Clone, Debug)]
pub(super) struct AuthFile {
    folder: PathBuf,
    file: JsonFile,
    waiting: Waiting,
}

impl AuthFile {
    /// That of the person who runs this.
    ///
    /// # Errors
    /// When there is no home directory.
    pub(super) fn of_person(waiting: Waiting) -> Result<Self, store::Error> {
        let folder = folder()?;
        Ok(Self {
            file: JsonFile::new(folder.join("auth.json")),
            folder,
            waiting,
        })
    }

    /// Codex's own two locks, in its own order (PROTOCOL §6).
    fn lock(&self) -> Result<[Lock; 2], store::Error> {
        let lock = |name| lock_file(self.folder.join(name), Patience::USUAL, self.waiting);
        Ok([lock("auth.lock")?, lock("auth.json.lock")?])
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

    fn refuse_unwritable(&self) -> Result<(), store::Error> {
        self.file.refuse_unwritable()
    }

    fn renew(&self, consumed: &RefreshToken, renewed: &Account) -> Result<(), store::Error> {
        let holds_it =
            |login: Option<Account>| login.is_some_and(|login| login.tokens.refresh == *consumed);
        // Nothing of ours is left in the folder of somebody who has another login there, or none.
        if !holds_it(self.login()?) {
            self.file.sweep(|| self.lock());
            return Ok(());
        }
        let _locks = self.lock()?;
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
    text.set(
        &["tokens", "refresh_token"],
        renewed.tokens.refresh.expose(),
    );
    if let Some(access) = &renewed.tokens.access {
        text.set(&["tokens", "access_token"], access.expose());
    }
    if let Some(id) = &renewed.tokens.id {
        text.set(&["tokens", "id_token"], id.expose());
    }
    if let Some(refreshed_at) = renewed.tokens.refreshed_at {
        text.set(&["last_refresh"], refreshed_at.rfc3339());
    }
}
