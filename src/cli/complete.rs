//! Completion in the shell: the script that `codex-accounts completions` prints runs the command
//! itself, with a variable set, and is told what could come next.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use clap::Arg;
use clap_complete::env::CompleteEnv;
use clap_complete::{ArgValueCandidates, ArgValueCompleter, CompletionCandidate};

use super::args::Common;
use super::shell::Shell;
use crate::account::Account;
use crate::account::pick::strategy;
use crate::client::registry::CLIENTS;

/// The environment variable by which a shell asks; its value names the shell.
pub const VARIABLE: &str = "CODEX_ACCOUNTS_COMPLETE";

/// Answers a shell that asks, and ends then. Costs a look at the environment otherwise.
pub fn answer<C: super::Command>() {
    CompleteEnv::with_factory(with_values::<C>)
        .var(VARIABLE)
        .complete();
}

/// The command, whose every `ACCOUNT` knows the accounts, and every `STRATEGY` the strategies.
fn with_values<C: super::Command>() -> clap::Command {
    let command = C::command().mut_args(with_known);
    command.mut_subcommands(|subcommand| subcommand.mut_args(with_known))
}

fn with_known(arg: Arg) -> Arg {
    match arg.get_value_names() {
        Some([name]) if name == "ACCOUNT" => arg.add(ArgValueCompleter::new(names)),
        Some([name]) if name == "STRATEGY" => arg.add(ArgValueCandidates::new(strategies)),
        Some([name]) if name == "COMMAND" => arg.add(ArgValueCandidates::new(clients)),
        _ => arg,
    }
}

fn strategies() -> Vec<CompletionCandidate> {
    strategy::WORDS.map(CompletionCandidate::new).into()
}

fn clients() -> Vec<CompletionCandidate> {
    let names = CLIENTS.iter().map(|client| client.name());
    names.map(CompletionCandidate::new).collect()
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

/// Those of the store that was typed, or else of the one that the commands use.
fn accounts() -> Option<Vec<Account>> {
    let common = Common {
        store: typed_store(std::env::args_os()),
        quiet: true,
    };
    let shell = Shell::new("complete", &common, |_| {}).ok()?;
    let store = shell.accounts().ok()?;
    Some(shell.read(store.as_ref()).ok()?.accounts)
}

/// What was typed after `--store`. A shell gives the words of its line as arguments.
fn typed_store(words: impl Iterator<Item = OsString>) -> Option<PathBuf> {
    let mut words = words.skip_while(|word| {
        let word = word.to_string_lossy();
        word != "--store" && !word.starts_with("--store=")
    });
    let word = words.next()?;
    match word.to_str().and_then(|word| word.strip_prefix("--store=")) {
        Some(path) => Some(path.into()),
        None => words.next().map(PathBuf::from),
    }
}
