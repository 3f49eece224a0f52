//! Which account a person means by an index, a label, an email, an id, or the beginning of an id.

use thiserror::Error;

use super::Account;

/// The text names no account, or more than one.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Error {
    /// No account has this name.
    #[error("no account is called '{name}'")]
    Unknown {
        /// What was asked for.
        name: String,
    },
    /// Several accounts have it.
    #[error("'{name}' is more than one account")]
    Ambiguous {
        /// What was asked for.
        name: String,
        /// The indices that fit.
        candidates: Vec<usize>,
    },
}

/// The index of the account that `name` stands for (DESIGN §2). An exact name goes before the
/// beginning of an id.
///
/// # Errors
/// When it stands for none, or for several.
pub fn find(accounts: &[Account], name: &str) -> Result<usize, Error> {
    if let Some(index) = index(accounts, name) {
        return Ok(index);
    }
    let rules: [fn(&Account, &str) -> bool; 4] = [labelled, addressed, identified, begins];
    for fits in rules {
        let candidates: Vec<usize> = (0..accounts.len())
            .filter(|&i| fits(&accounts[i], name))
            .collect();
        match candidates.as_slice() {
            [] => {}
            [one] => return Ok(*one),
            _ => {
                return Err(Error::Ambiguous {
                    name: name.to_owned(),
                    candidates,
                });
            }
        }
    }
    Err(Error::Unknown {
        name: name.to_owned(),
    })
}

fn index(accounts: &[Account], name: &str) -> Option<usize> {
    name.parse().ok().filter(|&index| index < accounts.len())
}

fn labelled(account: &Account, name: &str) -> bool {
    account.label.as_deref() == Some(name)
}

fn addressed(account: &Account, name: &str) -> bool {
    account
        .email
        .as_ref()
        .is_some_and(|email| email.to_lowercase() == name.to_lowercase())
}

fn ids(account: &Account) -> impl Iterator<Item = &str> {
    let account_id = account.chatgpt_account_id.as_ref().map(|id| id.as_str());
    let user_id = account.chatgpt_user_id.as_ref().map(|id| id.as_str());
    account_id.into_iter().chain(user_id)
}

fn identified(account: &Account, name: &str) -> bool {
    ids(account).any(|id| id == name)
}

fn begins(account: &Account, name: &str) -> bool {
    !name.is_empty() && ids(account).any(|id| id.starts_with(name))
}

/// The name that is written nearly as `name` is, if there is one.
#[must_use]
pub fn nearest<'a>(accounts: &'a [Account], name: &str) -> Option<&'a str> {
    /// Less alike than this is another name and no slip of the finger.
    const ALIKE: f64 = 0.8;
    let names = accounts.iter().flat_map(|account| {
        let names = [account.label.as_deref(), account.email.as_deref()];
        names.into_iter().flatten()
    });
    names
        .map(|known| {
            (
                strsim::jaro_winkler(&known.to_lowercase(), &name.to_lowercase()),
                known,
            )
        })
        .filter(|(alike, _)| *alike >= ALIKE)
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, known)| known)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::secret::RefreshToken;
    use crate::account::{AccountId, UserId};

    fn accounts() -> Vec<Account> {
        let account = |label: &str, id: &str, user: &str| Account {
            label: Some(label.into()),
            email: Some(format!("{label}@example.com")),
            chatgpt_account_id: Some(AccountId::new(id)),
            chatgpt_user_id: Some(UserId::new(user)),
            ..Account::new(RefreshToken::new(label))
        };
        vec![
            account("work", "team-1", "user-a"),
            account("home", "team-1", "user-b"),
            account("spare", "solo-9", "user-c"),
        ]
    }

    #[test]
    fn every_kind_of_name() {
        let accounts = accounts();
        for (name, index) in [
            ("0", 0),
            ("home", 1),
            ("Spare@Example.com", 2),
            ("solo-9", 2),
            ("so", 2),
            ("user-b", 1),
        ] {
            assert_eq!(find(&accounts, name), Ok(index), "{name}");
        }
    }

    #[test]
    fn ambiguous_and_unknown() {
        let accounts = accounts();
        assert_eq!(
            find(&accounts, "team-1"),
            Err(Error::Ambiguous {
                name: "team-1".into(),
                candidates: vec![0, 1]
            })
        );
        for name in ["7", "", "nobody"] {
            assert!(matches!(find(&accounts, name), Err(Error::Unknown { .. })));
        }
    }

    #[test]
    fn a_slip_of_the_finger_is_understood() {
        let accounts = accounts();
        for (slip, name) in [
            ("wrok", Some("work")),
            ("hom", Some("home")),
            ("spare@example.org", Some("spare@example.com")),
            ("bank", None),
        ] {
            assert_eq!(nearest(&accounts, slip), name, "{slip}");
        }
    }
}
