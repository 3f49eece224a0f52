//! The header fields that tell of usage: PROTOCOL §4, written out.

use super::account::{Credits, Window, Windows};
use super::clock::{after, seconds_until, unix_seconds};
use super::reply::Field;
use super::style::Style;
use http::header::{HeaderName, HeaderValue};
use std::time::{Duration, SystemTime};

/// The windows of an account that is limited for this long: one of them is used up. A limit that lasts longer than five
/// hours is the weekly window's.
pub(super) fn used_up(
    style: Style,
    windows: Windows,
    resets_in: Duration,
    now: SystemTime,
) -> Windows {
    let until = |minutes| {
        Some(Window {
            minutes,
            used_percent: 100.0,
            resets_at: after(now, resets_in),
        })
    };
    let alone = |minutes| Windows {
        primary: until(minutes),
        secondary: None,
    };
    if style == Style::WeeklyPrimary {
        alone(Window::WEEKLY_MINUTES)
    } else if style == Style::ThirtyDays {
        alone(30 * 24 * 60)
    } else if resets_in <= Duration::from_secs(Window::SHORT_MINUTES * 60) {
        Windows {
            primary: until(Window::SHORT_MINUTES),
            ..windows
        }
    } else {
        Windows {
            secondary: until(Window::WEEKLY_MINUTES),
            ..windows
        }
    }
}

/// The `x-codex-*` fields that come with every answer of the backend.
pub(super) fn usage_headers(
    plan: &str,
    windows: Windows,
    credits: &Credits,
    now: SystemTime,
) -> Vec<Field> {
    let mut fields = Fields::default();
    fields.add("x-codex-plan-type", plan);
    fields.windows("codex", windows, now);
    let said = |yes| if yes { "True" } else { "False" };
    fields.add("x-codex-credits-has-credits", said(credits.has));
    fields.add("x-codex-credits-unlimited", said(credits.unlimited));
    fields.add("x-codex-credits-balance", &credits.balance);
    fields.0
}

/// Header fields in the making. A value that HTTP does not allow, such as a plan with a line break in it, is left out.
#[derive(Default)]
pub(super) struct Fields(pub(super) Vec<Field>);

impl Fields {
    pub(super) fn add(&mut self, name: &str, value: &str) {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            self.0.push((name, value));
        }
    }

    /// The windows of one family: `codex`, or `codex-bengalfox`.
    pub(super) fn windows(&mut self, family: &str, windows: Windows, now: SystemTime) {
        for (slot, window) in [
            ("primary", windows.primary),
            ("secondary", windows.secondary),
        ] {
            let mut add = |field: &str, value: String| {
                self.add(&format!("x-{family}-{slot}-{field}"), &value);
            };
            match window {
                Some(window) => {
                    add("used-percent", window.used_percent.to_string());
                    add("window-minutes", window.minutes.to_string());
                    add(
                        "reset-after-seconds",
                        seconds_until(window.resets_at, now).to_string(),
                    );
                    add("reset-at", unix_seconds(window.resets_at).to_string());
                }
                // A window of 0 minutes is none, and its reset is an empty string, as captured.
                None => {
                    add("used-percent", "0".into());
                    add("window-minutes", "0".into());
                    add("reset-after-seconds", "0".into());
                    add("reset-at", String::new());
                }
            }
        }
    }
}

/// Fields of these names and values.
pub(super) fn fields(pairs: &[(&str, &str)]) -> Vec<Field> {
    let mut fields = Fields::default();
    for (name, value) in pairs {
        fields.add(name, value);
    }
    fields.0
}
