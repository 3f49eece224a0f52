//! What may be a label: a name of the person's own choice that stands for one account and for
//! nothing else.

use thiserror::Error;

use super::Account;

/// Longer labels would push everything else off a line.
const LONGEST: usize = 40;

/// Why a text can't be a label.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Error {
    /// It would be taken for an index.
    #[error("a label must not be a number: '{label}' would be taken for an index")]
    Number {
        /// The text.
        label: String,
    },
    /// It would be taken for a flag, or for the account before.
    #[error("a label must not begin with '-'")]
    Dash,
    /// A terminal or a script would stumble over it.
    #[error("a label must not hold control characters, or white space at its ends")]
    Unprintable,
    /// It is too long for a line.
    #[error("a label must not be longer than {LONGEST} characters")]
    TooLong,
    /// It already stands for another account.
    #[error("'{label}' already stands for account {index}")]
    Taken {
        /// The text.
        label: String,
        /// The index of that account.
        index: usize,
    },
}

/// Whether `label` may be the label of the account at `index`, or of a new one if there is none.
///
/// # Errors
/// When it may not.
pub fn check(accounts: &[Account], index: Option<usize>, label: &str) -> Result<(), Error> {
    if label.parse::<u64>().is_ok() {
        let label = label.to_owned();
        return Err(Error::Number { label });
    }
    if label.starts_with('-') {
        return Err(Error::Dash);
    }
    if label.trim() != label || label.chars().any(char::is_control) {
        return Err(Error::Unprintable);
    }
    if label.chars().count() > LONGEST {
        return Err(Error::TooLong);
    }
    let taken = |&other: &usize| Some(other) != index && is_called(&accounts[other], label);
    match (0..accounts.len()).find(taken) {
        None => Ok(()),
        Some(index) => Err(Error::Taken {
            label: label.to_owned(),
            index,
        }),
    }
}

fn is_called(account: &Account, name: &str) -> bool {
    let id = account.chatgpt_account_id.as_ref().map(|id| id.as_str());
    let user = account.chatgpt_user_id.as_ref().map(|id| id.as_str());
    let names = [account.label.as_deref(), account.email.as_deref(), id, user];
    names
        .into_iter()
        .flatten()
        .any(|known| known.to_lowercase() == name.to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::secret::RefreshToken;

    #[test]
    fn a_label_stands_for_one_account_and_nothing_else() {
        let account = |label: &str| Account {
            label: Some(label.into()),
            email: Some(format!("{label}@example.com")),
            ..Account::new(RefreshToken::new(label))
        };
        let accounts = [account("work"), account("home")];
        assert_eq!(check(&accounts, Some(0), "Work"), Ok(()), "its own");
        assert_eq!(check(&accounts, None, "büro 2"), Ok(()));
        for bad in [
            "1",
            "-",
            "--yes",
            " work",
            "a\tb",
            "HOME",
            "home@example.com",
        ] {
            assert!(check(&accounts, Some(0), bad).is_err(), "{bad}");
        }
        assert_eq!(check(&accounts, None, &"x".repeat(41)), Err(Error::TooLong));
    }
}
