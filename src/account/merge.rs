//! What of an account that another file brings goes into the accounts that are known. Tokens are
//! used up one by the other, so the later ones are the good ones: they are never replaced by
//! earlier ones, whichever file is read last.

use std::cmp::Ordering;

use super::time::UnixMillis;
use super::{Account, identity, label};

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Merged {
    /// It is a new account, at this index.
    Added(usize),
    /// Its tokens are later than those of the account at this index, and took their place.
    Renewed(usize),
    /// The account at this index has these tokens already.
    Same(usize),
    /// The account at this index has later tokens, or it can't be told which are later.
    Kept(usize),
}

/// Merges an account into the known ones. What the person chose stays: a label, and whether the
/// account is enabled. A label that is taken is left out.
pub fn merge(accounts: &mut Vec<Account>, mut other: Account, now: UnixMillis) -> Merged {
    let known = accounts
        .iter()
        .position(|known| identity::same(known, &other));
    let taken = |label: &mut String| label::check(accounts, known, label).is_err();
    other.label.take_if(taken);
    // A lease is a process of where the file comes from.
    other.lease = None;
    let Some(index) = known else {
        // Where an id tells them apart the moment need not.
        let is_taken = |known: &Account| {
            let has_no_id = |it: &Account| it.chatgpt_account_id.is_none();
            known.added_at == other.added_at && (has_no_id(known) || has_no_id(&other))
        };
        if other.added_at.is_none() || accounts.iter().any(is_taken) {
            other.added_at = Some(identity::added_at(accounts, now));
        }
        accounts.push(other);
        return Merged::Added(accounts.len() - 1);
    };
    let known = &mut accounts[index];
    let merged = if known.tokens.refresh == other.tokens.refresh {
        known.shared_with.append(&mut other.shared_with);
        Merged::Same(index)
    } else if is_later(&other, known) {
        known.take_login(other.tokens, other.shared_with);
        Merged::Renewed(index)
    } else {
        Merged::Kept(index)
    };
    fill(&mut known.chatgpt_account_id, other.chatgpt_account_id);
    fill(&mut known.chatgpt_user_id, other.chatgpt_user_id);
    fill(&mut known.email, other.email);
    fill(&mut known.plan_type, other.plan_type);
    fill(&mut known.label, other.label);
    merged
}

/// Whether the tokens of the one are later than those of the other. A dead login is older than any
/// that is not known to be older still, and so used up before it.
fn is_later(one: &Account, than: &Account) -> bool {
    let dead = |account: &Account| account.login_required.is_some();
    match (dead(one), dead(than)) {
        (false, true) => one.tokens.order(&than.tokens) != Some(Ordering::Less),
        (true, false) => false,
        _ => one.tokens.is_later_than(&than.tokens),
    }
}

fn fill<T>(known: &mut Option<T>, told: Option<T>) {
    if known.is_none() {
        *known = told;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::secret::RefreshToken;
    use crate::account::tokens::Tokens;
    use crate::account::{AccountId, Extra, LoginRequired, Scope, UserId};

    const NOW: UnixMillis = UnixMillis::from_secs(1000);

    fn account(token: &str, refreshed: u64, expires: u64) -> Account {
        Account {
            chatgpt_account_id: Some(AccountId::new("acc")),
            chatgpt_user_id: Some(UserId::new("user")),
            ..Account::of(Tokens {
                refreshed_at: UnixMillis::known(refreshed),
                expires_at: UnixMillis::known(expires),
                ..Tokens::new(RefreshToken::new(token))
            })
        }
    }

    /// What becomes of `other`, and the token that is there then.
    fn merged(known: Account, other: Account) -> (Merged, String) {
        let mut accounts = vec![known];
        let merged = merge(&mut accounts, other, NOW);
        (merged, accounts[0].tokens.refresh.expose().to_owned())
    }

    #[test]
    fn the_later_refreshed_wins_in_either_order() {
        let (old, new) = (|| account("old", 10, 0), || account("new", 20, 0));
        assert_eq!(merged(old(), new()), (Merged::Renewed(0), "new".into()));
        assert_eq!(merged(new(), old()), (Merged::Kept(0), "new".into()));
        assert_eq!(merged(new(), new()), (Merged::Same(0), "new".into()));
        let (old, new) = (|| account("old", 0, 10), || account("new", 5, 20));
        assert_eq!(merged(old(), new()), (Merged::Renewed(0), "new".into()));
        assert_eq!(merged(new(), old()), (Merged::Kept(0), "new".into()));
    }

    #[test]
    fn where_nothing_is_known_ours_stays() {
        let unknown = |token| account(token, 0, 0);
        assert_eq!(
            merged(unknown("a"), unknown("b")),
            (Merged::Kept(0), "a".into())
        );
        let known = account("b", 0, 10);
        assert_eq!(
            merged(unknown("a"), known),
            (Merged::Renewed(0), "b".into())
        );
    }

    #[test]
    fn a_dead_login_gives_way() {
        let mut dead = account("dead", 20, 20);
        dead.login_required = Some(LoginRequired {
            code: "refresh_token_expired".into(),
            at: NOW,
            extra: Extra::new(),
        });
        for alive in [account("alive", 20, 10), account("alive", 0, 0)] {
            assert_eq!(
                merged(dead.clone(), alive.clone()),
                (Merged::Renewed(0), "alive".into())
            );
            assert_eq!(
                merged(alive, dead.clone()),
                (Merged::Kept(0), "alive".into())
            );
        }
    }

    #[test]
    fn a_dead_login_does_not_give_way_to_a_token_that_was_used_up_before_it() {
        let mut dead = account("dead", 20, 20);
        dead.login_required = Some(LoginRequired {
            code: "refresh_token_expired".into(),
            at: NOW,
            extra: Extra::new(),
        });
        for older in [account("older", 10, 30), account("older", 0, 10)] {
            assert_eq!(
                merged(dead.clone(), older),
                (Merged::Kept(0), "dead".into())
            );
        }
    }

    #[test]
    fn later_tokens_end_what_was_refused_and_the_same_do_not() {
        let hour = UnixMillis::from_secs(4600);
        for (other, stays) in [("old", true), ("new", false)] {
            let mut known = account("old", 10, 0);
            known.record_by_hand(Scope::new(Scope::REFUSED), hour, None, NOW);
            let mut accounts = vec![known];
            merge(&mut accounts, account(other, 20, 0), NOW);
            let is_marked = accounts[0].limits().contains_key(Scope::REFUSED);
            assert_eq!(is_marked, stays, "{other}");
        }
    }

    #[test]
    fn no_two_are_added_at_one_moment() {
        let mut accounts = Vec::new();
        for token in ["a", "b", "c"] {
            merge(&mut accounts, Account::new(RefreshToken::new(token)), NOW);
        }
        let known = accounts[1].clone();
        let other = Account {
            added_at: known.added_at,
            ..Account::new(RefreshToken::new("d"))
        };
        merge(&mut accounts, other, NOW);
        let moments = accounts.iter().filter_map(|it| it.added_at);
        assert_eq!(
            moments.collect::<Vec<_>>(),
            [1_000_000, 1_000_001, 1_000_002, 1_000_003].map(UnixMillis::from_millis)
        );
    }

    #[test]
    fn what_the_person_chose_stays() {
        let mut known = account("old", 10, 0);
        known.enabled = false;
        known.label = Some("mine".into());
        let mut other = account("new", 20, 0);
        other.label = Some("theirs".into());
        let mut accounts = vec![known];
        merge(&mut accounts, other, NOW);
        assert!(!accounts[0].enabled);
        assert_eq!(accounts[0].label.as_deref(), Some("mine"));

        let mut stranger = Account::new(RefreshToken::new("x"));
        stranger.label = Some("MINE".into());
        assert_eq!(merge(&mut accounts, stranger, NOW), Merged::Added(1));
        assert_eq!(accounts[1].label, None);
        assert_eq!(accounts[1].added_at, Some(NOW));
    }
}
