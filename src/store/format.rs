//! The document in the store: version 1 of the opencode plugin proposal, plus optional fields
//! (DESIGN §3). What is not known survives at every level. It reads and writes bytes, no file.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::account::{Account, Extra};

/// The version that is read and written.
pub const VERSION: u64 = 1;

/// All accounts, and which one is active.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Document {
    version: u64,
    /// The accounts, in the order of their indices.
    pub accounts: Vec<Account>,
    /// The index of the active account.
    #[serde(default)]
    pub active_index: usize,
    /// Fields that this program does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

impl Default for Document {
    fn default() -> Self {
        Self {
            version: VERSION,
            accounts: Vec::new(),
            active_index: 0,
            extra: Extra::new(),
        }
    }
}

/// Why bytes are no document. No text of the document is ever quoted: it is full of secrets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Error {
    /// It is not JSON.
    #[error("not valid JSON at byte {byte} (line {line}, column {column})")]
    NotJson {
        /// Offset from the beginning.
        byte: usize,
        /// Counted from 1.
        line: usize,
        /// Counted from 1.
        column: usize,
    },
    /// It is JSON, but a value is missing or of the wrong type.
    #[error(
        "a value is missing or of the wrong type before byte {byte} (line {line}, column {column})"
    )]
    WrongShape {
        /// Offset from the beginning.
        byte: usize,
        /// Counted from 1.
        line: usize,
        /// Counted from 1.
        column: usize,
    },
    /// A later program wrote it.
    #[error("version {version} is newer than this program, which knows version {VERSION}")]
    Newer {
        /// The version it says.
        version: u64,
    },
}

impl Document {
    /// A document of these accounts.
    #[must_use]
    pub fn of(accounts: Vec<Account>) -> Self {
        Self {
            accounts,
            ..Self::default()
        }
    }

    /// Reads a document.
    ///
    /// # Errors
    /// When the bytes are no document of a version that is known.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        /// All that a newer version can be relied on to have.
        #[derive(Deserialize)]
        struct Versioned {
            version: u64,
        }
        let at = |error: &serde_json::Error| Error::at(bytes, error);
        let versioned: Versioned = serde_json::from_slice(bytes).map_err(|e| at(&e))?;
        if versioned.version > VERSION {
            return Err(Error::Newer {
                version: versioned.version,
            });
        }
        let mut document: Self = serde_json::from_slice(bytes).map_err(|e| at(&e))?;
        for account in &mut document.accounts {
            account.adopt_reset_time();
        }
        document.activate_existing();
        Ok(document)
    }

    /// The bytes of the document: indented JSON with a line end, as the proposal's plugin writes it.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec_pretty(self)
            // Proof: writing to memory does not fail, no map has keys other than text, and
            // numbers that are not finite become null.
            .unwrap_or_else(|error| unreachable!("a document is always JSON: {error}"));
        bytes.push(b'\n');
        bytes
    }

    /// Takes an account out. Activity stays with the account that has it, or moves on to the next
    /// one where that is the account removed.
    pub fn remove(&mut self, index: usize) -> Account {
        let account = self.accounts.remove(index);
        if index < self.active_index {
            self.active_index -= 1;
        }
        self.activate_existing();
        account
    }

    /// The index of an account points at one, also after another program's write.
    fn activate_existing(&mut self) {
        if self.active_index >= self.accounts.len() {
            self.active_index = 0;
        }
    }
}

impl Error {
    fn at(bytes: &[u8], error: &serde_json::Error) -> Self {
        let (line, column) = (error.line(), error.column());
        let before: usize = bytes
            .split_inclusive(|&b| b == b'\n')
            .take(line.saturating_sub(1))
            .map(<[u8]>::len)
            .sum();
        let byte = (before + column.saturating_sub(1)).min(bytes.len());
        match error.classify() {
            serde_json::error::Category::Data => Self::WrongShape { byte, line, column },
            _ => Self::NotJson { byte, line, column },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_fields_survive_at_every_level() {
        let text = r#"{"version":1,"accounts":[{"refreshToken":"r","addedAt":1,"lastUsed":0,
            "limits":{"default":{"until":9,"odd":[1]}},"rateLimitResetTime":9,
            "usage":{"windows":[{"minutes":300,"usedPercent":1.0,"resetsAt":0,"odd":1}],"observedAt":0,"odd":2},
            "lease":{"until":1,"pid":2,"odd":3},"activation":{"at":1,"odd":4},
            "loginRequired":{"code":"c","at":1,"odd":5},"odd":{"a":null}}],"activeIndex":0,"odd":"x"}"#;
        let before: serde_json::Value = serde_json::from_str(text).unwrap();
        let bytes = Document::parse(text.as_bytes()).unwrap().to_bytes();
        let mut after: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        // A mark that another program wrote gets the fields that ours have.
        let mark = after["accounts"][0]["limits"]["default"]
            .as_object_mut()
            .unwrap();
        for added in ["class", "source", "markedAt"] {
            mark.remove(added);
        }
        assert_eq!(after, before);
    }

    #[test]
    fn positions_are_named_and_texts_are_not() {
        let error =
            Document::parse(b"{\"version\":1,\n\"accounts\":[{\"refreshToken\":\"canary\",}]}")
                .unwrap_err();
        assert!(matches!(error, Error::NotJson { line: 2, .. }), "{error}");
        let error =
            Document::parse(b"{\"version\":1,\"accounts\":[{\"refreshToken\":\"r\",\"email\":7}]}")
                .unwrap_err();
        assert!(matches!(error, Error::WrongShape { .. }), "{error}");
        assert!(!error.to_string().contains("canary"));
    }

    #[test]
    fn a_newer_version_is_told_from_a_corrupt_file() {
        assert_eq!(
            Document::parse(b"{\"version\":3,\"accounts\":{}}"),
            Err(Error::Newer { version: 3 })
        );
    }

    #[test]
    fn a_reset_time_by_a_program_that_knows_no_marks_becomes_one() {
        let text = br#"{"version":1,"accounts":[{"refreshToken":"r","rateLimitResetTime":5000}]}"#;
        let document = Document::parse(text).unwrap();
        let mark = &document.accounts[0].limits()["default"];
        assert_eq!(mark.until.as_millis(), 5000);
    }

    #[test]
    fn removing_keeps_the_active_account_active() {
        let text = br#"{"version":1,"accounts":[{"refreshToken":"a"},{"refreshToken":"b"},
            {"refreshToken":"c"}],"activeIndex":2}"#;
        let mut document = Document::parse(text).unwrap();
        document.remove(0);
        assert_eq!(document.active_index, 1);
        document.remove(1);
        assert_eq!(document.active_index, 0);
    }
}
