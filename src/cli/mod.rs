//! The commands: arguments, streams and exit codes; one file a command. A command reads its
//! arguments, asks the modules below, and prints; it decides nothing about accounts by itself.

use std::process::ExitCode;

pub mod account_pick;
pub mod accounts;
pub mod args;
pub mod child;
pub mod complete;
pub mod exit;
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
pub mod service;
pub mod session_strip;
pub mod shell;
pub mod token_decode;
pub mod token_encode;
pub mod token_refresh;
mod tunnel;
pub mod typed;
pub mod usage_fetch;

use args::Common;
use exit::{Code, Error};
use shell::Shell;

use crate::account::printable::printable;
use crate::store::notice::Notice;
use crate::sys::memory;

/// What `--version` shows: the version, and the commit where it is known.
pub const VERSION: &str = env!("CODEX_ACCOUNTS_VERSION");

/// A command of the suite. Its `-h` begins with the synopsis of its man page.
pub trait Command: clap::Parser {
    /// What it is called.
    const NAME: &'static str;

    /// The arguments that all commands have.
    fn common(&self) -> &Common;

    /// Does it.
    ///
    /// # Errors
    /// When it fails; nothing more is printed on standard output then.
    fn run(self, shell: &Shell) -> Result<Code, Error>;
}

/// Runs a command as a process: reads its arguments, does it, and prints its error if it fails.
#[must_use]
pub fn main<C: Command>() -> ExitCode {
    // Any of them may hold tokens.
    memory::hide();
    complete::answer::<C>();
    let result = match C::try_parse() {
        Ok(command) => {
            let waiting = if command.common().quiet {
                |_: &Notice<'_>| ()
            } else {
                say::<C>
            };
            Shell::new(C::NAME, command.common(), waiting).and_then(|shell| command.run(&shell))
        }
        Err(error) => args::explain(&error),
    };
    match result {
        Ok(code) => code.into(),
        Err(error) => exit::report(C::NAME, &error).into(),
    }
}

fn say<C: Command>(notice: &Notice<'_>) {
    eprintln!("{}: {}", C::NAME, printable(&notice.to_string()));
}
