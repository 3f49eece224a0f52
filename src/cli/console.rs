//! A command's standard streams: what it is given, what it prints, what it tells the person.

use std::io::{self, IsTerminal, Read, Write};

use serde::Serialize;
use url::Url;

use super::args::Common;
use super::exit::{self, Code, Error};
use super::saying::say;
use crate::account::printable::printable;
use crate::account::secret::Secret;
use crate::account::utf8::without_mark;
use crate::sys::shell::END_OF_INPUT;

/// What comes after this much of an input is not read.
pub const LARGEST_INPUT: usize = 64 << 20;

/// The standard streams of a command: all that a filter has around it.
#[derive(Clone, Debug)]
pub struct Console {
    name: &'static str,
    quiet: bool,
}

impl Console {
    /// That of the command `name`.
    #[must_use]
    pub fn new(name: &'static str, common: &Common) -> Self {
        Self {
            name,
            quiet: common.quiet,
        }
    }

    /// What the command is called.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
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
        print(bytes)
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
                "reading {what} from standard input; {END_OF_INPUT}"
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
        say(&format!("{}: {message}", self.name));
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

/// Writes bytes to standard output as they are.
///
/// # Errors
/// When they can't be written.
pub fn print(bytes: &[u8]) -> Result<(), Error> {
    let mut out = io::stdout().lock();
    out.write_all(bytes)
        .and_then(|()| out.flush())
        .map_err(Error::output)
}

/// One record as a line, without its end.
///
/// # Errors
/// When it is no JSON.
pub fn json_line(record: &impl Serialize) -> Result<String, Error> {
    serde_json::to_string(record).map_err(|error| Error::output(error.into()))
}
