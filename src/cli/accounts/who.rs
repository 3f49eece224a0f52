//! What to call an account where it stands among others.

use crate::account::{Account, AccountId, UserId};

/// So much of the end of an id is shown.
const END: usize = 4;

/// The name of an account in a sentence: `1 personal`.
pub(super) fn called(index: usize, account: &Account) -> String {
    format!("{index} {}", account.name())
}

/// What tells accounts of one name apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    /// The name does: no other account has it.
    Name,
    /// The plan, as for a personal and a team workspace of one email.
    Plan(String),
    /// The end of an id, as for the seats of a team.
    Id(String),
    /// Nothing but the index.
    Index,
}

/// The mark of each account.
pub(super) fn marks(accounts: &[Account]) -> Vec<Mark> {
    let mark = |index: usize| mark(accounts, index);
    (0..accounts.len()).map(mark).collect()
}

fn mark(accounts: &[Account], index: usize) -> Mark {
    let account = &accounts[index];
    let others: Vec<&Account> = (accounts.iter().enumerate())
        .filter(|(other, it)| *other != index && it.name() == account.name())
        .map(|(_, it)| it)
        .collect();
    if others.is_empty() {
        return Mark::Name;
    }
    let is_alone = |of: fn(&Account) -> Option<String>| {
        let word = of(account)?;
        let is_taken = others.iter().any(|it| of(it).as_ref() == Some(&word));
        (!is_taken).then_some(word)
    };
    let id = || {
        let word = is_alone(end_of_account_id).or_else(|| is_alone(end_of_user_id))?;
        Some(Mark::Id(word))
    };
    is_alone(|it| it.plan_type.clone())
        .map(Mark::Plan)
        .or_else(id)
        .unwrap_or(Mark::Index)
}

fn end_of_account_id(account: &Account) -> Option<String> {
    account
        .chatgpt_account_id
        .as_ref()
        .map(AccountId::as_str)
        .map(end)
}

fn end_of_user_id(account: &Account) -> Option<String> {
    account
        .chatgpt_user_id
        .as_ref()
        .map(UserId::as_str)
        .map(end)
}

fn end(id: &str) -> String {
    let start = id.char_indices().rev().nth(END - 1);
    id[start.map_or(0, |(at, _)| at)..].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::secret::RefreshToken;

    #[test]
    fn accounts_of_one_name_are_told_apart_by_what_differs() {
        let account = |email: &str, plan: &str, id: &str, user: &str| {
            let mut account = Account::new(RefreshToken::new(id));
            account.email = Some(email.into());
            account.plan_type = Some(plan.into());
            account.chatgpt_account_id = Some(AccountId::new(id));
            account.chatgpt_user_id = Some(UserId::new(user));
            account
        };
        let accounts = [
            account("me@example.com", "plus", "acc-personal", "user-a"),
            account("me@example.com", "business", "acc-team", "user-b"),
            account("me@example.com", "business", "acc-team", "user-c"),
            account("you@example.com", "plus", "acc-you", "user-d"),
            account("me@example.com", "business", "acc-other", "user-c"),
        ];
        let id = |end: &str| Mark::Id(end.into());
        assert_eq!(
            marks(&accounts),
            [
                Mark::Plan("plus".into()),
                id("er-b"),
                Mark::Index,
                Mark::Name,
                id("ther"),
            ]
        );
    }
}
