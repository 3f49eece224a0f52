//! The answers that are the relay's own, as the clients expect them (PROTOCOL §4).

use bytes::Bytes;
use http::header::{
    ALLOW, CONTENT_TYPE, RETRY_AFTER, SEC_WEBSOCKET_VERSION, UPGRADE, WWW_AUTHENTICATE,
};
use http::{HeaderValue, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::entry::Entry;
use super::exchange::NoAnswer;
use super::pool::Unavailable;
use super::upstream;
use crate::account::pick::Nothing;
use crate::account::time::UnixMillis;
use crate::store::{Document, told};

/// A client that sleeps until a limit ends does not see that it was lifted, or that an account was
/// added: it is told to come back after so many seconds at the latest.
const LONGEST_RETRY_AFTER: u64 = 5 * 60;

/// What opencode shows of a message.
const LONGEST_MESSAGE: usize = 60;

/// The body of an answer to the client.
pub(super) type Body = UnsyncBoxBody<Bytes, upstream::Error>;

/// Sends an answer of the relay's own, and notes that.
pub(super) fn send(mut entry: Entry, reply: Response<String>) -> Response<Body> {
    entry.note_head(reply.status().as_u16());
    entry.note_bytes(reply.body().len());
    entry.note_end();
    reply.map(full)
}

fn full(text: String) -> Body {
    Full::new(Bytes::from(text))
        .map_err(|never| match never {})
        .boxed_unsync()
}

/// The head of an answer that ends HTTP on this connection.
pub(super) fn send_switch() -> Response<Body> {
    let mut response = Response::new(full(String::new()));
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    response
}

/// There is no WebSocket to be had, on which clients go on by HTTP at once (PROTOCOL §6).
pub(super) fn no_socket() -> Response<String> {
    let mut response = refusal(StatusCode::UPGRADE_REQUIRED);
    let version = HeaderValue::from_static("13");
    response
        .headers_mut()
        .insert(SEC_WEBSOCKET_VERSION, version);
    response
}

/// Why nobody answered what asked for this model.
pub(super) fn none(none: &NoAnswer, model: Option<&str>, now: UnixMillis) -> Response<String> {
    match none {
        NoAnswer::Unavailable(Unavailable::Limited { name, until }) => {
            all_limited(name, *until, now)
        }
        NoAnswer::Unavailable(Unavailable::Nobody(nothing)) => match (nothing, model) {
            (Nothing::ModelNotIncluded, Some(model)) => not_included(model),
            _ => nobody(*nothing),
        },
        NoAnswer::Silent(silence) => bad_gateway(&silence.reason),
        NoAnswer::NoToken { reason } => no_token(reason),
    }
}

/// Not served, without detail.
pub(super) fn refusal(status: StatusCode) -> Response<String> {
    let mut response = Response::new(String::new());
    *response.status_mut() = status;
    // What these statuses must say (RFC 9110 §15.5).
    let must = match status {
        StatusCode::UNAUTHORIZED => Some((WWW_AUTHENTICATE, "Bearer")),
        StatusCode::METHOD_NOT_ALLOWED => {
            Some((ALLOW, "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"))
        }
        StatusCode::UPGRADE_REQUIRED => Some((UPGRADE, "HTTP/1.1")),
        _ => None,
    };
    if let Some((name, value)) = must {
        let value = HeaderValue::from_static(value);
        response.headers_mut().insert(name, value);
    }
    response
}

/// What answers here, for `codex-launch --proxy` and whoever watches over relays.
pub(super) fn identity(websocket: bool) -> Response<String> {
    let body = json!({
        "v": 1,
        "name": "codex-proxy",
        "version": env!("CARGO_PKG_VERSION"),
        "pid": std::process::id(),
        "websocket": websocket,
    });
    said(StatusCode::OK, &body)
}

/// The accounts without their secrets, as [`told::read`] reads them.
pub(super) fn accounts(document: &Document) -> Response<String> {
    // It is a document, and has no keys but text.
    let told = told::without_secrets(document.clone()).unwrap_or_default();
    said(StatusCode::OK, &told)
}

/// Every account is limited, and this one comes back first: in the upstream's own shape.
fn all_limited(name: &str, until: UnixMillis, now: UnixMillis) -> Response<String> {
    let wait = until.since(now);
    let seconds = u64::try_from(wait.as_millis().div_ceil(1000)).unwrap_or(u64::MAX);
    let body = json!({"error": {
        "type": "usage_limit_reached",
        "message": all_limited_message(name, &on_the_clock(until, now, &TimeZone::system())),
        "resets_at": until.as_secs_ceil(),
        "resets_in_seconds": seconds,
    }});
    let mut response = said(StatusCode::TOO_MANY_REQUESTS, &body);
    let retry_after = seconds.min(LONGEST_RETRY_AFTER);
    response
        .headers_mut()
        .insert(RETRY_AFTER, retry_after.into());
    response
}

/// The time first, and short: opencode shows the beginning of a message only.
fn all_limited_message(name: &str, time: &str) -> String {
    let said = |name: &str| format!("{time}: '{name}' is back first, all are limited");
    let room = LONGEST_MESSAGE.saturating_sub(said("").chars().count());
    match name.chars().count() <= room {
        true => said(name),
        false => {
            let short: String = name.chars().take(room.saturating_sub(1)).collect();
            said(&format!("{short}…"))
        }
    }
}

/// A time on the clock of a place, as `codex-accounts` shows it: with its day where that is not
/// near.
fn on_the_clock(at: UnixMillis, now: UnixMillis, zone: &TimeZone) -> String {
    const HOUR: u64 = 60 * 60;
    let format = match at.since(now).as_secs() {
        near if near < 12 * HOUR => "%H:%M",
        week if week < 6 * 24 * HOUR => "%a %H:%M",
        _ => "%-d %b %H:%M",
    };
    let millis = i64::try_from(at.as_millis()).unwrap_or(i64::MAX);
    let time = Timestamp::from_millisecond(millis).unwrap_or(Timestamp::MAX);
    let time = time.to_zoned_datetime(zone.clone());
    time.strftime(format).to_string()
}

/// Every account was refused this model before: in the words in which the backend refused it.
fn not_included(model: &str) -> Response<String> {
    let detail =
        format!("The '{model}' model is not supported when using Codex with a ChatGPT account.");
    said(StatusCode::BAD_REQUEST, &json!({"detail": detail}))
}

/// There is no account to ask, and it is no use to wait for one.
fn nobody(nothing: Nothing) -> Response<String> {
    let message = match nothing {
        Nothing::NoAccounts => "There is no account. Log in with: codex-accounts add",
        Nothing::NoneAllowed => "No account can be used for this. See: codex-accounts list",
        Nothing::ModelNotIncluded => {
            "No account is served with this model. See: codex-account-pick --explain --model"
        }
        Nothing::CreditKept => {
            "The plan of every account is spent, and no credit is to be used. See: codex-accounts policy"
        }
        Nothing::LoginRequired => {
            "No account can be used without a new login. Log in with: codex-accounts add"
        }
    };
    let body = json!({"error": {"type": "no_account", "code": "no_account", "message": message}});
    said(StatusCode::FORBIDDEN, &body)
}

/// The upstream was not asked: the issuer gave no token to ask it with.
fn no_token(reason: &str) -> Response<String> {
    let body = json!({"error": {"type": "issuer_unreachable", "message": capitalized(reason)}});
    said(StatusCode::BAD_GATEWAY, &body)
}

/// The upstream's refusal is not passed on: it repeats an account's token.
pub(super) fn withheld(status: StatusCode) -> Response<String> {
    let body = json!({"error": {
        "type": "withheld",
        "message": format!("The backend answered {status}, and repeated a secret"),
    }});
    said(status, &body)
}

/// The upstream gave no answer.
fn bad_gateway(reason: &str) -> Response<String> {
    let body = json!({"error": {
        "type": "upstream_unreachable",
        "message": format!("The backend could not be reached: {reason}"),
    }});
    said(StatusCode::BAD_GATEWAY, &body)
}

/// The upstream failed before there was output, and so did what was tried against it: told by a
/// status, on which clients ask again or end, and not by a stream.
pub(super) fn server_failed() -> Response<String> {
    let body = json!({"error": {
        "type": "service_unavailable_error",
        "code": "server_is_overloaded",
        "message": "The backend is overloaded, or ends its answers before they begin. Try again later.",
    }});
    said(StatusCode::SERVICE_UNAVAILABLE, &body)
}

/// Where an event of the relay's own stands in a stream.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    /// How many events went before.
    pub(super) number: u64,
    /// The model that was asked.
    pub(super) model: Option<&'a str>,
    /// When that is.
    pub(super) at: UnixMillis,
}

/// The last event of a stream whose upstream did not send one.
pub(super) fn broke_off(place: Place<'_>) -> String {
    failed_event(place, &broke_off_error())
}

/// What is wrong with an answer that broke off.
pub(super) fn broke_off_error() -> Value {
    json!({"code": "server_error", "message": "The backend's answer broke off."})
}

/// A failure as an event of a stream, complete as the upstream's are: on less some clients ask
/// again without end (PROTOCOL-SWITCH §3).
pub(super) fn failed_event(place: Place<'_>, error: &Value) -> String {
    let data = failed_response(place, error);
    format!("event: response.failed\ndata: {data}\n\n")
}

/// The same without what makes it an event of a stream.
pub(super) fn failed_response(place: Place<'_>, error: &Value) -> Value {
    json!({
        "type": "response.failed",
        "sequence_number": place.number,
        "response": {
            "id": format!("resp_relay_{}", place.at.as_millis()),
            "object": "response",
            "created_at": place.at.as_millis() / 1000,
            "status": "failed",
            "error": error,
            "incomplete_details": null,
            "model": place.model.unwrap_or_default(),
            "output": [],
            "usage": null,
        },
    })
}

fn said(status: StatusCode, body: &Value) -> Response<String> {
    let mut response = Response::new(body.to_string());
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn capitalized(text: &str) -> String {
    let mut rest = text.chars();
    let first = rest.next().into_iter().flat_map(char::to_uppercase);
    first.chain(rest.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn when_all_are_limited_the_time_is_said_first_and_briefly() {
        let zone = TimeZone::get("Europe/Paris").unwrap();
        let noon = UnixMillis::from_secs(1_795_600_800);
        let message = |name: &str, hours: u64| {
            let until = noon.plus(std::time::Duration::from_secs(hours * 3600));
            all_limited_message(name, &on_the_clock(until, noon, &zone))
        };
        assert_eq!(
            message("work", 2),
            "13:00: 'work' is back first, all are limited"
        );
        assert_eq!(
            message("work", 48),
            "Fri 11:00: 'work' is back first, all are limited"
        );
        assert!(message("work", 24 * 7).starts_with("2 Dec 11:00: 'work'"));
        let long = message("somebody.with.a.long.name@example.com", 48);
        assert_eq!(long.chars().count(), 60, "{long}");
        assert!(long.starts_with("Fri 11:00: 'somebody.w"), "{long}");
    }
}
