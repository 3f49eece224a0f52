//! An account whose access token can be used: it is renewed first where it ends soon.

use std::time::Duration;

use super::AccountPick;
use super::choice::Picked;
use crate::account::secret::AccessToken;
use crate::account::{Account, Extra, LoginRequired};
use crate::cli::exit::{Code, Error};
use crate::cli::shell::Shell;
use crate::clock::Clock;
use crate::net::endpoint::Endpoint;
use crate::oauth::issuer::Issuer;
use crate::oauth::refresh::{self, Need, USUAL_MARGIN};
use crate::store::Store;

impl AccountPick {
    /// Picks an account whose token can be used: one whose login turns out to be dead is passed
    /// over, as it will be from now on.
    pub(super) fn pick_with_token(
        &self,
        shell: &Shell,
        store: &dyn Store,
    ) -> Result<Picked, Error> {
        let issuer = Issuer::new(Endpoint::issuer()?);
        // The store knows of them too, but opencode's auth.json does not.
        let mut dead = Vec::new();
        loop {
            let mut picked = self.pick(shell, store, &dead)?;
            if !self.records() {
                still_valid(&picked.account, shell.clock())
                    .ok_or_else(|| expired(&picked.account))?;
                return Ok(picked);
            }
            match fresh(shell, store, &issuer, &picked.account) {
                Ok(account) => return Ok(Picked { account, ..picked }),
                Err(refresh::Error::LoginRequired { name, code, .. }) if self.account.is_none() => {
                    shell.note(&format!("'{name}' needs a new login ({code})"));
                    picked.account.login_required = Some(LoginRequired {
                        code,
                        at: shell.now(),
                        extra: Extra::new(),
                    });
                    dead.push(picked.account);
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// A token that can be used for a while. If it can't be renewed now, one that has not expired yet
/// will do.
fn fresh(
    shell: &Shell,
    store: &dyn Store,
    issuer: &Issuer,
    account: &Account,
) -> Result<Account, refresh::Error> {
    let need = Need::ExpiresWithin(USUAL_MARGIN);
    match refresh::refresh(store, issuer, account, need, shell.clock()) {
        Ok(refreshed) => {
            shell.notes(&refreshed.notes);
            Ok(refreshed.account)
        }
        Err(refresh::Error::Issuer { source, .. })
            if still_valid(account, shell.clock()).is_some() =>
        {
            shell.note(&format!("the token is near its end: {source}"));
            Ok(account.clone())
        }
        Err(error) => Err(error),
    }
}

fn still_valid(account: &Account, clock: Clock) -> Option<&AccessToken> {
    account.fresh_token(clock.now(), Duration::ZERO)
}

fn expired(account: &Account) -> Error {
    Error::hinted(
        Code::No,
        format!("the access token of '{}' has expired", account.name()),
        "without --peek and --at it is renewed",
    )
}
