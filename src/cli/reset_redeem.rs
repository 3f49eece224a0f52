//! `codex-reset-redeem`: spends a banked reset of one account, if a person or a script wants it.

use serde::Serialize;

use super::accounts::confirm;
use super::args::Common;
use super::exit::{Code, Error};
use super::record::Who;
use super::shell::{self, Shell};
use crate::account::Account;
use crate::account::limit::banked::Redeemed;
use crate::net::endpoint::Endpoint;
use crate::oauth::issuer::Issuer;
use crate::oauth::redeem::{Plan, Spend, plan};
use crate::oauth::usage::Backend;

/// What `--help` says after the options.
const MORE: &str = "\
Output:
  A record, one JSON object on a line: v, index, email, label, outcome, and
  windowsReset and left, where they are known. The outcomes are
    reset             one was spent, and the windows begin anew
    already-redeemed  an attempt before, whose answer was lost, did that
    nothing-to-reset  no window is used up
    no-credit         there is none to spend

Exit status:
  0   reset, already-redeemed
  1   nothing-to-reset, no-credit, no such account, or you did not agree
  2   The arguments are wrong, or there is nobody to ask
  69  No answer: whether it was spent is not known; asking again spends one
  74  Input or output failed
  77  The login is dead, or the backend refused it
  78  The store, or the request of an attempt before, is corrupt

Examples:
  codex-reset-redeem work
  codex-reset-redeem --yes work | jq -r .outcome";

/// Spend a banked reset of an account
///
/// Asks first, on a terminal. It takes the one that expires first, and only if a window is used up.
/// Nothing else in this suite spends one.
#[derive(Debug, clap::Parser)]
#[command(
    name = "codex-reset-redeem",
    version,
    long_version = crate::cli::VERSION,
    override_usage = "codex-reset-redeem [-qhVy] [--store FILE] ACCOUNT",
    after_long_help = MORE,
    term_width = 80
)]
pub struct ResetRedeem {
    /// The account: index, label, email or id
    account: String,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
    #[command(flatten)]
    common: Common,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RedeemRecord<'a> {
    #[serde(flatten)]
    who: Who<'a>,
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    windows_reset: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    left: Option<u32>,
}

impl super::Command for ResetRedeem {
    const NAME: &'static str = "codex-reset-redeem";
    type Around = Shell;

    fn common(&self) -> &Common {
        &self.common
    }

    fn run(self, shell: &Shell) -> Result<Code, Error> {
        let store = shell.accounts()?;
        let accounts = shell.read(store.as_ref())?.accounts;
        let index = shell::find(&accounts, &self.account)?;
        let before = &accounts[index];
        let issuer = Issuer::new(Endpoint::issuer()?);
        let backend = Backend::new(Endpoint::upstream()?);
        let spend = match plan(store.as_ref(), &issuer, &backend, before, shell.clock())? {
            Plan::Nothing(outcome) => {
                return say(shell, index, before, outcome, None);
            }
            Plan::Spend(spend) => spend,
        };
        if !self.yes {
            confirm(shell, &question(before, &spend))?;
        }
        let done = spend.spend(store.as_ref(), &issuer, &backend, shell.clock())?;
        shell.notes(&done.notes);
        say(shell, index, &done.account, done.outcome, done.windows)
    }
}

fn question(account: &Account, spend: &Spend) -> String {
    let name = account.name();
    let Some(reset) = &spend.reset else {
        return format!("an attempt before got no answer; ask again for that reset of '{name}'?");
    };
    let title = reset.title.as_deref().unwrap_or("reset");
    let until = reset
        .expires_at
        .map(|at| format!(", which expires at {}", at.rfc3339()));
    format!("spend '{title}' of '{name}'{}?", until.unwrap_or_default())
}

fn say(
    shell: &Shell,
    index: usize,
    account: &Account,
    outcome: Redeemed,
    windows_reset: Option<u64>,
) -> Result<Code, Error> {
    let (word, code) = match outcome {
        Redeemed::Reset => ("reset", Code::Done),
        Redeemed::Already => ("already-redeemed", Code::Done),
        Redeemed::NothingToReset => ("nothing-to-reset", Code::No),
        Redeemed::NoCredit => ("no-credit", Code::No),
    };
    let usage = account.usage.as_ref();
    let banked = usage.map(|usage| usage.banked_resets.as_ref().map_or(0, |it| it.count));
    shell.emit(&RedeemRecord {
        who: Who::new(index, account),
        outcome: word,
        windows_reset: windows_reset.filter(|_| code == Code::Done),
        left: banked.filter(|_| code == Code::Done),
    })?;
    Ok(code)
}
