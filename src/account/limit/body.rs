//! What a body says: its codes, its message, its hints.

use serde_json::Value;

use super::codes::{self, Meaning};
use super::windows::json_number;

/// What a body says: its codes, its message, its hints.
#[derive(Debug, Default)]
pub(super) struct Body {
    /// It is a model's answer, and no error.
    pub(super) is_answer: bool,
    /// In lower case, in the order of the places where they stand.
    pub(super) codes: Vec<String>,
    pub(super) message: String,
    /// The part of the request that an error is about.
    pub(super) param: Option<String>,
    pub(super) plan_type: Option<String>,
    pub(super) resets_at: Option<f64>,
    pub(super) resets_in_seconds: Option<f64>,
    pub(super) budget_resets_at: Option<f64>,
    pub(super) retry_after_ms: Option<f64>,
    pub(super) retry_after: Option<f64>,
}

impl Body {
    /// Errors come as `{"error":{…}}`, `{"error":"code"}`, `{"detail":{…}}`, `{"detail":"text"}`,
    /// inside the `response` of an event, or bare (PROTOCOL §1, §4).
    pub(super) fn of(body: &Value) -> Self {
        let places = [
            &body["error"],
            &body["response"]["error"],
            &body["response"]["incomplete_details"],
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
                    place["reason"].as_str(),
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
            param: first_text("param").map(str::to_owned),
            plan_type: first_text("plan_type").map(str::to_owned),
            resets_at: first_number("resets_at"),
            resets_in_seconds: first_number("resets_in_seconds")
                .or_else(|| first_number("reset_seconds"))
                .filter(|secs| *secs > 0.0),
            budget_resets_at: json_number(&body["spend_control"]["individual_limit"]["reset_at"]),
            retry_after_ms: first_number("retry_after_ms").filter(|ms| *ms > 0.0),
            retry_after: first_number("retry_after").filter(|secs| *secs > 0.0),
        }
    }

    /// A body that is no JSON: a text for people.
    pub(super) fn of_text(body: &[u8]) -> Self {
        Self {
            message: String::from_utf8_lossy(body).into_owned(),
            ..Self::default()
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.codes.is_empty() && self.message.trim().is_empty()
    }

    pub(super) fn says(&self, code: &str) -> bool {
        self.codes.iter().any(|said| said == code)
    }

    /// What its codes mean.
    pub(super) fn meanings(&self) -> impl Iterator<Item = Meaning> {
        let known = self.codes.iter().filter_map(|said| codes::find(said));
        known.map(|code| code.at_backend)
    }

    pub(super) fn means(&self, meaning: Meaning) -> bool {
        self.meanings().any(|said| said == meaning)
    }

    /// The first of its codes that means this.
    pub(super) fn code_that_means(&self, meaning: Meaning) -> Option<&str> {
        let means = |said: &&str| codes::find(said).is_some_and(|code| code.at_backend == meaning);
        self.codes.iter().map(String::as_str).find(means)
    }
}

/// The codes that a JSON error body names, lower case.
#[must_use]
pub fn error_codes(body: &Value) -> Vec<String> {
    Body::of(body).codes
}
