//! What a response says about the account that got it (PROTOCOL §4): limited and until when, login
//! dead, or fine. Every header and every field of a body that means something is named here and
//! nowhere else. It judges one response by itself; what the account's history makes of it is
//! [`super::mark`]'s.

use std::time::Duration;

use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Scope;
use super::time::UnixMillis;
use super::usage::Window;

/// No limit is believed to last longer than this.
pub const LONGEST: Duration = Duration::from_secs(8 * 24 * 60 * 60);

/// A wait up to this long is a matter of pace, not of a used-up quota.
const LONGEST_THROTTLE: Duration = Duration::from_secs(2 * 60);

/// Codes that say the login is dead, at 400 or 401 (PROTOCOL §1).
pub const DEAD_LOGIN: [&str; 9] = [
    "refresh_token_expired",
    "refresh_token_reused",
    "refresh_token_invalidated",
    "refresh_token_revoked",
    "invalid_refresh_token",
    "invalid_grant",
    "token_revoked",
    "token_expired",
    "account_deactivated",
];

/// Those of them that the backend also says of an access token, where a refresh decides.
const OF_ANY_TOKEN: [&str; 2] = ["token_revoked", "token_expired"];

/// What a response means for the account that got it.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// The verdict.
    pub verdict: Verdict,
    /// The quota windows that came with it.
    pub windows: Vec<Window>,
    /// The plan that came with it.
    pub plan_type: Option<String>,
}

/// The verdict on a response.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// The account was served.
    Ok,
    /// The account is limited.
    Limited(Limit),
    /// The login is dead.
    LoginRequired {
        /// The code that said so.
        code: String,
    },
    /// The access token was not accepted.
    Unauthorized {
        /// It was explicitly invalidated, and did not just expire.
        invalidated: bool,
    },
    /// The plan does not include this.
    NoEntitlement,
    /// The workspace was deactivated.
    WorkspaceGone,
    /// The server is in trouble; no account's fault.
    Server,
    /// An answer that says nothing about the account.
    Other,
}

impl Verdict {
    /// The word for it in records.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Limited(_) => "limited",
            Self::LoginRequired { .. } => "login-required",
            Self::Unauthorized { .. } => "unauthorized",
            Self::NoEntitlement => "no-entitlement",
            Self::WorkspaceGone => "workspace-gone",
            Self::Server => "server",
            Self::Other => "other",
        }
    }
}

/// A limit, as one response tells it.
#[derive(Clone, Debug, PartialEq)]
pub struct Limit {
    /// What is limited: everything, or one model family.
    pub scope: Scope,
    /// Models that the response says the limit is for.
    pub models: Vec<String>,
    /// Used up, or just too fast.
    pub class: Class,
    /// When it is over; `None` if the response does not say.
    pub reset: Option<Reset>,
    /// The length of the window that is used up.
    pub window_minutes: Option<u32>,
}

impl Limit {
    /// A limit of which no more is known than that it is there.
    #[must_use]
    pub fn unexplained(scope: Scope) -> Self {
        Self {
            scope,
            models: Vec::new(),
            class: Class::Throttle,
            reset: None,
            window_minutes: None,
        }
    }
}

/// The kind of a limit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// A window or the credit is used up.
    Quota,
    /// Too many requests in a short time.
    Throttle,
    /// A word that another program wrote.
    #[serde(untagged)]
    Other(String),
}

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

/// A response, as far as it is known: a script may have kept only some of it.
#[derive(Clone, Copy, Debug)]
pub struct Response<'a> {
    /// The status, if it is known.
    pub status: Option<StatusCode>,
    /// The headers.
    pub headers: &'a HeaderMap,
    /// The body, decoded from any content encoding.
    pub body: &'a [u8],
}

impl Response<'_> {
    /// Judges it.
    #[must_use]
    pub fn read(&self, now: UnixMillis) -> Reading {
        let words = match serde_json::from_slice::<Value>(self.body) {
            Ok(json) => Words::of(&json),
            // A text whose status is not known may be anything, a model's answer too; and a page
            // is mostly not the backend's: "internet usage limit".
            Err(_) if self.status.is_none() || self.is_page() => Words::default(),
            Err(_) => Words::of_text(self.body),
        };
        judge(self.status, &Headers::of(self.headers, now), &words, now)
    }

    /// Whether the body is for a browser.
    fn is_page(&self) -> bool {
        let said = text(self.headers, "content-type").map(str::to_lowercase);
        said.is_some_and(|kind| kind.starts_with("text/html"))
            || self.body.trim_ascii_start().starts_with(b"<")
    }
}

/// Judges one event of a response's stream; `None` if it says nothing about the account. Events
/// that wrap an error carry a status and headers of their own; for those that do not, the hints in
/// the headers of the response, `head`, are what there is.
#[must_use]
pub fn read_event(event: &Value, head: &HeaderMap, now: UnixMillis) -> Option<Reading> {
    match event["type"].as_str()? {
        "response.failed" | "error" => Some(read_failure(event, head, now)),
        "codex.rate_limits" => Some(Reading {
            verdict: Verdict::Ok,
            windows: event_windows(event, now),
            plan_type: event["plan_type"].as_str().map(str::to_owned),
        }),
        _ => None,
    }
}

fn read_failure(event: &Value, head: &HeaderMap, now: UnixMillis) -> Reading {
    let own = header_map(&event["headers"]);
    let headers = Headers::of(if own.is_empty() { head } else { &own }, now);
    let status = status_code(&event["status"]).or_else(|| status_code(&event["status_code"]));
    let mut reading = judge(status, &headers, &Words::of(event), now);
    if own.is_empty() {
        // The head's windows were read with the head; newer ones may have come since.
        reading.windows.clear();
    }
    if reading.verdict == Verdict::Ok {
        reading.verdict = Verdict::Other;
    }
    reading
}

/// A status that came as JSON, in an event or in what a client printed.
#[must_use]
pub fn status_code(value: &Value) -> Option<StatusCode> {
    // A float to integer cast saturates, and what is no status stays none.
    StatusCode::from_u16(json_number(value)? as u16).ok()
}

/// Headers that came as a JSON object, in an event or in what a client printed.
#[must_use]
pub fn header_map(object: &Value) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in object.as_object().into_iter().flatten() {
        let text = match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        if let (Ok(name), Ok(value)) = (
            name.parse::<http::HeaderName>(),
            text.parse::<http::HeaderValue>(),
        ) {
            // One has room for 32,768; none that is sent has as many.
            let _ = headers.try_append(name, value);
        }
    }
    headers
}

/// Reads the answer of the usage endpoint (PROTOCOL §4). A limit that it reports has the windows'
/// own resets.
#[must_use]
pub fn read_usage(usage: &Value, now: UnixMillis) -> Reading {
    let mut windows = usage_windows(None, &usage["rate_limit"], now);
    for additional in usage["additional_rate_limits"]
        .as_array()
        .into_iter()
        .flatten()
    {
        let scope = additional["metered_feature"].as_str().map(scope_id);
        if scope.is_some() {
            windows.extend(usage_windows(scope, &additional["rate_limit"], now));
        }
    }
    let used_up = last_exhausted(&windows, None);
    // Credit can go on where a window ends: then the account is not limited.
    let limited = usage["rate_limit"]["limit_reached"].as_bool();
    let verdict = if limited.unwrap_or(used_up.is_some()) {
        Verdict::Limited(Limit {
            class: Class::Quota,
            reset: used_up
                .and_then(|window| sensible(window.resets_at?, now))
                .map(|at| Reset {
                    at,
                    source: Source::Usage,
                }),
            window_minutes: used_up.map(|window| window.minutes),
            ..Limit::unexplained(Scope::default_scope())
        })
    } else {
        Verdict::Ok
    };
    Reading {
        verdict,
        windows,
        plan_type: usage["plan_type"].as_str().map(str::to_owned),
    }
}

fn judge(status: Option<StatusCode>, headers: &Headers, words: &Words, now: UnixMillis) -> Reading {
    Reading {
        verdict: verdict(status, headers, words, now),
        windows: headers.windows.clone(),
        plan_type: headers
            .plan_type
            .clone()
            .or_else(|| words.plan_type.clone()),
    }
}

fn verdict(
    status: Option<StatusCode>,
    headers: &Headers,
    words: &Words,
    now: UnixMillis,
) -> Verdict {
    let code = status.map(|status| status.as_u16());
    let served = status.is_some_and(|status| status.is_success());
    let too_many = code == Some(429);
    // An answer may well speak of usage limits: its text counts only where the status is no success.
    let says_limit = words.codes.iter().any(|said| is_limit(said))
        || (!served && words.message.to_lowercase().contains("usage limit"));
    let told_by_headers = match status {
        Some(_) => !served && headers.reached_type.is_some(),
        None => words.is_empty() && headers.says_limit(),
    };

    if words.says("deactivated_workspace") {
        Verdict::WorkspaceGone
    } else if words.says("usage_not_included") {
        Verdict::NoEntitlement
    } else if !too_many && words.says_any(&["server_is_overloaded", "slow_down"]) {
        Verdict::Server
    } else if says_limit || told_by_headers || too_many {
        Verdict::Limited(limit(headers, words, now))
    } else if let (Some(400 | 401) | None, Some(dead)) = (code, words.first_of(&DEAD_LOGIN)) {
        if OF_ANY_TOKEN.contains(&dead) {
            Verdict::Unauthorized {
                invalidated: dead == "token_revoked",
            }
        } else {
            Verdict::LoginRequired {
                code: dead.to_owned(),
            }
        }
    } else {
        match code {
            Some(401) => Verdict::Unauthorized {
                invalidated: words.says("token_invalidated")
                    || words.message.contains("has been invalidated"),
            },
            Some(403) => Verdict::NoEntitlement,
            Some(200..=299) => Verdict::Ok,
            Some(500..) => Verdict::Server,
            None if words.is_answer || (words.is_empty() && !headers.windows.is_empty()) => {
                Verdict::Ok
            }
            _ => Verdict::Other,
        }
    }
}

/// Whether a code says that there is a limit.
fn is_limit(code: &str) -> bool {
    code == "rate_limit_exceeded" || is_used_up(code)
}

/// Whether a code says that a quota is used up: the account's own, or what the owner or a member
/// of a workspace has, `workspace_member_credits_depleted` (PROTOCOL §4).
fn is_used_up(code: &str) -> bool {
    code == "insufficient_quota"
        || code.ends_with("usage_limit_reached")
        || code.ends_with("credits_depleted")
}

fn limit(headers: &Headers, words: &Words, now: UnixMillis) -> Limit {
    let used_up = last_exhausted(&headers.windows, headers.active.as_ref());
    let reset = reset(headers, words, used_up, now);
    let wait = reset.as_ref().map(|reset| reset.at.since(now));
    let says_quota = words.codes.iter().any(|said| is_used_up(said))
        || headers.reached_type.is_some()
        || words.message.to_lowercase().contains("usage limit");
    let brief = wait.is_none_or(|wait| wait <= LONGEST_THROTTLE);
    let class = if used_up.is_none() && !says_quota && brief {
        Class::Throttle
    } else {
        Class::Quota
    };
    Limit {
        scope: headers.active.clone().unwrap_or_else(Scope::default_scope),
        models: headers.active_models.clone(),
        class,
        reset,
        window_minutes: used_up.map(|window| window.minutes),
    }
}

/// When it resets: the first of the sources, in the order of DESIGN §2, that names a time to come.
fn reset(
    headers: &Headers,
    words: &Words,
    used_up: Option<&Window>,
    now: UnixMillis,
) -> Option<Reset> {
    let after = |secs: f64| from_now(secs, now);
    let sources = [
        (
            words.resets_at.and_then(UnixMillis::from_secs_or_millis),
            Source::BodyResetsAt,
        ),
        (
            words.resets_in_seconds.and_then(after),
            Source::BodyResetsInSeconds,
        ),
        (used_up.and_then(|window| window.resets_at), Source::Window),
        (
            headers.retry_after_ms.and_then(|ms| after(ms / 1000.0)),
            Source::RetryAfterMs,
        ),
        (headers.retry_after, Source::RetryAfter),
        (
            words.retry_after_ms.and_then(|ms| after(ms / 1000.0)),
            Source::BodyRetryAfterMs,
        ),
        (words.retry_after.and_then(after), Source::BodyRetryAfter),
        (
            spoken_wait(&words.message).map(|wait| now.plus(wait)),
            Source::Message,
        ),
    ];
    sources.into_iter().find_map(|(at, source)| {
        let at = sensible(at?, now)?;
        Some(Reset { at, source })
    })
}

/// The time so many seconds from now.
fn from_now(secs: f64, now: UnixMillis) -> Option<UnixMillis> {
    Some(now.plus(Duration::try_from_secs_f64(secs).ok()?))
}

/// A past time is no hint, and none is believed beyond [`LONGEST`].
fn sensible(at: UnixMillis, now: UnixMillis) -> Option<UnixMillis> {
    (at > now).then(|| at.min(now.plus(LONGEST)))
}

/// Of the used-up windows of a scope, the one that resets last.
fn last_exhausted<'a>(windows: &'a [Window], scope: Option<&Scope>) -> Option<&'a Window> {
    windows
        .iter()
        .filter(|window| window.scope.as_ref() == scope && window.exhausted())
        .max_by_key(|window| window.resets_at)
}

/// What the headers say.
#[derive(Debug, Default)]
struct Headers {
    windows: Vec<Window>,
    /// The scope that the response is about, where it is not the default one.
    active: Option<Scope>,
    active_models: Vec<String>,
    plan_type: Option<String>,
    reached_type: Option<String>,
    retry_after_ms: Option<f64>,
    retry_after: Option<UnixMillis>,
}

impl Headers {
    fn of(map: &HeaderMap, now: UnixMillis) -> Self {
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
        Self {
            windows: families
                .iter()
                .flat_map(|family| ["primary", "secondary"].map(|slot| (family, slot)))
                .filter_map(|(family, slot)| header_window(map, family, slot, now))
                .collect(),
            active: active.as_deref().map(scope_id),
            active_models: active_models.into_iter().collect(),
            plan_type: text(map, "x-codex-plan-type").map(str::to_owned),
            reached_type: text(map, "x-codex-rate-limit-reached-type").map(str::to_owned),
            retry_after_ms: number(map, "retry-after-ms"),
            retry_after: retry_after(map, now),
        }
    }

    /// Whether they speak of a limit by themselves, where no status and no body is known.
    fn says_limit(&self) -> bool {
        self.reached_type.is_some()
            || self.retry_after.is_some()
            || self.retry_after_ms.is_some()
            || last_exhausted(&self.windows, self.active.as_ref()).is_some()
    }
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
fn scope_id(family: &str) -> Scope {
    Scope::new(family.to_lowercase().replace('-', "_"))
}

fn scope_of_family(family: &str) -> Option<Scope> {
    (family != "codex").then(|| scope_id(family))
}

fn header_window(map: &HeaderMap, family: &str, slot: &str, now: UnixMillis) -> Option<Window> {
    let field = |name: &str| number(map, &format!("x-{family}-{slot}-{name}"));
    window(
        scope_of_family(family),
        field("window-minutes")?,
        field("used-percent")?,
        window_reset(field("reset-at"), field("reset-after-seconds"), now),
    )
}

/// When a window starts anew. Where the time is past, because one of the clocks is wrong, the
/// seconds that are left are the better word.
fn window_reset(at: Option<f64>, after: Option<f64>, now: UnixMillis) -> Option<UnixMillis> {
    let at = at.and_then(UnixMillis::from_secs_or_millis);
    let after = after
        .filter(|secs| *secs > 0.0)
        .and_then(|secs| from_now(secs, now));
    at.filter(|at| *at > now).or(after).or(at)
}

/// A window of no length is none.
fn window(
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
        extra: super::Extra::new(),
    })
}

/// The windows of a `codex.rate_limits` event.
fn event_windows(event: &Value, now: UnixMillis) -> Vec<Window> {
    let scope = event["metered_limit_name"]
        .as_str()
        .and_then(|name| scope_of_family(&name.to_lowercase()));
    ["primary", "secondary"]
        .into_iter()
        .filter_map(|slot| {
            let told = &event["rate_limits"][slot];
            json_window(
                scope.clone(),
                told,
                json_number(&told["window_minutes"])?,
                now,
            )
        })
        .collect()
}

/// The windows of one `rate_limit` object of the usage endpoint.
fn usage_windows(scope: Option<Scope>, rate_limit: &Value, now: UnixMillis) -> Vec<Window> {
    ["primary_window", "secondary_window"]
        .into_iter()
        .filter_map(|slot| {
            let told = &rate_limit[slot];
            let minutes = json_number(&told["limit_window_seconds"])? / 60.0;
            json_window(scope.clone(), told, minutes, now)
        })
        .collect()
}

fn json_window(
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

fn text<'a>(map: &'a HeaderMap, name: &str) -> Option<&'a str> {
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

/// What a body says: its codes, its message, its hints.
#[derive(Debug, Default)]
struct Words {
    /// It is a model's answer, and no error.
    is_answer: bool,
    codes: Vec<String>,
    message: String,
    plan_type: Option<String>,
    resets_at: Option<f64>,
    resets_in_seconds: Option<f64>,
    retry_after_ms: Option<f64>,
    retry_after: Option<f64>,
}

impl Words {
    /// Errors come as `{"error":{…}}`, `{"error":"code"}`, `{"detail":{…}}`, `{"detail":"text"}`,
    /// inside the `response` of an event, or bare (PROTOCOL §1, §4).
    fn of(body: &Value) -> Self {
        let places = [
            &body["error"],
            &body["response"]["error"],
            &body["detail"],
            body,
        ];
        let first_number = |name: &str| places.iter().find_map(|place| json_number(&place[name]));
        let first_text = |name: &str| places.iter().find_map(|place| place[name].as_str());
        let codes = places
            .iter()
            .flat_map(|place| {
                [
                    place.as_str(),
                    place["code"].as_str(),
                    place["type"].as_str(),
                ]
            })
            .flatten();
        let message = first_text("message")
            .or_else(|| first_text("error_description"))
            .or_else(|| body["detail"].as_str());
        Self {
            is_answer: body["object"] == "response" && body["error"].is_null(),
            codes: codes.map(str::to_lowercase).collect(),
            message: message.unwrap_or_default().to_owned(),
            plan_type: first_text("plan_type").map(str::to_owned),
            resets_at: first_number("resets_at"),
            resets_in_seconds: first_number("resets_in_seconds").filter(|secs| *secs > 0.0),
            retry_after_ms: first_number("retry_after_ms").filter(|ms| *ms > 0.0),
            retry_after: first_number("retry_after").filter(|secs| *secs > 0.0),
        }
    }

    /// A body that is no JSON: a text for people.
    fn of_text(body: &[u8]) -> Self {
        Self {
            message: String::from_utf8_lossy(body).into_owned(),
            ..Self::default()
        }
    }

    fn is_empty(&self) -> bool {
        self.codes.is_empty() && self.message.trim().is_empty()
    }

    fn says(&self, code: &str) -> bool {
        self.codes.iter().any(|said| said == code)
    }

    fn says_any(&self, codes: &[&str]) -> bool {
        self.first_of(codes).is_some()
    }

    fn first_of(&self, codes: &[&str]) -> Option<&str> {
        self.codes
            .iter()
            .map(String::as_str)
            .find(|said| codes.contains(said))
    }
}

/// The codes that a JSON error body names, lower case.
#[must_use]
pub fn error_codes(body: &Value) -> Vec<String> {
    Words::of(body).codes
}

/// A number, also where it was written as text.
fn json_number(value: &Value) -> Option<f64> {
    value
        .as_f64()
        .or_else(|| value.as_str()?.trim().parse().ok())
        .filter(|number| number.is_finite())
}

/// The wait in "Please try again in 1m2.5s": numbers with a unit, one after another.
fn spoken_wait(message: &str) -> Option<Duration> {
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
