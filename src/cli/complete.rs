//! Completion in the shell: the script that `codex-accounts completions` prints runs the command
//! itself, with a variable set, and is told what could come next.

use std::ffi::OsStr;

use clap::Arg;
use clap_complete::env::CompleteEnv;
use clap_complete::{ArgValueCompleter, CompletionCandidate};

use super::args::Common;
use super::shell::Shell;
use crate::account::Account;

/// The environment variable by which a shell asks; its value names the shell.
pub const VARIABLE: &str = "CODEX_ACCOUNTS_COMPLETE";

/// Answers a shell that asks, and ends then. Costs a look at the environment otherwise.
pub fn answer<C: super::Command>() {
    CompleteEnv::with_factory(with_accounts::<C>)
        .var(VARIABLE)
        .complete();
}

/// The command, whose every `ACCOUNT` knows the accounts.
fn with_accounts<C: super::Command>() -> clap::Command {
    let command = C::command().mut_args(with_names);
    command.mut_subcommands(|subcommand| subcommand.mut_args(with_names))
}

fn with_names(arg: Arg) -> Arg {
    let is_account = |names: &[clap::builder::Str]| matches!(names, [one] if one == "ACCOUNT");
    if arg.get_value_names().is_some_and(is_account) {
        arg.add(ArgValueCompleter::new(names))
    } else {
        arg
    }
}

/// The accounts whose name begins so; none where they can't be read.
fn names(begun: &OsStr) -> Vec<CompletionCandidate> {
    let begun = begun.to_string_lossy();
    let named = |account: &Account| account.name().starts_with(&*begun);
    let accounts = accounts().unwrap_or_default();
    let fitting = accounts.into_iter().filter(named);
    fitting.map(|account| candidate(&account)).collect()
}

fn candidate(account: &Account) -> CompletionCandidate {
    let plan = account.plan_type.as_deref().unwrap_or("account");
    let email = account.email.as_deref().unwrap_or_default();
    CompletionCandidate::new(account.name()).help(Some(format!("{plan} {email}").into()))
}

/// Those of the store that the environment names: what was typed as --store is not known here.
fn accounts() -> Option<Vec<Account>> {
    let common = Common {
        store: None,
        quiet: true,
    };
    let shell = Shell::new("complete", &common, |_| {}).ok()?;
    let store = shell.accounts().ok()?;
    Some(shell.read(store.as_ref()).ok()?.accounts)
}
