//! One event of a response's stream.

use http::{HeaderMap, StatusCode};
use serde_json::Value;

use super::body::Body;
use super::headers::{Headers, scope_of_family};
use super::reading::{Reading, judge};
use super::verdict::Verdict;
use super::windows::{json_credits, json_number, json_window};
use crate::account::time::UnixMillis;
use crate::account::usage::Window;

/// Judges one event of a response's stream; `None` if it says nothing about the account. Events
/// that wrap an error carry a status and headers of their own; for those that do not, the hints in
/// the headers of the response, `head`, are what there is.
#[must_use]
pub fn read_event(event: &Value, head: &HeaderMap, now: UnixMillis) -> Option<Reading> {
    match event["type"].as_str()? {
        "response.failed" | "error" => Some(read_failure(event, head, now)),
        // A limit may be the reason; mostly it is the client's own `max_output_tokens`.
        "response.incomplete" => Some(read_incomplete(event, head, now)),
        "codex.rate_limits" => Some(Reading {
            windows: event_windows(event, now),
            plan_type: event["plan_type"].as_str().map(str::to_owned),
            credits: json_credits(&event["credits"], false).map(Box::new),
            ..Reading::of(Verdict::Ok)
        }),
        _ => None,
    }
}

fn read_failure(event: &Value, head: &HeaderMap, now: UnixMillis) -> Reading {
    let own = header_map(&event["headers"]);
    let headers = Headers::of(if own.is_empty() { head } else { &own }, now);
    let status = status_code(&event["status"]).or_else(|| status_code(&event["status_code"]));
    let mut reading = judge(status, &headers, &Body::of(event), now);
    if own.is_empty() {
        // The head's windows were read with the head; newer ones may have come since.
        reading.windows.clear();
    }
    if reading.verdict == Verdict::Ok {
        reading.verdict = Verdict::Other;
    }
    reading
}

fn read_incomplete(event: &Value, head: &HeaderMap, now: UnixMillis) -> Reading {
    let mut reading = read_failure(event, head, now);
    if reading.verdict == Verdict::Other {
        reading.verdict = Verdict::Ok;
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
