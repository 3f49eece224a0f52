//! A `codex-proxy` that runs already, for `codex-launch --proxy`: its address, its key, and whether
//! it lets this key in. The key comes from a file or the environment, never from an argument.

use std::path::Path;
use std::time::Duration;

use http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::Value;

use super::exit::{Code, Error};
use super::proxy;
use crate::account::secret::Secret;
use crate::net::agent::Agent;
use crate::net::endpoint::Endpoint;
use crate::proxy::guard::{ACCOUNTS, IDENTITY, KEY_HEADER, Key};
use crate::store::{Document, told};

/// The environment variable that holds its key.
const KEY_SETTING: &str = "CODEX_PROXY_KEY";

/// It is on this machine, and asks nobody.
const PATIENCE: Duration = Duration::from_secs(10);

/// See the module.
#[derive(Debug)]
pub struct RunningRelay {
    endpoint: Endpoint,
    key: Key,
    websocket: bool,
    version: Option<String>,
}

impl RunningRelay {
    /// The one at this address, once it has let us in.
    ///
    /// # Errors
    /// When the address or the key can't be one, when nobody answers there, or it does not know the
    /// key.
    pub fn at(url: &str, key_file: Option<&Path>) -> Result<Self, Error> {
        let endpoint = Endpoint::relay("--proxy", url)?;
        let key = match key_file {
            Some(path) => proxy::key_of_file(path)?,
            None => key_of_environment()?,
        };
        let said = knock(&endpoint, &key)?;
        Ok(Self {
            endpoint,
            key,
            websocket: said["websocket"] == true,
            version: said["version"].as_str().map(str::to_owned),
        })
    }

    /// Whether it serves WebSockets.
    #[must_use]
    pub const fn has_websockets(&self) -> bool {
        self.websocket
    }

    /// The address that stands for the backend's `/codex`.
    #[must_use]
    pub fn url(&self) -> String {
        self.endpoint.to_string()
    }

    /// Its version, as it tells it.
    #[must_use]
    pub fn version(&self) -> Option<&str> {
        self.version.as_deref()
    }

    /// Its accounts, without their tokens.
    ///
    /// # Errors
    /// When it does not answer, or is of a version that does not tell.
    pub fn accounts(&self) -> Result<Document, Error> {
        let said = ask(&self.endpoint, &self.key, ACCOUNTS)?;
        let document = said.and_then(|said| told::read(said).ok());
        document.ok_or_else(|| {
            let version = self.version().unwrap_or("unknown");
            let message =
                format!("the codex-proxy there (version {version}) does not tell of its accounts");
            Error::hinted(
                Code::Unavailable,
                message,
                "install the same version in both places",
            )
        })
    }

    /// What it wants to be shown.
    #[must_use]
    pub fn key(&self) -> &str {
        self.key.expose()
    }
}

/// Asks it what it is, which it tells those whom it lets in.
fn knock(url: &Endpoint, key: &Key) -> Result<Value, Error> {
    let said = ask(url, key, IDENTITY)?.unwrap_or_default();
    if said["name"] != "codex-proxy" {
        return Err(nobody(format!("no codex-proxy answers at {url}")));
    }
    Ok(said)
}

/// What it says at this path to those whom it lets in; nothing, where it knows no such path.
fn ask(url: &Endpoint, key: &Key, path: &str) -> Result<Option<Value>, Error> {
    let mut shown = HeaderValue::from_str(key.expose()).map_err(|_| no_key())?;
    shown.set_sensitive(true);
    let headers = HeaderMap::from_iter([(KEY_HEADER, shown)]);
    let answer = Agent::new(url, PATIENCE).get(&url.at_root(path), headers);
    let answer = answer.map_err(|error| nobody(error.to_string()))?;
    if answer.status() == StatusCode::UNAUTHORIZED {
        return Err(Error::hinted(
            Code::Refused,
            format!("the codex-proxy at {url} does not know this key"),
            "the right one is in the record that it printed, or in its --key-file",
        ));
    }
    let said = serde_json::from_slice(answer.body()).ok();
    Ok(said.filter(|_| answer.status() == StatusCode::OK))
}

fn nobody(message: String) -> Error {
    Error::hinted(
        Code::Unavailable,
        message,
        "start codex-proxy, and use the address that it prints",
    )
}

fn key_of_environment() -> Result<Key, Error> {
    let key = std::env::var(KEY_SETTING).unwrap_or_default();
    match key.trim() {
        "" => Err(no_key()),
        key => Ok(Key::new(Secret::new(key))),
    }
}

fn no_key() -> Error {
    Error::hinted(
        Code::Config,
        "there is no key for --proxy",
        format!("name its file with --key-file, or set {KEY_SETTING}"),
    )
}
