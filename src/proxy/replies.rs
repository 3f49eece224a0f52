//! The answers that are the relay's own, as the clients expect them (PROTOCOL §4).

use std::time::Duration;

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER, UPGRADE, WWW_AUTHENTICATE};
use http::{HeaderValue, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use serde_json::{Value, json};

use super::entry::Entry;
use crate::account::pick::Nothing;
use crate::account::time::UnixMillis;

/// The body of an answer to the client.
pub(super) type Body = UnsyncBoxBody<Bytes, reqwest::Error>;

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
pub(super) fn identity() -> Response<String> {
    let body = json!({
        "v": 1,
        "name": "codex-proxy",
        "version": env!("CARGO_PKG_VERSION"),
        "pid": std::process::id(),
    });
    said(StatusCode::OK, &body)
}

/// Every account is limited, and this one comes back first: in the upstream's own shape.
pub(super) fn all_limited(name: &str, until: UnixMillis, now: UnixMillis) -> Response<String> {
    let wait = until.since(now);
    let seconds = u64::try_from(wait.as_millis().div_ceil(1000)).unwrap_or(u64::MAX);
    let body = json!({"error": {
        "type": "usage_limit_reached",
        "message": format!(
            "The usage limit of every account has been reached. '{name}' comes back first, in {}.",
            spoken(wait)
        ),
        "resets_at": until.as_secs_ceil(),
        "resets_in_seconds": seconds,
    }});
    let mut response = said(StatusCode::TOO_MANY_REQUESTS, &body);
    response.headers_mut().insert(RETRY_AFTER, seconds.into());
    response
}

/// There is no account to ask, and it is no use to wait for one.
pub(super) fn nobody(nothing: Nothing) -> Response<String> {
    let message = match nothing {
        Nothing::NoAccounts => "There is no account. Log in with: codex-accounts add",
        Nothing::NoneAllowed => "No account can be used for this. See: codex-accounts list",
        Nothing::ModelNotIncluded => {
            "No account is served with this model. See: codex-account-pick --explain --model"
        }
        Nothing::LoginRequired => {
            "No account can be used without a new login. Log in with: codex-accounts add"
        }
    };
    let body = json!({"error": {"type": "no_account", "code": "no_account", "message": message}});
    said(StatusCode::FORBIDDEN, &body)
}

/// The upstream was not asked: the issuer gave no token to ask it with.
pub(super) fn no_token(reason: &str) -> Response<String> {
    let body = json!({"error": {"type": "issuer_unreachable", "message": capitalized(reason)}});
    said(StatusCode::BAD_GATEWAY, &body)
}

/// The upstream gave no answer.
pub(super) fn bad_gateway(reason: &str) -> Response<String> {
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
    let error = json!({
        "code": "server_error",
        "message": "The backend's answer broke off.",
    });
    failed_event(place, &error)
}

/// A failure as an event of a stream, complete as the upstream's are: on less some clients ask
/// again without end (PROTOCOL-SWITCH §3).
pub(super) fn failed_event(place: Place<'_>, error: &Value) -> String {
    let event = json!({
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
    });
    format!("event: response.failed\ndata: {event}\n\n")
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

/// A wait in words: minutes where they matter, hours and days where those do.
fn spoken(wait: Duration) -> String {
    let minutes = wait.as_secs().div_ceil(60);
    match (minutes / 1440, minutes / 60 % 24, minutes % 60) {
        (0, 0, minutes) => format!("{minutes} min"),
        (0, hours, minutes) => format!("{hours} h {minutes} min"),
        (days, hours, _) => format!("{days} d {hours} h"),
    }
}
