//! `codex-accounts remove`: an account goes, and its login ends with it.

use super::change::Left;
use super::{called, change_because, confirm};
use crate::account::Account;
use crate::account::handle::Handle;
use crate::cli::exit::{Code, Error};
use crate::cli::shell::{self, Shell};
use crate::client::registry;
use crate::net::endpoint::Endpoint;
use crate::oauth::issuer::{self, Issuer};
use crate::oauth::refresh;
use crate::store;

/// `codex-accounts remove`.
#[derive(Debug, clap::Args)]
#[command(override_usage = "codex-accounts remove [--yes] [--keep-login] ACCOUNT")]
pub(super) struct Remove {
    /// Index, label, email or id
    #[arg(value_name = "ACCOUNT")]
    account: String,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
    /// Leave the login alive, for whoever else uses it
    #[arg(long)]
    keep_login: bool,
}

impl Remove {
    pub(super) fn run(&self, shell: &Shell) -> Result<Code, Error> {
        let (index, account) = self.find(shell)?;
        let issuer = self.issuer(&account)?;
        let name = called(index, &account);
        if !self.yes {
            confirm(shell, &question(shell, &name, &account, issuer.as_ref())?)?;
        }
        let (account, left) =
            refresh::remove(shell.store(), &account, || take_out(shell, &account))?;
        shell.note(&format!("{name} is removed"));
        if let Some(told) = left.and_then(Left::told) {
            shell.note(&told);
        }
        match issuer {
            Some(issuer) => end_login(shell, &issuer, &account),
            None if account.login_required.is_none() => {
                shell.note("its login was not ended; other programs can go on using it");
            }
            None => {}
        }
        Ok(Code::Done)
    }

    fn find(&self, shell: &Shell) -> Result<(usize, Account), Error> {
        let missing = || store::Error::Missing {
            at: shell.store().locator(),
        };
        let mut accounts = shell.store().read()?.ok_or_else(missing)?.accounts;
        let index = shell::find(&accounts, &self.account)?;
        Ok((index, accounts.swap_remove(index)))
    }

    /// Who is told; nobody, where the login is to live on or is dead already.
    fn issuer(&self, account: &Account) -> Result<Option<Issuer>, Error> {
        if self.keep_login || account.login_required.is_some() {
            return Ok(None);
        }
        Ok(Some(Issuer::new(Endpoint::issuer()?)))
    }
}

fn question(
    shell: &Shell,
    name: &str,
    account: &Account,
    issuer: Option<&Issuer>,
) -> Result<String, Error> {
    let Some(issuer) = issuer else {
        return Ok(format!("remove {name}?"));
    };
    let users = registry::holders(&account.tokens.refresh, shell.waiting())?;
    let too = match users.as_slice() {
        [] => String::new(),
        users => format!(" ({} uses it too)", users.join(" and ")),
    };
    let issuer = issuer.endpoint();
    Ok(format!("remove {name} and end its login at {issuer}{too}?"))
}

/// Takes the account out as it is now, and moves activity on if it was the active one.
fn take_out(shell: &Shell, before: &Account) -> Result<(Account, Option<Left>), Error> {
    let now = shell.now();
    change_because(shell, "removed", |document| {
        let index = Handle::from(before)
            .find(&document.accounts)
            .ok_or_else(|| {
                let name = before.name();
                Error::new(Code::No, format!("'{name}' is not there any more"))
            })?;
        let was_active = index == document.active_index;
        let account = document.remove(index);
        let left = was_active.then(|| Left::new(document, now));
        Ok((account, left))
    })
}

/// The account is gone already: that the issuer can't be told is no failure, but is said.
fn end_login(shell: &Shell, issuer: &Issuer, account: &Account) {
    let why = match issuer.revoke(&account.tokens.refresh) {
        Ok(()) => return,
        Err(issuer::Error::Refused { code }) => format!("the issuer refuses to end it ({code})"),
        Err(error) => error.to_string(),
    };
    let issuer = issuer.endpoint();
    shell.note(&format!("its login could not be ended at {issuer}: {why}"));
}
