//! An account whose access token can be used: it is renewed first where it ends soon.

use std::time::Duration;

use super::AccountPick;
use super::choice::Picked;
use super::renewal::{self, Renewal};
use crate::account::secret::AccessToken;
use crate::account::{Account, Extra, LoginRequired};
use crate::cli::exit::{Code, Error};
use crate::cli::shell::Shell;
use crate::clock::Clock;
use crate::oauth::refresh::USUAL_MARGIN;
use crate::store::Store;

/// So long a token that still holds is held back for a fresh one.
const PATIENCE: Duration = Duration::from_secs(3);

impl AccountPick {
    /// Picks an account whose token can be used: one whose login turns out to be dead is passed
    /// over, as it will be from now on.
    pub(super) fn pick_with_token(
        &self,
        shell: &Shell,
        store: &dyn Store,
    ) -> Result<Picked, Error> {
        // The store knows of them too, but opencode's auth.json does not.
        let mut dead = Vec::new();
        loop {
            let mut picked = self.pick(shell, store, &dead)?;
            if !self.records() {
                still_valid(&picked.account, shell.clock())
                    .ok_or_else(|| expired(&picked.account))?;
                return Ok(picked);
            }
            match self.fresh(shell, &picked) {
                Ok(account) => return Ok(Picked { account, ..picked }),
                Err(error)
                    if error.code().number() == Code::Refused.number()
                        && self.account.is_none() =>
                {
                    shell.note(&error.to_string());
                    picked.account.login_required = Some(LoginRequired {
                        code: error.to_string(),
                        at: shell.now(),
                        extra: Extra::new(),
                    });
                    dead.push(picked.account);
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// The account with a token that can be used for a while. If it can't be renewed now, or that
    /// takes long, one that has not expired yet will do.
    fn fresh(&self, shell: &Shell, picked: &Picked) -> Result<Account, Error> {
        let account = &picked.account;
        if account.fresh_token(shell.now(), USUAL_MARGIN).is_some() {
            return Ok(account.clone());
        }
        let holds = still_valid(account, shell.clock()).is_some();
        let patience = holds.then_some(PATIENCE);
        match renewal::renew(self.common.store.as_deref(), picked.index, patience) {
            Renewal::Done(renewed, said) => {
                renewal::notes(&said).for_each(|note| shell.note(note));
                if is_another(account, &renewed) {
                    let message = "the accounts were changed meanwhile";
                    return Err(Error::hinted(Code::TryLater, message, "pick again"));
                }
                Ok(*renewed)
            }
            // Why the store can't be used is said, whatever the token is good for.
            Renewal::Failed(error)
                if holds && error.code().number() == Code::Unavailable.number() =>
            {
                shell.note(&format!("the token is near its end: {error}"));
                Ok(account.clone())
            }
            Renewal::Failed(error) => Err(error),
            Renewal::GoesOn => {
                shell.note("the token is near its end, and to renew it takes long");
                Ok(account.clone())
            }
        }
    }
}

/// Whether the place of the account is another's by now, as far as it is known who they are.
fn is_another(before: &Account, now: &Account) -> bool {
    fn differ<T: PartialEq>(before: Option<&T>, now: Option<&T>) -> bool {
        before.zip(now).is_some_and(|(before, now)| before != now)
    }
    let (ids, users) = (&before.chatgpt_account_id, &before.chatgpt_user_id);
    differ(ids.as_ref(), now.chatgpt_account_id.as_ref())
        || differ(users.as_ref(), now.chatgpt_user_id.as_ref())
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
