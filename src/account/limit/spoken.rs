//! Times in a text for people.

use std::time::Duration;

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;

use crate::account::time::UnixMillis;

/// The time in "try again at Dec 12th, 2026 8:32 AM" or, for the next time that a clock shows it,
/// "try again at 8:32 AM".
pub(super) fn spoken_clock(message: &str, now: UnixMillis, zone: &TimeZone) -> Option<UnixMillis> {
    let lower = message.to_lowercase();
    let (_, rest) = lower.split_once("try again at ")?;
    let mut words = rest
        .split_whitespace()
        .map(|word| word.trim_end_matches(|c: char| !c.is_alphanumeric()))
        .peekable();
    let of_now = || {
        let millis = i64::try_from(now.as_millis()).ok()?;
        let now = jiff::Timestamp::from_millisecond(millis).ok()?;
        Some(zone.to_datetime(now).date())
    };
    if words.peek()?.starts_with(|c: char| c.is_ascii_digit()) {
        let (time, today) = (time(words)?, of_now()?);
        let at = moment(today.to_datetime(time), zone)?;
        return match at > now {
            true => Some(at),
            false => moment(today.tomorrow().ok()?.to_datetime(time), zone),
        };
    }
    let month = month(words.next()?)?;
    let day = leading(words.next()?, |c| c.is_ascii_digit())
        .parse()
        .ok()?;
    let year = words.next()?.parse().ok()?;
    let date = Date::new(year, month, day).ok()?;
    moment(date.to_datetime(time(words)?), zone)
}

fn moment(time: DateTime, zone: &TimeZone) -> Option<UnixMillis> {
    let time = zone.to_timestamp(time).ok()?;
    let millis = u64::try_from(time.as_millisecond()).ok()?;
    Some(UnixMillis::from_millis(millis))
}

/// `8:32 am`, `20:32`.
fn time<'a>(mut words: impl Iterator<Item = &'a str>) -> Option<Time> {
    let (hour, minute) = words.next()?.split_once(':')?;
    let (hour, minute): (i8, i8) = (hour.parse().ok()?, minute.parse().ok()?);
    let hour = match words.next() {
        Some("am") if (1..=12).contains(&hour) => hour % 12,
        Some("pm") if (1..=12).contains(&hour) => hour % 12 + 12,
        _ => hour,
    };
    Time::new(hour, minute, 0, 0).ok()
}

fn month(name: &str) -> Option<i8> {
    const NAMES: [&str; 12] = [
        "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
    ];
    let found = NAMES.iter().position(|start| name.starts_with(start))?;
    i8::try_from(found + 1).ok()
}

/// The wait in "Please try again in 1m2.5s": numbers with a unit, one after another.
pub(super) fn spoken_wait(message: &str) -> Option<Duration> {
    const BEFORE: &str = "try again in";
    let lower = message.to_lowercase();
    let mut rest = &lower[lower.find(BEFORE)? + BEFORE.len()..];
    let mut total = 0.0;
    loop {
        let number = leading(rest.trim_start(), |c| c.is_ascii_digit() || c == '.');
        let Some(secs) = number.parse::<f64>().ok().and_then(|count| {
            let after = &rest.trim_start()[number.len()..];
            let unit = leading(after.trim_start(), |c| c.is_ascii_alphabetic());
            rest = &after.trim_start()[unit.len()..];
            Some(count * seconds_in(unit)?)
        }) else {
            break;
        };
        total += secs;
    }
    Duration::try_from_secs_f64(total)
        .ok()
        .filter(|wait| !wait.is_zero())
}

fn leading(text: &str, belongs: impl Fn(char) -> bool) -> &str {
    let end = text.find(|c| !belongs(c)).unwrap_or(text.len());
    &text[..end]
}

fn seconds_in(unit: &str) -> Option<f64> {
    match unit {
        "ms" | "millisecond" | "milliseconds" => Some(0.001),
        "s" | "sec" | "secs" | "second" | "seconds" => Some(1.0),
        "m" | "min" | "mins" | "minute" | "minutes" => Some(60.0),
        "h" | "hr" | "hrs" | "hour" | "hours" => Some(3600.0),
        "d" | "day" | "days" => Some(86_400.0),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spoken_clocks() {
        let now = UnixMillis::from_secs(1_777_922_696); // 2026-05-04 19:24:56 UTC
        let zone = TimeZone::fixed(jiff::tz::offset(2)); // 21:24 there
        for (message, after) in [
            ("or try again at May 5th, 2026 8:32 AM.", Some(40_024)),
            ("try again at Jun 3rd, 2026 12:00 AM.", Some(2_514_904)),
            ("try again at 11:00 PM.", Some(5_704)),
            ("try again at 9:24 PM", Some(86_344)),
            ("try again at 23:00", Some(5_704)),
            ("try again at Feb 30th, 2026 8:32 AM.", None),
            ("try again at Mayday", None),
            ("try again at 25:00 PM", None),
            ("try again at ", None),
            ("try again later", None),
        ] {
            let after = after.map(|secs| now.plus(Duration::from_secs(secs)));
            assert_eq!(spoken_clock(message, now, &zone), after, "{message}");
        }
    }

    #[test]
    fn spoken_waits() {
        for (message, wait) in [
            ("Please try again in 1.898s.", Some(1898)),
            ("try again in 28ms", Some(28)),
            ("Try again in 20s", Some(20_000)),
            ("try again in 1m2.5s", Some(62_500)),
            ("try again in 3 hours 5 minutes.", Some(11_100_000)),
            ("try again in a while", None),
            ("try again in 5 parsecs", None),
            ("try again in 99999999999999999999999d", None),
            ("later", None),
        ] {
            assert_eq!(
                spoken_wait(message),
                wait.map(Duration::from_millis),
                "{message}"
            );
        }
    }
}
