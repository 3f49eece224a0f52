//! The windows of an account in the two columns that a person looks at: one of those shorter than a
//! week, and a long one. The servers' lengths are not always five hours and a week.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::account::time::UnixMillis;
use crate::account::usage::{Usage, WEEKLY_MINUTES, Window};
use crate::cli::when;
use crate::store::Document;

/// The length of the usual short window, in minutes.
const SHORT_MINUTES: u32 = 300;

/// The head of a column of windows of a month.
pub(super) const MONTHLY: &str = "30 D LEFT";

/// One of the two columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Group {
    Short,
    Long,
}

impl Group {
    /// The window that this column shows: of the short ones the fullest, of the others the longest.
    pub(super) fn window(self, usage: &Usage, now: UnixMillis) -> Option<&Window> {
        let mut windows: Vec<&Window> = (usage.windows.iter())
            .filter(|window| window.scope.is_none() && Self::of(window.minutes) == self)
            .collect();
        match self {
            Self::Short => windows.sort_by(|one, other| {
                let used = |window: &Window| window.used_percent_at(now);
                used(one).total_cmp(&used(other))
            }),
            Self::Long => windows.sort_by_key(|window| window.minutes),
        }
        windows.pop()
    }

    fn of(minutes: u32) -> Self {
        if minutes < WEEKLY_MINUTES && !is_about(minutes, WEEKLY_MINUTES) {
            Self::Short
        } else {
            Self::Long
        }
    }

    /// What stands above: how long these windows are, where all have one length.
    pub(super) fn head(self, document: &Document, now: UnixMillis) -> &'static str {
        let lengths: BTreeSet<Length> = (document.accounts.iter())
            .filter_map(|account| self.window(account.usage.as_ref()?, now))
            .map(|window| Length::of(window.minutes))
            .collect();
        let mut lengths = lengths.into_iter();
        match (self, lengths.next(), lengths.next()) {
            (Self::Short, None | Some(Length::FiveHours), None) => "5 H LEFT",
            (Self::Long, None | Some(Length::Week), None) => "WEEK LEFT",
            (Self::Long, Some(Length::Month), None) => MONTHLY,
            (Self::Short, ..) => "SHORT LEFT",
            (Self::Long, ..) => "LONG LEFT",
        }
    }
}

/// A length as people call it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Length {
    FiveHours,
    Week,
    Month,
    Minutes(u32),
}

impl Length {
    fn of(minutes: u32) -> Self {
        const MONTH_MINUTES: u32 = 30 * 24 * 60;
        if is_about(minutes, SHORT_MINUTES) {
            Self::FiveHours
        } else if is_about(minutes, WEEKLY_MINUTES) {
            Self::Week
        } else if is_about(minutes, MONTH_MINUTES) {
            Self::Month
        } else {
            Self::Minutes(minutes)
        }
    }
}

/// How long a window is, where its column's usual length is another: `30 d`.
pub(super) fn unusual_length(window: &Window) -> Option<String> {
    match Length::of(window.minutes) {
        Length::FiveHours | Length::Week => None,
        Length::Month | Length::Minutes(_) => {
            let length = Duration::from_secs(u64::from(window.minutes) * 60);
            Some(when::span(length))
        }
    }
}

/// Whether two lengths are one to the servers: one that counts seconds may be a minute short.
fn is_about(minutes: u32, usual: u32) -> bool {
    minutes.abs_diff(usual) <= usual / 20
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::Extra;

    fn window(minutes: u32, used_percent: f64) -> Window {
        Window {
            scope: None,
            minutes,
            used_percent,
            resets_at: None,
            extra: Extra::new(),
        }
    }

    #[test]
    fn every_length_has_its_column() {
        let now = UnixMillis::from_secs(1);
        for (minutes, short, long) in [
            (&[300, 10_080][..], Some(300), Some(10_080)),
            (&[299, 10_079], Some(299), Some(10_079)),
            (&[43_200], None, Some(43_200)),
            (&[10_080, 43_200, 60, 300], Some(300), Some(43_200)),
        ] {
            let windows = minutes.iter().map(|it| window(*it, f64::from(*it % 301)));
            let usage = Usage {
                windows: windows.collect(),
                ..Usage::default()
            };
            let length = |group: Group| group.window(&usage, now).map(|it| it.minutes);
            assert_eq!(length(Group::Short), short, "{minutes:?}");
            assert_eq!(length(Group::Long), long, "{minutes:?}");
        }
    }

    #[test]
    fn what_is_no_week_says_how_long_it_is() {
        let length = |minutes| unusual_length(&window(minutes, 0.0));
        assert_eq!([299, 10_079].map(length), [None, None]);
        assert_eq!(length(43_200).as_deref(), Some("30 d"));
        assert_eq!(length(60).as_deref(), Some("1 h"));
    }
}
