//! Pointing a program at a relay for one run: what that takes, and what it takes for a program that
//! is none of the clients.

use std::ffi::OsString;
use std::path::Path;

use thiserror::Error;

use crate::store;

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
    pub borrowed: Option<Box<dyn Borrowed>>,
}

impl Wiring {
    /// For a program that reads what OpenAI's libraries do.
    #[must_use]
    pub fn of_any_program(relay: Relay<'_>) -> Self {
        Self {
            environment: vec![
                ("OPENAI_BASE_URL", relay.url.to_owned()),
                ("OPENAI_API_KEY", relay.key.to_owned()),
                ("CODEX_PROXY_URL", relay.url.to_owned()),
            ],
            ..Self::default()
        }
    }
}

/// A place in a file of the client's that something of ours has until the run ends.
pub trait Borrowed {
    /// The file.
    fn path(&self) -> &Path;

    /// Puts back what was there, unless another run still needs ours.
    ///
    /// # Errors
    /// When a file can't be read or written: it is then for the next run, or the doctor.
    fn take_back(self: Box<Self>) -> Result<(), store::Error>;
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
