//! Which account a session has: by rendezvous hashing, so that there is no table of sessions.

use std::cmp::Reverse;

use crate::account::{Account, identity};

/// Rendezvous hashing: each session ranks all accounts in an order of its own, so an account that
/// leaves or returns moves only its own sessions. Whether one is busy does not count: a lease is to
/// spread runs, and a session is to stay where its prompts are cached.
pub(super) fn by_key(accounts: &[Account], candidates: &[usize], key: &str) -> Option<usize> {
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
        return identity::fingerprint(&[key, account.tokens.refresh.expose()]);
    }
    identity::fingerprint(&[key, account_id, user])
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::account::Account;
    use crate::account::pick::properties::{account, now};
    use crate::account::pick::{Decision, Request, pick};

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
}
