//! Completion in the shell: the script that `codex-accounts completions` prints runs
//! `codex-accounts` with a variable set and the line that was typed, and is told what could come
//! next. The other commands know nothing of it, and are the smaller for that.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use clap::Arg;
use clap_complete::env::CompleteEnv;
use clap_complete::{ArgValueCandidates, ArgValueCompleter, CompletionCandidate};

use super::account_pick::AccountPick;
use super::accounts::{Accounts, completions::VARIABLE};
use super::args::Common;
use super::launch::Launch;
use super::oauth_login::OauthLogin;
use super::proxy::ProxyCommand;
use super::ratelimit_mark::RatelimitMark;
use super::rehearse::Rehearse;
use super::reset_redeem::ResetRedeem;
use super::session_strip::SessionStrip;
use super::shell::Shell;
use super::token_decode::TokenDecode;
use super::token_encode::TokenEncode;
use super::token_refresh::TokenRefresh;
use super::usage_fetch::UsageFetch;
use crate::account::Account;
use crate::account::pick::strategy;
use crate::client::registry::CLIENTS;
use crate::sys::memory;

/// Answers a shell that asks, and ends then. Costs a look at the environment otherwise.
pub fn answer() {
    CompleteEnv::with_factory(asked).var(VARIABLE).complete();
}

/// The command that was typed. A shell gives the words of its line after `--`.
fn asked() -> clap::Command {
    // The store that names the accounts holds their tokens, too.
    memory::hide();
    let mut words = std::env::args_os().skip_while(|word| word != "--").skip(1);
    let typed = words.next().unwrap_or_default();
    let name = Path::new(&typed).file_stem().unwrap_or_default();
    let is = |(known, _): &&(&str, _)| name == *known;
    let found = COMMANDS.iter().find(is);
    found.map_or_else(with_values::<Accounts>, |(_, command)| command())
}

type Named = (&'static str, fn() -> clap::Command);

/// The commands of the suite.
const COMMANDS: [Named; 13] = [
    named::<AccountPick>(),
    named::<Accounts>(),
    named::<Launch>(),
    named::<OauthLogin>(),
    named::<ProxyCommand>(),
    named::<RatelimitMark>(),
    named::<Rehearse>(),
    named::<ResetRedeem>(),
    named::<SessionStrip>(),
    named::<TokenDecode>(),
    named::<TokenEncode>(),
    named::<TokenRefresh>(),
    named::<UsageFetch>(),
];

const fn named<C: super::Command>() -> Named {
    (C::NAME, with_values::<C>)
}

/// The command, whose every `ACCOUNT` knows the accounts, and every `STRATEGY` the strategies.
fn with_values<C: super::Command>() -> clap::Command {
    let command = C::command().mut_args(with_known);
    command.mut_subcommands(|subcommand| documented(subcommand).mut_args(with_known))
}

/// The subcommand under its own name only; under another one where that has been typed.
fn documented(subcommand: clap::Command) -> clap::Command {
    let mut names = subcommand.get_all_aliases();
    if names.any(|name| std::env::args_os().any(|word| word == name)) {
        drop(names);
        return subcommand;
    }
    drop(names);
    subcommand.visible_alias(None)
}

fn with_known(arg: Arg) -> Arg {
    match arg.get_value_names() {
        Some([name]) if name == "ACCOUNT" => arg.add(ArgValueCompleter::new(names)),
        Some([name]) if name == "STRATEGY" => arg.add(ArgValueCandidates::new(strategies)),
        Some([name]) if name == "COMMAND" => arg.add(ArgValueCompleter::new(clients)),
        _ => arg,
    }
}

fn strategies() -> Vec<CompletionCandidate> {
    strategy::WORDS.map(CompletionCandidate::new).into()
}

/// The clients; none once there is a command, whose own arguments come then.
fn clients(begun: &OsStr) -> Vec<CompletionCandidate> {
    let names = CLIENTS.iter().map(|client| client.name());
    let mut names: Vec<&str> = names.collect();
    let is_typed = |name: &&str| std::env::args_os().any(|word| word == *name && word != *begun);
    if names.iter().any(is_typed) {
        return Vec::new();
    }
    names.retain(|name| name.starts_with(&*begun.to_string_lossy()));
    names.into_iter().map(CompletionCandidate::new).collect()
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
