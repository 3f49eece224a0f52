//! Who may be chosen, and who of them comes last.

use super::Request;
use crate::account::time::UnixMillis;
use crate::account::{Account, State};

pub(super) fn allowed(request: &Request<'_>, index: usize) -> bool {
    request.only.is_none_or(|only| only == index) && !request.exclude.contains(&index)
}

pub(super) fn usable(accounts: &[Account], request: &Request<'_>, now: UnixMillis) -> Vec<usize> {
    (0..accounts.len())
        .filter(|&index| allowed(request, index))
        .filter(|&index| accounts[index].state(request.model, now) == State::Ready)
        .collect()
}

/// Those of the lowest rank.
pub(super) fn best<R: Ord>(indices: &[usize], rank: impl Fn(&usize) -> R) -> Vec<usize> {
    let lowest = indices.iter().map(&rank).min();
    let best = |index: &&usize| Some(rank(index)) == lowest;
    indices.iter().filter(best).copied().collect()
}

/// Lower is better: what is kept in reserve comes last, what is in use before that.
pub(super) fn rank(
    accounts: &[Account],
    index: usize,
    request: &Request<'_>,
    now: UnixMillis,
) -> (bool, bool) {
    let reserved = is_reserved(accounts, index, request, now);
    (reserved, request.busy.contains(&index))
}

pub(super) fn is_reserved(
    accounts: &[Account],
    index: usize,
    request: &Request<'_>,
    now: UnixMillis,
) -> bool {
    let used = accounts[index]
        .usage
        .as_ref()
        .and_then(|usage| usage.fullest(now));
    request.reserve_percent > 0.0
        && used.is_some_and(|used| 100.0 - used <= request.reserve_percent)
}
