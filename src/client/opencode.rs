//! opencode (PROTOCOL §5): its `auth.json`, which is the account list of a person who has no store,
//! and the environment that points it at the proxy.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};
use thiserror::Error;

use super::LoginFile;
use super::json_file::{JsonFile, Text};
use super::placeholder::{self, Placeholder};
use super::wiring::{self, Relay, Wiring};
use crate::account::secret::{AccessToken, RefreshToken, Secret};
use crate::account::time::UnixMillis;
use crate::account::token::{self, Entry};
use crate::account::{Account, AccountId};
use crate::store::locator::Locator;
use crate::store::lock::{Held, Lock, Patience, Waiting};
use crate::store::scratch::{Scratch, ScratchFile};
use crate::store::version::Version;
use crate::store::{self, Absent, Document, Store, commit};

/// opencode's name for the provider that these accounts are of.
pub(super) const PROVIDER: &str = "openai";

/// What stands for the refresh token in an entry of ours, which opencode has nothing to renew with.
const NO_REFRESH: &str = "none";

/// An `auth.json` holds no login for us.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum NoLogin {
    /// It is not JSON of the shape of an `auth.json`.
    #[error("it is no auth.json of opencode")]
    OtherShape,
    /// It has no oauth entry for openai.
    #[error("it has no oauth entry for openai")]
    NoEntry,
    /// The refresh token there can't be read.
    #[error("its refresh token can't be read: {0}")]
    Token(token::Error),
}

/// The accounts in the `openai` entry of an `auth.json`: its `refresh` is one token or the packed
/// form, and where it is one bare token, `accountId`, `access` and `expires` belong to it.
///
/// # Errors
/// When there is no such entry, or its token can't be read.
pub fn accounts(auth: &Value) -> Result<Vec<Account>, NoLogin> {
    let entries = auth.as_object().ok_or(NoLogin::OtherShape)?;
    let entry = entries.get(PROVIDER).ok_or(NoLogin::NoEntry)?;
    let refresh = entry["refresh"].as_str().ok_or(NoLogin::NoEntry)?;
    if entry["type"] != "oauth" || refresh == NO_REFRESH {
        return Err(NoLogin::NoEntry);
    }
    let packed = token::decode(refresh).map_err(NoLogin::Token)?;
    let alone = packed.len() == 1;
    Ok(packed
        .into_iter()
        .map(|part| account(part, entry, alone))
        .collect())
}

fn account(part: Entry, entry: &Value, alone: bool) -> Account {
    let mut account = Account::from(part);
    if alone {
        let text = |name: &str| entry[name].as_str().filter(|text| !text.is_empty());
        account.chatgpt_account_id = account
            .chatgpt_account_id
            .or_else(|| text("accountId").map(AccountId::new));
        account.tokens.access = text("access").map(AccessToken::new);
        account.tokens.expires_at = entry["expires"].as_u64().and_then(UnixMillis::known);
        crate::account::identity::learn_owner(&mut account);
    }
    account
}

/// The accounts in opencode's `auth.json`, for a person who has no store of ours. It is never
/// created, and nothing in it changes but tokens that were renewed: what else is learned of the
/// accounts has no place there.
#[derive(Clone, Debug)]
pub struct AuthFile {
    file: JsonFile,
    waiting: Waiting,
}

impl AuthFile {
    /// That of the person who runs this.
    ///
    /// # Errors
    /// When there is no home directory.
    pub fn of_person(waiting: Waiting) -> Result<Self, store::Error> {
        let path = store::opencode_data()?.join("auth.json");
        Ok(Self::at(path, waiting))
    }

    fn at(path: PathBuf, waiting: Waiting) -> Self {
        let file = JsonFile::new(path);
        Self { file, waiting }
    }

    /// Whether it holds a login for us.
    #[must_use]
    pub fn has_login(&self) -> bool {
        matches!(self.read(), Ok(Some(_)))
    }

    fn missing(&self) -> store::Error {
        store::Error::Missing { at: self.locator() }
    }

    fn lock(&self, name: &str, patience: Patience) -> Result<Lock, store::Error> {
        let path = place(&format!("{name}.lock"))?;
        commit::make_folder(&path).map_err(|source| self.file.error(source))?;
        store::lock_file(path, patience, self.waiting)
    }

    /// Its text as it is now; `None` if there is no file.
    pub(super) fn text(&self) -> Result<Option<Text>, store::Error> {
        self.file.read()
    }

    /// Changes its text, as [`JsonFile::change`], under the lock that all of ours take who do.
    pub(super) fn change<T>(
        &self,
        change: impl FnOnce(&mut Text) -> Result<T, store::Error>,
    ) -> Result<T, store::Error> {
        let _lock = self.lock("write", Patience::USUAL)?;
        self.file.change(change)?.ok_or_else(|| self.missing())
    }

    fn put_in_place(
        &self,
        text: &mut Text,
        consumed: &RefreshToken,
        renewed: &Account,
    ) -> Result<(), store::Error> {
        renew(text, consumed, renewed).map_err(|error| self.file.error(io::Error::other(error)))
    }
}

/// Puts renewed tokens in the place of a refresh token that is used up, if the text holds it. The
/// access token in it is that of the only account; where there are several, nobody knows whose.
fn renew(text: &mut Text, consumed: &RefreshToken, renewed: &Account) -> Result<(), token::Error> {
    let auth = text.value();
    let refresh = auth[PROVIDER]["refresh"].as_str().unwrap_or_default();
    let mut parts = token::decode(refresh)?;
    let alone = parts.len() == 1;
    let Some(part) = parts
        .iter_mut()
        .find(|part| part.refresh_token == *consumed)
    else {
        return Ok(());
    };
    part.refresh_token = renewed.tokens.refresh.clone();
    text.set(&[PROVIDER, "refresh"], token::encode(&parts)?.expose());
    if let (true, Some(access)) = (alone, &renewed.tokens.access) {
        text.set(&[PROVIDER, "access"], access.expose());
        text.set(&[PROVIDER, "expires"], expires(renewed));
    }
    Ok(())
}

/// The accounts as a store has them: each of several without an id is told by its place among so
/// many, where a store would have the moment it was added.
fn in_their_places(auth: &Value) -> Result<Vec<Account>, NoLogin> {
    let mut accounts = accounts(auth)?;
    let count = accounts.len() as u64;
    for (account, place) in accounts.iter_mut().zip(0..) {
        if count > 1 && account.chatgpt_account_id.is_none() {
            account.added_at = UnixMillis::known(count * 1000 + place);
        }
    }
    Ok(accounts)
}

/// Where what belongs to a login in it is.
fn of_login(name: &str) -> Result<PathBuf, store::Error> {
    store::of_login(name).ok_or(store::Error::NoHome)
}

/// Where what belongs to the file is. Its folder is opencode's: nothing of ours is left lying there.
fn place(name: &str) -> Result<PathBuf, store::Error> {
    Ok(store::state_folder()?.join(format!("opencode-auth.{name}")))
}

impl Store for AuthFile {
    fn read(&self) -> Result<Option<Document>, store::Error> {
        let text = self.file.read()?;
        Ok(text
            .and_then(|text| in_their_places(&text.value()).ok())
            .map(Document::of))
    }

    fn transact(
        &self,
        _: Absent,
        change: &mut dyn FnMut(&mut Document),
    ) -> Result<(), store::Error> {
        self.change(|text| {
            let known = in_their_places(&text.value()).map_err(|_| self.missing())?;
            let mut document = Document::of(known.clone());
            change(&mut document);
            for (was, is) in known.iter().zip(&document.accounts) {
                if was.tokens.are_replaced_by(&is.tokens) {
                    self.put_in_place(text, &was.tokens.refresh, is)?;
                }
            }
            Ok(())
        })
    }

    fn hold(&self, name: &str, patience: Patience) -> Result<Box<dyn Held>, store::Error> {
        let path = of_login(&format!("{name}.lock"))?;
        Ok(Box::new(store::lock_file(path, patience, self.waiting)?))
    }

    fn scratch(&self, name: &str) -> Result<Box<dyn Scratch>, store::Error> {
        Ok(Box::new(ScratchFile::at(of_login(name)?)))
    }

    fn exists(&self) -> Result<bool, store::Error> {
        Ok(self.file.read()?.is_some())
    }

    fn version(&self) -> Option<Version> {
        Version::of_file(&fs::metadata(self.file.path()).ok()?)
    }

    fn keeps_all(&self) -> bool {
        false
    }

    fn locator(&self) -> Locator {
        Locator::File(self.file.path().to_owned())
    }
}

impl LoginFile for AuthFile {
    fn client(&self) -> &'static str {
        "opencode"
    }

    fn path(&self) -> &Path {
        self.file.path()
    }

    fn logins(&self) -> Result<Vec<Account>, store::Error> {
        let text = self.file.read()?;
        Ok(text
            .and_then(|text| accounts(&text.value()).ok())
            .unwrap_or_default())
    }

    fn renew(&self, consumed: &RefreshToken, renewed: &Account) -> Result<(), store::Error> {
        let holds_it = |login: &Account| login.tokens.refresh == *consumed;
        if !self.logins()?.iter().any(holds_it) {
            return Ok(());
        }
        self.change(|text| self.put_in_place(text, consumed, renewed))
    }
}

/// The accounts' refresh tokens in the packed form.
///
/// # Errors
/// When one can't be written in it.
pub fn pack(accounts: &[Account]) -> Result<Secret, token::Error> {
    token::encode(&accounts.iter().map(Entry::from).collect::<Vec<_>>())
}

/// An account as opencode's `openai` entry, with an access token and no refresh token: opencode can
/// use it until it expires and has nothing to renew it with.
#[must_use]
pub fn entry(account: &Account) -> Value {
    json!({
        "type": "oauth",
        "refresh": NO_REFRESH,
        "access": account.tokens.access.as_ref().map(AccessToken::expose),
        "expires": expires(account),
        "accountId": account.chatgpt_account_id,
    })
}

/// As opencode writes it, which renews what it has no time of.
fn expires(account: &Account) -> u64 {
    account.tokens.expires_at.map_or(0, UnixMillis::as_millis)
}

/// The variable that opencode merges into its configuration last.
const CONFIG: &str = "OPENCODE_CONFIG_CONTENT";
/// The variable that stands for `auth.json` when it is read, but not when it is written.
const AUTH: &str = "OPENCODE_AUTH_CONTENT";

/// How opencode finds the oauth entry for openai that it wants to see (DESIGN §2, `codex-launch`).
#[derive(Debug, PartialEq)]
enum Login {
    /// It has one; its token reaches only the relay, which drops it.
    Own,
    /// It gets one with no token in it, by the environment: these are all its entries then.
    ByEnvironment(Map<String, Value>),
    /// Another provider's token is renewed into the file while reads stay on the environment, and
    /// would be used twice: so the entry goes into the file.
    InFile,
}

/// Points opencode at a relay: its configuration gets the address and the key, and where it has no
/// login for openai it gets one that is no secret.
///
/// # Errors
/// When the person's own settings, or `auth.json`, can't be read.
pub fn wire(relay: Relay<'_>, waiting: Waiting) -> Result<Wiring, wiring::Error> {
    let mut wiring = Wiring::default();
    let mut config = setting(CONFIG)?.unwrap_or_default();
    merge(&mut config, configuration(relay));
    wiring
        .environment
        .push((CONFIG, Value::Object(config).to_string()));
    if !relay.websocket {
        wiring.environment.push((WEBSOCKETS, "false".to_owned()));
    }

    let auth = AuthFile::of_person(waiting)?;
    let by_environment = setting(AUTH)?;
    let in_file = by_environment.is_none();
    let entries = match by_environment {
        Some(entries) => entries,
        None => entries(&auth)?,
    };
    match login(entries, in_file, relay) {
        Login::Own => {}
        Login::ByEnvironment(entries) => wiring
            .environment
            .push((AUTH, Value::Object(entries).to_string())),
        Login::InFile => {
            wiring.placeholder = Some(Placeholder::put(auth, &stand_in(relay))?);
        }
    }
    Ok(wiring)
}

/// Whether opencode goes by WebSocket; a refusal costs it a minute (PROTOCOL §5).
const WEBSOCKETS: &str = "OPENCODE_EXPERIMENTAL_WEBSOCKETS";

/// The `auth.json` in which a launch that was cut off left its entry, if one did.
#[must_use]
pub fn left_behind() -> Option<PathBuf> {
    let auth = AuthFile::of_person(|_| ()).ok()?;
    placeholder::is_left_behind(&auth).then(|| auth.file.path().to_owned())
}

/// Takes such an entry out, and puts back what it stands for.
///
/// # Errors
/// When the file can't be read or written.
pub fn take_back(path: &Path) -> Result<(), store::Error> {
    placeholder::take_back(AuthFile::at(path.to_owned(), |_| ()))
}

fn configuration(relay: Relay<'_>) -> Map<String, Value> {
    let options = json!({
        "baseURL": relay.url,
        "headers": {KEY_HEADER: relay.key},
    });
    let mut config = Map::new();
    config.insert("provider".into(), json!({PROVIDER: {"options": options}}));
    config
}

/// The header by which the relay knows who may use it.
const KEY_HEADER: &str = "x-codex-accounts-key";

fn login(mut entries: Map<String, Value>, in_file: bool, relay: Relay<'_>) -> Login {
    let is_oauth = |entry: &Value| entry["type"] == "oauth";
    let own = |entry: &Value| is_oauth(entry) && !is_stand_in(entry);
    if entries.get(PROVIDER).is_some_and(own) {
        return Login::Own;
    }
    if in_file && entries.values().any(is_oauth) {
        return Login::InFile;
    }
    entries.insert(PROVIDER.into(), stand_in(relay));
    Login::ByEnvironment(entries)
}

/// A login that is none: its token is the key of the run, and it never needs a refresh.
fn stand_in(relay: Relay<'_>) -> Value {
    json!({
        "type": "oauth",
        "refresh": NO_REFRESH,
        "access": relay.key,
        "expires": FAR,
        "accountId": relay.account_id,
    })
}

/// The year 2100.
const FAR: u64 = 4_102_444_800_000;

/// Whether an entry is such a one: an account's own expires sooner.
pub(super) fn is_stand_in(entry: &Value) -> bool {
    entry["refresh"] == NO_REFRESH && entry["expires"] == FAR
}

/// All entries of an `auth.json`; none where there is no file.
fn entries(auth: &AuthFile) -> Result<Map<String, Value>, store::Error> {
    let value = auth.file.read()?.map(|text| text.value());
    Ok(match value {
        Some(Value::Object(entries)) => entries,
        _ => Map::new(),
    })
}

fn setting(variable: &'static str) -> Result<Option<Map<String, Value>>, wiring::Error> {
    match std::env::var(variable) {
        Ok(text) if !text.trim().is_empty() => serde_json::from_str(&text)
            .map(Some)
            .map_err(|_| wiring::Error::Setting { variable }),
        _ => Ok(None),
    }
}

/// Merges deeply; where both have a value that is no object, the second one's stays.
fn merge(into: &mut Map<String, Value>, from: Map<String, Value>) {
    for (key, value) in from {
        match (into.get_mut(&key), value) {
            (Some(Value::Object(into)), Value::Object(from)) => merge(into, from),
            (_, value) => {
                into.insert(key, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RELAY: Relay<'_> = Relay {
        websocket: true,
        url: "http://127.0.0.1:1/codex",
        key: "key",
        account_id: "acc",
    };

    fn object(value: Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn what_the_person_configured_stays() {
        let mut config = object(json!({
            "theme": "dark",
            "provider": {"openai": {"options": {"timeout": 5, "headers": {"x-mine": "1"}}}},
        }));
        merge(&mut config, configuration(RELAY));
        let options = &config["provider"]["openai"]["options"];
        assert_eq!(config["theme"], "dark");
        assert_eq!(options["timeout"], 5);
        assert_eq!(options["headers"]["x-mine"], "1");
        assert_eq!(options["headers"][KEY_HEADER], "key");
        assert_eq!(options["baseURL"], RELAY.url);
    }

    #[test]
    fn the_three_ways_to_a_login() {
        let own = object(json!({"openai": {"type": "oauth"}}));
        assert_eq!(login(own, true, RELAY), Login::Own);

        let with_keys =
            object(json!({"x": {"type": "api", "key": "k"}, "openai": {"type": "api"}}));
        let Login::ByEnvironment(entries) = login(with_keys, true, RELAY) else {
            panic!("by the environment");
        };
        assert_eq!(entries["x"]["key"], "k");
        assert_eq!(entries["openai"]["access"], "key");
        assert_eq!(entries["openai"]["refresh"], "none");

        let other = object(json!({"anthropic": {"type": "oauth"}}));
        assert_eq!(login(other, true, RELAY), Login::InFile);

        let another_launch = object(json!({"openai": stand_in(RELAY)}));
        assert_eq!(login(another_launch, true, RELAY), Login::InFile);
    }
}
