//! Times as the protocol writes them. Rounds up throughout, so that a client that waits as told does not come too early.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Milliseconds since 1970.
pub(super) fn unix_millis(time: SystemTime) -> u64 {
    u64::try_from(since_1970(time).as_millis()).unwrap_or(u64::MAX)
}

/// Seconds since 1970.
pub(super) fn unix_seconds(time: SystemTime) -> u64 {
    whole_seconds(since_1970(time))
}

/// The seconds from `now` to `then`; 0 if that is past.
pub(super) fn seconds_until(then: SystemTime, now: SystemTime) -> u64 {
    then.duration_since(now).map_or(0, whole_seconds)
}

/// The duration in seconds.
pub(super) fn whole_seconds(duration: Duration) -> u64 {
    duration
        .as_secs()
        .saturating_add(u64::from(duration.subsec_nanos() > 0))
}

/// A point in time so long after another, a hundred years at most: an HTTP-date ends with the year 9999.
pub(super) fn after(time: SystemTime, duration: Duration) -> SystemTime {
    const CENTURY: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);
    time.checked_add(duration.min(CENTURY)).unwrap_or(time)
}

fn since_1970(time: SystemTime) -> Duration {
    time.duration_since(UNIX_EPOCH).unwrap_or_default()
}
