//! What a callback says: the query that the issuer sends the browser back with, or a person pastes.

use subtle::ConstantTimeEq as _;
use url::form_urlencoded;

use crate::account::secret::Secret;

/// What the issuer says at the end of a login.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer {
    /// What tells this login from others; where it was typed in, it may have been left out.
    pub state: Option<Secret>,
    /// How it ended.
    pub outcome: Outcome,
}

/// How a login ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// With a code that can be traded for tokens.
    Code(Secret),
    /// With an error.
    Error {
        /// Its code: `access_denied`.
        code: String,
        /// The same in words.
        description: Option<String>,
    },
    /// With neither.
    Nothing,
}

impl Answer {
    /// Reads the query of a callback. A blank parameter is none, and of two the first one counts.
    #[must_use]
    pub fn of_query(query: &str) -> Self {
        let parameter = |wanted: &str| {
            form_urlencoded::parse(query.as_bytes())
                .find(|(name, _)| name == wanted)
                .map(|(_, value)| value.into_owned())
                .filter(|value| !value.trim().is_empty())
        };
        let outcome = match (parameter("error"), parameter("code")) {
            (Some(code), _) => Outcome::Error {
                code,
                description: parameter("error_description"),
            },
            (None, Some(code)) => Outcome::Code(Secret::new(code)),
            (None, None) => Outcome::Nothing,
        };
        Self {
            state: parameter("state").map(Secret::new),
            outcome,
        }
    }

    /// Whether it has this state. The time it takes tells nothing of where two states differ.
    #[must_use]
    pub fn has_state(&self, expected: &str) -> bool {
        self.state
            .as_ref()
            .is_some_and(|state| state.expose().as_bytes().ct_eq(expected.as_bytes()).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_goes_before_a_code_and_blank_is_nothing() {
        let answer = Answer::of_query("code=c&error=access_denied&error_description=No+way");
        let denied = Outcome::Error {
            code: "access_denied".into(),
            description: Some("No way".into()),
        };
        assert_eq!(answer.outcome, denied);
        assert_eq!(Answer::of_query("code=+&error=").outcome, Outcome::Nothing);
        let twice = Answer::of_query("code=a&code=b").outcome;
        assert_eq!(twice, Outcome::Code(Secret::new("a")));
    }
}
