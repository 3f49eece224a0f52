//! When a limit is over, and how that is known.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::body::Body;
use super::headers::Headers;
use super::spoken::spoken_wait;
use super::windows::from_now;
use crate::account::time::UnixMillis;
use crate::account::usage::Window;

/// No limit is believed to last longer than this.
pub const LONGEST: Duration = Duration::from_secs(8 * 24 * 60 * 60);

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
        let at = sensible(at?, now)?;
        Some(Reset { at, source })
    })
}

/// A past time is no hint, and none is believed beyond [`LONGEST`].
pub(super) fn sensible(at: UnixMillis, now: UnixMillis) -> Option<UnixMillis> {
    (at > now).then(|| at.min(now.plus(LONGEST)))
}
