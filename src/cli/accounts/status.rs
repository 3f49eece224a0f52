//! `codex-accounts status`, and `codex-accounts` alone: how things are, at a glance.

use super::look::{Colour, Look};
use super::when::Local;
use super::{list, read, view, watch};
use crate::cli::exit::{Code, Error};
use crate::cli::shell::Shell;

/// Its usage, and the first line of the command's own.
macro_rules! usage {
    () => {
        "codex-accounts [-qhV] [--store FILE] [--color WHEN] [--json | --watch]"
    };
}
pub(super) use usage;

/// `codex-accounts status`.
#[derive(Debug, clap::Args)]
pub(super) struct Status {
    /// One record for each account
    #[arg(long, hide_short_help = true)]
    json: bool,
    /// Draw it anew whenever something changes, until Ctrl-C
    #[arg(long, conflicts_with = "json", hide_short_help = true)]
    watch: bool,
}

impl Status {
    /// Whether none of its arguments was given.
    pub(super) fn is_plain(&self) -> bool {
        !self.json && !self.watch
    }

    pub(super) fn run(&self, shell: &Shell, colour: &Colour) -> Result<Code, Error> {
        if self.watch {
            return watch::watch(shell, colour);
        }
        let document = read(shell)?;
        if self.json {
            list::emit_records(shell, &document)?;
        } else {
            let local = Local::new(shell.now());
            shell.print(&view::render(&document, &local, Look::new(colour), shell))?;
        }
        Ok(Code::Done)
    }
}
