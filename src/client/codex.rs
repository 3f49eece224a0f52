//! Codex CLI (PROTOCOL §6): its `auth.json`, and the arguments that point it at the proxy.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
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
/// and has nothing to renew it with.
#[must_use]
pub fn auth(account: &Account) -> Value {
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
pub fn account(auth: &Value) -> Option<Account> {
    let text = |name: &str| {
        auth["tokens"][name]
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

/// The folder in which Codex keeps everything of a person's: `$CODEX_HOME`, or else `~/.codex`.
fn folder() -> Result<PathBuf, store::Error> {
    let named = std::env::var_os("CODEX_HOME").filter(|folder| !folder.is_empty());
    match named {
        Some(folder) => Ok(PathBuf::from(folder)),
        None => Ok(store::home()?.join(".codex")),
    }
}

/// Codex's `auth.json`.
#[derive(Clone, Debug)]
pub struct AuthFile {
    folder: PathBuf,
    file: JsonFile,
    waiting: Waiting,
}

impl AuthFile {
    /// That of the person who runs this.
    ///
    /// # Errors
    /// When there is no home directory.
    pub fn of_person(waiting: Waiting) -> Result<Self, store::Error> {
        let folder = folder()?;
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
            |login: Option<Account>| login.is_some_and(|login| login.tokens.refresh == *consumed);
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

/// Points Codex CLI at a relay for one run, without touching its files.
///
/// # Errors
/// When there is no home directory.
pub fn wire(arguments: &[OsString], relay: Relay<'_>) -> Result<Wiring, store::Error> {
    let sessions = folder()?.join("sessions");
    let is_of_ours = session(arguments)
        .and_then(|id| recorded_provider(&sessions, id))
        .is_some_and(|provider| provider == PROVIDER);
    Ok(if is_exec(arguments) && !is_of_ours {
        by_built_in_provider(relay)
    } else {
        by_own_provider(relay)
    })
}

/// The provider that is ours. A session is resumed with the one that it was recorded with, or not
/// at all.
const PROVIDER: &str = "codex_accounts";

/// Codex's own provider at our address, so that the session goes on without us too. The key is
/// stronger than a login of Codex's own; but only `codex exec` reads it.
fn by_built_in_provider(relay: Relay<'_>) -> Wiring {
    let address = format!("openai_base_url=\"{}\"", relay.url);
    let mut environment = vec![("CODEX_API_KEY", relay.key.to_owned())];
    // It tries a WebSocket first, and goes on by another or by HTTP where that fails or is closed;
    // that is no error that a person should see.
    if std::env::var_os(LOG).is_none() {
        environment.push((LOG, LOG_WITHOUT_WEBSOCKET.to_owned()));
    }
    Wiring {
        arguments: ["-c", "model_provider=openai", "-c", &address]
            .map(OsString::from)
            .into(),
        environment,
        placeholder: None,
    }
}

/// What Codex logs on standard error; without it, errors.
const LOG: &str = "RUST_LOG";
const LOG_WITHOUT_WEBSOCKET: &str = "error,codex_api::endpoint::responses_websocket=off";

/// A provider of its own, with the key in a variable: it asks for no login. The name `OpenAI` keeps
/// what Codex does only for OpenAI.
fn by_own_provider(relay: Relay<'_>) -> Wiring {
    const KEY: &str = "CODEX_ACCOUNTS_KEY";
    let provider = format!(
        "model_providers.{PROVIDER}={{name=\"OpenAI\",base_url=\"{}\",wire_api=\"responses\",\
         env_key=\"{KEY}\",requires_openai_auth=false,supports_websockets={}}}",
        relay.url, relay.websocket
    );
    Wiring {
        arguments: ["-c", &format!("model_provider={PROVIDER}"), "-c", &provider]
            .map(OsString::from)
            .into(),
        environment: vec![(KEY, relay.key.to_owned())],
        placeholder: None,
    }
}

/// Whether these are arguments of `codex exec`: of the words, the first that can't be an option's
/// value, or an earlier one that says so.
fn is_exec(arguments: &[OsString]) -> bool {
    let is_option = |argument: &OsString| argument.as_encoded_bytes().starts_with(b"-");
    let mut may_be_value = false;
    for argument in arguments {
        if argument == "exec" || argument == "e" {
            return true;
        }
        if !is_option(argument) && !may_be_value {
            return false;
        }
        may_be_value = is_option(argument);
    }
    false
}

/// The id of the session that is to go on, if one is named.
fn session(arguments: &[OsString]) -> Option<&str> {
    let after = arguments.iter().skip_while(|it| *it != "resume").skip(1);
    after.filter_map(|it| it.to_str()).find(|it| is_uuid(it))
}

fn is_uuid(text: &str) -> bool {
    let mut groups = text.split('-');
    let lengths = [8, 4, 4, 4, 12];
    let is_hex = |group: &str, length| {
        group.len() == length && group.bytes().all(|it| it.is_ascii_hexdigit())
    };
    lengths
        .into_iter()
        .all(|length| groups.next().is_some_and(|it| is_hex(it, length)))
        && groups.next().is_none()
}

/// The provider that a session was recorded with: in the first line of its file, which is in a
/// folder for its day.
fn recorded_provider(sessions: &Path, id: &str) -> Option<String> {
    let ending = format!("-{id}.jsonl");
    let file = below(sessions, 4)
        .into_iter()
        .find(|path| path.to_string_lossy().ends_with(&ending))?;
    let mut line = String::new();
    BufReader::new(File::open(file).ok()?)
        .read_line(&mut line)
        .ok()?;
    let line: Value = serde_json::from_str(&line).ok()?;
    Some(line["payload"]["model_provider"].as_str()?.to_owned())
}

/// The files so many levels below a folder.
fn below(folder: &Path, levels: u32) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let paths = entries.map(|entry| entry.path());
    match levels {
        0 | 1 => paths.collect(),
        _ => paths.flat_map(|path| below(&path, levels - 1)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<OsString> {
        line.split_whitespace().map(OsString::from).collect()
    }

    #[test]
    fn exec_is_told_from_what_has_a_screen() {
        for line in [
            "exec hi",
            "e",
            "-m gpt-5.5 exec",
            "--oss -c a=b e resume",
            "--search exec",
        ] {
            assert!(is_exec(&words(line)), "{line}");
        }
        for line in [
            "",
            "resume exec",
            "-m gpt-5.5",
            "resume --last",
            "hi exec",
            "--oss",
        ] {
            assert!(!is_exec(&words(line)), "{line}");
        }
    }

    #[test]
    fn the_session_that_is_to_go_on() {
        let id = "01a20faf-6d8e-7c22-bfd4-54c43b2631e6";
        for line in ["exec resume -m x ID go", "exec -m x resume ID", "resume ID"] {
            assert_eq!(session(&words(&line.replace("ID", id))), Some(id), "{line}");
        }
        for line in [
            "exec ID",
            "exec resume --last",
            "resume 01a20faf-6d8e-7c22-bfd4-54c43b2631eg",
        ] {
            assert_eq!(session(&words(&line.replace("ID", id))), None, "{line}");
        }
    }
}
