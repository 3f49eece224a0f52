//! Why the issuer gave no tokens: what it says where it refuses, in any of its shapes, and what of
//! that is proof that a login is dead.

use http::StatusCode;
use oauth2::{ErrorResponse, RequestTokenError};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error;

use crate::account::limit::{codes, error_codes};
use crate::net::agent::Unreachable;

/// An answer that is a success and brings no token that can be used.
pub(in crate::oauth) const WITHOUT_TOKENS: Error = Error::Nonsense { status: 200 };

/// The issuer's answer to a request that it refuses, in any of its shapes.
#[derive(Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Refusal(Value);

/// The rest of what the issuer said is not for logs.
impl std::fmt::Debug for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Refusal({self})")
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let codes = error_codes(&self.0);
        let code = codes.iter().find(|code| is_printable(code));
        f.write_str(code.map_or("no code", String::as_str))
    }
}

impl ErrorResponse for Refusal {}

/// Whether a code is one, and nothing that an issuer would have a terminal or a log show.
fn is_printable(code: &str) -> bool {
    let is_usual = |letter: u8| letter.is_ascii_lowercase() || letter == b'_';
    codes::find(code).is_some() || ((1..=64).contains(&code.len()) && code.bytes().all(is_usual))
}

/// Why the issuer gave no tokens.
#[derive(Debug, Error)]
pub enum Error {
    /// It said that the login is dead; only another login helps.
    #[error("the issuer says that the login is dead ({code})")]
    Dead {
        /// Its code.
        code: String,
    },
    /// It did not accept the code of a login.
    #[error("the issuer did not accept the login ({code})")]
    Refused {
        /// Its code, or the status.
        code: String,
    },
    /// It could not be asked, or its answer says nothing about the login.
    #[error(transparent)]
    Unreachable(#[from] Unreachable),
    /// It gave tokens of another account.
    #[error("the issuer answered with tokens of another account")]
    OfAnother,
    /// It gave tokens that no program could keep or send.
    #[error("the issuer answered with tokens that can't be used")]
    Unusable,
    /// It answered with something that is no answer.
    #[error("the issuer answered with something else than tokens (status {status})")]
    Nonsense {
        /// The status of the answer.
        status: u16,
    },
}

impl Error {
    /// Whether the refresh token that was presented may be used up: nobody knows what became of
    /// it.
    #[must_use]
    pub const fn may_have_used_it(&self) -> bool {
        match self {
            Self::Unreachable(unreachable) => unreachable.was_sent(),
            Self::Nonsense { status } => *status < 300,
            Self::OfAnother | Self::Unusable => true,
            Self::Dead { .. } | Self::Refused { .. } => false,
        }
    }
}

/// Only the issuer's own codes, at 400, 401 or 403, prove that a login is dead; what a proxy or an
/// overloaded server says does not.
pub(super) fn refusal(error: RequestTokenError<Unreachable, Refusal>, status: StatusCode) -> Error {
    match error {
        RequestTokenError::Request(unreachable) => Error::Unreachable(unreachable),
        RequestTokenError::ServerResponse(refusal) => {
            let said = error_codes(&refusal.0);
            let dead = said.iter().find(|code| codes::is_dead_at_issuer(code));
            match (status.as_u16(), dead) {
                (400 | 401 | 403, Some(code)) => Error::Dead { code: code.clone() },
                (400..=499, _) if status != StatusCode::TOO_MANY_REQUESTS => Error::Refused {
                    code: said
                        .iter()
                        .find(|code| is_printable(code))
                        .cloned()
                        .unwrap_or_else(|| status.as_u16().to_string()),
                },
                _ => Error::Nonsense {
                    status: status.as_u16(),
                },
            }
        }
        RequestTokenError::Parse(..) | RequestTokenError::Other(_) => Error::Nonsense {
            status: status.as_u16(),
        },
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_the_issuer_says_is_not_in_debug() {
        let refusal = Refusal(json!({"error": "invalid_grant", "echo": "canary"}));
        let shown = format!("{refusal:?}");
        assert!(!shown.contains("canary"), "{shown}");
    }
}
