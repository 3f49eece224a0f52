//! A stream that waits for an account: its head goes out at once, then a comment now and then, so
//! that nobody on the way takes it for dead, then the answer. It decides nothing about accounts.

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Response, StatusCode};
use http_body_util::{BodyExt, Limited, StreamBody};
use hyper::body::Frame;
use serde_json::Value;

use super::answer::{LARGEST_ERROR, is_event_stream};
use super::call::Call;
use crate::account::time::UnixMillis;
use crate::proxy::exchange::{NoAnswer, Outcome};
use crate::proxy::pool::Unavailable;
use crate::proxy::replies::{self, Body, Place};
use crate::proxy::upstream;

/// Clients pass over a comment (PROTOCOL §4: a stream of events).
const COMMENT: &[u8] = b": waiting for an account\n\n";

/// Where a held request is.
enum Held {
    /// The client is told that it goes on, and then there is a wait until this time.
    Waiting(Box<Call>, UnixMillis),
    /// The answer passes.
    Answering(Body),
    /// It was said what failed.
    Over,
}

/// The answer to a request that waits until this time, and longer if it must.
pub(super) fn hold(mut call: Call, until: UnixMillis) -> Response<Body> {
    call.exchange.entry.note_head(StatusCode::OK.as_u16());
    let first = stream::iter([Ok(comment())]);
    let waiting = Held::Waiting(Box::new(call), until);
    let frames = first.chain(stream::unfold(waiting, next));
    let mut response = Response::new(StreamBody::new(frames).boxed_unsync());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

type Piece = Result<Frame<Bytes>, upstream::Error>;

async fn next(held: Held) -> Option<(Piece, Held)> {
    match held {
        Held::Waiting(mut call, until) => {
            call.wait(until).await;
            match call.ask().await {
                Outcome::None(NoAnswer::Unavailable(Unavailable::Limited { until, .. }))
                    if call.exchange.can_wait(until) =>
                {
                    Some((Ok(comment()), Held::Waiting(call, until)))
                }
                outcome => {
                    let model = call.exchange.model().map(str::to_owned);
                    let place = Place {
                        number: 0,
                        model: model.as_deref(),
                        at: call.exchange.relay.pool.now(),
                    };
                    begin(call.answer(outcome), place).await
                }
            }
        }
        Held::Answering(body) => pass(body).await,
        Held::Over => None,
    }
}

/// The first of an answer; one that is no stream of events is told as an event, since the head went
/// out before.
async fn begin(answer: Response<Body>, place: Place<'_>) -> Option<(Piece, Held)> {
    if answer.status() == StatusCode::OK && is_event_stream(answer.headers()) {
        return pass(answer.into_body()).await;
    }
    let (head, body) = answer.into_parts();
    let body = Limited::new(body, LARGEST_ERROR).collect().await;
    let text = body.map(http_body_util::Collected::to_bytes);
    let said = text
        .ok()
        .and_then(|text| serde_json::from_slice(&text).ok());
    let event = failed(head.status, &said.unwrap_or_default(), place);
    Some((Ok(Frame::data(event.into())), Held::Over))
}

fn comment() -> Frame<Bytes> {
    Frame::data(Bytes::from_static(COMMENT))
}

async fn pass(mut body: Body) -> Option<(Piece, Held)> {
    let frame = body.frame().await?;
    Some((frame, Held::Answering(body)))
}

/// A failure as the upstream tells one in a stream (PROTOCOL §4).
fn failed(status: StatusCode, body: &Value, place: Place<'_>) -> String {
    let mut error = match &body["error"] {
        Value::Object(error) => error.clone(),
        _ => serde_json::Map::new(),
    };
    if error.get("code").is_none_or(Value::is_null) {
        let code = error.get("type").cloned();
        error.insert("code".into(), code.unwrap_or_else(|| "server_error".into()));
    }
    error
        .entry("message")
        .or_insert_with(|| format!("The backend answered {status}").into());
    replies::failed_event(place, &error.into())
}
