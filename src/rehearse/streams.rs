//! How a stream goes wrong: with a limit in it, with another failure, or with less than it should have.

use super::account::{Window, Windows};
use super::answer::Progress;
use super::clock::unix_seconds;
use super::events::{Events, shortened};
use super::headers::usage_headers;
use super::limits::Limit;
use super::outcome::{Outcome, Pieces};
use super::refused::{AT_CAPACITY, CYBER, OVERLOADED, TOO_LONG, object, unsupported};
use super::reply::End;
use super::scene::Scene;
use super::style::Style;
use serde_json::{Map, Value, json};

/// A stream that does not come to its good end.
pub(super) struct Broken<'a> {
    pub(super) limit: &'a Limit<'a>,
}

impl Broken<'_> {
    /// The stream of this style; a style that is none is a bug of the caller's, and an empty stream.
    pub(super) fn outcome(&self) -> Outcome {
        let limit = self.limit;
        let style = limit.style;
        let mut events = self.until(match style {
            Style::FailedFirst | Style::ErrorFirst | Style::ShortFailed => Progress::Nothing,
            Style::EmptyStream => Progress::Nothing,
            Style::FailedOutput
            | Style::FailedAtOnce
            | Style::ErrorOutput
            | Style::IncompleteOutput
            | Style::IncompleteTokens
            | Style::NoTerminal => Progress::Output,
            _ => Progress::Created,
        });
        if style == Style::CommentsOnly {
            events.begin();
        }
        let failed = |code: &str, message: &str| json!({"code": code, "message": message});
        let events = match style {
            Style::FailedFirst
            | Style::FailedCreated
            | Style::FailedOutput
            | Style::FailedAtOnce => events.fail(limit.failed()),
            Style::ShortFailed => events
                .fail(limit.failed())
                .into_iter()
                .map(shortened)
                .collect(),
            Style::FailedThrottle => events.fail(limit.throttled()),
            Style::ErrorFirst | Style::ErrorCreated | Style::ErrorOutput => {
                events.error(limit.reached(), 429, self.headers())
            }
            Style::IncompleteCreated | Style::IncompleteOutput => {
                events.incomplete("usage_limit_reached", limit.failed())
            }
            Style::IncompleteTokens => events.incomplete("max_output_tokens", Value::Null),
            Style::ModelEvent => {
                let message = unsupported(&limit.scene.model);
                let error = json!({"type": "invalid_request_error", "message": message});
                events.error(error, 400, json!({}))
            }
            Style::CyberEvent => events.fail(failed("cyber_policy", CYBER)),
            Style::ContextLengthEvent => events.fail(failed("context_length_exceeded", TOO_LONG)),
            Style::CapacityEvent => events.fail(failed("server_error", AT_CAPACITY)),
            Style::OverloadedFailed => events.fail(failed("server_is_overloaded", OVERLOADED)),
            Style::OverloadedEvent => {
                let error = object(
                    "service_unavailable_error",
                    "server_is_overloaded",
                    OVERLOADED,
                );
                events.error(error, 503, json!({}))
            }
            _ => events.end(),
        };
        let scene = limit.scene;
        let headers = usage_headers(&scene.plan, scene.windows, &scene.credits, scene.now);
        let outcome = Outcome::events(events).with_headers(headers);
        match style {
            Style::FailedAtOnce => outcome.in_pieces(Pieces::One),
            Style::CommentsOnly => outcome.in_pieces(Pieces::Comments),
            _ => outcome,
        }
    }

    /// A good answer that has used up the last of the window.
    pub(super) fn used_up_after(&self, good: Outcome) -> Outcome {
        let Outcome::Events(mut stream) = good else {
            return good;
        };
        let scene = self.limit.scene;
        let event = rate_limits(scene, self.limit.windows());
        let at = stream.events.len().saturating_sub(1);
        stream.events.insert(at, event);
        Outcome::Events(stream)
    }

    fn until(&self, progress: Progress) -> Events<'_> {
        let scene = self.limit.scene;
        let mut events = Events::new(scene.serial, &scene.model, scene.now);
        if progress >= Progress::Created {
            events.begin();
        }
        if progress >= Progress::Output {
            events.begin_message("This is as far as ");
        }
        events
    }

    fn headers(&self) -> Value {
        let headers = self.limit.limited_headers();
        let fields: Map<String, Value> = headers
            .iter()
            .filter_map(|(name, value)| Some((name.to_string(), value.to_str().ok()?.into())))
            .collect();
        Value::Object(fields)
    }
}

/// `codex.rate_limits`, which tells of usage inside of a stream (PROTOCOL §4).
pub(super) fn rate_limits(scene: &Scene, windows: Windows) -> Value {
    let window = |window: Option<Window>| {
        window.map(|window| {
            json!({
                "used_percent": window.used_percent,
                "window_minutes": window.minutes,
                "reset_at": unix_seconds(window.resets_at),
            })
        })
    };
    let reached = windows.exhausted();
    json!({
        "type": "codex.rate_limits",
        "plan_type": scene.plan,
        "rate_limits": {
            "allowed": !reached,
            "limit_reached": reached,
            "primary": window(windows.primary),
            "secondary": window(windows.secondary),
        },
        "credits": {
            "has_credits": scene.credits.has,
            "unlimited": scene.credits.unlimited,
            "balance": scene.credits.balance,
        },
        "metered_limit_name": "codex",
    })
}

/// A good answer that gets so far, and whose connection is then closed.
pub(super) fn closed(good: Outcome, after: Progress, code: Option<u16>) -> Outcome {
    let Outcome::Events(mut stream) = good else {
        return good.cut(End::Broken);
    };
    let kind = |event: &Value| event["type"].as_str().unwrap_or_default().to_owned();
    let through = |found: Option<usize>| found.map_or(stream.events.len(), |at| at + 1);
    let kept = match after {
        Progress::Nothing => 0,
        Progress::Created => through(
            stream
                .events
                .iter()
                .position(|event| kind(event) == "response.in_progress"),
        ),
        Progress::Output => through(
            stream
                .events
                .iter()
                .position(|event| kind(event).ends_with(".delta")),
        ),
        Progress::Reasoning => through(stream.events.iter().position(|event| {
            kind(event) == "response.output_item.done" && event["item"]["type"] == "reasoning"
        })),
        Progress::Item => through(stream.events.iter().position(|event| {
            kind(event) == "response.output_item.done" && event["item"]["type"] != "reasoning"
        })),
        Progress::Completed => stream.events.len(),
    };
    stream.events.truncate(kept);
    stream.end = End::Broken;
    stream.close = code;
    Outcome::Events(stream)
}
