//! `codex-usage-fetch`: one record of quota windows out for each account, recorded in the store.

use serde::Serialize;

use super::args::Common;
use super::exit::{Code, Error};
use super::figures::Figures;
use super::record::Who;
use super::shell::{self, Shell};
use crate::account::Account;
use crate::account::time::UnixMillis;
use crate::account::usage::{BankedResets, Budget, Credits, Window};

/// What `--help` says after the options, as the page has it.
const MORE: &str = "\
Output:
  A record, one JSON object on a line, for each account that was told about: v,
  index, chatgptAccountId, email, label, planType, windows with minutes,
  usedPercent and resetsAt, and more where there is any.

Exit status:
  0   The usage of every account is known
  1   There is no such account, or none at all
  2   The arguments are wrong
  69  The backend or the issuer can't be reached
  74  Input or output failed
  75  Waiting for the lock on the store timed out
  77  The backend does not tell this account, or a login is dead
  78  The store is corrupt, or a setting is bad

Examples:
  codex-usage-fetch work
  codex-usage-fetch | jq '.windows[] | select(.minutes == 10080) | .usedPercent'";

/// Ask how much of the quota of accounts is used
///
/// Asks the backend, records what it says, and prints it. Without ACCOUNT it is about every
/// account that is enabled. It costs no quota.
#[derive(Debug, clap::Parser)]
#[command(
    name = "codex-usage-fetch",
    version,
    long_version = crate::cli::VERSION,
    override_usage = "codex-usage-fetch [-qhV] [--store FILE] [--all | ACCOUNT...]",
    after_long_help = MORE,
    term_width = 80
)]
pub struct UsageFetch {
    /// The accounts: index, label, email or id
    #[arg(value_name = "ACCOUNT", conflicts_with = "all")]
    accounts: Vec<String>,
    /// All accounts, also those that are disabled
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    common: Common,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct UsageRecord<'a> {
    #[serde(flatten)]
    who: Who<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    plan_type: Option<&'a str>,
    windows: &'a [Window],
    observed_at: UnixMillis,
    #[serde(skip_serializing_if = "Option::is_none")]
    credits: Option<&'a Credits>,
    #[serde(skip_serializing_if = "Option::is_none")]
    budget: Option<&'a Budget>,
    #[serde(skip_serializing_if = "Option::is_none")]
    banked_resets: Option<&'a BankedResets>,
}

impl super::Command for UsageFetch {
    const NAME: &'static str = "codex-usage-fetch";
    type Around = Shell;

    fn common(&self) -> &Common {
        &self.common
    }

    fn run(self, shell: &Shell) -> Result<Code, Error> {
        let figures = Figures::new(shell)?;
        let accounts = figures.accounts()?;
        let mut worst = Code::Done;
        for index in self.chosen(&accounts)? {
            match figures.fetch(&accounts[index]) {
                Ok(fetched) => {
                    shell.notes(&fetched.notes);
                    shell.emit(&UsageRecord {
                        who: Who::new(index, &fetched.account),
                        plan_type: fetched.account.plan_type.as_deref(),
                        windows: &fetched.reading.windows,
                        observed_at: shell.now(),
                        credits: fetched.reading.credits.as_deref().filter(|it| it.available),
                        budget: fetched.reading.budget.as_deref(),
                        banked_resets: fetched.reading.banked_resets.as_deref(),
                    })?;
                }
                Err(error) => worst = worst.max(shell.report(&error.into())),
            }
        }
        Ok(worst)
    }
}

impl UsageFetch {
    fn chosen(&self, accounts: &[Account]) -> Result<Vec<usize>, Error> {
        if accounts.is_empty() {
            return Err(Error::no_accounts());
        }
        if self.accounts.is_empty() {
            let wanted = |&index: &usize| self.all || accounts[index].enabled;
            return Ok((0..accounts.len()).filter(wanted).collect());
        }
        let find = |name: &String| shell::find(accounts, name);
        self.accounts.iter().map(find).collect()
    }
}
