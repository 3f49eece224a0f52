//! `codex-accounts`: what a person types to see the accounts and to change them. Its views are for
//! people and may change from one version to the next; `--json` gives the records that scripts
//! rely on.

use std::io::{self, IsTerminal, Write};

use clap::Subcommand;

use super::args::Common;
use super::exit::{Code, Error};
use super::oauth_login;
use super::shell::Shell;
use crate::account::SwitchReason;
use crate::account::pick::{self, Decision};
use crate::account::printable::printable;
use crate::account::time::UnixMillis;
use crate::store::{self, Absent, Document};

mod change;
pub(super) mod completions;
mod doctor;
mod export;
mod help;
mod import;
mod keys;
mod list;
mod log;
mod look;
mod notes;
mod policy;
mod quota;
mod refreshing;
mod remove;
mod requests;
mod setup;
mod status;
mod table;
mod view;
mod watch;
mod who;

use who::called;

/// What `--help` says after the options, as the page has it.
const MORE: &str = "\
Output:
  Tables and notes for people. With --json, a record, one JSON object on a line,
  for each account: v, index, email, label, active, state, until, usage and more.

Exit status:
  0   Done; for doctor: all is well
  1   There is no such account, the person said no, or doctor found something
  2   The arguments are wrong, or nobody could be asked
  65  A file is no login file
  69  The issuer can't be reached
  74  A file can't be read or written
  75  Waiting for a lock timed out, or the login did
  77  A login is needed or was refused, or others can read the store
  78  The store is corrupt, or a setting is bad

Examples:
  codex-accounts add work
  codex-accounts --watch --refresh
  codex-accounts --json | jq -r 'select(.state == \"ready\").label'";

/// See your accounts and change them
#[derive(Debug, clap::Parser)]
#[command(
    name = "codex-accounts",
    version,
    long_version = crate::cli::VERSION,
    propagate_version = true,
    disable_help_subcommand = true,
    override_usage = concat!(
        status::usage!(),
        "
       codex-accounts usage | list [--json]
       codex-accounts add [--device | --no-browser] [--port PORT] [--max N]
                          [--timeout DURATION] [ACCOUNT | --label NAME]
       codex-accounts use ACCOUNT | -
       codex-accounts enable | disable ACCOUNT
       codex-accounts label ACCOUNT NAME
       ",
        policy::usage!(),
        "
       codex-accounts remove [--yes] [--keep-login] ACCOUNT
       codex-accounts clear [--scope SCOPE] ACCOUNT | --all
       codex-accounts log [-n COUNT] [--requests] [--json]
       codex-accounts import [--dry-run] FILE ...
       codex-accounts export [--with-secrets] [--force]
       codex-accounts doctor [--online] [--fix] [--json] | --restore [--yes]
       codex-accounts setup [--port PORT] [--yes] [CLIENT ...] | --undo [--yes]
       codex-accounts setup --print opencode | codex | vscode | openai-sdk
       codex-accounts path
       codex-accounts completions bash | zsh | fish"
    ),
    after_long_help = MORE,
    term_width = 80
)]
pub struct Accounts {
    #[command(subcommand)]
    action: Option<Action>,
    #[command(flatten)]
    status: status::Status,
    #[command(flatten)]
    colour: look::Colour,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// The accounts and what is left of them; the default
    #[command(override_usage = status::usage!())]
    Status(status::Status),
    /// Ask for the figures, and show them
    Usage(status::Usage),
    /// The accounts as a plain table
    #[command(visible_alias = "ls")]
    List(list::List),
    /// Log in to an account, to a new one or again
    #[command(
        visible_alias = "login",
        override_usage = "\
codex-accounts add [--device | --no-browser] [--port PORT] [--max N]
                          [--timeout DURATION] [ACCOUNT | --label NAME]"
    )]
    Add(oauth_login::Options),
    /// Make an account active; '-' is the one before
    #[command(visible_alias = "switch")]
    Use(change::Use),
    /// Let an account be picked again
    Enable(change::Enable),
    /// Keep an account from being picked
    Disable(change::Disable),
    /// Name an account; '' takes the name away
    #[command(visible_alias = "rename")]
    Label(change::Label),
    /// What is wished of the choice, for good
    Policy(policy::PolicyOf),
    /// Take an account out, end its login
    #[command(visible_aliases = ["rm", "delete", "logout"])]
    Remove(remove::Remove),
    /// Lift a limit by hand
    Clear(change::Clear),
    /// When the active account changed, and why
    Log(log::Log),
    /// Take over the logins of other programs or machines
    Import(import::Import),
    /// Print the accounts as a file, for another machine
    Export(export::Export),
    /// Look for what is wrong, and say what mends it
    Doctor(doctor::Doctor),
    /// Run the relay as a service, and point your clients to it for good
    Setup(setup::Setup),
    /// Print where the store is
    Path(Path),
    /// Print a script that completes the commands of the suite
    Completions(completions::Completions),
    /// What -h of a subcommand prints
    #[command(hide = true)]
    Help(help::Help),
}

/// `codex-accounts path`.
#[derive(Debug, clap::Args)]
#[command(override_usage = "codex-accounts path")]
struct Path {}

impl super::Command for Accounts {
    const NAME: &'static str = "codex-accounts";
    type Around = Shell;

    fn common(&self) -> &Common {
        &self.common
    }

    fn run(self, shell: &Shell) -> Result<Code, Error> {
        match self.action {
            None => self.status.run(shell, &self.colour),
            Some(_) if !self.status.is_plain() => Err(Error::hinted(
                Code::Usage,
                "a flag of 'status' stands before another subcommand",
                "write it after the subcommand",
            )),
            Some(Action::Status(action)) => action.run(shell, &self.colour),
            Some(Action::Usage(action)) => action.run(shell, &self.colour),
            Some(Action::List(action)) => action.run(shell, &self.colour),
            Some(Action::Add(options)) => oauth_login::log_in(shell, &options, |_| Ok(())),
            Some(Action::Use(action)) => action.run(shell),
            Some(Action::Enable(action)) => action.run(shell),
            Some(Action::Disable(action)) => action.run(shell),
            Some(Action::Label(action)) => action.run(shell),
            Some(Action::Policy(action)) => action.run(shell),
            Some(Action::Remove(action)) => action.run(shell),
            Some(Action::Clear(action)) => action.run(shell),
            Some(Action::Log(action)) => action.run(shell, &self.colour),
            Some(Action::Import(action)) => action.run(shell),
            Some(Action::Export(action)) => action.run(shell),
            Some(Action::Doctor(action)) => action.run(shell, &self.colour),
            Some(Action::Setup(action)) => action.run(shell),
            Some(Action::Path(Path {})) => {
                shell.print(&format!("{}\n", shell.store().locator()))?;
                Ok(Code::Done)
            }
            Some(Action::Completions(action)) => action.run(shell),
            Some(Action::Help(action)) => action.run(shell),
        }
    }
}

/// The accounts to show; that there are none is an error.
fn read(shell: &Shell) -> Result<Document, Error> {
    let document = shell.read(shell.accounts()?.as_ref())?;
    if document.accounts.is_empty() {
        return Err(Error::no_accounts());
    }
    Ok(document)
}

/// Changes the person's store, which has to be there.
fn change<T>(
    shell: &Shell,
    change: impl FnMut(&mut Document) -> Result<T, Error>,
) -> Result<T, Error> {
    store::update(shell.store(), Absent::Refuse, change)?
}

/// As [`change`]; `why` is what the log says where another account is the active one after it.
fn change_because<T>(
    shell: &Shell,
    why: &str,
    change: impl FnMut(&mut Document) -> Result<T, Error>,
) -> Result<T, Error> {
    store::update_because(shell.store(), Absent::Refuse, Some(why), change)?
}

/// Makes the next account that can be used the active one. Whether there is any.
fn move_on(document: &mut Document, now: UnixMillis) -> bool {
    let decision = pick::pick(
        &document.accounts,
        document.active_index,
        &document.request(),
        now,
    );
    let (accounts, active) = (&mut document.accounts, &mut document.active_index);
    match decision {
        Decision::Use { index, .. } => {
            pick::activate(accounts, active, index, SwitchReason::Rotation, now);
            true
        }
        Decision::Nothing(_) | Decision::Limited { .. } => false,
    }
}

/// Asks a person before something that can't be undone.
///
/// # Errors
/// When they do not agree, or there is nobody to ask.
pub(super) fn confirm(shell: &Shell, question: &str) -> Result<(), Error> {
    if !io::stdin().is_terminal() {
        return Err(Error::hinted(
            Code::Usage,
            "there is nobody to ask: standard input is no terminal",
            "--yes does it without asking",
        ));
    }
    // The question is no note: -q does not silence it.
    let mut answer = String::new();
    let question = printable(question);
    write!(io::stderr(), "{}: {question} [y/N] ", shell.name()).map_err(Error::output)?;
    io::stdin().read_line(&mut answer).map_err(Error::input)?;
    match answer.trim().to_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => Err(Error::new(Code::No, "nothing was changed")),
    }
}
