//! Codex CLI (PROTOCOL §6).

use std::ffi::OsString;
use std::path::Path;

use serde_json::Value;

use super::contract::{Client, Elsewhere, LoginFile, NoLogin};
use super::for_good::{self, Edit, Standing};
use super::wiring::{self, Relay, Wiring};
use crate::account::Account;
use crate::store::{self, lock::Waiting};

mod auth_file;
mod config;
mod folder;
mod keyring;
mod sessions;
mod wire;

/// The provider that is ours, in Codex's configuration. A session is resumed with the one that it was
/// recorded with, or not at all.
const PROVIDER: &str = "codex_accounts";

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct Codex;

impl Client for Codex {
    fn name(&self) -> &'static str {
        "codex"
    }

    fn login_file(&self, waiting: Waiting) -> Result<Box<dyn LoginFile>, store::Error> {
        Ok(Box::new(auth_file::AuthFile::of_person(waiting)?))
    }

    fn recognises(&self, file: &Value) -> bool {
        ["tokens", "OPENAI_API_KEY"]
            .iter()
            .any(|name| file.get(name).is_some())
    }

    fn accounts(&self, file: &Value) -> Result<Vec<Account>, NoLogin> {
        auth_file::read(file).map(|account| vec![account])
    }

    fn auth_object(&self, account: &Account) -> Value {
        auth_file::auth(account)
    }

    fn wire(
        &self,
        arguments: &[OsString],
        relay: Relay<'_>,
        _: Waiting,
    ) -> Result<Wiring, wiring::Error> {
        Ok(wire::wire(arguments, relay)?)
    }

    fn resume(&self, arguments: &[OsString], session: &str) -> String {
        // A session goes on with the provider that it began with: see `PROVIDER`.
        match wire::is_exec(arguments) {
            true => format!("codex exec resume {session}"),
            false => format!("codex resume {session}"),
        }
    }

    fn point_for_good(&self, relay: &Standing<'_>) -> Result<Vec<Edit>, for_good::Error> {
        config::point(relay)
    }

    fn let_go(&self, path: &Path, text: &[u8]) -> Result<Vec<u8>, for_good::Error> {
        config::let_go(path, text)
    }

    fn points_at(&self) -> Option<String> {
        config::points_at()
    }

    fn snippet(&self, relay: &Standing<'_>) -> String {
        config::snippet(relay)
    }

    fn login_elsewhere(&self) -> Elsewhere {
        keyring::login()
    }

    fn shares_login(&self) -> Option<&'static str> {
        Some("Codex CLI's too: 'codex login' and 'codex logout' end it for both")
    }
}
