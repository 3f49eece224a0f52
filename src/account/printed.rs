//! What a client printed of the answers it got: the events of `opencode run --format json` and of
//! `codex exec --json`, and the text of `codex exec` (PROTOCOL §5, §6).

use http::{HeaderMap, StatusCode};
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::limit::{self, Reading, Response, Verdict};
use super::time::UnixMillis;

/// Whether it is an event of a client's run.
pub(super) fn is_event(value: &Value) -> bool {
    is_of_opencode(value) || is_of_codex(value)
}

/// opencode's events have a type and the session they belong to.
fn is_of_opencode(value: &Value) -> bool {
    value["type"].is_string() && value["sessionID"].is_string()
}

/// Codex's events are of a thread, a turn or an item; its errors have nothing but a message, where
/// those of a stream have more.
fn is_of_codex(value: &Value) -> bool {
    let Some(kind) = value["type"].as_str() else {
        return false;
    };
    let is_of = |what| kind.starts_with(what);
    let is_error = || {
        let fields = value.as_object().map_or(0, serde_json::Map::len);
        kind == "error" && value["message"].is_string() && fields == 2
    };
    is_of("thread.") || is_of("turn.") || is_of("item.") || is_error()
}

/// A run was served if it says more than that it starts; its errors tell what was not.
pub(super) fn read_events(events: &[Value], now: UnixMillis, zone: &TimeZone) -> Reading {
    let served = events.iter().any(tells_of_an_answer);
    let mut reading = Reading::of(if served { Verdict::Ok } else { Verdict::Other });
    for event in events {
        if let Some(more) = read_error(event, now, zone) {
            reading.add(more);
        }
    }
    reading
}

fn tells_of_an_answer(event: &Value) -> bool {
    match event["type"].as_str() {
        Some("error" | "step_start") => false,
        Some("item.completed") => event["item"]["type"] == "agent_message",
        Some("turn.completed") => true,
        _ => is_of_opencode(event),
    }
}

fn read_error(event: &Value, now: UnixMillis, zone: &TimeZone) -> Option<Reading> {
    let message = match event["type"].as_str()? {
        "error" if is_of_opencode(event) => return Some(read_opencode_error(event, now)),
        "error" => &event["message"],
        "turn.failed" => &event["error"]["message"],
        _ => return None,
    };
    Some(read_message(message.as_str()?, now, zone))
}

/// The response that an error event of opencode carries, or where there was none its message.
fn read_opencode_error(event: &Value, now: UnixMillis) -> Reading {
    let data = &event["error"]["data"];
    let message = json!({ "message": data["message"] }).to_string();
    let body = data["responseBody"].as_str().unwrap_or(&message);
    let response = Response {
        status: limit::status_code(&data["statusCode"]),
        headers: &limit::header_map(&data["responseHeaders"]),
        body: body.as_bytes(),
    };
    no_success(response.read(now))
}

/// What Codex says of an error: a sentence, which may name a status and end in the body.
fn read_message(message: &str, now: UnixMillis, zone: &TimeZone) -> Reading {
    let sentence = json!({ "message": message }).to_string();
    let body = message.find('{').map(|start| &message[start..]);
    let body = body.filter(|body| serde_json::from_str::<Value>(body).is_ok());
    let response = Response {
        status: status_in(message),
        headers: &HeaderMap::new(),
        body: body.unwrap_or(&sentence).as_bytes(),
    };
    let mut reading = no_success(response.read(now));
    if let Verdict::Limited(limit) = &mut reading.verdict {
        limit.take_spoken_clock(message, now, zone);
    }
    reading
}

/// The status in "unexpected status 429 Too Many Requests" or "last status: 429".
fn status_in(message: &str) -> Option<StatusCode> {
    let (_, rest) = message.split_once("status")?;
    let digits = rest.trim_start_matches([':', ' ']).get(..3)?;
    digits.parse().ok()
}

/// The text of `codex exec`: its error lines. `None` if there is none that says anything: then it
/// may be any text.
pub(super) fn read_text(text: &[u8], now: UnixMillis, zone: &TimeZone) -> Option<Reading> {
    let text = String::from_utf8_lossy(text);
    let said = text.lines().filter_map(error_line);
    let readings = said.map(|message| read_message(message, now, zone));
    readings.rev().find(|it| it.verdict != Verdict::Other)
}

/// What an error line of Codex says, which in some versions begins with nothing but a mark.
fn error_line(line: &str) -> Option<&str> {
    let line = line.trim();
    if let Some(said) = line.strip_prefix("ERROR: ") {
        return Some(said);
    }
    let said = line.trim_start_matches(|c: char| !c.is_alphanumeric());
    let rest = said.strip_prefix("You")?;
    let rest = rest.strip_prefix(['\'', '\u{2019}'])?;
    rest.starts_with("ve hit your usage limit").then_some(said)
}

fn no_success(reading: Reading) -> Reading {
    match reading.verdict {
        Verdict::Ok => Reading {
            verdict: Verdict::Other,
            ..reading
        },
        _ => reading,
    }
}
