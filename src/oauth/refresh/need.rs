//! When a token is to be renewed, and when the issuer is left alone. Pure.

use std::time::Duration;

use super::chain::Asked;
use super::error::Error;
use crate::account::Account;
use crate::account::time::UnixMillis;

/// Tokens that expire sooner than this are renewed before they are handed out (DESIGN §2).
pub const USUAL_MARGIN: Duration = Duration::from_secs(5 * 60);

/// When a token is to be renewed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// When it expires within this time, or is not there.
    ExpiresWithin(Duration),
    /// When it was last renewed longer ago than this: keeps idle accounts alive.
    OlderThan(Duration),
    /// In any case, unless somebody else did it meanwhile.
    Now,
}

impl Need {
    /// Whether the account's token is to be renewed.
    #[must_use]
    pub fn is_of(self, account: &Account, now: UnixMillis) -> bool {
        match self {
            Self::ExpiresWithin(margin) => account.fresh_token(now, margin).is_none(),
            Self::OlderThan(age) => {
                let refreshed_at = account.tokens.refreshed_at;
                refreshed_at.is_none_or(|at| now.since(at) > age)
            }
            Self::Now => true,
        }
    }

    /// Whether a token that somebody else got will do.
    #[must_use]
    pub fn is_met_by(self, account: &Account, now: UnixMillis) -> bool {
        match self {
            Self::Now => account.fresh_token(now, Duration::ZERO).is_some(),
            other => !other.is_of(account, now),
        }
    }
}

/// A time so far ahead was written by a clock that was wrong.
const WRONG_CLOCK: Duration = Duration::from_secs(60);

/// An issuer that failed is left alone for a while, and so is one of which nobody knows whether it
/// used the token up.
pub(super) fn refuse_too_soon(
    account: &Account,
    asked: Option<Asked>,
    now: UnixMillis,
    here: Option<u64>,
) -> Result<(), Error> {
    let Some(asked) = asked.filter(|asked| asked.at <= now.plus(WRONG_CLOCK)) else {
        return Ok(());
    };
    let wait = asked.wait_until(here).since(now);
    if wait.is_zero() {
        return Ok(());
    }
    Err(Error::BackingOff {
        name: account.name().to_owned(),
        at: asked.at,
        answered: asked.answered,
        wait,
    })
}
