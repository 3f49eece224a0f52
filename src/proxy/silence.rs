//! That an account said nothing: why, and whose fault that is. What is done about it is decided
//! elsewhere.

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

impl From<reqwest::Error> for Silence {
    /// The reason without the address, and with the causes that say what it is.
    fn from(error: reqwest::Error) -> Self {
        let unreached = error.is_connect();
        let mut reason = String::new();
        let mut cause = std::error::Error::source(&error);
        while let Some(error) = cause {
            if !reason.is_empty() {
                reason.push_str(": ");
            }
            reason.push_str(&error.to_string());
            cause = error.source();
        }
        Self { reason, unreached }
    }
}
