//! A WebSocket, from the client's handshake to its close (PROTOCOL-WEBSOCKET §7). Messages pass
//! unchanged between a client's connection and one of an account's; the accounts are gone through
//! by the same [`exchange`](super::exchange) as over HTTP. What only the client can do, to ask anew
//! with all it knows, it is asked to do by a close that it does not show.

mod by_handshake;
mod by_message;
mod conversation;
mod handshake;
mod link;
pub mod message;

use std::sync::Arc;
use std::time::Duration;

use ::http::request::Parts;
use ::http::{Response, StatusCode};
use hyper::Request;
use hyper::body::Incoming;
use tokio::time::timeout;

use super::entry::Entry;
use super::exchange::{Answered, Exchange, Judged, NoAnswer, Outcome};
use super::http;
use super::pool::Unavailable;
use super::relay::Relay;
use super::replies::{self, Body};
use by_handshake::ByHandshake;
use conversation::Conversation;
use handshake::Handshake;
use link::{Link, Opened};

/// A client gives up on a handshake after 15 seconds.
const PATIENCE: Duration = Duration::from_secs(12);

/// Serves an upgrade that was let in.
pub(super) async fn serve(
    relay: Arc<Relay>,
    mut entry: Entry,
    head: Parts,
    body: Incoming,
) -> Response<Body> {
    entry.note_socket("handshake");
    let handshake = Handshake::of(&head);
    let takes_it = relay.websocket
        && handshake::is_complete(&head)
        && relay.sockets.may_open(handshake.thread.as_deref());
    if !takes_it {
        return replies::send(entry, replies::no_socket());
    }
    let accept = handshake::accept(&head.headers);
    let mut exchange = Exchange::new(Arc::clone(&relay), entry, None);
    let mut transport = ByHandshake::new(Arc::clone(&relay), &handshake.question);
    let asked = timeout(PATIENCE, exchange.run(&mut transport)).await;
    let link = match asked {
        Ok(outcome) => match opened(&relay, exchange, outcome) {
            Ok(link) => link,
            Err(response) => return *response,
        },
        Err(_) => return replies::send(exchange.entry, replies::no_socket()),
    };
    let mut response = replies::send_switch();
    let headers = response.headers_mut();
    if let Some(link) = &link {
        headers.extend(handshake::answer_headers(&link.head));
    }
    headers.extend(accept);
    let upgrade = hyper::upgrade::on(Request::from_parts(head, body));
    tokio::spawn(async move {
        if let Ok(client) = upgrade.await {
            let conversation = Conversation::new(relay, handshake, client, link).await;
            conversation.run().await;
        }
    });
    response
}

/// The connection to an account that a handshake led to, none where the client may wait for one, or
/// the answer that ends it.
fn opened(
    relay: &Arc<Relay>,
    mut exchange: Exchange,
    outcome: Outcome<Opened>,
) -> Result<Option<Link>, Box<Response<Body>>> {
    let answered = match outcome {
        Outcome::Answer(answered) => answered,
        Outcome::None(NoAnswer::Unavailable(Unavailable::Limited { until, .. }))
            if exchange.can_wait(until) =>
        {
            return Ok(None);
        }
        Outcome::None(none) => {
            let reply = replies::none(&none, exchange.model(), relay.pool.now());
            return Err(Box::new(replies::send(exchange.entry, reply)));
        }
        Outcome::AskAnew => {
            return Err(Box::new(replies::send(
                exchange.entry,
                replies::no_socket(),
            )));
        }
    };
    let Answered {
        account,
        asking,
        judged,
    } = *answered;
    let status = judged.status;
    let reading = judged.reading;
    match judged.answer {
        Opened::Link(link) => {
            exchange.entry.account = Some(link.account.name().to_owned());
            exchange
                .entry
                .note_head(StatusCode::SWITCHING_PROTOCOLS.as_u16());
            exchange.entry.note_end();
            Ok(Some(*link))
        }
        Opened::Refused(_) if status.is_some_and(handshake::refuses_sockets) => {
            relay.sockets.close_for_a_while();
            Err(Box::new(replies::send(
                exchange.entry,
                replies::no_socket(),
            )))
        }
        Opened::Refused(held) => {
            let judged = Judged {
                status,
                reading,
                answer: *held,
            };
            let answered = Answered {
                account,
                asking,
                judged,
            };
            Err(Box::new(http::pass_on(exchange, answered)))
        }
    }
}
