//! `codex-accounts help`, which people type: the same as `-h`.

use clap::CommandFactory;

use super::Accounts;
use crate::cli::args;
use crate::cli::exit::{Code, Error};
use crate::cli::shell::Shell;

/// `codex-accounts help`.
#[derive(Debug, clap::Args)]
#[command(override_usage = "codex-accounts help [SUBCOMMAND]")]
pub(super) struct Help {
    /// A subcommand
    #[arg(value_name = "SUBCOMMAND")]
    subcommand: Option<String>,
}

impl Help {
    pub(super) fn run(&self, _: &Shell) -> Result<Code, Error> {
        let name = <Accounts as crate::cli::Command>::NAME;
        let words = [Some(name), self.subcommand.as_deref(), Some("-h")];
        match Accounts::command().try_get_matches_from(words.into_iter().flatten()) {
            // -h is help, and a word that is no subcommand an error.
            Ok(_) => Ok(Code::Done),
            Err(error) => args::explain(&error),
        }
    }
}
