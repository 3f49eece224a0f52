//! Pointing a program at a relay: what it takes for each client, and for any other program.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use thiserror::Error;

use super::placeholder::Placeholder;
use super::{codex, opencode};
use crate::store::{self, lock::Waiting};

/// A relay that a client is to be pointed at.
#[derive(Clone, Copy)]
pub struct Relay<'a> {
    /// The address that stands for the backend's `/codex`.
    pub url: &'a str,
    /// What the relay wants to be shown.
    pub key: &'a str,
    /// The id of an account, for clients that want to know one.
    pub account_id: &'a str,
    /// Whether clients may go by WebSocket.
    pub websocket: bool,
}

/// What it takes to point a client at a relay.
#[derive(Default)]
pub struct Wiring {
    /// Arguments that go before the person's own.
    pub arguments: Vec<OsString>,
    /// What is set in the environment.
    pub environment: Vec<(&'static str, String)>,
    /// An entry in a file of the client's, to be taken back when it ends.
    pub placeholder: Option<Placeholder>,
}

/// Why a client can't be pointed at a relay.
#[derive(Debug, Error)]
pub enum Error {
    /// A variable that is to be added to does not hold what it should.
    #[error("{variable} is not a JSON object")]
    Setting {
        /// Its name.
        variable: &'static str,
    },
    /// A file of the client's, or a folder for ours, can't be used.
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// Points a program with these arguments at the relay: opencode and Codex CLI in their own ways, any other by the
/// variables that OpenAI's libraries read. `waiting` is told when a lock takes long.
///
/// # Errors
/// When the person's own settings for the client can't be read.
pub fn wire(
    program: &OsStr,
    arguments: &[OsString],
    relay: Relay<'_>,
    waiting: Waiting,
) -> Result<Wiring, Error> {
    let name = Path::new(program).file_stem().and_then(OsStr::to_str);
    let mut wiring = match name {
        Some("opencode") => opencode::wire(relay, waiting)?,
        Some("codex") => codex::wire(arguments, relay)?,
        _ => Wiring {
            environment: vec![
                ("OPENAI_BASE_URL", relay.url.to_owned()),
                ("OPENAI_API_KEY", relay.key.to_owned()),
                ("CODEX_PROXY_URL", relay.url.to_owned()),
            ],
            ..Wiring::default()
        },
    };
    wiring.environment.extend(past_proxies());
    Ok(wiring)
}

/// Clients would send requests to loopback, and the key with them, to the proxy that the
/// environment names. These variables spare loopback that.
pub fn past_proxies() -> impl Iterator<Item = (&'static str, String)> {
    const LOOPBACK: &str = "127.0.0.1,localhost,::1";
    ["NO_PROXY", "no_proxy"].into_iter().map(|name| {
        let before = std::env::var(name).unwrap_or_default();
        let value = match before.as_str() {
            "" => LOOPBACK.to_owned(),
            "*" => before,
            _ => format!("{before},{LOOPBACK}"),
        };
        (name, value)
    })
}
