//! A request over HTTP, from the client's head to the last byte of the answer. Until the first byte
//! of content has gone to the client, whatever fails is tried again where nobody sees it; from then
//! on bytes pass as they come, and are only watched.

pub(super) mod answer;
mod by_http;
mod call;
mod hold;
mod passing;
mod request;

use std::sync::Arc;

use http::{Response, request::Parts};
use hyper::body::Incoming;

use super::entry::Entry;
use super::exchange::{Exchange, NoAnswer, Outcome};
use super::pool::Unavailable;
use super::relay::Relay;
use super::replies::{self, Body};
use super::upstream::{self, Question};
use by_http::ByHttp;
use call::Call;
pub(super) use call::pass_on;

/// Serves a request that was let in.
pub(super) async fn serve(
    relay: Arc<Relay>,
    entry: Entry,
    head: Parts,
    body: Incoming,
) -> Response<Body> {
    let (body, room) = match request::read(body, &relay.bodies).await {
        Ok(read) => read,
        Err(status) => return replies::send(entry, replies::refusal(status)),
    };
    let named = request::Named::of(&head.headers, &body);
    let question = Question {
        method: head.method,
        uri: head.uri,
        headers: upstream::request_headers(&head.headers),
        body,
    };
    run(Call {
        transport: ByHttp::new(Arc::clone(&relay), question),
        exchange: Exchange::new(relay, entry, named.model),
        streams: named.stream,
        _room: room,
    })
    .await
}

/// Asks until there is an answer for the client.
async fn run(mut call: Call) -> Response<Body> {
    loop {
        match call.ask().await {
            Outcome::None(NoAnswer::Unavailable(Unavailable::Limited { until, .. }))
                if call.exchange.can_wait(until) =>
            {
                if call.streams && until > call.next_look() {
                    return hold::hold(call, until);
                }
                call.wait(until).await;
            }
            outcome => return call.answer(outcome),
        }
    }
}
