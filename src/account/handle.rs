//! Who an account is, without its tokens: what is carried, compared, and found again in the
//! accounts as they are later. There is no secret in it.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::id::{AccountId, UserId};
use super::identity::{self, fingerprint};
use super::record::Account;
use super::secret::RefreshToken;
use super::time::UnixMillis;

/// An account, as it was when this was made of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Handle {
    account_id: Option<AccountId>,
    user_id: Option<UserId>,
    email: Option<String>,
    added_at: Option<UnixMillis>,
    token: Fingerprint,
}

/// What a refresh token is told by, where the token itself must not be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fingerprint(u64);

impl From<&RefreshToken> for Fingerprint {
    fn from(token: &RefreshToken) -> Self {
        Self(fingerprint(&[token.expose()]))
    }
}

impl Serialize for Fingerprint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Fingerprint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let number = u64::from_str_radix(&text, 16);
        number.map(Self).map_err(serde::de::Error::custom)
    }
}

impl std::fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl From<&Account> for Handle {
    fn from(account: &Account) -> Self {
        Self {
            account_id: account.chatgpt_account_id.clone(),
            user_id: account.chatgpt_user_id.clone(),
            email: account.email.clone(),
            added_at: account.added_at,
            token: Fingerprint::from(&account.tokens.refresh),
        }
    }
}

impl Handle {
    /// The index that the account has now. Without an account id it is told by its refresh token,
    /// and after that was renewed by the moment it was added, if only one was then.
    #[must_use]
    pub fn find(&self, accounts: &[Account]) -> Option<usize> {
        // Of several accounts with one token it is the one that is itself.
        let is_itself = |now: &Account| {
            now.added_at == self.added_at
                && now.chatgpt_account_id == self.account_id
                && self.has_token_of(now)
        };
        accounts
            .iter()
            .position(is_itself)
            .or_else(|| accounts.iter().position(|now| self.is_of(now)))
            .or_else(|| self.added_then(accounts))
    }

    /// Whether it is of this account, as [`identity::same`] has it.
    #[must_use]
    pub fn is_of(&self, account: &Account) -> bool {
        let told = identity::same_owner(self.owner(), identity::owner(account));
        told.unwrap_or_else(|| self.has_token_of(account))
    }

    /// Whether the account has the token that it had then.
    #[must_use]
    pub fn has_token_of(&self, account: &Account) -> bool {
        self.token == Fingerprint::from(&account.tokens.refresh)
    }

    /// A number that stands for the account, as [`identity::key`] has it.
    #[must_use]
    pub fn key(&self) -> u64 {
        identity::owners_key(self.owner(), self.added_at)
    }

    fn added_then(&self, accounts: &[Account]) -> Option<usize> {
        if self.account_id.is_some() {
            return None;
        }
        let then = self.added_at?;
        identity::only(accounts, |now| now.added_at == Some(then))
    }

    fn owner(&self) -> identity::Owner<'_> {
        identity::Owner {
            account_id: self.account_id.as_ref(),
            user_id: self.user_id.as_ref(),
            email: self.email.as_deref(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(token: &str, secs: u64) -> Account {
        Account {
            added_at: UnixMillis::known(secs),
            ..Account::new(RefreshToken::new(token))
        }
    }

    fn find(accounts: &[Account], before: &Account) -> Option<usize> {
        Handle::from(before).find(accounts)
    }

    #[test]
    fn without_an_id_an_account_is_found_by_its_moment_if_that_is_its_own() {
        let before = at("used-up", 2);
        let renewed = [at("a", 1), at("new", 2), at("c", 3)];
        assert_eq!(find(&renewed, &before), Some(1));
        let together = [at("a", 2), at("new", 2)];
        assert_eq!(find(&together, &before), None);
        assert_eq!(find(&together, &at("new", 2)), Some(1));
        assert_eq!(find(&[at("a", 0)], &at("used-up", 0)), None);
    }

    #[test]
    fn with_an_id_it_is_found_whatever_its_token_and_place() {
        let with_id = |token, id: &str| Account {
            chatgpt_account_id: Some(AccountId::new(id)),
            chatgpt_user_id: Some(UserId::new("user")),
            ..at(token, 1)
        };
        let accounts = [with_id("x", "other"), at("y", 1), with_id("new", "acc")];
        assert_eq!(find(&accounts, &with_id("old", "acc")), Some(2));
        assert_eq!(find(&accounts, &with_id("new", "gone")), None);
    }

    #[test]
    fn there_is_no_secret_in_it() {
        let shown = format!("{:?}", Handle::from(&at("canary", 1)));
        assert!(!shown.contains("canary"), "{shown}");
    }
}
