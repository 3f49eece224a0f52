//! opencode (PROTOCOL §5).

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::contract::{Client, LoginFile, NoLogin};
use super::for_good::{self, Edit, Standing};
use super::wiring::{self, Relay, Wiring};
use crate::account::Account;
use crate::store::{self, lock::Waiting};

mod auth_file;
mod config;
mod entry;
mod placeholder;
mod wire;

pub use auth_file::AuthFile;
pub use entry::{accounts, pack};

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct Opencode;

impl Client for Opencode {
    fn name(&self) -> &'static str {
        "opencode"
    }

    fn login_file(&self, waiting: Waiting) -> Result<Box<dyn LoginFile>, store::Error> {
        Ok(Box::new(AuthFile::of_person(waiting)?))
    }

    fn recognises(&self, file: &Value) -> bool {
        let is_entry = |value: &Value| value.get("type").is_some();
        file.as_object().is_some_and(|it| it.values().any(is_entry))
    }

    fn accounts(&self, file: &Value) -> Result<Vec<Account>, NoLogin> {
        accounts(file)
    }

    fn auth_object(&self, account: &Account) -> Value {
        json!({ entry::PROVIDER: entry::entry(account) })
    }

    fn wire(
        &self,
        _: &[OsString],
        relay: Relay<'_>,
        waiting: Waiting,
    ) -> Result<Wiring, wiring::Error> {
        wire::wire(relay, waiting)
    }

    fn resume(&self, _: &[OsString], session: &str) -> String {
        format!("opencode --session {session}")
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

    fn left_behind(&self) -> Option<PathBuf> {
        let auth = AuthFile::of_person(|_| ()).ok()?;
        placeholder::is_left_behind(&auth).then(|| auth.path().to_owned())
    }

    fn take_back(&self, path: &Path) -> Result<(), store::Error> {
        placeholder::take_back(AuthFile::at(path.to_owned(), |_| ()))
    }
}
