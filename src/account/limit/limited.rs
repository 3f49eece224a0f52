//! A limit: what is limited, of which kind, and until when.

use std::time::Duration;

use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use super::body::Body;
use super::codes::Meaning;
use super::headers::Headers;
use super::reset::{Reset, Source, reset};
use super::spoken::spoken_clock;
use crate::account::Scope;
use crate::account::time::UnixMillis;

/// A wait up to this long is a matter of pace, not of a used-up quota.
const LONGEST_THROTTLE: Duration = Duration::from_secs(2 * 60);

/// A limit, as one response tells it.
#[derive(Clone, Debug, PartialEq)]
pub struct Limit {
    /// What is limited: everything, or one model family.
    pub scope: Scope,
    /// Models that the response says the limit is for.
    pub models: Vec<String>,
    /// Used up, or just too fast.
    pub class: Class,
    /// When it is over; `None` if the response does not say.
    pub reset: Option<Reset>,
    /// The length of the window that is used up.
    pub window_minutes: Option<u32>,
}

impl Limit {
    /// A limit of which no more is known than that it is there.
    #[must_use]
    pub fn unexplained(scope: Scope) -> Self {
        Self {
            scope,
            models: Vec::new(),
            class: Class::Throttle,
            reset: None,
            window_minutes: None,
        }
    }
}

impl Limit {
    /// Takes the end from a clock time in a text for people, where nothing else told it.
    pub fn take_spoken_clock(&mut self, message: &str, now: UnixMillis, zone: &TimeZone) {
        if self.reset.is_none() {
            self.reset = spoken_clock(message, now, zone)
                .and_then(|at| Reset::believed(at, Source::Message, self.window_minutes, now));
        }
    }
}

/// The kind of a limit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// A window or the credit is used up.
    Quota,
    /// Too many requests in a short time.
    Throttle,
    /// A model that the account is not served with.
    ModelNotIncluded,
    /// A fresh token that was not accepted.
    Refused,
    /// A word that another program wrote.
    #[serde(untagged)]
    Other(String),
}

pub(super) fn limit(headers: &Headers, body: &Body, now: UnixMillis) -> Limit {
    let used_up = headers.last_exhausted();
    let reset = reset(headers, body, used_up, now);
    let wait = reset.as_ref().map(|reset| reset.at.since(now));
    let says_quota = body.means(Meaning::UsedUp)
        || headers.reached_type.is_some()
        || body.message.to_lowercase().contains("usage limit");
    let brief = wait.is_none_or(|wait| wait <= LONGEST_THROTTLE);
    let class = if used_up.is_none() && !says_quota && brief {
        Class::Throttle
    } else {
        Class::Quota
    };
    Limit {
        scope: headers.active.clone().unwrap_or_else(Scope::default_scope),
        models: headers.active_models.clone(),
        class,
        reset,
        window_minutes: used_up
            .map(|window| window.minutes)
            .filter(|minutes| *minutes > 0),
    }
}
