//! A program that a command runs in its place: the terminal, the signals and the exit status are
//! the program's, as if the command was not there.

use std::io;
use std::path::Path;
use std::process::Command;

use tokio::runtime::Runtime;

use super::exit::{Code, Error};
use crate::store::locator::Locator;
use crate::sys::child;

pub use crate::sys::suite::{beside, folder};

/// The environment variable that names the store.
pub const STORE_SETTING: &str = "CODEX_ACCOUNTS_FILE";

/// Has another command of the suite work on the store that was named to this one. A URL may hold a
/// password, and is no argument of a process.
pub fn with_store<'a>(command: &'a mut Command, store: Option<&Path>) -> &'a mut Command {
    match store {
        Some(store) if Locator::named(store.to_owned()).file().is_none() => {
            command.env(STORE_SETTING, store)
        }
        Some(store) => command.arg("--store").arg(store),
        None => command,
    }
}

/// Runs a program to its end, and gives the exit status that a shell would report. Signals for this
/// process go to the program meanwhile.
///
/// # Errors
/// When it can't be started.
pub fn run(runtime: &Runtime, command: &mut Command) -> Result<Code, Error> {
    Signals::take(runtime)?.run(runtime, command)
}

/// The signals that are the child's. This process takes them so that it outlives them; what comes
/// before there is a child is for it all the same.
#[derive(Debug)]
pub struct Signals(child::Signals);

impl Signals {
    /// Takes them.
    ///
    /// # Errors
    /// When the system does not give one.
    pub fn take(runtime: &Runtime) -> Result<Self, Error> {
        let taken = child::Signals::take(runtime.handle());
        taken
            .map(Self)
            .map_err(|error| Error::new(Code::Io, format!("no signals: {error}")))
    }

    /// As [`run`].
    ///
    /// # Errors
    /// When the program can't be started.
    pub fn run(self, runtime: &Runtime, command: &mut Command) -> Result<Code, Error> {
        let status = self.0.run(runtime.handle(), command).map_err(|error| {
            let program = command.get_program().display();
            let message = format!("can't run '{program}': {error}");
            match error.kind() {
                io::ErrorKind::NotFound => {
                    Error::hinted(Code::No, message, "is it installed, and in the PATH?")
                }
                _ => Error::new(Code::Io, message),
            }
        })?;
        Ok(Code::OfProgram(status))
    }
}
