//! How much of an account's quota is used: windows, told by their length and never by the slot
//! they came in, since the weekly window turns up as the primary one (PROTOCOL §4).

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::time::{self, UnixMillis};
use super::{Extra, Scope};

/// The length of the weekly window, in minutes.
pub const WEEKLY_MINUTES: u32 = 10_080;

/// What was seen of an account's quota.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Usage {
    /// The windows, one for each scope and length.
    #[serde(default)]
    pub windows: Vec<Window>,
    /// When they were last seen.
    #[serde(default, with = "time::or_zero")]
    pub observed_at: Option<UnixMillis>,
    /// What goes on where the plan's windows end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credits: Option<Credits>,
    /// What the workspace lets this member spend.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<Budget>,
    /// Resets that are kept for when they are wanted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub banked_resets: Option<BankedResets>,
    /// Fields that this program does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// The credit of an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Credits {
    /// Whether it is served on credit: there is some, and no limit on it is reached.
    pub available: bool,
    /// How much there is, as the backend writes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub balance: Option<String>,
    /// Fields that this program does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// The budget that a workspace gives a member.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Budget {
    /// How much of it is used, in percent.
    pub used_percent: f64,
    /// When it begins anew, if that was told.
    #[serde(default, with = "time::or_zero")]
    pub resets_at: Option<UnixMillis>,
    /// Fields that this program does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// The banked resets of an account (PROTOCOL §4).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BankedResets {
    /// How many there are.
    pub count: u32,
    /// When the first of them expires, if that was told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_expires_at: Option<UnixMillis>,
    /// Fields that this program does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// One quota window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Window {
    /// What it is a limit of; absent for the limit of all models.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<Scope>,
    /// Its length in minutes: 300 is the five hours', 10080 the weekly one.
    pub minutes: u32,
    /// How much of it is used, in percent.
    pub used_percent: f64,
    /// When it starts anew, if that was told.
    #[serde(default, with = "time::or_zero")]
    pub resets_at: Option<UnixMillis>,
    /// Fields that this program does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

impl Window {
    /// Whether nothing is left of it.
    #[must_use]
    pub fn exhausted(&self) -> bool {
        self.used_percent >= 100.0
    }

    /// The percentage used as of now: nothing, once the window has started anew.
    #[must_use]
    pub fn used_percent_at(&self, now: UnixMillis) -> f64 {
        match self.resets_at {
            Some(reset) if reset <= now => 0.0,
            _ => self.used_percent,
        }
    }
}

/// Puts newer windows in the place of those of the same scope and length; windows that are not
/// among them stay.
pub fn update(windows: &mut Vec<Window>, newer: &[Window]) {
    for window in newer {
        let known = windows
            .iter_mut()
            .find(|known| known.minutes == window.minutes && known.scope == window.scope);
        match known {
            Some(known) => {
                known.used_percent = window.used_percent;
                known.resets_at = window.resets_at;
            }
            None => windows.push(window.clone()),
        }
    }
}

impl Usage {
    /// Takes over a newer reading.
    pub fn update(&mut self, newer: &[Window], now: UnixMillis) {
        update(&mut self.windows, newer);
        self.observed_at = Some(now);
    }

    /// Whether the plan's quota is spent and it is credit that goes on.
    #[must_use]
    pub fn on_credit(&self, now: UnixMillis) -> bool {
        let goes_on = self
            .credits
            .as_ref()
            .is_some_and(|credits| credits.available);
        goes_on && self.fullest(now).is_some_and(|used| used >= 100.0)
    }

    /// How much of the weekly window is used, in percent.
    #[must_use]
    pub fn weekly(&self, now: UnixMillis) -> Option<f64> {
        self.used(now, |minutes| minutes == WEEKLY_MINUTES)
    }

    /// Whether the week began anew after `then`, as far as its end is known.
    #[must_use]
    pub fn new_week_since(&self, then: UnixMillis) -> bool {
        const WEEK: Duration = Duration::from_secs(WEEKLY_MINUTES as u64 * 60);
        self.windows.iter().any(|window| {
            let weekly = window.scope.is_none() && window.minutes == WEEKLY_MINUTES;
            weekly && window.resets_at > Some(then.plus(WEEK))
        })
    }

    /// How much of the fullest window shorter than a week is used, in percent.
    #[must_use]
    pub fn short(&self, now: UnixMillis) -> Option<f64> {
        self.used(now, |minutes| minutes < WEEKLY_MINUTES)
    }

    /// How much of the fullest window is used, in percent.
    #[must_use]
    pub fn fullest(&self, now: UnixMillis) -> Option<f64> {
        self.used(now, |_| true)
    }

    fn used(&self, now: UnixMillis, wanted: impl Fn(u32) -> bool) -> Option<f64> {
        self.windows
            .iter()
            .filter(|window| window.scope.is_none() && wanted(window.minutes))
            .map(|window| window.used_percent_at(now))
            .max_by(f64::total_cmp)
    }
}
