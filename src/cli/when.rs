//! Times as a person reads them: the clock of where they are, and how long that is. Records have
//! their own form.

use std::time::Duration;

use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan, ZonedDateTime};

use crate::account::time::UnixMillis;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// A clock that names no day is read as that of the next time it shows this; so far ahead nobody
/// reads it otherwise.
const NEAR: Duration = Duration::from_secs(12 * HOUR);

/// The present time, where the person is.
#[derive(Clone, Debug)]
pub(super) struct Local {
    now: UnixMillis,
    zone: TimeZone,
}

impl Local {
    /// The time zone is the system's, or the one that `TZ` names.
    pub(super) fn new(now: UnixMillis) -> Self {
        let zone = TimeZone::system();
        Self { now, zone }
    }

    pub(super) fn now(&self) -> UnixMillis {
        self.now
    }

    /// `14:20` of today or within the next hours, within a week `Mon 14:20`, else `4 May 14:20`.
    pub(super) fn clock(&self, time: UnixMillis) -> String {
        let format = match self.distance(time) {
            Distance::Near => "%H:%M",
            Distance::Week => "%a %H:%M",
            Distance::Far => "%-d %b %H:%M",
        };
        self.zoned(time).strftime(format).to_string()
    }

    /// The same in fewer letters: `14:20`, `Mon`, `4 May`.
    pub(super) fn short_clock(&self, time: UnixMillis) -> String {
        let format = match self.distance(time) {
            Distance::Near => "%H:%M",
            Distance::Week => "%a",
            Distance::Far => "%-d %b",
        };
        self.zoned(time).strftime(format).to_string()
    }

    /// `2026-05-04 14:20:08`: for a list of times.
    pub(super) fn stamp(&self, time: UnixMillis) -> String {
        let zoned = self.zoned(time);
        zoned.strftime("%Y-%m-%d %H:%M:%S").to_string()
    }

    /// `05-04 14:20`: the same in fewer letters.
    pub(super) fn short_stamp(&self, time: UnixMillis) -> String {
        self.zoned(time).strftime("%m-%d %H:%M").to_string()
    }

    /// How long until then, as [`span`] has it.
    pub(super) fn until(&self, time: UnixMillis) -> String {
        span(time.since(self.now))
    }

    /// How long ago, in one unit: `now`, `3 min`, `2 h`, `4 d`.
    pub(super) fn age(&self, time: UnixMillis) -> String {
        match self.now.since(time).as_secs() {
            secs if secs < MINUTE => "now".to_owned(),
            secs if secs < HOUR => format!("{} min", secs / MINUTE),
            secs if secs < 2 * DAY => format!("{} h", secs / HOUR),
            secs => format!("{} d", secs / DAY),
        }
    }

    fn distance(&self, time: UnixMillis) -> Distance {
        let (now, then) = (self.zoned(self.now), self.zoned(time));
        let ahead = time.since(self.now);
        if then.date() == now.date() || (!ahead.is_zero() && ahead <= NEAR) {
            return Distance::Near;
        }
        // After six days the name of a day would be that of today.
        let week = 6.days();
        let (first, last) = (
            now.date().saturating_sub(week),
            now.date().saturating_add(week),
        );
        if (first..=last).contains(&then.date()) {
            Distance::Week
        } else {
            Distance::Far
        }
    }

    fn zoned(&self, time: UnixMillis) -> ZonedDateTime {
        let millis = i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
        let timestamp = Timestamp::from_millisecond(millis).unwrap_or(Timestamp::MAX);
        timestamp.to_zoned_datetime(self.zone.clone())
    }
}

/// How far a time is from the present one.
#[derive(Clone, Copy)]
enum Distance {
    Near,
    Week,
    Far,
}

/// A length of time in two units at most, rounded up: `45 s`, `12 min`, `2 h 5 min`, `3 d 4 h`.
pub(super) fn span(length: Duration) -> String {
    let secs = length.as_millis().div_ceil(1000);
    let secs = u64::try_from(secs).unwrap_or(u64::MAX);
    if secs < MINUTE {
        return format!("{secs} s");
    }
    let (count, unit, big, small) = if secs <= DAY {
        (secs.div_ceil(MINUTE), HOUR / MINUTE, "h", "min")
    } else {
        (secs.div_ceil(HOUR), DAY / HOUR, "d", "h")
    };
    match (count / unit, count % unit) {
        (0, few) => format!("{few} {small}"),
        (many, 0) => format!("{many} {big}"),
        (many, few) => format!("{many} {big} {few} {small}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn local(secs: u64) -> Local {
        Local {
            now: UnixMillis::from_secs(secs),
            zone: TimeZone::UTC,
        }
    }

    #[test]
    fn a_clock_names_the_day_where_it_is_not_today() {
        let local = local(1_777_922_696); // 2026-05-04 19:24:56, a Monday
        let clock = |secs| {
            let time = UnixMillis::from_secs(1_777_922_696_u64.saturating_add_signed(secs));
            (local.clock(time), local.short_clock(time))
        };
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        assert_eq!(clock(3600), pair("20:24", "20:24"));
        assert_eq!(clock(6 * 3600), pair("01:24", "01:24"));
        assert_eq!(clock(13 * 3600), pair("Tue 08:24", "Tue"));
        assert_eq!(clock(6 * 86_400), pair("Sun 19:24", "Sun"));
        assert_eq!(clock(7 * 86_400), pair("11 May 19:24", "11 May"));
        assert_eq!(clock(-86_400), pair("Sun 19:24", "Sun"));
    }

    #[test]
    fn spans_have_two_units_at_most_and_are_rounded_up() {
        for (secs, text) in [
            (0, "0 s"),
            (45, "45 s"),
            (61, "2 min"),
            (3600, "1 h"),
            (2 * 3600 + 4 * 60 + 1, "2 h 5 min"),
            (86_400, "24 h"),
            (3 * 86_400 + 3 * 3600 + 1, "3 d 4 h"),
        ] {
            assert_eq!(span(Duration::from_secs(secs)), text);
        }
        assert_eq!(span(Duration::from_millis(1)), "1 s");
    }

    #[test]
    fn ages_are_rounded_down() {
        let local = local(1_000_000);
        let age = |secs: u64| local.age(UnixMillis::from_secs(1_000_000 - secs));
        assert_eq!(
            ["now", "3 min", "2 h", "2 d"],
            [age(59), age(239), age(7300), age(200_000)]
                .each_ref()
                .map(String::as_str)
        );
    }
}
