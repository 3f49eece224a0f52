//! The choice of one account, and what it is where there is none.

use super::order::{self, Rank, Standing};
use super::{Keep, Request, session};
use crate::account::time::UnixMillis;
use crate::account::{Account, State, SwitchReason};

/// The answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Decision {
    /// This account.
    Use {
        /// Its index.
        index: usize,
        /// Why it becomes the active one, if it was not.
        switch: Option<SwitchReason>,
    },
    /// None, and it is no use to wait.
    Nothing(Nothing),
    /// None now: all that could be used are limited.
    Limited {
        /// The one that comes back first.
        index: usize,
        /// When it does.
        until: UnixMillis,
    },
}

/// Why there is no account, and waiting does not help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nothing {
    /// There is no account at all.
    NoAccounts,
    /// Each is disabled or was excluded.
    NoneAllowed,
    /// Each that could be used would serve on credit, which is not to be used.
    CreditKept,
    /// Each that is enabled needs a login.
    LoginRequired,
    /// None that could be used is served with this model.
    ModelNotIncluded,
}

/// Picks.
#[must_use]
pub fn pick(
    accounts: &[Account],
    active: usize,
    request: &Request<'_>,
    now: UnixMillis,
) -> Decision {
    let standings = order::standings(accounts, request, now);
    if let Some(index) = request.session.and_then(|key| {
        let candidates = order::best(&standings, Rank::for_session);
        session::by_key(accounts, &candidates, key)
    }) {
        // Sessions live side by side: none of them moves the active account.
        return Decision::Use {
            index,
            switch: None,
        };
    }
    let strategy = request.wishes.strategy.unwrap_or_default();
    if let Some(Keep { index, since }) = request.keep
        && strategy.lets_stay(accounts, active, since)
        && order::best(&standings, Rank::for_session).contains(&index)
    {
        return Decision::Use {
            index,
            switch: None,
        };
    }
    let candidates = order::best(&standings, |rank| rank);
    if candidates.is_empty() {
        return none(&standings);
    }
    let index = strategy.choose(accounts, &candidates, active, now);
    let switch = (index != active || accounts[index].activation.is_none())
        .then(|| switch_reason(accounts, active, index, request.model, now));
    Decision::Use { index, switch }
}

fn switch_reason(
    accounts: &[Account],
    active: usize,
    index: usize,
    model: Option<&str>,
    now: UnixMillis,
) -> SwitchReason {
    let nobody_yet = accounts.iter().all(|account| account.activation.is_none());
    let limited = accounts
        .get(active)
        .filter(|_| active != index)
        .is_some_and(|account| matches!(account.state(model, now), State::Limited { .. }));
    if limited {
        SwitchReason::RateLimit
    } else if nobody_yet {
        SwitchReason::Initial
    } else {
        SwitchReason::Rotation
    }
}

fn none(standings: &[Standing]) -> Decision {
    let first_back = standings.iter().enumerate();
    let first_back = first_back.filter_map(|(index, standing)| match standing {
        Standing::Limited(until) | Standing::Refused(until) | Standing::CreditKept(Some(until)) => {
            Some((*until, index))
        }
        _ => None,
    });
    if let Some((until, index)) = first_back.min() {
        Decision::Limited { index, until }
    } else if standings.is_empty() {
        Decision::Nothing(Nothing::NoAccounts)
    } else if standings
        .iter()
        .any(|it| matches!(it, Standing::ModelNotIncluded(_)))
    {
        Decision::Nothing(Nothing::ModelNotIncluded)
    } else if standings.contains(&Standing::CreditKept(None)) {
        Decision::Nothing(Nothing::CreditKept)
    } else if standings.contains(&Standing::LoginRequired) {
        Decision::Nothing(Nothing::LoginRequired)
    } else {
        Decision::Nothing(Nothing::NoneAllowed)
    }
}
