//! What the headers say.

use http::HeaderMap;

use super::windows::{from_now, last_exhausted, window, window_reset};
use crate::account::time::UnixMillis;
use crate::account::usage::{Credits, Window};
use crate::account::{Extra, Scope};

/// What the headers say.
#[derive(Debug, Default)]
pub(super) struct Headers {
    pub(super) windows: Vec<Window>,
    /// Windows whose length is not told: they say when a limit ends, and are not kept.
    pub(super) of_no_length: Vec<Window>,
    pub(super) credits: Option<Credits>,
    /// The scope that the response is about, where it is not the default one.
    pub(super) active: Option<Scope>,
    pub(super) active_models: Vec<String>,
    pub(super) plan_type: Option<String>,
    pub(super) reached_type: Option<String>,
    pub(super) retry_after_ms: Option<f64>,
    pub(super) retry_after: Option<UnixMillis>,
    /// Codes of an error, in lower case.
    pub(super) codes: Vec<String>,
    /// Whether the backend wrote any of them.
    of_backend: bool,
}

impl Headers {
    pub(super) fn of(map: &HeaderMap, now: UnixMillis) -> Self {
        let mut families: Vec<String> = map
            .keys()
            .filter_map(|name| family(name.as_str()))
            .map(str::to_owned)
            .collect();
        families.sort();
        families.dedup();

        let named =
            text(map, "x-codex-active-limit").map(|name| name.to_lowercase().replace('_', "-"));
        // A word like `premium` has no family of its own and means the default.
        let is_family = |name: &str| {
            name != "codex" && (name.starts_with("codex-") || families.iter().any(|it| it == name))
        };
        let active = named.filter(|name| is_family(name));
        let active_models = active
            .as_ref()
            .and_then(|family| text(map, &format!("x-{family}-limit-name")))
            .map(str::to_owned);
        let slots = families
            .iter()
            .flat_map(|family| ["primary", "secondary"].map(|slot| (family, slot)));
        let (of_no_length, windows) = slots
            .filter_map(|(family, slot)| header_window(map, family, slot, now))
            .partition(|window| window.minutes == 0);
        Self {
            windows,
            of_no_length,
            credits: header_credits(map),
            active: active.as_deref().map(scope_id),
            active_models: active_models.into_iter().collect(),
            plan_type: text(map, "x-codex-plan-type").map(str::to_owned),
            reached_type: text(map, "x-codex-rate-limit-reached-type").map(str::to_owned),
            retry_after_ms: number(map, "retry-after-ms"),
            retry_after: retry_after(map, now),
            codes: text(map, AUTHORIZATION_ERROR)
                .map(str::to_lowercase)
                .into_iter()
                .collect(),
            of_backend: map.keys().any(|name| is_of_backend(name.as_str())),
        }
    }

    /// Of the used-up windows of the scope that the response is about, the one that resets last.
    pub(super) fn last_exhausted(&self) -> Option<&Window> {
        last_exhausted(
            self.windows.iter().chain(&self.of_no_length),
            self.active.as_ref(),
        )
    }

    /// Whether nothing among them is the backend's.
    pub(super) const fn are_silent(&self) -> bool {
        !self.of_backend
    }

    /// Whether they speak of a limit by themselves, where no status and no body is known.
    pub(super) fn says_limit(&self) -> bool {
        self.reached_type.is_some()
            || self.retry_after.is_some()
            || self.retry_after_ms.is_some()
            || self.last_exhausted().is_some()
    }
}

/// Where the backend says why a workspace was refused (codex api_bridge.rs).
const AUTHORIZATION_ERROR: &str = "x-openai-authorization-error";

fn is_of_backend(name: &str) -> bool {
    name.starts_with("x-codex-") || name == AUTHORIZATION_ERROR
}

/// The family that a usage header belongs to: `codex` of `x-codex-primary-used-percent`.
fn family(name: &str) -> Option<&str> {
    const ENDS: [&str; 3] = [
        "-primary-used-percent",
        "-secondary-used-percent",
        "-limit-name",
    ];
    let rest = name.strip_prefix("x-")?;
    ENDS.iter()
        .find_map(|end| rest.strip_suffix(end))
        .filter(|family| !family.is_empty())
}

/// Dashes in headers, underscores in ids (PROTOCOL §4).
pub(super) fn scope_id(family: &str) -> Scope {
    Scope::new(family.to_lowercase().replace('-', "_"))
}

pub(super) fn scope_of_family(family: &str) -> Option<Scope> {
    (family != "codex").then(|| scope_id(family))
}

/// A window of a length of 0 is one whose length is not told.
fn header_window(map: &HeaderMap, family: &str, slot: &str, now: UnixMillis) -> Option<Window> {
    let name = |name: &str| format!("x-{family}-{slot}-{name}");
    let field = |field: &str| number(map, &name(field));
    let used_percent = field("used-percent")?;
    let reset = window_reset(field("reset-at"), field("reset-after-seconds"), now);
    let scope = scope_of_family(family);
    if text(map, &name("window-minutes")).is_none() {
        return Some(Window {
            minutes: 0,
            ..window(scope, 1.0, used_percent, reset)?
        });
    }
    window(scope, field("window-minutes")?, used_percent, reset)
}

fn header_credits(map: &HeaderMap) -> Option<Credits> {
    let says = |name: &str| {
        text(map, &format!("x-codex-credits-{name}"))
            .map(|said| said == "1" || said.eq_ignore_ascii_case("true"))
    };
    let has = says("has-credits")?;
    Some(Credits {
        available: has || says("unlimited").unwrap_or(false),
        balance: text(map, "x-codex-credits-balance").map(str::to_owned),
        extra: Extra::new(),
    })
}

pub(super) fn text<'a>(map: &'a HeaderMap, name: &str) -> Option<&'a str> {
    map.get(name)
        .and_then(|value| value.to_str().ok())
        .map(str::trim)
        .filter(|text| !text.is_empty())
}

fn number(map: &HeaderMap, name: &str) -> Option<f64> {
    text(map, name)?
        .parse()
        .ok()
        .filter(|number: &f64| number.is_finite() && *number >= 0.0)
}

/// `Retry-After` is seconds or an HTTP-date (RFC 9110 §10.2.3). A date is measured against the
/// response's own `Date`, so that a clock that is wrong here does no harm.
fn retry_after(map: &HeaderMap, now: UnixMillis) -> Option<UnixMillis> {
    if let Some(secs) = number(map, "retry-after") {
        return from_now(secs, now);
    }
    let date = |name| httpdate::parse_http_date(text(map, name)?).ok();
    let until = date("retry-after")?;
    match date("date") {
        Some(sent) => Some(now.plus(until.duration_since(sent).ok()?)),
        None => {
            let since = until.duration_since(std::time::UNIX_EPOCH).ok()?;
            Some(UnixMillis::from_secs(since.as_secs()))
        }
    }
}
