//! A mark: that an account is limited or refused, as it was seen. It is a fact with its source; by
//! which rules one is made, extended and lifted, `recording` says.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::limit::{Class, Source, longest};
use super::time::{self, UnixMillis};
use super::{Extra, Scope};

/// Two clocks may differ by this much and both be right.
const CLOCKS_DIFFER: Duration = Duration::from_secs(5 * 60);

/// That an account is limited, as it was seen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Mark {
    /// When it is over.
    pub until: UnixMillis,
    /// Used up, or just too fast.
    #[serde(default = "quota")]
    pub class: Class,
    /// How the end is known.
    #[serde(default = "unknown_source")]
    pub source: Source,
    /// When it was seen.
    #[serde(default, with = "time::or_zero")]
    pub marked_at: Option<UnixMillis>,
    /// The length of the window that was used up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window_minutes: Option<u32>,
    /// How often in a row a limit came without a hint.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub repeats: u32,
    /// The models it covers, for a limit of one family.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub models: Vec<String>,
    /// When a request was served in spite of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub served_at: Option<UnixMillis>,
    /// Fields that this program does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

fn quota() -> Class {
    Class::Quota
}

fn unknown_source() -> Source {
    Source::Other("unknown".to_owned())
}

// serde passes a reference.
#[allow(clippy::trivially_copy_pass_by_ref)]
const fn is_zero(number: &u32) -> bool {
    *number == 0
}

impl Mark {
    /// The mark for a reset time that a program wrote which knows no marks.
    #[must_use]
    pub fn by_other_program(until: UnixMillis) -> Self {
        Self {
            marked_at: None,
            ..Self::until(
                until,
                Source::Other("rateLimitResetTime".to_owned()),
                UnixMillis::from_millis(0),
            )
        }
    }

    /// The mark of a used-up quota, seen now.
    pub(super) fn until(until: UnixMillis, source: Source, now: UnixMillis) -> Self {
        Self {
            until,
            class: Class::Quota,
            source,
            marked_at: Some(now),
            window_minutes: None,
            repeats: 0,
            models: Vec::new(),
            served_at: None,
            extra: Extra::new(),
        }
    }

    /// Whether it holds now: it is not over, and no clock that was ahead made it.
    #[must_use]
    pub fn holds(&self, now: UnixMillis) -> bool {
        self.until > now && !self.is_void(now)
    }

    /// Whether it is of a time that it can't be of: made later than now, or to end later than any
    /// limit of its kind can. A clock that was ahead leaves such marks.
    #[must_use]
    pub fn is_void(&self, now: UnixMillis) -> bool {
        let longest = longest(self.window_minutes, &self.source);
        let soon = now.plus(CLOCKS_DIFFER);
        self.until > soon.plus(longest) || self.marked_at.is_some_and(|at| at > soon)
    }

    /// Whether a request for `model` falls under it. A limit of one family covers the models it was
    /// seen with; where the model is not known, only the default scope counts.
    #[must_use]
    pub fn covers(&self, scope: &Scope, model: Option<&str>) -> bool {
        let is_this = |model: &str| self.models.iter().any(|covered| same_model(covered, model));
        matches!(scope.as_str(), Scope::DEFAULT | Scope::REFUSED) || model.is_some_and(is_this)
    }

    pub(super) fn by_hand(&self) -> bool {
        self.source == Source::Hand
    }
}

/// Whether two names are of one model.
pub(super) fn same_model(one: &str, other: &str) -> bool {
    bare_model(one).eq_ignore_ascii_case(bare_model(other))
}

/// The name without the provider that opencode puts before it: `openai/gpt-5.5`.
pub(super) fn bare_model(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}
