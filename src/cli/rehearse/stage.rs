//! The stage of a rehearsal: the pretend servers, and a folder in the place of the person's home.
//!
//! What is run on it finds nothing of the person's own except the programs in their `PATH`.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::account::secret::{AccessToken, IdToken, RefreshToken};
use crate::account::{Account, identity};
use crate::cli::child;
use crate::cli::exit::{Code, Error};
use crate::cli::shell::Shell;
use crate::client::wiring;
use crate::rehearse::{Pretend, Script};
use crate::store::{self, Absent, FileStore};
use crate::sys::{browser, place};

/// The folders of a home, as the XDG base directory specification names them by default, and as
/// Codex CLI does.
const FOLDERS: [(&str, &str); 5] = [
    ("XDG_CACHE_HOME", ".cache"),
    ("XDG_CONFIG_HOME", ".config"),
    ("XDG_DATA_HOME", ".local/share"),
    ("XDG_STATE_HOME", ".local/state"),
    ("CODEX_HOME", ".codex"),
];

/// Where a person may have put a login or settings of theirs: the clients read these before any file.
const THEIR_OWN: [&str; 8] = [
    "OPENCODE_AUTH_CONTENT",
    "OPENCODE_CONFIG",
    "OPENCODE_CONFIG_CONTENT",
    "OPENCODE_CONFIG_DIR",
    "OPENAI_API_KEY",
    "OPENAI_BASE_URL",
    "CODEX_API_KEY",
    "CODEX_ACCESS_TOKEN",
];

/// See the module.
pub(super) struct Stage {
    pub(super) pretend: Pretend,
    /// What `$BROWSER` says on it.
    browser: OsString,
    home: TempDir,
}

impl Stage {
    /// A stage on which nobody is logged in yet.
    pub(super) fn new(script: Script) -> Result<Self, Error> {
        let io =
            |error: io::Error| Error::new(Code::Io, format!("no stage to rehearse on: {error}"));
        let home = tempfile::Builder::new().prefix("codex-rehearse-").tempdir();
        let home = home.map_err(io)?;
        for (_, folder) in place::HOME_VARIABLES.iter().chain(&FOLDERS) {
            fs::create_dir_all(home.path().join(folder)).map_err(io)?;
        }
        // The pretend browser is this program again: no other is known to be there.
        let this = env::current_exe().map_err(io)?;
        Ok(Self {
            pretend: Pretend::start(script).map_err(io)?,
            browser: browser::of_program(&this, "--follow", home.path()).map_err(io)?,
            home,
        })
    }

    fn store_path(&self) -> PathBuf {
        let home = self.home.path();
        home.join(".local/share/opencode/openai-codex-accounts.json")
    }

    /// Puts all pretend accounts into the store, as logins would.
    pub(super) fn log_all_in(&self, shell: &Shell) -> Result<(), Error> {
        let now = shell.now();
        let names = self.pretend.change(|script| names(script));
        let store = FileStore::new(self.store_path(), shell.waiting());
        store::update(&store, Absent::Create, |document| {
            for (index, name) in names.iter().enumerate() {
                let Some(tokens) = self.pretend.issue(index) else {
                    continue;
                };
                let mut account = Account::new(RefreshToken::new(tokens.refresh_token));
                account.label = Some(name.clone());
                account.tokens.access = Some(AccessToken::new(tokens.access_token));
                account.tokens.id = Some(IdToken::new(tokens.id_token));
                account.tokens.expires_at = Some(now.plus(tokens.expires_in));
                account.tokens.refreshed_at = Some(now);
                identity::learn_owner(&mut account);
                identity::admit(&mut document.accounts, account, now);
            }
        })?;
        Ok(())
    }

    /// `command`, pointed at this stage.
    pub(super) fn set<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        let home = self.home.path();
        for name in THEIR_OWN {
            command.env_remove(name);
        }
        let folders = place::HOME_VARIABLES.iter().chain(&FOLDERS);
        command
            .envs(folders.map(|(name, folder)| (name, below(home, folder))))
            .env("PATH", path())
            .env("BROWSER", &self.browser)
            .env("CODEX_ACCOUNTS_FILE", self.store_path())
            .env(super::control::SETTING, self.pretend.control())
            .env("CODEX_ACCOUNTS_ISSUER", self.pretend.issuer())
            .env("CODEX_ACCOUNTS_UPSTREAM", self.pretend.upstream())
            .envs(wiring::past_proxies())
    }
}

/// A folder of a home; the home itself where that has no name.
fn below(home: &Path, folder: &str) -> PathBuf {
    match folder {
        "" => home.to_owned(),
        folder => home.join(folder),
    }
}

/// What the pretend accounts are called.
pub(super) fn names(script: &Script) -> Vec<String> {
    let emails = script.accounts.iter().map(|account| &account.email);
    let names = emails.map(|email| email.split('@').next().unwrap_or(email));
    names.map(str::to_owned).collect()
}

/// The person's `PATH`, with the commands of the suite before all others.
fn path() -> OsString {
    let theirs = env::var_os("PATH").unwrap_or_default();
    let folders = child::folder().into_iter().chain(env::split_paths(&theirs));
    env::join_paths(folders).unwrap_or(theirs)
}
