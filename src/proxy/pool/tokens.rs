//! Whose token is fresh. Renewing is [`refresh`]'s; here it is done off the async workers, and in
//! time for those tokens that a client could renew too.

use std::sync::Arc;
use std::time::Duration;

use tokio::task;

use super::Pool;
use crate::account::Account;
use crate::account::time::UnixMillis;
use crate::client::registry;
use crate::oauth::refresh::{self, Need, USUAL_MARGIN};

/// A token that a client holds too is renewed so long before it expires.
const AHEAD: Duration = Duration::from_secs(10 * 60);

/// How often it is seen to that this is so.
const LOOK_AHEAD_EVERY: Duration = Duration::from_secs(60);

impl Pool {
    /// The account with a token that can be used. If it can't be renewed now, one that has not
    /// expired yet will do.
    ///
    /// # Errors
    /// When there is no such token.
    pub async fn with_token(
        self: &Arc<Self>,
        account: &Account,
    ) -> Result<Account, refresh::Error> {
        let now = self.now();
        if account.fresh_token(now, USUAL_MARGIN).is_some() {
            return Ok(account.clone());
        }
        match self.renew(account, Need::ExpiresWithin(USUAL_MARGIN)).await {
            Err(error)
                if error.leaves_token() && account.fresh_token(now, Duration::ZERO).is_some() =>
            {
                Ok(account.clone())
            }
            result => result,
        }
    }

    /// The account with another token than the one it has, which the upstream did not accept.
    ///
    /// # Errors
    /// When there is none to be had.
    pub async fn with_other_token(
        self: &Arc<Self>,
        account: &Account,
    ) -> Result<Account, refresh::Error> {
        self.renew(account, Need::Now).await
    }

    /// Renews, time and again, the tokens that a client's own file holds too: a client renews at
    /// expiry, and the two would race for a token that is single use (DESIGN §2, `codex-launch`).
    pub async fn stay_ahead(self: Arc<Self>) {
        loop {
            self.renew_shared().await;
            tokio::time::sleep(LOOK_AHEAD_EVERY).await;
        }
    }

    /// Renews those of these tokens that expire soon.
    pub async fn renew_shared(self: &Arc<Self>) {
        let now = self.now();
        let document = self.document().await;
        for account in document.accounts.iter().filter(|it| is_due(it, now)) {
            let token = account.tokens.refresh.clone();
            let holders = task::spawn_blocking(move || registry::holders(&token, |_| ()));
            if matches!(holders.await, Ok(Ok(holders)) if !holders.is_empty()) {
                // What is wrong was complained of; there is another time.
                let _ = self.renew(account, Need::ExpiresWithin(AHEAD)).await;
            }
        }
    }

    async fn renew(
        self: &Arc<Self>,
        account: &Account,
        need: Need,
    ) -> Result<Account, refresh::Error> {
        let (pool, before) = (Arc::clone(self), account.clone());
        let gone = || refresh::Error::Gone {
            name: account.name().to_owned(),
            left: Vec::new(),
        };
        let renewal = task::spawn_blocking(move || {
            refresh::refresh(pool.store.as_ref(), &pool.issuer, &before, need, pool.clock)
        });
        let refreshed = renewal.await.map_err(|_| gone())?;
        if let Err(error) = &refreshed {
            (self.complain)(&error.to_string());
        }
        refreshed.map(|refreshed| refreshed.account)
    }
}

/// Whether an account's token expires soon. One that never lives long is not renewed all the time.
fn is_due(account: &Account, now: UnixMillis) -> bool {
    account.enabled
        && account.login_required.is_none()
        && account.fresh_token(now, AHEAD).is_none()
        && account
            .tokens
            .refreshed_at
            .is_none_or(|at| now.since(at) >= AHEAD)
}
