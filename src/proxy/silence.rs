//! That an account said nothing: why, and whose fault that is. What is done about it is decided
//! elsewhere.

use super::upstream::Error;
use crate::account::limit::Verdict;

/// No answer, or one that broke off before it could be judged.
#[derive(Clone, Debug)]
pub(super) struct Silence {
    /// Why, in words.
    pub(super) reason: String,
    /// The server was not reached: it is the network's fault.
    unreached: bool,
}

impl Silence {
    /// The server was reached, and said nothing that can be used.
    pub(super) fn of_server(reason: impl Into<String>) -> Self {
        Self {
            reason: reason.into(),
            unreached: false,
        }
    }

    pub(super) const fn verdict(&self) -> &'static Verdict {
        match self.unreached {
            true => &Verdict::Network,
            false => &Verdict::Server,
        }
    }
}

impl From<Error> for Silence {
    fn from(error: Error) -> Self {
        Self {
            unreached: matches!(error, Error::Unreached(_)),
            reason: error.to_string(),
        }
    }
}
