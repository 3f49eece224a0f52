//! The list of an account's banked resets, and the answer to redeeming one (PROTOCOL §4).

use serde_json::Value;

use crate::account::Extra;
use crate::account::time::UnixMillis;
use crate::account::usage::BankedResets;

/// A banked reset that can be redeemed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BankedReset {
    /// Its id.
    pub id: String,
    /// What the backend calls it: `Full reset (Weekly + 5 hr)`.
    pub title: Option<String>,
    /// When it expires, if it does.
    pub expires_at: Option<UnixMillis>,
}

/// Reads the list: those that can be redeemed, the one that expires first first. `None` for what
/// is no such list.
#[must_use]
pub fn read_list(list: &Value) -> Option<Vec<BankedReset>> {
    let credits = list.as_array().or_else(|| list["credits"].as_array())?;
    let mut found: Vec<BankedReset> = credits.iter().filter_map(available).collect();
    found.sort_by_key(|reset| reset.expires_at.map_or(u64::MAX, UnixMillis::as_millis));
    Some(found)
}

fn available(credit: &Value) -> Option<BankedReset> {
    let is_available = credit["status"].as_str() == Some("available");
    let id = credit["id"].as_str().filter(|id| !id.is_empty())?;
    is_available.then(|| BankedReset {
        id: id.to_owned(),
        title: credit["title"].as_str().map(str::to_owned),
        expires_at: credit["expires_at"].as_str().and_then(rfc3339),
    })
}

fn rfc3339(text: &str) -> Option<UnixMillis> {
    let time: jiff::Timestamp = text.trim().parse().ok()?;
    u64::try_from(time.as_millisecond())
        .ok()
        .map(UnixMillis::from_millis)
}

/// What the store keeps of a list, unless nothing is in it.
#[must_use]
pub fn summary(list: &[BankedReset]) -> Option<BankedResets> {
    (!list.is_empty()).then(|| BankedResets {
        count: u32::try_from(list.len()).unwrap_or(u32::MAX),
        first_expires_at: list.iter().filter_map(|reset| reset.expires_at).min(),
        extra: Extra::new(),
    })
}

/// What came of redeeming one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Redeemed {
    /// The windows begin anew.
    Reset,
    /// No window was used.
    NothingToReset,
    /// There is none to redeem.
    NoCredit,
    /// It was redeemed before.
    Already,
}

impl Redeemed {
    /// Reads the answer; `None` for what is none.
    #[must_use]
    pub fn read(answer: &Value) -> Option<Self> {
        Some(match answer["code"].as_str()? {
            "reset" => Self::Reset,
            "nothing_to_reset" => Self::NothingToReset,
            "no_credit" => Self::NoCredit,
            "already_redeemed" => Self::Already,
            _ => return None,
        })
    }
}
