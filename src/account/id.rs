//! Ids: texts that are not mixed up.

use std::borrow::Borrow;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};

/// A text id, so that one kind can't be handed over for another.
macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// The id with this text.
            #[must_use]
            pub fn new(text: impl Into<String>) -> Self {
                Self(text.into())
            }

            /// Its text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

id! {
    /// The ChatGPT account, that is the workspace: `chatgpt_account_id` (PROTOCOL §2). The seats
    /// of a team share one.
    AccountId
}
id! {
    /// The person: `chatgpt_user_id` (PROTOCOL §2).
    UserId
}
id! {
    /// What a mark is for: `default`; the id of a limit of one model family, such as
    /// `codex_bengalfox` (PROTOCOL §4); one model, `model:gpt-5.5`; or `refused`.
    Scope
}

impl Scope {
    /// The scope of a limit that is for all models.
    pub const DEFAULT: &'static str = "default";

    /// The scope of the mark that a fresh token was refused.
    pub const REFUSED: &'static str = "refused";

    /// The scope of one model, which has no provider before its name.
    #[must_use]
    pub fn of_model(name: &str) -> Self {
        Self::new(format!("model:{}", name.to_lowercase()))
    }

    /// The scope of a limit that is for all models.
    #[must_use]
    pub fn default_scope() -> Self {
        Self::new(Self::DEFAULT)
    }
}

/// Reads an optional id; a blank one is none.
///
/// # Errors
/// When it is no text.
pub fn filled<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Borrow<str>,
{
    let id = Option::<T>::deserialize(deserializer)?;
    Ok(id.filter(|id| !id.borrow().trim().is_empty()))
}
