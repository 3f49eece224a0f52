//! `codex-account-pick`: nothing in; the account to use now out, in the form asked for.

use std::time::Duration;

use super::args::{self, Common};
use super::exit::{Code, Error};
use super::shell::Shell;
use crate::account::pick::{Strategy, strategy};
use crate::account::time::UnixMillis;
use crate::sys::stdio;
use form::Format;

mod choice;
mod form;
mod help;
mod lease;
mod reasons;
mod renewal;
mod token;

/// Pick the account to use now
///
/// Prints the account that the strategy chooses among the usable ones, and records that it is the
/// active one now. An account is usable if it is enabled, needs no login, and is not limited for
/// the model. There is no chance in the choice.
#[derive(Debug, clap::Parser)]
#[command(
    name = "codex-account-pick",
    version,
    long_version = crate::cli::VERSION,
    override_usage = "\
codex-account-pick [-qhV] [--store FILE] [--strategy STRATEGY]
                          [--model NAME] [--session KEY] [--account ACCOUNT]
                          [--exclude ACCOUNT]... [--reserve PERCENT]
                          [--lease DURATION] [--pid PID] [--wait[=MAX]]
                          [--peek] [--explain] [--at TIME]
                          [--format FORMAT] [--force]",
    after_long_help = help::more(),
    term_width = 80
)]
pub struct AccountPick {
    #[arg(long, value_name = "STRATEGY", help = strategy::LIST)]
    strategy: Option<Strategy>,
    /// The model it is for: limits of other models do not count
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
    /// The same account for the same key, as long as it is usable
    #[arg(long, value_name = "KEY")]
    session: Option<String>,
    /// This account or none: index, label, email or id
    #[arg(long, value_name = "ACCOUNT")]
    account: Option<String>,
    /// Not this account; may be repeated
    #[arg(long, value_name = "ACCOUNT")]
    exclude: Vec<String>,
    /// Accounts with this little left of a window come last
    #[arg(long, value_name = "PERCENT", value_parser = args::percent)]
    reserve: Option<f64>,
    /// Keep others off the account for so long; 0 gives it back
    #[arg(long, value_name = "DURATION", value_parser = args::duration)]
    lease: Option<Duration>,
    /// The process that holds the lease; default: the parent
    #[arg(long, value_name = "PID", value_parser = clap::value_parser!(u32).range(1..))]
    pid: Option<u32>,
    /// Wait until an account is usable, at most so long
    #[arg(long, value_name = "MAX", value_parser = args::duration, num_args = 0..=1, require_equals = true)]
    wait: Option<Option<Duration>>,
    /// Record nothing
    #[arg(long, conflicts_with = "lease")]
    peek: bool,
    /// Print why each account was chosen or passed over; record nothing
    #[arg(long, conflicts_with_all = ["wait", "lease", "format"])]
    explain: bool,
    /// Decide as of this time; record nothing
    #[arg(long, value_name = "TIME", value_parser = args::time, conflicts_with_all = ["wait", "lease"])]
    at: Option<UnixMillis>,
    /// json, id, index, access-token, headers, curl-config,
    /// opencode or codex
    #[arg(
        long,
        value_name = "FORMAT",
        value_enum,
        default_value = "json",
        hide_default_value = true,
        hide_possible_values = true
    )]
    format: Format,
    /// Write a token even to a terminal
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    common: Common,
}

impl super::Command for AccountPick {
    const NAME: &'static str = "codex-account-pick";
    type Around = Shell;

    fn common(&self) -> &Common {
        &self.common
    }

    fn run(self, shell: &Shell) -> Result<Code, Error> {
        // Before a file of ours can come by this number.
        let beside = stdio::descriptor_3();
        let store = shell.accounts()?;
        if self.explain {
            return self.print_reasons(shell, store.as_ref());
        }
        if self.format.is_secret() {
            shell.allow_secrets(self.force)?;
        }
        let picked = if self.format.is_secret() {
            self.pick_with_token(shell, store.as_ref())?
        } else {
            self.pick(shell, store.as_ref(), &[])?
        };
        self.format.print(shell, &picked)?;
        if let Some(beside) = beside {
            self.format.print_record_beside(&picked, beside)?;
        }
        Ok(Code::Done)
    }
}
