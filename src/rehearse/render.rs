//! How each style of answer looks on the wire: PROTOCOL §4, written out.
//!
//! Turns an [`Answer`] into an [`Outcome`] and decides nothing: whose turn it is was settled before.

use super::answer::{Answer, Style};
use super::clock::{after, seconds_until, unix_seconds, whole_seconds};
use super::reply::{End, Field, Outcome, Reply};
use super::script::{Window, Windows};
use super::sse::Turn;
use bytes::Bytes;
use http::StatusCode;
use http::header::{HeaderName, HeaderValue, RETRY_AFTER};
use serde_json::{Map, Value, json};
use std::time::{Duration, SystemTime};

/// What an answer is written with.
pub(super) struct Scene {
    pub(super) plan: String,
    pub(super) windows: Windows,
    pub(super) model: String,
    /// Tells this request's ids from those of others.
    pub(super) serial: u64,
    pub(super) now: SystemTime,
}

/// What `answer` comes to. `good` carries the request out and says what is said when all is well, with the text asked for.
pub(super) fn render(
    answer: &Answer,
    scene: &Scene,
    good: impl FnOnce(Option<&str>) -> Outcome,
) -> Outcome {
    match answer {
        Answer::Good(text) => good(text.as_deref()),
        Answer::Raw {
            status,
            headers,
            chunks,
        } => raw(*status, headers, chunks.clone()),
        Answer::Styled { style, resets_in } => match style {
            Style::CloseMidBody => good(None).cut(End::Broken),
            Style::Stall => good(None).cut(End::Never),
            Style::CloseBeforeHead => Outcome::Hangup(Bytes::new()),
            Style::NoHead => Outcome::Silence,
            Style::Garbage => Outcome::Hangup(Bytes::from_static(
                b"\x16\x03\x00garbage\r\n\xff\xfe\r\n\r\n",
            )),
            style => Limit {
                scene,
                style: *style,
                resets_in: *resets_in,
            }
            .render(),
        },
    }
}

fn raw(status: u16, headers: &[(String, String)], chunks: Vec<Bytes>) -> Outcome {
    // 1xx never ends a request, so hyper would not send it as an answer either.
    let status = StatusCode::from_u16(status)
        .ok()
        .filter(|status| !status.is_informational());
    let fields: Option<Vec<Field>> = headers
        .iter()
        .map(|(name, value)| {
            Some((
                HeaderName::try_from(name).ok()?,
                HeaderValue::try_from(value).ok()?,
            ))
        })
        .collect();
    match (status, fields) {
        (Some(status), Some(fields)) => {
            let mut reply = Reply::new(status, chunks);
            reply.headers = fields;
            Outcome::Reply(reply)
        }
        _ => Outcome::whole(
            StatusCode::INTERNAL_SERVER_ERROR,
            "text/plain",
            "the scripted raw answer has a status or a header that HTTP does not have",
        ),
    }
}

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
    if style == Style::WeeklyPrimary {
        Windows {
            primary: until(Window::WEEKLY_MINUTES),
            secondary: None,
        }
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
pub(super) fn usage_headers(plan: &str, windows: Windows, now: SystemTime) -> Vec<Field> {
    let mut fields = Fields::default();
    fields.add("x-codex-plan-type", plan);
    fields.windows("codex", windows, now);
    fields.add("x-codex-credits-has-credits", "False");
    fields.add("x-codex-credits-unlimited", "False");
    fields.add("x-codex-credits-balance", "0");
    fields.0
}

/// Header fields in the making. A value that HTTP does not allow, such as a plan with a line break in it, is left out.
#[derive(Default)]
struct Fields(Vec<Field>);

impl Fields {
    fn add(&mut self, name: &str, value: &str) {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            self.0.push((name, value));
        }
    }

    /// The windows of one family: `codex`, or `codex-bengalfox`.
    fn windows(&mut self, family: &str, windows: Windows, now: SystemTime) {
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

/// The model that the pretend limit of a model family is for (PROTOCOL §4).
pub(super) const FAMILY_MODEL: &str = "gpt-5.3-codex-spark";

/// An answer about a limit, or about something else that is wrong with the account or the server.
struct Limit<'a> {
    scene: &'a Scene,
    style: Style,
    resets_in: Duration,
}

impl Limit<'_> {
    fn render(&self) -> Outcome {
        match self.style {
            Style::UsageLimit => self.usage_limit(StatusCode::TOO_MANY_REQUESTS, &[]),
            Style::WorkspaceMember => self.usage_limit(
                StatusCode::TOO_MANY_REQUESTS,
                &[(
                    "x-codex-rate-limit-reached-type",
                    "workspace_member_usage_limit_reached",
                )],
            ),
            Style::Limit404 => {
                Outcome::json(StatusCode::NOT_FOUND, &json!({"error": self.reached()}))
            }
            Style::ResetsIn => {
                too_many(json!({"resets_in_seconds": whole_seconds(self.resets_in)}))
            }
            Style::WindowsOnly | Style::WeeklyPrimary => {
                too_many(json!({})).with_headers(self.limited_headers())
            }
            Style::RetryAfter => too_many(json!({}))
                .with_headers(vec![(RETRY_AFTER, whole_seconds(self.resets_in).into())]),
            Style::RetryAfterDate => {
                // Up to the next second, since the date has no fractions.
                let date = SystemTime::UNIX_EPOCH + Duration::from_secs(self.resets_at_seconds());
                too_many(json!({}))
                    .with_headers(fields(&[("retry-after", &httpdate::fmt_http_date(date))]))
            }
            Style::RetryAfterMs => too_many(json!({})).with_headers(fields(&[(
                "retry-after-ms",
                &self.resets_in.as_millis().to_string(),
            )])),
            Style::BodyRetryAfter => {
                too_many(json!({"retry_after": whole_seconds(self.resets_in)}))
            }
            Style::BodyRetryAfterMs => too_many(
                json!({"retry_after_ms": u64::try_from(self.resets_in.as_millis()).unwrap_or(u64::MAX)}),
            ),
            Style::NoHint => too_many(json!({})),
            Style::Throttle => Outcome::json(
                StatusCode::TOO_MANY_REQUESTS,
                &json!({"error": self.throttled()}),
            )
            .with_headers(self.headers(self.scene.windows)),
            Style::ModelFamily => self.model_family(),
            Style::NotIncluded => self.not_included(StatusCode::TOO_MANY_REQUESTS),
            Style::NotIncluded403 => self.not_included(StatusCode::FORBIDDEN),
            Style::InsufficientQuota => error(
                StatusCode::TOO_MANY_REQUESTS,
                "insufficient_quota",
                "insufficient_quota",
                "You exceeded your current quota, please check your plan and billing details.",
            ),
            Style::Overloaded => error(
                StatusCode::SERVICE_UNAVAILABLE,
                "service_unavailable_error",
                "server_is_overloaded",
                "Our servers are currently overloaded. Please try again later.",
            ),
            Style::Error500 => error(
                StatusCode::INTERNAL_SERVER_ERROR,
                "server_error",
                "internal_error",
                "The server had an error while processing your request.",
            ),
            Style::Error502 => Outcome::whole(
                StatusCode::BAD_GATEWAY,
                "text/html",
                "<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>\n",
            ),
            Style::Error529 => error(
                // 529 has no name, and is in the range that every status code must be in.
                StatusCode::from_u16(529).unwrap_or(StatusCode::SERVICE_UNAVAILABLE),
                "overloaded_error",
                "overloaded",
                "Overloaded",
            ),
            Style::Expired => expired(),
            Style::Invalidated => invalidated(),
            Style::WorkspaceGone402 => workspace_gone(StatusCode::PAYMENT_REQUIRED),
            Style::WorkspaceGone403 => workspace_gone(StatusCode::FORBIDDEN),
            Style::ModelUnsupported => Outcome::json(
                StatusCode::BAD_REQUEST,
                &json!({"detail": format!(
                    "The '{}' model is not supported when using Codex with a ChatGPT account.",
                    self.scene.model
                )}),
            ),
            Style::FailedFirst => self.stream(Before::Nothing, |turn| turn.fail(self.failed())),
            Style::FailedCreated => self.stream(Before::Created, |turn| turn.fail(self.failed())),
            Style::FailedOutput => self.stream(Before::Output, |turn| turn.fail(self.failed())),
            Style::FailedThrottle => {
                self.stream(Before::Created, |turn| turn.fail(self.throttled()))
            }
            Style::ErrorFirst => self.stream(Before::Nothing, |turn| self.error_event(turn)),
            Style::ErrorCreated => self.stream(Before::Created, |turn| self.error_event(turn)),
            Style::ErrorOutput => self.stream(Before::Output, |turn| self.error_event(turn)),
            // These five are no answers about a limit: `render` has dealt with them.
            Style::CloseBeforeHead
            | Style::CloseMidBody
            | Style::NoHead
            | Style::Stall
            | Style::Garbage => Outcome::Silence,
        }
    }

    fn resets_at(&self) -> SystemTime {
        after(self.scene.now, self.resets_in)
    }

    fn resets_at_seconds(&self) -> u64 {
        unix_seconds(self.resets_at())
    }

    fn headers(&self, windows: Windows) -> Vec<Field> {
        usage_headers(&self.scene.plan, windows, self.scene.now)
    }

    fn limited_headers(&self) -> Vec<Field> {
        let mut headers = self.headers(used_up(
            self.style,
            self.scene.windows,
            self.resets_in,
            self.scene.now,
        ));
        headers.extend(fields(&[("x-codex-active-limit", "premium")]));
        headers
    }

    /// The 429 as captured.
    fn usage_limit(&self, status: StatusCode, more: &[(&str, &str)]) -> Outcome {
        Outcome::json(status, &json!({"error": self.reached()}))
            .with_headers(self.limited_headers())
            .with_headers(fields(more))
    }

    /// The usage limit as the body of an HTTP error and the `error` event name it.
    fn reached(&self) -> Value {
        self.reached_as("type")
    }

    /// The usage limit as the `error` of `response.failed`, which has a code where HTTP has a type.
    fn failed(&self) -> Value {
        self.reached_as("code")
    }

    fn reached_as(&self, key: &str) -> Value {
        json!({
            key: "usage_limit_reached",
            "message": "The usage limit has been reached",
            "plan_type": self.scene.plan,
            "resets_at": self.resets_at_seconds(),
            "resets_in_seconds": whole_seconds(self.resets_in),
        })
    }

    fn model_family(&self) -> Outcome {
        let now = self.scene.now;
        let mut headers = Fields(self.headers(self.scene.windows));
        headers.add("x-codex-active-limit", "codex_bengalfox");
        headers.add("x-codex-bengalfox-limit-name", FAMILY_MODEL);
        headers.windows(
            "codex-bengalfox",
            used_up(self.style, Windows::default(), self.resets_in, now),
            now,
        );
        Outcome::json(
            StatusCode::TOO_MANY_REQUESTS,
            &json!({"error": self.reached()}),
        )
        .with_headers(headers.0)
    }

    fn not_included(&self, status: StatusCode) -> Outcome {
        Outcome::json(
            status,
            &json!({"error": {
                "type": "usage_not_included",
                "message": "To use Codex with your ChatGPT plan, upgrade to Plus",
                "plan_type": self.scene.plan,
            }}),
        )
    }

    fn throttled(&self) -> Value {
        json!({
            "type": "tokens",
            "code": "rate_limit_exceeded",
            "message": format!(
                "Rate limit reached for {} on tokens per min (TPM). Please try again in {}.",
                self.scene.model,
                spoken(self.resets_in)
            ),
            "param": null,
        })
    }

    fn stream(&self, before: Before, end: impl FnOnce(Turn<'_>) -> Vec<Bytes>) -> Outcome {
        let mut turn = Turn::new(self.scene.serial, &self.scene.model, self.scene.now);
        if before >= Before::Created {
            turn.begin();
        }
        if before >= Before::Output {
            turn.open_message();
            turn.say("This is as far as ");
        }
        Outcome::events(end(turn)).with_headers(self.headers(self.scene.windows))
    }

    fn error_event(&self, turn: Turn<'_>) -> Vec<Bytes> {
        let headers: Map<String, Value> = self
            .limited_headers()
            .iter()
            .filter_map(|(name, value)| Some((name.to_string(), value.to_str().ok()?.into())))
            .collect();
        turn.error(self.reached(), 429, Value::Object(headers))
    }
}

/// How far a turn gets before its limit.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Before {
    Nothing,
    Created,
    Output,
}

/// A usage limit that says of its reset only what `hints` holds.
fn too_many(hints: Value) -> Outcome {
    let mut error =
        json!({"type": "usage_limit_reached", "message": "The usage limit has been reached"});
    if let (Value::Object(error), Value::Object(hints)) = (&mut error, hints) {
        error.extend(hints);
    }
    Outcome::json(StatusCode::TOO_MANY_REQUESTS, &json!({"error": error}))
}

/// An error in the shape that most of them have.
pub(super) fn error(status: StatusCode, kind: &str, code: &str, message: &str) -> Outcome {
    Outcome::json(
        status,
        &json!({"error": {"message": message, "type": kind, "param": null, "code": code}}),
    )
}

/// 401: the access token's time is over.
pub(super) fn expired() -> Outcome {
    error(
        StatusCode::UNAUTHORIZED,
        "invalid_request_error",
        "token_expired",
        "Provided authentication token is expired. Please try signing in again.",
    )
}

/// 401: the login that the access token belongs to is dead.
pub(super) fn invalidated() -> Outcome {
    error(
        StatusCode::UNAUTHORIZED,
        "invalid_request_error",
        "token_invalidated",
        "Your authentication token has been invalidated. Please try signing in again.",
    )
}

fn workspace_gone(status: StatusCode) -> Outcome {
    Outcome::json(
        status,
        &json!({"detail": {"code": "deactivated_workspace"}}),
    )
}

fn fields(pairs: &[(&str, &str)]) -> Vec<Field> {
    let mut fields = Fields::default();
    for (name, value) in pairs {
        fields.add(name, value);
    }
    fields.0
}

/// A wait as messages put it: `28ms`, `1.898s`, `20s`, `1m2.5s`.
fn spoken(wait: Duration) -> String {
    let millis = wait.as_millis();
    match millis {
        0..1_000 => format!("{millis}ms"),
        1_000..60_000 => format!("{}s", seconds(millis)),
        _ => format!("{}m{}s", millis / 60_000, seconds(millis % 60_000)),
    }
}

/// Milliseconds as seconds with up to three decimals.
fn seconds(millis: u128) -> String {
    let text = format!("{}.{:03}", millis / 1_000, millis % 1_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::spoken;
    use std::time::Duration;

    #[test]
    fn a_wait_is_spoken_as_captured() {
        for (millis, words) in [
            (28, "28ms"),
            (1_898, "1.898s"),
            (20_000, "20s"),
            (62_500, "1m2.5s"),
            (3_600_000, "60m0s"),
        ] {
            assert_eq!(spoken(Duration::from_millis(millis)), words);
        }
    }
}
