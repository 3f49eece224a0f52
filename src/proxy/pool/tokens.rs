//! Whose token is fresh. Renewing is [`refresh`]'s; here it is done off the async workers, and in
//! time for those tokens that a client could renew too.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task;

use super::{Pool, lock};
use crate::account::time::UnixMillis;
use crate::account::{Account, identity};
use crate::client::registry;
use crate::oauth::refresh::{self, Need, USUAL_MARGIN};

/// A token that a client holds too is renewed so long before it expires.
const AHEAD: Duration = Duration::from_secs(10 * 60);

/// A token that is still good is tried to be renewed again after this, where that failed or still
/// goes on.
const BESIDE_AGAIN: Duration = Duration::from_secs(30);

/// How often it is seen to that this is so.
const LOOK_AHEAD_EVERY: Duration = Duration::from_secs(60);

impl Pool {
    /// The account with a token that can be used. One that is still good is used, and never waited
    /// for: where it expires soon it is renewed beside the request.
    ///
    /// # Errors
    /// When there is no such token.
    pub async fn with_token(
        self: &Arc<Self>,
        account: &Account,
    ) -> Result<Account, refresh::Error> {
        let now = self.now();
        let is_good_for = |time| account.fresh_token(now, time).is_some();
        if !is_good_for(Duration::ZERO) {
            return self.renew(account, Need::ExpiresWithin(USUAL_MARGIN)).await;
        }
        if !is_good_for(USUAL_MARGIN) {
            self.renew_beside(account);
        }
        Ok(account.clone())
    }

    /// Renews a token that is still good, while requests go on with it. One attempt at a time, and
    /// after one none for a while: where it failed, each request would try.
    fn renew_beside(self: &Arc<Self>, account: &Account) {
        let key = identity::key(account);
        let mut renewals = lock(&self.renewals);
        renewals.retain(|_, begun| begun.elapsed() < BESIDE_AGAIN);
        if renewals.contains_key(&key) {
            return;
        }
        renewals.insert(key, Instant::now());
        drop(renewals);
        let (pool, account) = (Arc::clone(self), account.clone());
        tokio::spawn(async move {
            // What was wrong was complained of; there is another time.
            let _ = pool
                .renew(&account, Need::ExpiresWithin(USUAL_MARGIN))
                .await;
        });
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
