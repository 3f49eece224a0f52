//! Which account is next. A function of the accounts, the request and the time: there is no chance
//! in it, so that the same input gives the same answer, now and whenever it is replayed.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use super::identity;
use super::time::UnixMillis;
use super::usage::Usage;
use super::{Account, Activation, Extra, State, SwitchReason};

/// How the next account is chosen among the usable ones (DESIGN §2).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Strategy {
    /// The active one as long as it is usable: it keeps the prompt cache warm.
    #[default]
    Sticky,
    /// The one after the active one, every time.
    RoundRobin,
    /// The one with the most weekly quota left.
    LeastUsed,
    /// The active one, until this many points of its weekly quota went since it became active.
    Step {
        /// The points, in percent of the weekly window.
        points: f64,
    },
}

/// What is asked for.
#[derive(Clone, Debug, Default)]
pub struct Request<'a> {
    /// How to choose.
    pub strategy: Strategy,
    /// The model the account is for, if it is known.
    pub model: Option<&'a str>,
    /// Only this account will do.
    pub only: Option<usize>,
    /// These accounts will not do.
    pub exclude: BTreeSet<usize>,
    /// These are in use by others, and are taken only when no free one is left.
    pub busy: BTreeSet<usize>,
    /// Accounts with this little left of a window, in percent, are taken last.
    pub reserve_percent: f64,
    /// Requests with the same key go to the same account as long as it is usable, busy or not.
    pub session: Option<&'a str>,
}

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
    let usable = usable(accounts, request, now);
    if let Some(index) = request.session.and_then(|key| {
        let is_reserved = |&index: &usize| is_reserved(accounts, index, request, now);
        by_session(accounts, &best(&usable, is_reserved), key)
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
    let index = match request.strategy {
        Strategy::Sticky => sticky(&candidates, active),
        Strategy::RoundRobin => after(&candidates, active),
        Strategy::LeastUsed => least_used(accounts, &candidates, now),
        Strategy::Step { points } => step(accounts, &candidates, active, points, now),
    };
    let switch = (index != active || accounts[index].activation.is_none())
        .then(|| switch_reason(accounts, active, index, request.model, now));
    Decision::Use { index, switch }
}

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
        account.last_used = now;
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
    now.as_millis().abs_diff(account.last_used.as_millis()) >= USE_IS_NEWS_AFTER_MILLIS
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

/// Why an account was chosen or passed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It is the one.
    Chosen,
    /// It was excluded, or another was asked for.
    Excluded,
    /// The person does not want it.
    Disabled,
    /// Its login is dead.
    LoginRequired,
    /// It is limited until then.
    Limited(UnixMillis),
    /// Its last bit is kept in reserve.
    Reserved,
    /// Somebody else holds it.
    Busy,
    /// It could be used; the strategy chose another.
    NotNext,
}

impl Reason {
    /// The word for it in records.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Chosen => "chosen",
            Self::Excluded => "excluded",
            Self::Disabled => "disabled",
            Self::LoginRequired => "login-required",
            Self::Limited(_) => "limited",
            Self::Reserved => "reserved",
            Self::Busy => "busy",
            Self::NotNext => "not-next",
        }
    }

    /// When the reason ends by itself, if it does.
    #[must_use]
    pub const fn until(self) -> Option<UnixMillis> {
        match self {
            Self::Limited(until) => Some(until),
            _ => None,
        }
    }
}

/// Why each account would be chosen or passed over now.
#[must_use]
pub fn explain(
    accounts: &[Account],
    active: usize,
    request: &Request<'_>,
    now: UnixMillis,
) -> Vec<Reason> {
    let chosen = match pick(accounts, active, request, now) {
        Decision::Use { index, .. } => Some(index),
        Decision::Nothing(_) | Decision::Limited { .. } => None,
    };
    let reason = |index: usize| {
        if chosen == Some(index) {
            return Reason::Chosen;
        }
        if !allowed(request, index) {
            return Reason::Excluded;
        }
        match accounts[index].state(request.model, now) {
            State::Disabled => Reason::Disabled,
            State::LoginRequired(_) => Reason::LoginRequired,
            State::Limited { mark, .. } => Reason::Limited(mark.until),
            State::Ready => match rank(accounts, index, request, now) {
                (true, _) => Reason::Reserved,
                (false, true) => Reason::Busy,
                (false, false) => Reason::NotNext,
            },
        }
    };
    (0..accounts.len()).map(reason).collect()
}

fn allowed(request: &Request<'_>, index: usize) -> bool {
    request.only.is_none_or(|only| only == index) && !request.exclude.contains(&index)
}

fn usable(accounts: &[Account], request: &Request<'_>, now: UnixMillis) -> Vec<usize> {
    (0..accounts.len())
        .filter(|&index| allowed(request, index))
        .filter(|&index| accounts[index].state(request.model, now) == State::Ready)
        .collect()
}

/// Those of the lowest rank.
fn best<R: Ord>(indices: &[usize], rank: impl Fn(&usize) -> R) -> Vec<usize> {
    let lowest = indices.iter().map(&rank).min();
    let best = |index: &&usize| Some(rank(index)) == lowest;
    indices.iter().filter(best).copied().collect()
}

/// Lower is better: what is kept in reserve comes last, what is in use before that.
fn rank(
    accounts: &[Account],
    index: usize,
    request: &Request<'_>,
    now: UnixMillis,
) -> (bool, bool) {
    let reserved = is_reserved(accounts, index, request, now);
    (reserved, request.busy.contains(&index))
}

fn is_reserved(accounts: &[Account], index: usize, request: &Request<'_>, now: UnixMillis) -> bool {
    let used = accounts[index]
        .usage
        .as_ref()
        .and_then(|usage| usage.fullest(now));
    request.reserve_percent > 0.0
        && used.is_some_and(|used| 100.0 - used <= request.reserve_percent)
}

fn sticky(candidates: &[usize], active: usize) -> usize {
    if candidates.contains(&active) {
        active
    } else {
        after(candidates, active)
    }
}

/// The next candidate after the active one, round to the active one itself.
fn after(candidates: &[usize], active: usize) -> usize {
    let next = candidates.iter().find(|&&index| index > active);
    *next.unwrap_or(&candidates[0])
}

fn least_used(accounts: &[Account], candidates: &[usize], now: UnixMillis) -> usize {
    let percent = |index: usize, of: fn(&Usage, UnixMillis) -> Option<f64>| {
        accounts[index]
            .usage
            .as_ref()
            .and_then(|usage| of(usage, now))
            .unwrap_or(0.0)
    };
    let order = |&a: &usize, &b: &usize| {
        percent(a, Usage::weekly)
            .total_cmp(&percent(b, Usage::weekly))
            .then(percent(a, Usage::short).total_cmp(&percent(b, Usage::short)))
            .then(accounts[a].last_used.cmp(&accounts[b].last_used))
    };
    candidates
        .iter()
        .copied()
        .min_by(order)
        .unwrap_or(candidates[0])
}

fn step(
    accounts: &[Account],
    candidates: &[usize],
    active: usize,
    points: f64,
    now: UnixMillis,
) -> usize {
    let spent = candidates.contains(&active) && weekly_growth(&accounts[active], now) >= points;
    if spent {
        after(candidates, active)
    } else {
        sticky(candidates, active)
    }
}

/// How many points of its weekly window an account used since it became the active one; none where
/// that is not known.
fn weekly_growth(account: &Account, now: UnixMillis) -> f64 {
    let (Some(usage), Some(activation)) = (&account.usage, &account.activation) else {
        return 0.0;
    };
    let (Some(used), Some(before)) = (usage.weekly(now), activation.weekly_used_percent) else {
        return 0.0;
    };
    if used < before || usage.new_week_since(activation.at) {
        used
    } else {
        used - before
    }
}

/// Rendezvous hashing: each session ranks all accounts in an order of its own, so an account that
/// leaves or returns moves only its own sessions. Whether one is busy does not count: a lease is to
/// spread runs, and a session is to stay where its prompts are cached.
fn by_session(accounts: &[Account], candidates: &[usize], key: &str) -> Option<usize> {
    candidates
        .iter()
        .copied()
        .max_by_key(|&index| (weight(key, &accounts[index]), Reverse(index)))
}

fn weight(key: &str, account: &Account) -> u64 {
    let account_id = account
        .chatgpt_account_id
        .as_ref()
        .map_or("", |id| id.as_str());
    let user = account
        .chatgpt_user_id
        .as_ref()
        .map(|id| id.as_str())
        .or(account.email.as_deref())
        .unwrap_or("");
    if account_id.is_empty() && user.is_empty() {
        // Nothing else tells these apart.
        return identity::fingerprint(&[key, account.refresh_token.expose()]);
    }
    identity::fingerprint(&[key, account_id, user])
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
        .filter(|&index| allowed(request, index))
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

#[cfg(test)]
mod tests {
    use proptest::prelude::{
        Just, Strategy as Generate, prop, prop_assert, prop_assert_eq, prop_oneof, proptest,
    };
    use serde_json::{Value, json};

    use super::*;
    use crate::account::Scope;

    const NOW: u64 = 1_000_000;

    const MODELS: [&str; 3] = ["m1", "m2", "m3"];

    fn now() -> UnixMillis {
        UnixMillis::from_millis(NOW)
    }

    fn account(value: Value) -> Account {
        serde_json::from_value(value).unwrap()
    }

    /// Accounts in any state, each with an id of its own.
    fn accounts() -> impl Generate<Value = Vec<Account>> {
        let one = (
            prop::bool::weighted(0.8),
            prop::bool::weighted(0.2),
            prop::option::of(0..2 * NOW),
            prop::option::of((0.0..=100.0, 0.0..=100.0)),
            0..NOW,
            prop::option::of(prop::option::of(0.0..=100.0)),
            prop::option::of((0..2 * NOW, prop::sample::subsequence(&MODELS[..], 0..=2))),
        );
        prop::collection::vec(one, 0..7).prop_map(|parts| {
            let accounts = parts.into_iter().enumerate();
            accounts
                .map(|(index, (enabled, dead, until, used, last_used, active, family))| {
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
                    if let Some((short, weekly)) = used {
                        value["usage"] = json!({"observedAt": 1, "windows": [
                            {"minutes": 300, "usedPercent": short, "resetsAt": 0},
                            {"minutes": 10_080, "usedPercent": weekly, "resetsAt": 0}]});
                    }
                    if let Some(before) = active {
                        value["activation"] = json!({"at": 1, "weeklyUsedPercent": before});
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
            (0.1..50.0).prop_map(|points| Strategy::Step { points }),
        ]
    }

    fn requests() -> impl Generate<Value = Request<'static>> {
        let indices = || prop::collection::btree_set(0_usize..7, 0..4);
        let session = prop::option::of(prop::sample::select(&["s1", "s2", "s3"][..]));
        let only = prop::option::weighted(0.1, 0_usize..7);
        let model = prop::option::of(prop::sample::select(&["m1", "m2", "openai/M3", "m4"][..]));
        let parts = (
            strategies(),
            only,
            indices(),
            indices(),
            0.0..60.0,
            session,
            model,
        );
        parts.prop_map(
            |(strategy, only, exclude, busy, reserve_percent, session, model)| Request {
                strategy,
                only,
                exclude,
                busy,
                reserve_percent,
                session,
                model,
            },
        )
    }

    fn ready(accounts: &[Account], request: &Request<'_>) -> Vec<usize> {
        let allowed = |&index: &usize| {
            request.only.is_none_or(|only| only == index) && !request.exclude.contains(&index)
        };
        let ready = |&index: &usize| accounts[index].state(request.model, now()) == State::Ready;
        (0..accounts.len()).filter(allowed).filter(ready).collect()
    }

    /// Picks and records it, as the command does.
    fn take(accounts: &mut [Account], active: &mut usize, request: &Request<'_>) -> Option<usize> {
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
            let request = Request { strategy: Strategy::RoundRobin, ..Request::default() };
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
            if let Decision::Use { index, .. } = pick(&accounts, active, &request, now()) {
                let rank = |&index: &usize| rank(&accounts, index, &request, now());
                let best = ready(&accounts, &request).iter().map(rank).min();
                if request.session.is_none() {
                    prop_assert_eq!(Some(rank(&index)), best);
                } else {
                    prop_assert_eq!(Some(rank(&index).0), best.map(|(reserved, _)| reserved));
                }
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
            let free: Vec<usize> = (0..accounts.len())
                .filter(|&index| allowed(&request, index))
                .filter(free)
                .collect();
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

    fn weekly(used: f64, resets_at: u64) -> Value {
        json!({"observedAt": 1, "windows": [
            {"minutes": 10_080, "usedPercent": used, "resetsAt": resets_at}]})
    }

    #[test]
    fn sessions_spread_over_all_accounts() {
        assert_spread(|n| json!({"refreshToken": "r", "chatgptAccountId": format!("a{n}")}));
    }

    #[test]
    fn sessions_spread_over_accounts_without_ids() {
        assert_spread(|n| json!({"refreshToken": format!("r{n}")}));
    }

    fn assert_spread(of: impl Fn(usize) -> Value) {
        let accounts: Vec<Account> = (0..4).map(|n| account(of(n))).collect();
        let mut count = [0; 4];
        for n in 0..4000 {
            let key = format!("session-{n}");
            let request = Request {
                session: Some(&key),
                ..Request::default()
            };
            if let Decision::Use { index, .. } = pick(&accounts, 0, &request, now()) {
                count[index] += 1;
            }
        }
        assert!(count.iter().all(|n| (900..1100).contains(n)), "{count:?}");
    }

    #[test]
    fn steps_are_counted_from_when_the_account_became_active() {
        const WEEK: u64 = 7 * 24 * 60 * 60 * 1000;
        let leaves = |before: Value, used: Value| {
            let accounts = [
                account(json!({"refreshToken": "a", "usage": used,
                    "activation": {"at": 5, "weeklyUsedPercent": before}})),
                account(json!({"refreshToken": "b"})),
            ];
            let request = Request {
                strategy: Strategy::Step { points: 5.0 },
                ..Request::default()
            };
            matches!(
                pick(&accounts, 0, &request, now()),
                Decision::Use { index: 1, .. }
            )
        };
        assert!(!leaves(json!(30.0), weekly(34.9, 0)));
        assert!(leaves(json!(30.0), weekly(35.0, 0)));
        assert!(!leaves(json!(null), weekly(35.0, 0)), "not known then");
        assert!(!leaves(json!(30.0), Value::Null), "not known now");
        // The week began anew: all that is used of it was used since.
        assert!(!leaves(json!(30.0), weekly(4.9, 0)));
        assert!(leaves(json!(30.0), weekly(5.0, 0)));
        assert!(
            !leaves(json!(30.0), weekly(31.0, 5 + WEEK)),
            "the same week"
        );
        assert!(leaves(json!(30.0), weekly(31.0, 6 + WEEK)), "another week");
        assert!(!leaves(json!(30.0), weekly(90.0, NOW)), "which is over");
    }

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
