//! `codex-token-refresh`: one record out for each account whose token was checked.

use std::time::Duration;

use serde::Serialize;

use super::args::{self, Common};
use super::exit::{Code, Error};
use super::record::AccountRecord;
use super::shell::{self, Shell};
use crate::net::endpoint::Endpoint;
use crate::oauth::issuer::Issuer;
use crate::oauth::refresh::{How, Need, USUAL_MARGIN, refresh};
use crate::store::Document;

/// What `--help` says after the options, as the page has it.
const MORE: &str = "\
Output:
  A record, one JSON object on a line, for each account whose token can be used
  now: the keys of 'codex-accounts list --json', and outcome, which is
    kept     the token was still good
    adopted  another process, or a client, had renewed it
    renewed  the issuer renewed it

Exit status:
  0   Every token can be used
  1   There is no such account, or none at all
  2   The arguments are wrong
  69  The issuer can't be reached, or says nothing about the login
  74  Input or output failed
  75  Waiting for a lock timed out
  77  A login is dead, or others can read the store
  78  The store is corrupt, or a setting is bad

Examples:
  codex-token-refresh --all --older-than 7d
  codex-token-refresh work | jq -r .outcome";

/// Renew the tokens of accounts
///
/// Without ACCOUNT it is about the active account. A token is renewed if it expires within
/// 5 minutes, unless a flag says otherwise.
#[derive(Debug, clap::Parser)]
#[command(
    name = "codex-token-refresh",
    version,
    long_version = crate::cli::VERSION,
    override_usage = "\
codex-token-refresh [-qhV] [--store FILE]
                           [--if-expiring DURATION | --older-than DURATION |
                           --now] [--all | ACCOUNT...]",
    after_long_help = MORE,
    term_width = 80
)]
pub struct TokenRefresh {
    /// The accounts: index, label, email or id
    #[arg(value_name = "ACCOUNT", conflicts_with = "all")]
    accounts: Vec<String>,
    /// All accounts, also those that are disabled
    #[arg(long)]
    all: bool,
    /// Renew what expires within this time
    #[arg(long, value_name = "DURATION", value_parser = args::duration, group = "need")]
    if_expiring: Option<Duration>,
    /// Renew what was last renewed longer ago than this
    #[arg(long, value_name = "DURATION", value_parser = args::duration, group = "need")]
    older_than: Option<Duration>,
    /// Print the account with its tokens, for codex-account-pick, which may have no other way to
    /// them: opencode's packed login has no place for an access token
    #[arg(long, hide = true)]
    hand_out: bool,
    /// Renew in any case
    #[arg(long, group = "need", alias = "force")]
    now: bool,
    #[command(flatten)]
    common: Common,
}

#[derive(Serialize)]
struct RefreshRecord<'a> {
    #[serde(flatten)]
    account: AccountRecord<'a>,
    outcome: &'static str,
}

impl super::Command for TokenRefresh {
    const NAME: &'static str = "codex-token-refresh";
    type Around = Shell;

    fn common(&self) -> &Common {
        &self.common
    }

    fn run(self, shell: &Shell) -> Result<Code, Error> {
        if self.hand_out {
            shell.allow_secrets(false)?;
        }
        let store = shell.accounts()?;
        let mut document = shell.read(store.as_ref())?;
        let issuer = Issuer::new(Endpoint::issuer()?);
        let mut worst = Code::Done;
        for index in self.chosen(&document)? {
            let before = &document.accounts[index];
            match refresh(store.as_ref(), &issuer, before, self.need(), shell.clock()) {
                Ok(refreshed) => {
                    shell.notes(&refreshed.notes);
                    if self.hand_out {
                        shell.emit(&refreshed.account)?;
                        continue;
                    }
                    document.accounts[index] = refreshed.account;
                    shell.emit(&RefreshRecord {
                        account: AccountRecord::new(&document, index, shell.now()),
                        outcome: word(refreshed.how),
                    })?;
                }
                Err(error) => worst = worst.max(shell.report(&error.into())),
            }
        }
        Ok(worst)
    }
}

impl TokenRefresh {
    fn chosen(&self, document: &Document) -> Result<Vec<usize>, Error> {
        let accounts = &document.accounts;
        if accounts.is_empty() {
            return Err(Error::no_accounts());
        }
        if self.all {
            return Ok((0..accounts.len()).collect());
        }
        if self.accounts.is_empty() {
            return Ok(vec![document.active_index]);
        }
        let find = |name: &String| shell::find(accounts, name);
        self.accounts.iter().map(find).collect()
    }

    fn need(&self) -> Need {
        match (self.now, self.older_than) {
            (true, _) => Need::Now,
            (false, Some(age)) => Need::OlderThan(age),
            (false, None) => Need::ExpiresWithin(self.if_expiring.unwrap_or(USUAL_MARGIN)),
        }
    }
}

const fn word(how: How) -> &'static str {
    match how {
        How::Kept => "kept",
        How::Adopted => "adopted",
        How::Renewed => "renewed",
    }
}
