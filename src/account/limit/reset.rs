//! When a limit is over, and how that is known.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::body::Body;
use super::headers::Headers;
use super::spoken::spoken_wait;
use super::windows::from_now;
use crate::account::time::UnixMillis;
use crate::account::usage::Window;

/// No limit is believed to last longer than this, but where its window is longer.
pub const LONGEST: Duration = Duration::from_secs(8 * 24 * 60 * 60);

/// No window is believed to be longer than this: 30 days are seen, and budgets of a month.
pub const LONGEST_WINDOW: Duration = Duration::from_secs(31 * 24 * 60 * 60);

/// How long a limit can last, by the length of its window and where its end was read.
#[must_use]
pub fn longest(window_minutes: Option<u32>, source: &Source) -> Duration {
    // What another program wrote may be about any window.
    if matches!(source, Source::Budget | Source::Other(_)) {
        return LONGEST_WINDOW;
    }
    let window = Duration::from_secs(u64::from(window_minutes.unwrap_or(0)) * 60);
    window.min(LONGEST_WINDOW).max(LONGEST)
}

/// When a limit is over, and how that is known.
#[derive(Clone, Debug, PartialEq)]
pub struct Reset {
    /// The time.
    pub at: UnixMillis,
    /// Where it was read.
    pub source: Source,
}

/// Where the time of a reset was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Source {
    /// `error.resets_at` of the body.
    #[serde(rename = "body.resets_at")]
    BodyResetsAt,
    /// `error.resets_in_seconds` of the body.
    #[serde(rename = "body.resets_in_seconds")]
    BodyResetsInSeconds,
    /// The headers of a used-up window.
    #[serde(rename = "headers.window")]
    Window,
    /// `spend_control.individual_limit.reset_at`.
    #[serde(rename = "spend_control")]
    Budget,
    /// `Retry-After-Ms`.
    #[serde(rename = "headers.retry-after-ms")]
    RetryAfterMs,
    /// `Retry-After`.
    #[serde(rename = "headers.retry-after")]
    RetryAfter,
    /// `retry_after_ms` of the body.
    #[serde(rename = "body.retry_after_ms")]
    BodyRetryAfterMs,
    /// `retry_after` of the body.
    #[serde(rename = "body.retry_after")]
    BodyRetryAfter,
    /// "try again in …" of the body's message.
    #[serde(rename = "body.message")]
    Message,
    /// A model's name in the body's message; how long it holds is a guess.
    #[serde(rename = "body.model")]
    Model,
    /// The status alone; how long it holds is a guess.
    #[serde(rename = "status")]
    Status,
    /// The usage endpoint.
    #[serde(rename = "usage")]
    Usage,
    /// Nothing said it: a guess that doubles with each repeat.
    #[serde(rename = "backoff")]
    Backoff,
    /// A person or a script set it.
    #[serde(rename = "hand")]
    Hand,
    /// A word that another program wrote.
    #[serde(untagged)]
    Other(String),
}

/// When it resets: the first of the sources, in the order of DESIGN §2, that names a time to come.
pub(super) fn reset(
    headers: &Headers,
    body: &Body,
    used_up: Option<&Window>,
    now: UnixMillis,
) -> Option<Reset> {
    let after = |secs: f64| from_now(secs, now);
    let sources = [
        (
            body.resets_at.and_then(UnixMillis::from_secs_or_millis),
            Source::BodyResetsAt,
        ),
        (
            body.resets_in_seconds.and_then(after),
            Source::BodyResetsInSeconds,
        ),
        (used_up.and_then(|window| window.resets_at), Source::Window),
        (
            body.budget_resets_at
                .and_then(UnixMillis::from_secs_or_millis),
            Source::Budget,
        ),
        (
            headers.retry_after_ms.and_then(|ms| after(ms / 1000.0)),
            Source::RetryAfterMs,
        ),
        (headers.retry_after, Source::RetryAfter),
        (
            body.retry_after_ms.and_then(|ms| after(ms / 1000.0)),
            Source::BodyRetryAfterMs,
        ),
        (body.retry_after.and_then(after), Source::BodyRetryAfter),
        (
            spoken_wait(&body.message).map(|wait| now.plus(wait)),
            Source::Message,
        ),
    ];
    sources.into_iter().find_map(|(at, source)| {
        Reset::believed(at?, source, used_up.map(|window| window.minutes), now)
    })
}

impl Reset {
    /// A past time is no hint, and none is believed beyond [`longest`].
    pub(super) fn believed(
        at: UnixMillis,
        source: Source,
        window_minutes: Option<u32>,
        now: UnixMillis,
    ) -> Option<Self> {
        let last = now.plus(longest(window_minutes, &source));
        (at > now).then(|| Self {
            at: at.min(last),
            source,
        })
    }
}
