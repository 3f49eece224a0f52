//! The commands: arguments, streams and exit codes; one file a command. A command reads its
//! arguments, asks the modules below, and prints; it decides nothing about accounts by itself.

use std::process::ExitCode;

pub mod account_pick;
pub mod accounts;
pub mod args;
pub mod child;
pub mod complete;
pub mod console;
pub mod exit;
mod figures;
mod holder;
pub mod launch;
mod launch_summary;
pub mod oauth_login;
pub mod proxy;
pub mod ratelimit_mark;
pub mod record;
pub mod rehearse;
pub mod reset_redeem;
pub mod running_relay;
mod saying;
pub mod service;
pub mod session_strip;
pub mod shell;
pub mod token_decode;
pub mod token_encode;
pub mod token_refresh;
mod tunnel;
pub mod typed;
pub mod usage_fetch;
mod version;
mod when;

use args::Common;
use console::Console;
use exit::{Code, Error};
use shell::Shell;

use crate::store::lock::Waiting;
use crate::store::notice::Notice;
use crate::sys::memory;

pub use version::VERSION;

/// A command of the suite. Its `-h` begins with the synopsis of its man page.
pub trait Command: clap::Parser {
    /// What it is called.
    const NAME: &'static str;
    /// What it has around it: a [`Shell`], or a filter, which needs no store, a [`Console`].
    type Around: Surroundings;

    /// The arguments that all commands have.
    fn common(&self) -> &Common;

    /// Does it.
    ///
    /// # Errors
    /// When it fails; nothing more is printed on standard output then.
    fn run(self, around: &Self::Around) -> Result<Code, Error>;
}

/// What a command has around it. What it does not ask for is not linked into it.
pub trait Surroundings: Sized {
    /// That of the command `name`. `waiting` is told when a lock takes long.
    ///
    /// # Errors
    /// When the environment holds a bad setting, or no place for a store is known.
    fn of(name: &'static str, common: &Common, waiting: Waiting) -> Result<Self, Error>;
}

impl Surroundings for Shell {
    fn of(name: &'static str, common: &Common, waiting: Waiting) -> Result<Self, Error> {
        Self::new(name, common, waiting)
    }
}

impl Surroundings for Console {
    fn of(name: &'static str, common: &Common, _: Waiting) -> Result<Self, Error> {
        Ok(Self::new(name, common))
    }
}

/// Runs a command as a process: reads its arguments, does it, and prints its error if it fails.
#[must_use]
pub fn main<C: Command>() -> ExitCode {
    // Any of them may hold tokens.
    memory::hide();
    let result = match C::try_parse() {
        Ok(command) => {
            let waiting = if command.common().quiet {
                |_: &Notice<'_>| ()
            } else {
                say::<C>
            };
            C::Around::of(C::NAME, command.common(), waiting).and_then(|it| command.run(&it))
        }
        Err(error) if version::is_record_wanted(&error) => version::print(C::NAME),
        Err(error) => args::explain(&error),
    };
    match result {
        Ok(code) => code.into(),
        Err(error) => exit::report(C::NAME, &error).into(),
    }
}

fn say<C: Command>(notice: &Notice<'_>) {
    saying::say(&format!("{}: {notice}", C::NAME));
}
