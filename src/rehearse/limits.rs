//! How a limit looks: PROTOCOL §4, written out.

use super::account::Windows;
use super::clock::{after, unix_seconds, whole_seconds};
use super::headers::{Fields, fields, usage_headers, used_up};
use super::outcome::Outcome;
use super::refused::error;
use super::reply::Field;
use super::scene::Scene;
use super::style::Style;
use http::StatusCode;
use http::header::RETRY_AFTER;
use serde_json::{Value, json};
use std::time::{Duration, SystemTime};

/// The model that the pretend limit of a model family is for (PROTOCOL §4).
pub(super) const FAMILY_MODEL: &str = "gpt-5.3-codex-spark";

/// An account that is limited, and how it says so.
pub(super) struct Limit<'a> {
    pub(super) scene: &'a Scene,
    pub(super) style: Style,
    pub(super) resets_in: Duration,
}

impl Limit<'_> {
    /// The limit as an answer of HTTP; a style that is none is told like one that says no more than that.
    pub(super) fn outcome(&self) -> Outcome {
        match self.style {
            Style::UsageLimit | Style::ThirtyDays => {
                self.usage_limit(StatusCode::TOO_MANY_REQUESTS, &[])
            }
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
            Style::WindowsUnsized => {
                let mut headers = self.limited_headers();
                headers.retain(|(name, _)| !name.as_str().ends_with("-window-minutes"));
                too_many(json!({})).with_headers(headers)
            }
            Style::ModelCooldown => Outcome::json(
                StatusCode::TOO_MANY_REQUESTS,
                &json!({"error": {
                    "code": "model_cooldown",
                    "message": "All credentials for this model are cooling down",
                    "reset_seconds": whole_seconds(self.resets_in),
                }}),
            ),
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
            _ => too_many(json!({})),
        }
    }

    fn resets_at(&self) -> SystemTime {
        after(self.scene.now, self.resets_in)
    }

    fn resets_at_seconds(&self) -> u64 {
        unix_seconds(self.resets_at())
    }

    fn headers(&self, windows: Windows) -> Vec<Field> {
        let scene = self.scene;
        usage_headers(&scene.plan, windows, &scene.credits, scene.now)
    }

    /// The windows as they are then.
    pub(super) fn windows(&self) -> Windows {
        used_up(
            self.style,
            self.scene.windows,
            self.resets_in,
            self.scene.now,
        )
    }

    pub(super) fn limited_headers(&self) -> Vec<Field> {
        let mut headers = self.headers(self.windows());
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
    pub(super) fn reached(&self) -> Value {
        self.reached_as("type")
    }

    /// The usage limit as the `error` of `response.failed`, which has a code where HTTP has a type.
    pub(super) fn failed(&self) -> Value {
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

    pub(super) fn throttled(&self) -> Value {
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
