//! The document in the store: version 1 of the opencode plugin proposal, plus optional fields
//! (DESIGN §3). What is not known survives at every level. It reads and writes bytes, no file.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error;

use crate::account::pick::{Policy, Request};
use crate::account::secret::RefreshToken;
use crate::account::utf8::without_mark;
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
    /// What the person wishes of all accounts.
    #[serde(default, skip_serializing_if = "Policy::is_empty")]
    pub policy: Policy,
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
            policy: Policy::default(),
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

    /// A request for which nothing is wished but what the document says.
    #[must_use]
    pub fn request(&self) -> Request<'_> {
        Request {
            wishes: self.policy.wishes(),
            ..Request::default()
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
        let bytes = without_mark(bytes);
        let parsed: Result<Self, _> = serde_json::from_slice(bytes);
        // Only one that is not as it should be is read twice: each command reads it when it starts.
        let version = match &parsed {
            Ok(document) => document.version,
            Err(_) => {
                let versioned: Result<Versioned, _> = serde_json::from_slice(bytes);
                versioned.map_err(|error| Error::at(bytes, &error))?.version
            }
        };
        if version > VERSION {
            return Err(Error::Newer { version });
        }
        let mut document = parsed.or_else(|error| {
            Self::parse_leniently(bytes).ok_or_else(|| Error::at(bytes, &error))
        })?;
        for account in &mut document.accounts {
            account.adopt_reset_time();
        }
        document.activate_existing();
        Ok(document)
    }

    /// Reads what another program wrote in its own way: a null for what is not there, a whole number
    /// with a fraction, an index of no account.
    fn parse_leniently(bytes: &[u8]) -> Option<Self> {
        let mut value: Value = serde_json::from_slice(bytes).ok()?;
        soften(&mut value);
        let active = value.get_mut("activeIndex");
        if let Some(active) = active.filter(|active| !active.is_u64()) {
            *active = 0.into();
        }
        // As text once more: to read values too would be all of the code twice, for a rare case.
        serde_json::from_slice(&serde_json::to_vec(&value).ok()?).ok()
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

    /// Whether a token that `before` had is gone here, and none of its accounts: it was used up, and
    /// another took its place.
    #[must_use]
    pub fn replaces_token_of(&self, before: &Self) -> bool {
        fn tokens(document: &Document) -> impl Iterator<Item = &RefreshToken> {
            let accounts = document.accounts.iter();
            accounts.map(|account| &account.tokens.refresh)
        }
        if self.accounts.len() < before.accounts.len() {
            return false;
        }
        // Mostly each is where it was.
        if tokens(self)
            .zip(tokens(before))
            .all(|(now, old)| now == old)
        {
            return false;
        }
        let here: HashSet<&RefreshToken> = tokens(self).collect();
        !tokens(before).all(|token| here.contains(token))
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

/// Fields that are ours, and have a usual value or count something whole. Others are not touched.
const WITH_DEFAULTS: [&str; 5] = ["activeIndex", "enabled", "limits", "models", "windows"];
const WHOLE: [&str; 4] = ["minutes", "pid", "repeats", "windowMinutes"];

fn soften(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(soften),
        Value::Object(fields) => {
            fields.retain(|name, value| !value.is_null() || !WITH_DEFAULTS.contains(&&**name));
            for (name, value) in fields {
                match whole(value) {
                    Some(number) if WHOLE.contains(&&**name) => *value = number.into(),
                    _ => soften(value),
                }
            }
        }
        _ => {}
    }
}

/// The number, if it is one that only has a fraction of nothing.
fn whole(value: &Value) -> Option<u32> {
    let number = value.as_f64().filter(|number| number.fract() == 0.0)?;
    (0.0..=f64::from(u32::MAX))
        .contains(&number)
        .then_some(number as u32)
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
            "loginRequired":{"code":"c","at":1,"odd":5},
            "policy":{"reserve":10.0,"odd":6},"odd":{"a":null}}],"activeIndex":0,"policy":{"strategy":"later","credits":"maybe","odd":7},"odd":"x"}"#;
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
    fn what_another_program_writes_in_its_own_way_is_read() {
        let text = br#"{"version":1,"accounts":[{"refreshToken":"r","enabled":null,"addedAt":null,
            "usage":{"windows":[{"minutes":300.0,"usedPercent":5,"resetsAt":null}],"odd":null},
            "odd":{"limits":1.0}}],"activeIndex":-1}"#;
        let document = Document::parse(text).unwrap();
        let account = &document.accounts[0];
        assert_eq!((document.active_index, account.enabled), (0, true));
        assert_eq!(account.usage.as_ref().unwrap().windows[0].minutes, 300);
        let written = String::from_utf8(document.to_bytes()).unwrap();
        assert!(written.contains(r#""odd": null"#), "{written}");
        assert!(written.contains(r#""limits": 1.0"#), "{written}");
    }

    #[test]
    fn fields_that_are_not_known_are_never_shown() {
        let text = br#"{"version":1,"accounts":[{"refreshToken":"canary","secret":"canary",
            "lease":{"until":1,"pid":2,"odd":"canary"}}],"odd":["canary"]}"#;
        let shown = format!("{:?}", Document::parse(text).unwrap());
        assert!(!shown.contains("canary"), "{shown}");
        assert!(shown.contains("secret"), "{shown}");
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
