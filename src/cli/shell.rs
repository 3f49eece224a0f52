//! What a command has around it: its standard streams, the clock, the store that it was given.

use std::io::{self, IsTerminal, Read, Write};
use std::path::PathBuf;
use std::sync::Arc;

use serde::Serialize;
use url::Url;

use super::args::Common;
use super::child::STORE_SETTING;
use super::exit::{self, Code, Error};
use super::typed::quoted;
use crate::account::printable::printable;
use crate::account::secret::Secret;
use crate::account::time::UnixMillis;
use crate::account::utf8::without_mark;
use crate::account::{Account, select};
use crate::client::opencode::AuthFile;
use crate::clock::Clock;
use crate::store::locator::Locator;
use crate::store::lock::Waiting;
use crate::store::{self, Document, Store};

/// The environment variable that stops the clock, in Unix seconds: for tests and examples.
const CLOCK_SETTING: &str = "CODEX_ACCOUNTS_CLOCK";

/// What comes after this much of an input is not read.
pub const LARGEST_INPUT: usize = 64 << 20;

/// What a command has around it.
#[derive(Clone)]
pub struct Shell {
    name: &'static str,
    quiet: bool,
    clock: Clock,
    store: Arc<dyn Store>,
    /// The person named the store, and wants that one or none.
    named: bool,
    /// What they named it with `--store`.
    flag: Option<PathBuf>,
    waiting: Waiting,
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
            name,
            quiet: common.quiet,
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

    /// What the command is called.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
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

    /// Prints one record.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn emit(&self, record: &impl Serialize) -> Result<(), Error> {
        let mut line = json_line(record)?;
        line.push('\n');
        self.print(&line)
    }

    /// Prints text as it is.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn print(&self, text: &str) -> Result<(), Error> {
        self.print_bytes(text.as_bytes())
    }

    /// Writes bytes as they are.
    ///
    /// # Errors
    /// When they can't be written.
    pub fn print_bytes(&self, bytes: &[u8]) -> Result<(), Error> {
        let mut out = io::stdout().lock();
        out.write_all(bytes)
            .and_then(|()| out.flush())
            .map_err(Error::output)
    }

    /// Refuses to show a secret on a terminal, where it would stay in the scrollback.
    ///
    /// # Errors
    /// When standard output is a terminal and `force` is not given.
    pub fn allow_secrets(&self, force: bool) -> Result<(), Error> {
        if !force && io::stdout().is_terminal() {
            return Err(Error::hinted(
                Code::Refused,
                "a secret is not shown on a terminal",
                "send it to a file or a pipe, or use --force",
            ));
        }
        Ok(())
    }

    /// Prints a secret and a line end. [`Shell::allow_secrets`] comes first.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn emit_secret(&self, secret: &Secret) -> Result<(), Error> {
        self.print(secret.expose())?;
        self.print("\n")
    }

    /// Reads standard input to its end, without the byte order mark that some editors put before
    /// it; on a terminal it says what it waits for.
    ///
    /// # Errors
    /// When it can't be read, or is larger than any input of these commands.
    pub fn read_input(&self, what: &str) -> Result<Vec<u8>, Error> {
        self.say_what_is_awaited(what);
        let mut input = Vec::new();
        let read = io::stdin()
            .lock()
            .take(LARGEST_INPUT as u64 + 1)
            .read_to_end(&mut input)
            .map_err(Error::input)?;
        if read > LARGEST_INPUT {
            let message = format!("the input is larger than {} MiB", LARGEST_INPUT >> 20);
            return Err(Error::new(Code::Malformed, message));
        }
        Ok(without_mark(&input).to_vec())
    }

    /// Says on a terminal what is expected there.
    pub fn say_what_is_awaited(&self, what: &str) {
        if io::stdin().is_terminal() {
            self.note(&format!(
                "reading {what} from standard input; Ctrl-D ends it"
            ));
        }
    }

    /// Tells the person something, unless they want to hear nothing.
    pub fn note(&self, message: &str) {
        if !self.quiet {
            self.tell(message);
        }
    }

    /// Tells the person something without which the command is of no use to them.
    pub fn tell(&self, message: &str) {
        // What can't be written has nowhere to go.
        let _ = writeln!(io::stderr().lock(), "{}: {}", self.name, printable(message));
    }

    /// Tells the person something about a page, whose address has a line of its own to be copied from;
    /// unless they want to hear nothing.
    pub fn note_page(&self, message: &str, page: &Url) {
        if !self.quiet {
            self.tell_page(message, page);
        }
    }

    /// The same where the command is of no use to them without.
    pub fn tell_page(&self, message: &str, page: &Url) {
        self.tell_line(message, page.as_str());
    }

    /// Tells the person something, and below it what has a line of its own to be copied from.
    pub fn tell_line(&self, message: &str, line: &str) {
        self.tell(message);
        let _ = writeln!(io::stderr().lock(), "{}", printable(line));
    }

    /// Tells the person several things.
    pub fn notes(&self, messages: &[String]) {
        for message in messages {
            self.note(message);
        }
    }

    /// Says why one of several accounts failed, while the command goes on with the rest.
    #[must_use]
    pub fn report(&self, error: &Error) -> Code {
        exit::report(self.name, error)
    }
}

/// One record as a line, without its end.
///
/// # Errors
/// When it is no JSON.
pub fn json_line(record: &impl Serialize) -> Result<String, Error> {
    serde_json::to_string(record).map_err(|error| Error::output(error.into()))
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
        .and_then(|text| super::args::time(text).ok())
        .map(Clock::Fixed)
        .ok_or_else(|| Error::new(Code::Config, format!("{CLOCK_SETTING} is not a time")))
}
