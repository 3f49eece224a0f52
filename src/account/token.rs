//! The packed form: several refresh tokens in one string, `refresh1|accountId1||refresh2|accountId2`,
//! which fits where a program keeps one token. It has no escaping, so what can't be written
//! unambiguously is refused. Errors name a position, never a text: the text is a secret.

use thiserror::Error;

use super::secret::{RefreshToken, Secret};
use super::{Account, AccountId};

/// One entry of the packed form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The refresh token.
    pub refresh_token: RefreshToken,
    /// The workspace, where it is known.
    pub account_id: Option<AccountId>,
}

impl From<Entry> for Account {
    fn from(entry: Entry) -> Self {
        let mut account = Self::new(entry.refresh_token);
        account.chatgpt_account_id = entry.account_id;
        account
    }
}

impl From<&Account> for Entry {
    fn from(account: &Account) -> Self {
        Self {
            refresh_token: account.tokens.refresh.clone(),
            account_id: account.chatgpt_account_id.clone(),
        }
    }
}

/// Which half of an entry an error is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// The refresh token.
    RefreshToken,
    /// The account id.
    AccountId,
}

impl std::fmt::Display for Field {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::RefreshToken => "refresh token",
            Self::AccountId => "account id",
        })
    }
}

/// Why a packed string can't be written or read. Positions count from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Error {
    /// A character that the form has no place for, to be written.
    #[error("the {field} of account {position} holds '|', white space or a control character")]
    Unwritable {
        /// Which account.
        position: usize,
        /// Which half of it.
        field: Field,
    },
    /// Nothing where a token is due, to be written.
    #[error("the {field} of account {position} is empty")]
    Empty {
        /// Which account.
        position: usize,
        /// Which half of it.
        field: Field,
    },
    /// More than `token|id` between two `||`.
    #[error("part {part}, at byte {byte}, has more than one '|'")]
    TooManyBars {
        /// Which part.
        part: usize,
        /// Where it begins, in bytes.
        byte: usize,
    },
    /// An id without a token.
    #[error("part {part}, at byte {byte}, has no refresh token before its '|'")]
    NoToken {
        /// Which part.
        part: usize,
        /// Where it begins, in bytes.
        byte: usize,
    },
    /// White space or a control character inside a token or an id.
    #[error("part {part}, at byte {byte}, has white space or a control character in it")]
    BadCharacter {
        /// Which part.
        part: usize,
        /// Where it begins, in bytes.
        byte: usize,
    },
}

/// Packs the entries, in their order.
///
/// # Errors
/// When a token or id is empty or holds `|`, white space or a control character.
pub fn encode(entries: &[Entry]) -> Result<Secret, Error> {
    let mut packed = String::new();
    for (entry, position) in entries.iter().zip(1..) {
        if !packed.is_empty() {
            packed.push_str("||");
        }
        packed.push_str(writable(
            entry.refresh_token.expose(),
            position,
            Field::RefreshToken,
        )?);
        if let Some(id) = &entry.account_id {
            packed.push('|');
            packed.push_str(writable(id.as_str(), position, Field::AccountId)?);
        }
    }
    Ok(Secret::new(packed))
}

fn writable(text: &str, position: usize, field: Field) -> Result<&str, Error> {
    if text.is_empty() {
        return Err(Error::Empty { position, field });
    }
    if text.contains(|c: char| c == '|' || breaks(c)) {
        return Err(Error::Unwritable { position, field });
    }
    Ok(text)
}

fn breaks(c: char) -> bool {
    c.is_whitespace() || c.is_control()
}

/// Reads a packed string; one without `|` is one token. Blank parts are skipped, white space
/// around a part does not count.
///
/// # Errors
/// When a part is not `token` or `token|id`.
pub fn decode(packed: &str) -> Result<Vec<Entry>, Error> {
    let mut entries = Vec::new();
    let mut byte = 0;
    for (text, part) in packed.split("||").zip(1..) {
        if !text.trim().is_empty() {
            entries.push(decode_part(text, part, byte)?);
        }
        byte += text.len() + 2;
    }
    Ok(entries)
}

fn decode_part(text: &str, part: usize, byte: usize) -> Result<Entry, Error> {
    let mut halves = text.split('|').map(str::trim);
    let refresh = halves.next().unwrap_or_default();
    let id = halves.next().filter(|id| !id.is_empty());
    if halves.next().is_some() {
        return Err(Error::TooManyBars { part, byte });
    }
    if refresh.is_empty() {
        return Err(Error::NoToken { part, byte });
    }
    if refresh.contains(breaks) || id.is_some_and(|id| id.contains(breaks)) {
        return Err(Error::BadCharacter { part, byte });
    }
    Ok(Entry {
        refresh_token: RefreshToken::new(refresh),
        account_id: id.map(AccountId::new),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn entry(refresh: &str, id: Option<&str>) -> Entry {
        Entry {
            refresh_token: RefreshToken::new(refresh),
            account_id: id.map(AccountId::new),
        }
    }

    #[test]
    fn an_account_without_an_id_has_no_bar() {
        let entries = [entry("r1", None), entry("r2", Some("a2"))];
        let packed = encode(&entries).unwrap();
        assert_eq!(packed.expose(), "r1||r2|a2");
        assert_eq!(decode(packed.expose()).unwrap(), entries);
    }

    #[test]
    fn what_cannot_be_read_back_is_refused() {
        assert_eq!(
            decode("r1|||r2|a2"),
            Err(Error::TooManyBars { part: 2, byte: 4 })
        );
        assert_eq!(
            decode("r1|a1|||x"),
            Err(Error::NoToken { part: 2, byte: 7 })
        );
        assert_eq!(decode("a b"), Err(Error::BadCharacter { part: 1, byte: 0 }));
        assert_eq!(
            encode(&[entry("a|b", None)]),
            Err(Error::Unwritable {
                position: 1,
                field: Field::RefreshToken
            })
        );
    }

    proptest! {
        #[test]
        fn decode_of_encode_is_the_identity(
            parts in prop::collection::vec(("[!-{}~]{1,20}", prop::option::of("[!-{}~]{1,20}")), 0..12)
        ) {
            let entries: Vec<_> = parts.iter().map(|(r, id)| entry(r, id.as_deref())).collect();
            let packed = encode(&entries).unwrap();
            prop_assert_eq!(decode(packed.expose()).unwrap(), entries);
        }

        #[test]
        fn what_encode_takes_has_no_bar_space_or_control(refresh in ".*", id in ".*") {
            let entries = [entry(&refresh, Some(&id))];
            if let Ok(packed) = encode(&entries) {
                prop_assert_eq!(decode(packed.expose()).unwrap(), entries);
            }
        }

        #[test]
        fn decode_never_panics_and_encode_takes_what_it_gave(text in ".*") {
            if let Ok(entries) = decode(&text) {
                prop_assert!(encode(&entries).is_ok());
            }
        }
    }
}
