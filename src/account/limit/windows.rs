//! Quota windows, as headers and JSON tell them.

use std::time::Duration;

use serde_json::Value;

use crate::account::time::UnixMillis;
use crate::account::usage::{Credits, Window};
use crate::account::{Extra, Scope};

/// When a window starts anew. Where the time is past, because one of the clocks is wrong, the
/// seconds that are left are the better word.
pub(super) fn window_reset(
    at: Option<f64>,
    after: Option<f64>,
    now: UnixMillis,
) -> Option<UnixMillis> {
    let at = at.and_then(UnixMillis::from_secs_or_millis);
    let after = after
        .filter(|secs| *secs > 0.0)
        .and_then(|secs| from_now(secs, now));
    at.filter(|at| *at > now).or(after).or(at)
}

/// A window of no length is none.
pub(super) fn window(
    scope: Option<Scope>,
    minutes: f64,
    used_percent: f64,
    resets_at: Option<UnixMillis>,
) -> Option<Window> {
    // A float to integer cast saturates.
    let minutes = minutes.ceil() as u32;
    (minutes > 0 && used_percent.is_finite()).then(|| Window {
        scope,
        minutes,
        used_percent: used_percent.max(0.0),
        resets_at,
        extra: Extra::new(),
    })
}

pub(super) fn json_window(
    scope: Option<Scope>,
    told: &Value,
    minutes: f64,
    now: UnixMillis,
) -> Option<Window> {
    let resets_at = json_number(&told["reset_at"]);
    let resets_after = json_number(&told["reset_after_seconds"]);
    window(
        scope,
        minutes,
        json_number(&told["used_percent"])?,
        window_reset(resets_at, resets_after, now),
    )
}

/// The credit that an event or the usage endpoint tells of; it is of no use where a limit on it is
/// reached.
pub(super) fn json_credits(told: &Value, spent: bool) -> Option<Credits> {
    let has = told["has_credits"].as_bool()? || told["unlimited"].as_bool() == Some(true);
    let over = told["overage_limit_reached"].as_bool() == Some(true);
    let balance = match &told["balance"] {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    Some(Credits {
        available: has && !over && !spent,
        balance,
        extra: Extra::new(),
    })
}

/// A number, also where it was written as text.
pub(super) fn json_number(value: &Value) -> Option<f64> {
    value
        .as_f64()
        .or_else(|| value.as_str()?.trim().parse().ok())
        .filter(|number| number.is_finite())
}

/// The time so many seconds from now.
pub(super) fn from_now(secs: f64, now: UnixMillis) -> Option<UnixMillis> {
    Some(now.plus(Duration::try_from_secs_f64(secs).ok()?))
}

/// Of the used-up windows of a scope, the one that resets last.
pub(super) fn last_exhausted<'a>(
    windows: impl IntoIterator<Item = &'a Window>,
    scope: Option<&Scope>,
) -> Option<&'a Window> {
    windows
        .into_iter()
        .filter(|window| window.scope.as_ref() == scope && window.exhausted())
        .max_by_key(|window| window.resets_at)
}
