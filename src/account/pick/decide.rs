//! The choice of one account, and what it is where there is none.

use super::order::{self, best, rank};
use super::{Request, session};
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
    /// Each that is enabled needs a login.
    LoginRequired,
}

/// Picks.
#[must_use]
pub fn pick(
    accounts: &[Account],
    active: usize,
    request: &Request<'_>,
    now: UnixMillis,
) -> Decision {
    let usable = order::usable(accounts, request, now);
    if let Some(index) = request.session.and_then(|key| {
        let is_reserved = |&index: &usize| order::is_reserved(accounts, index, request, now);
        session::by_key(accounts, &best(&usable, is_reserved), key)
    }) {
        // Sessions live side by side: none of them moves the active account.
        return Decision::Use {
            index,
            switch: None,
        };
    }
    let candidates = best(&usable, |&index| rank(accounts, index, request, now));
    if candidates.is_empty() {
        return none(accounts, request, now);
    }
    let index = request.strategy.choose(accounts, &candidates, active, now);
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

fn none(accounts: &[Account], request: &Request<'_>, now: UnixMillis) -> Decision {
    let states: Vec<(usize, State<'_>)> = (0..accounts.len())
        .filter(|&index| order::allowed(request, index))
        .map(|index| (index, accounts[index].state(request.model, now)))
        .collect();
    let first_back = states
        .iter()
        .filter_map(|(index, state)| match state {
            State::Limited { mark, .. } => Some((mark.until, *index)),
            _ => None,
        })
        .min();
    if let Some((until, index)) = first_back {
        Decision::Limited { index, until }
    } else if accounts.is_empty() {
        Decision::Nothing(Nothing::NoAccounts)
    } else if states
        .iter()
        .any(|(_, state)| matches!(state, State::LoginRequired(_)))
    {
        Decision::Nothing(Nothing::LoginRequired)
    } else {
        Decision::Nothing(Nothing::NoneAllowed)
    }
}
