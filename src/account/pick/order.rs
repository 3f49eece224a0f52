//! Who may be chosen, and who of them comes last.

use super::Request;
use super::wishes::{Credits, Wishes};
use crate::account::time::UnixMillis;
use crate::account::{Account, State};

/// How an account stands to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// It was excluded, or another was asked for.
    Excluded,
    /// The person does not want it.
    Disabled,
    /// Its login is dead.
    LoginRequired,
    /// It can't be used before this time.
    Limited(UnixMillis),
    /// It is not served with this model, before this time.
    ModelNotIncluded(UnixMillis),
    /// Its fresh token was refused; it is left alone before this time.
    Refused(UnixMillis),
    /// Its plan is spent, and its credit is not to be used; that ends then, as far as it is known.
    CreditKept(Option<UnixMillis>),
    /// It can be used.
    Usable(Rank),
}

/// The lowest is taken first. The order of the fields is that of what weighs more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank {
    /// Its plan is spent, and it would serve on credit.
    pub(super) on_credit: bool,
    /// What is left of it is kept for other use.
    pub(super) reserved: bool,
    /// Somebody else holds it.
    pub(super) busy: bool,
}

impl Rank {
    /// The rank for a session, which stays where its prompts are cached, whoever is busy: a lease is
    /// to spread runs.
    pub(super) fn for_session(self) -> Self {
        Self {
            busy: false,
            ..self
        }
    }
}

/// How each account stands.
pub(super) fn standings(
    accounts: &[Account],
    request: &Request<'_>,
    now: UnixMillis,
) -> Vec<Standing> {
    let standing = |index: usize| standing(index, &accounts[index], request, now);
    (0..accounts.len()).map(standing).collect()
}

fn standing(index: usize, account: &Account, request: &Request<'_>, now: UnixMillis) -> Standing {
    let is_another = request.only.is_some_and(|only| only != index);
    if is_another || request.exclude.contains(&index) {
        return Standing::Excluded;
    }
    match account.state(request.model, now) {
        State::Disabled => Standing::Disabled,
        State::LoginRequired(_) => Standing::LoginRequired,
        State::Limited { mark, .. } => Standing::Limited(mark.until),
        State::ModelNotIncluded(mark) => Standing::ModelNotIncluded(mark.until),
        State::Refused(mark) => Standing::Refused(mark.until),
        State::Ready => ready(account, request.wishes, request.busy.contains(&index), now),
    }
}

/// What becomes of an account that can be used. Its own wishes go before those that are asked for.
fn ready(account: &Account, wishes: Wishes, busy: bool, now: UnixMillis) -> Standing {
    let wishes = account.policy.wishes().or(wishes);
    let usage = account.usage.as_ref();
    let is_on_credit = usage.is_some_and(|usage| usage.on_credit(now));
    let rank = Rank {
        on_credit: is_on_credit,
        reserved: !is_on_credit && is_reserved(account, wishes, now),
        busy,
    };
    match wishes.credits.unwrap_or_default() {
        Credits::Never if is_on_credit => Standing::CreditKept(plan_is_back(account, now)),
        Credits::Yes => Standing::Usable(Rank {
            on_credit: false,
            ..rank
        }),
        Credits::Last | Credits::Never => Standing::Usable(rank),
    }
}

/// When the last of the spent windows starts anew, if that is known of each.
fn plan_is_back(account: &Account, now: UnixMillis) -> Option<UnixMillis> {
    let windows = account.usage.iter().flat_map(|usage| &usage.windows);
    let spent = windows.filter(|it| it.scope.is_none() && it.used_percent_at(now) >= 100.0);
    let resets: Option<Vec<UnixMillis>> = spent.map(|window| window.resets_at).collect();
    resets?.into_iter().max()
}

/// Whether no more of it is left than what is kept.
fn is_reserved(account: &Account, wishes: Wishes, now: UnixMillis) -> bool {
    let reserve = wishes.reserve.unwrap_or(0.0);
    let used = account.usage.as_ref().and_then(|usage| usage.fullest(now));
    reserve > 0.0 && used.is_some_and(|used| 100.0 - used <= reserve)
}

/// The usable accounts of the lowest rank.
pub(super) fn best(standings: &[Standing], rank: impl Fn(Rank) -> Rank) -> Vec<usize> {
    let usable = standings.iter().enumerate();
    let usable = usable.filter_map(|(index, standing)| match standing {
        Standing::Usable(it) => Some((rank(*it), index)),
        _ => None,
    });
    let usable: Vec<(Rank, usize)> = usable.collect();
    let lowest = usable.iter().map(|(rank, _)| *rank).min();
    let lowest = usable.iter().filter(|(rank, _)| Some(*rank) == lowest);
    lowest.map(|(_, index)| *index).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::account::Account;
    use crate::account::pick::properties::{account, take};
    use crate::account::pick::{Request, Wishes};

    #[test]
    fn a_reserve_leads_forward_and_never_back_and_forth() {
        let used = |percent: u32| {
            json!({"refreshToken": "r", "usage": {"windows": [
                {"minutes": 10_080, "usedPercent": percent}]}})
        };
        let request = Request {
            wishes: Wishes {
                reserve: Some(10.0),
                ..Wishes::default()
            },
            ..Request::default()
        };
        let mut accounts: Vec<Account> = (0..3).map(|_| account(used(0))).collect();
        let (mut percent, mut active, mut way) = ([0; 3], 0, Vec::new());
        while let Some(index) = take(&mut accounts, &mut active, &request) {
            if way.last() != Some(&index) {
                way.push(index);
            }
            percent[index] += 1;
            accounts[index].usage = account(used(percent[index])).usage;
            accounts[index].enabled = percent[index] < 100;
        }
        // Once round to the reserves; then these are spent, one after the other.
        assert_eq!(way, [0, 1, 2, 0, 1]);
        assert!(accounts.iter().all(|it| !it.enabled));
    }
}
