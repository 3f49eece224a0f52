//! What a person wishes of the choice: for one run by flags, for good in the store, of all accounts
//! or of one. Which of several wishes counts is decided here and nowhere else.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use super::policy::Policy;
use super::strategy::Strategy;

/// When an account serves on credit, its windows being spent (PROTOCOL §4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Credits {
    /// When no account has any of its plan left.
    #[default]
    Last,
    /// Not at all.
    Never,
    /// Like any other account.
    Yes,
}

impl Credits {
    /// All of them as they are written, for what a person is told.
    pub const LIST: &str = "last, never or yes";

    /// The word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Last => "last",
            Self::Never => "never",
            Self::Yes => "yes",
        }
    }
}

/// A text that names no use of credit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("not {}", Credits::LIST)]
pub struct Unknown;

impl FromStr for Credits {
    type Err = Unknown;

    fn from_str(text: &str) -> Result<Self, Unknown> {
        let all = [Self::Last, Self::Never, Self::Yes];
        all.into_iter().find(|it| it.word() == text).ok_or(Unknown)
    }
}

impl fmt::Display for Credits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// Wishes, each of which may be missing.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Wishes {
    /// How to choose among the usable accounts.
    pub strategy: Option<Strategy>,
    /// An account with this little left of a window, in percent, is taken last.
    pub reserve: Option<f64>,
    /// What to do with an account that would serve on credit.
    pub credits: Option<Credits>,
}

impl Wishes {
    /// These, and where there is none those.
    #[must_use]
    pub fn or(self, those: Self) -> Self {
        Self {
            strategy: self.strategy.or(those.strategy),
            reserve: self.reserve.or(those.reserve),
            credits: self.credits.or(those.credits),
        }
    }
}

impl Policy {
    /// What of it is understood.
    #[must_use]
    pub fn wishes(&self) -> Wishes {
        let percent = |it: &f64| (0.0..=100.0).contains(it);
        Wishes {
            strategy: read(self.strategy.as_deref()),
            reserve: self.reserve.filter(percent),
            credits: read(self.credits.as_deref()),
        }
    }

    /// Wishes for a strategy, or for none.
    pub fn set_strategy(&mut self, strategy: Option<Strategy>) {
        self.strategy = strategy.map(|it| it.to_string());
    }

    /// Wishes for a reserve in percent, or for none.
    pub fn set_reserve(&mut self, reserve: Option<f64>) {
        self.reserve = reserve;
    }

    /// Wishes for a use of credit, or for none.
    pub fn set_credits(&mut self, credits: Option<Credits>) {
        self.credits = credits.map(|it| it.to_string());
    }
}

fn read<T: FromStr>(text: Option<&str>) -> Option<T> {
    text?.parse().ok()
}
