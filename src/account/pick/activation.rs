//! What a choice changes in the accounts: who is the active one, since when and why.

use crate::account::time::UnixMillis;
use crate::account::{Account, Activation, Extra, SwitchReason};

/// Records a decision in the accounts: who is active, since when and why. Whether anything changed
/// that is worth a write: the time of use alone is, once a minute.
pub fn apply(
    accounts: &mut [Account],
    active: &mut usize,
    index: usize,
    switch: Option<SwitchReason>,
    now: UnixMillis,
) -> bool {
    let account = &mut accounts[index];
    let news = switch.is_some() || is_news(account, now);
    if news {
        account.last_used = Some(now);
    }
    if let Some(reason) = switch {
        activate(accounts, active, index, reason, now);
    }
    news | measure_week(&mut accounts[index], now)
}

/// Whether it is worth a write that an account, which stays the active one, is used now.
#[must_use]
pub fn is_news(account: &Account, now: UnixMillis) -> bool {
    const USE_IS_NEWS_AFTER_MILLIS: u64 = 60_000;
    let unmeasured = |it: &Activation| it.weekly_used_percent.is_none();
    let weekly = account.usage.as_ref().and_then(|usage| usage.weekly(now));
    let is_long_ago =
        |used: UnixMillis| now.as_millis().abs_diff(used.as_millis()) >= USE_IS_NEWS_AFTER_MILLIS;
    account.last_used.is_none_or(is_long_ago)
        || (weekly.is_some() && account.activation.as_ref().is_some_and(unmeasured))
}

/// Notes how much of the week was used when the account became active, where that was not known
/// then: the first figure that is seen. Whether there was anything to note.
fn measure_week(account: &mut Account, now: UnixMillis) -> bool {
    let weekly = account.usage.as_ref().and_then(|usage| usage.weekly(now));
    match &mut account.activation {
        Some(activation) if activation.weekly_used_percent.is_none() && weekly.is_some() => {
            activation.weekly_used_percent = weekly;
            true
        }
        _ => false,
    }
}

/// Makes an account the active one.
pub fn activate(
    accounts: &mut [Account],
    active: &mut usize,
    index: usize,
    reason: SwitchReason,
    now: UnixMillis,
) {
    let account = &mut accounts[index];
    *active = index;
    account.last_switch_reason = Some(reason);
    account.activation = Some(Activation {
        at: now,
        weekly_used_percent: account.usage.as_ref().and_then(|usage| usage.weekly(now)),
        extra: Extra::new(),
    });
}

/// The account that was active before the active one: of the others, the one that became active
/// last, or else the first, with which every list begins.
#[must_use]
pub fn active_before(accounts: &[Account], active: usize) -> Option<usize> {
    let others = || (0..accounts.len()).filter(|&index| index != active);
    let activated =
        others().filter_map(|index| Some((accounts[index].activation.as_ref()?.at, index)));
    match activated.max() {
        Some((_, index)) => Some(index),
        None => others().next().filter(|&index| index == 0),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::account::pick::Request;
    use crate::account::pick::properties::{account, now, take, weekly};

    #[test]
    fn what_was_used_when_it_became_active_is_learned_later() {
        let mut accounts = [account(json!({"refreshToken": "a"}))];
        let mut active = 0;
        take(&mut accounts, &mut active, &Request::default());
        accounts[0].usage = serde_json::from_value(weekly(30.0, 0)).unwrap();
        assert!(apply(&mut accounts, &mut active, 0, None, now()), "news");
        accounts[0].usage = serde_json::from_value(weekly(33.0, 0)).unwrap();
        assert!(
            !apply(&mut accounts, &mut active, 0, None, now()),
            "no news"
        );
        let activation = accounts[0].activation.as_ref().unwrap();
        assert_eq!(activation.weekly_used_percent, Some(30.0));
    }
}
