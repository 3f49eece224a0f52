//! What a command has around it: its console, the clock, the store that it was given.

use std::ops::Deref;
use std::path::PathBuf;
use std::sync::Arc;

use super::args::Common;
use super::child::STORE_SETTING;
use super::console::Console;
use super::exit::{Code, Error};
use super::typed::quoted;
use crate::account::time::UnixMillis;
use crate::account::{Account, select};
use crate::client::opencode::AuthFile;
use crate::clock::Clock;
use crate::store::locator::Locator;
use crate::store::lock::Waiting;
use crate::store::{self, Document, Store};

/// The environment variable that stops the clock, in Unix seconds: for tests and examples.
const CLOCK_SETTING: &str = "CODEX_ACCOUNTS_CLOCK";

/// What a command has around it: a console, and more.
#[derive(Clone)]
pub struct Shell {
    console: Console,
    clock: Clock,
    store: Arc<dyn Store>,
    /// The person named the store, and wants that one or none.
    named: bool,
    /// What they named it with `--store`.
    flag: Option<PathBuf>,
    waiting: Waiting,
}

impl Deref for Shell {
    type Target = Console;

    fn deref(&self) -> &Console {
        &self.console
    }
}

impl Shell {
    /// The surroundings of the command `name`.
    ///
    /// # Errors
    /// When the environment holds a bad setting, or no place for a store is known.
    pub fn new(name: &'static str, common: &Common, waiting: Waiting) -> Result<Self, Error> {
        let named = common
            .store
            .clone()
            .or_else(|| setting(STORE_SETTING).map(PathBuf::from));
        let is_named = named.is_some();
        let path = match named {
            Some(path) => path,
            None => store::default_path()?,
        };
        Ok(Self {
            console: Console::new(name, common),
            clock: clock()?,
            store: store::open(Locator::named(path), waiting),
            named: is_named,
            flag: common.store.clone(),
            waiting,
        })
    }

    /// The same without a word about locks that take long: for what works while somebody else has
    /// the terminal.
    #[must_use]
    pub fn silent(&self) -> Self {
        let waiting: Waiting = |_| ();
        Self {
            store: store::open(self.store.locator(), waiting),
            waiting,
            ..self.clone()
        }
    }

    /// A command of the suite as the person types it: on the store that this one works on.
    #[must_use]
    pub fn command(&self, words: &str) -> String {
        match &self.flag {
            None => words.to_owned(),
            Some(name) => {
                let at = Locator::named(name.clone());
                format!("{words} --store {}", quoted(at.as_os_str()))
            }
        }
    }

    /// What time it is.
    #[must_use]
    pub fn clock(&self) -> Clock {
        self.clock
    }

    /// The present time.
    #[must_use]
    pub fn now(&self) -> UnixMillis {
        self.clock.now()
    }

    /// Told when a lock takes long.
    #[must_use]
    pub fn waiting(&self) -> Waiting {
        self.waiting
    }

    /// The person's store, whether it is there or not.
    #[must_use]
    pub fn store(&self) -> &dyn Store {
        self.store.as_ref()
    }

    /// Where the accounts are: the store, or where there is none and none was named, opencode's own
    /// login, if it has one (DESIGN §2, `codex-account-pick`).
    ///
    /// # Errors
    /// When there is no home directory.
    pub fn accounts(&self) -> Result<Arc<dyn Store>, Error> {
        if !self.named && !self.store.exists()? {
            let auth = AuthFile::of_person(self.waiting)?;
            if auth.has_login() {
                return Ok(Arc::new(auth));
            }
        }
        Ok(Arc::clone(&self.store))
    }

    /// The accounts as they are now; none where there is no store.
    ///
    /// # Errors
    /// When the store can't be read.
    pub fn read(&self, store: &dyn Store) -> Result<Document, Error> {
        Ok(store.read()?.unwrap_or_default())
    }
}

/// The index of the account that a person means.
///
/// # Errors
/// When the name fits none, or several.
pub fn find(accounts: &[Account], name: &str) -> Result<usize, Error> {
    select::find(accounts, name).map_err(|error| Error::select(error, accounts))
}

fn setting(name: &str) -> Option<std::ffi::OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

fn clock() -> Result<Clock, Error> {
    let Some(value) = setting(CLOCK_SETTING) else {
        return Ok(Clock::System);
    };
    value
        .to_str()
        .and_then(|text| UnixMillis::from_secs_or_millis(text.parse().ok()?))
        .map(Clock::Fixed)
        .ok_or_else(|| Error::new(Code::Config, format!("{CLOCK_SETTING} is not a time")))
}
