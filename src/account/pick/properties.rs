//! What holds for every choice, whatever the accounts and the request; and accounts to try it with.

use std::collections::BTreeSet;

use proptest::prelude::{
    Just, Strategy as Generate, prop, prop_assert, prop_assert_eq, prop_oneof, proptest,
};
use serde_json::{Value, json};

use super::{Decision, Policy, Reason, Request, Strategy, Wishes, apply, explain, pick};
use crate::account::time::UnixMillis;
use crate::account::{Account, Scope, State};

pub(super) const NOW: u64 = 1_000_000;

const MODELS: [&str; 3] = ["m1", "m2", "m3"];

pub(super) fn now() -> UnixMillis {
    UnixMillis::from_millis(NOW)
}

pub(super) fn account(value: Value) -> Account {
    serde_json::from_value(value).unwrap()
}

/// Accounts in any state, each with an id of its own.
fn accounts() -> impl Generate<Value = Vec<Account>> {
    let one = (
        prop::bool::weighted(0.8),
        prop::bool::weighted(0.2),
        prop::option::of(0..2 * NOW),
        prop::option::of((0.0..=100.0, 0.0..=100.0, 0..2 * NOW)),
        0..NOW,
        prop::option::of(prop::option::of(0.0..=100.0)),
        prop::option::of((0..2 * NOW, prop::sample::subsequence(&MODELS[..], 0..=2))),
        prop::option::weighted(0.3, 0.0..60.0),
    );
    prop::collection::vec(one, 0..7).prop_map(|parts| {
        let accounts = parts.into_iter().enumerate();
        accounts
            .map(|(index, (enabled, dead, until, used, last_used, active, family, reserve))| {
                let mut value = json!({
                    "refreshToken": format!("r{index}"), "chatgptAccountId": format!("a{index}"),
                    "enabled": enabled, "lastUsed": last_used,
                });
                if dead {
                    value["loginRequired"] = json!({"code": "invalid_grant", "at": 1});
                }
                if let Some(until) = until {
                    value["limits"]["default"] = json!({"until": until});
                }
                if let Some((until, models)) = family {
                    value["limits"]["codex_family"] = json!({"until": until, "models": models});
                }
                if let Some((short, weekly, resets)) = used {
                    value["usage"] = json!({"observedAt": 1, "windows": [
                        {"minutes": 300, "usedPercent": short, "resetsAt": 0},
                        {"minutes": 10_080, "usedPercent": weekly, "resetsAt": resets}]});
                }
                if let Some(before) = active {
                    value["activation"] = json!({"at": 1, "weeklyUsedPercent": before});
                }
                if let Some(reserve) = reserve {
                    value["policy"] = json!({"reserve": reserve});
                }
                account(value)
            })
            .collect()
    })
}

fn strategies() -> impl Generate<Value = Strategy> {
    prop_oneof![
        Just(Strategy::Sticky),
        Just(Strategy::RoundRobin),
        Just(Strategy::LeastUsed),
        Just(Strategy::SoonestReset),
        (0.1..50.0).prop_map(|points| Strategy::Step { points }),
    ]
}

fn wishes() -> impl Generate<Value = Wishes> {
    let reserve = prop::option::of(0.0..60.0);
    (prop::option::of(strategies()), reserve).prop_map(|(strategy, reserve)| Wishes {
        strategy,
        reserve,
        ..Wishes::default()
    })
}

fn requests() -> impl Generate<Value = Request<'static>> {
    let indices = || prop::collection::btree_set(0_usize..7, 0..4);
    let session = prop::option::of(prop::sample::select(&["s1", "s2", "s3"][..]));
    let only = prop::option::weighted(0.1, 0_usize..7);
    let model = prop::option::of(prop::sample::select(&["m1", "m2", "openai/M3", "m4"][..]));
    let parts = (wishes(), only, indices(), indices(), session, model);
    parts.prop_map(|(wishes, only, exclude, busy, session, model)| Request {
        wishes,
        only,
        exclude,
        busy,
        session,
        model,
        keep: None,
    })
}

fn allowed(accounts: &[Account], request: &Request<'_>) -> impl Iterator<Item = usize> {
    (0..accounts.len()).filter(|&index| {
        request.only.is_none_or(|only| only == index) && !request.exclude.contains(&index)
    })
}

fn ready(accounts: &[Account], request: &Request<'_>) -> Vec<usize> {
    let ready = |&index: &usize| accounts[index].state(request.model, now()) == State::Ready;
    allowed(accounts, request).filter(ready).collect()
}

/// A wish for a strategy, and for nothing else.
pub(super) fn by(strategy: Strategy) -> Wishes {
    Wishes {
        strategy: Some(strategy),
        ..Wishes::default()
    }
}

/// Picks and records it, as the command does.
pub(super) fn take(
    accounts: &mut [Account],
    active: &mut usize,
    request: &Request<'_>,
) -> Option<usize> {
    let Decision::Use { index, switch } = pick(accounts, *active, request, now()) else {
        return None;
    };
    apply(accounts, active, index, switch, now());
    Some(index)
}

proptest! {
    #[test]
    fn a_usable_account_if_there_is_one_and_never_another(
        accounts in accounts(), active in 0_usize..8, request in requests()
    ) {
        let usable = ready(&accounts, &request);
        match pick(&accounts, active, &request, now()) {
            Decision::Use { index, .. } => prop_assert!(usable.contains(&index)),
            _ => prop_assert!(usable.is_empty()),
        }
    }

    #[test]
    fn the_wait_is_for_the_smallest_reset(
        accounts in accounts(), active in 0_usize..8, request in requests()
    ) {
        let resets = || (0..accounts.len()).filter_map(|index| {
            let asked = request.only.is_none_or(|only| only == index);
            match accounts[index].state(request.model, now()) {
                State::Limited { mark, .. } if asked && !request.exclude.contains(&index) => {
                    Some(mark.until)
                }
                _ => None,
            }
        });
        match pick(&accounts, active, &request, now()) {
            Decision::Limited { until, index } => {
                prop_assert_eq!(Some(until), resets().min());
                let only_it = Request { only: Some(index), ..request.clone() };
                let then = pick(&accounts, active, &only_it, until);
                let it_is_back = matches!(then, Decision::Use { .. });
                prop_assert!(it_is_back);
            }
            Decision::Nothing(_) => prop_assert_eq!(resets().min(), None),
            Decision::Use { .. } => {}
        }
    }

    #[test]
    fn sticky_is_stable(mut accounts in accounts(), mut active in 0_usize..8) {
        let request = Request::default();
        let first = take(&mut accounts, &mut active, &request);
        let before = accounts.clone();
        prop_assert_eq!(take(&mut accounts, &mut active, &request), first);
        prop_assert_eq!(accounts, before, "and there is nothing to write");
    }

    #[test]
    fn round_robin_visits_all_in_turn(mut accounts in accounts(), mut active in 0_usize..8) {
        let request = Request { wishes: by(Strategy::RoundRobin), ..Request::default() };
        // A reserve is kept from the round.
        accounts.iter_mut().for_each(|it| it.policy = Policy::default());
        let usable = ready(&accounts, &request);
        let visited: Vec<usize> = (0..usable.len())
            .filter_map(|_| take(&mut accounts, &mut active, &request))
            .collect();
        let all: BTreeSet<usize> = visited.iter().copied().collect();
        prop_assert_eq!(visited.len(), usable.len());
        prop_assert_eq!(all, usable.into_iter().collect());
    }

    #[test]
    fn only_the_sessions_of_an_account_move_when_it_leaves(
        accounts in accounts(), leaves in 0_usize..7, keys in prop::collection::vec("[a-z]{1,8}", 1..30)
    ) {
        let mut without = accounts.clone();
        if let Some(account) = without.get_mut(leaves) {
            account.enabled = false;
        }
        for key in &keys {
            let request = Request { session: Some(key), ..Request::default() };
            let before = pick(&accounts, 0, &request, now());
            let after = pick(&without, 0, &request, now());
            match before {
                Decision::Use { index, .. } if index != leaves => prop_assert_eq!(after, before),
                _ => {}
            }
        }
    }

    #[test]
    fn busy_and_reserved_accounts_come_last(
        accounts in accounts(), active in 0_usize..8, request in requests()
    ) {
        let kept = |index: usize| {
            let account = &accounts[index];
            let reserve = account.policy.wishes().reserve.or(request.wishes.reserve);
            let used = account.usage.as_ref().and_then(|usage| usage.fullest(now()));
            let left = used.map_or(100.0, |used| 100.0 - used);
            let is_reserved = reserve.is_some_and(|it| it > 0.0 && left <= it);
            (is_reserved, request.session.is_none() && request.busy.contains(&index))
        };
        if let Decision::Use { index, .. } = pick(&accounts, active, &request, now()) {
            let usable = ready(&accounts, &request);
            prop_assert_eq!(Some(kept(index)), usable.into_iter().map(kept).min());
        }
    }

    #[test]
    fn a_limit_of_a_family_blocks_its_models_and_no_others(
        accounts in accounts(), active in 0_usize..8, request in requests()
    ) {
        let bare = request.model.map(|model| model.rsplit('/').next().unwrap_or(model));
        let blocked = |account: &Account| {
            account.limits().iter().any(|(scope, mark)| mark.until > now() && match bare {
                _ if scope.as_str() == Scope::DEFAULT => true,
                Some(model) => mark.models.iter().any(|it| it.eq_ignore_ascii_case(model)),
                None => false,
            })
        };
        let free = |&index: &usize| {
            let account = &accounts[index];
            account.enabled && account.login_required.is_none() && !blocked(account)
        };
        let free: Vec<usize> = allowed(&accounts, &request).filter(free).collect();
        match pick(&accounts, active, &request, now()) {
            Decision::Use { index, .. } => prop_assert!(free.contains(&index)),
            _ => prop_assert!(free.is_empty()),
        }
    }

    #[test]
    fn a_session_stays_whoever_is_busy(
        accounts in accounts(), request in requests(), key in "[a-z]{1,8}",
        busy in prop::collection::btree_set(0_usize..7, 0..7)
    ) {
        let request = Request { session: Some(&key), ..request };
        let before = pick(&accounts, 0, &request, now());
        let then = Request { busy, ..request };
        prop_assert_eq!(pick(&accounts, 0, &then, now()), before);
    }

    #[test]
    fn the_reasons_agree_with_the_pick(
        accounts in accounts(), active in 0_usize..8, request in requests()
    ) {
        let chosen = match pick(&accounts, active, &request, now()) {
            Decision::Use { index, .. } => Some(index),
            _ => None,
        };
        let reasons = explain(&accounts, active, &request, now());
        prop_assert_eq!(reasons.len(), accounts.len());
        prop_assert_eq!(reasons.iter().position(|it| *it == Reason::Chosen), chosen);
    }
}

/// A usage of which the week alone is known.
pub(super) fn weekly(used: f64, resets_at: u64) -> Value {
    json!({"observedAt": 1, "windows": [
        {"minutes": 10_080, "usedPercent": used, "resetsAt": resets_at}]})
}
