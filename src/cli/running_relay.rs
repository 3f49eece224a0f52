//! A `codex-proxy` that runs already, for `codex-launch --proxy`: its address, its key, and whether
//! it lets this key in. The key comes from a file or the environment, never from an argument.

use std::fs;
use std::path::Path;
use std::time::Duration;

use http::header::{CONNECTION, UPGRADE};
use http::{HeaderMap, HeaderValue, StatusCode};

use super::exit::{Code, Error};
use crate::net::agent::Agent;
use crate::net::endpoint::Endpoint;
use crate::proxy::guard::KEY_HEADER;
use crate::store;

/// The environment variable that holds its key.
const KEY_SETTING: &str = "CODEX_PROXY_KEY";

/// It is on this machine, and asks nobody.
const PATIENCE: Duration = Duration::from_secs(10);

/// See the module.
#[derive(Debug)]
pub struct RunningRelay {
    endpoint: Endpoint,
    key: HeaderValue,
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
            Some(path) => fs::read_to_string(path).map_err(store::Error::io(path))?,
            None => std::env::var(KEY_SETTING).unwrap_or_default(),
        };
        let relay = Self {
            endpoint,
            key: parse_key(&key)?,
        };
        relay.knock()?;
        Ok(relay)
    }

    /// The address that stands for the backend's `/codex`.
    #[must_use]
    pub fn url(&self) -> String {
        self.endpoint.to_string()
    }

    /// What it wants to be shown.
    #[must_use]
    pub fn key(&self) -> &str {
        // Proof: it was made of visible ASCII.
        self.key.to_str().unwrap_or_default()
    }

    /// Asks for what a relay answers by itself: it refuses to switch protocols, to those whom it
    /// lets in.
    fn knock(&self) -> Result<(), Error> {
        let headers = HeaderMap::from_iter([
            (KEY_HEADER, self.key.clone()),
            (CONNECTION, HeaderValue::from_static("upgrade")),
            (UPGRADE, HeaderValue::from_static("websocket")),
        ]);
        let answer =
            Agent::new(&self.endpoint, PATIENCE).get(&self.endpoint.at("/responses"), headers);
        let url = &self.endpoint;
        match answer.map(|answer| answer.status()) {
            Ok(StatusCode::UPGRADE_REQUIRED) => Ok(()),
            Ok(StatusCode::UNAUTHORIZED) => Err(Error::hinted(
                Code::Refused,
                format!("the codex-proxy at {url} does not know this key"),
                "the right one is in the record that it printed, or in its --key-file",
            )),
            Ok(_) => Err(nobody(format!("no codex-proxy answers at {url}"))),
            Err(error) => Err(nobody(error.to_string())),
        }
    }
}

fn nobody(message: String) -> Error {
    Error::hinted(
        Code::Unavailable,
        message,
        "start codex-proxy, and use the address that it prints",
    )
}

/// The first line, as `codex-proxy` reads it.
fn parse_key(text: &str) -> Result<HeaderValue, Error> {
    let line = text.lines().next().unwrap_or_default().trim();
    let is_key = !line.is_empty() && line.bytes().all(|byte| byte.is_ascii_graphic());
    let key = HeaderValue::from_str(line).ok().filter(|_| is_key);
    let mut key = key.ok_or_else(|| {
        Error::hinted(
            Code::Config,
            "there is no key for --proxy",
            format!("name its file with --key-file, or set {KEY_SETTING}"),
        )
    })?;
    key.set_sensitive(true);
    Ok(key)
}
