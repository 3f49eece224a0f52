//! One request, from its head to whoever serves it: who is let in, and what for.

use std::convert::Infallible;
use std::sync::Arc;

use ::http::{Response, Uri};
use hyper::body::Incoming;

use super::door::Guest;
use super::guard::{self, Wish};
use super::relay::Relay;
use super::replies::{self, Body};
use super::{http, socket};
use crate::account::session::SessionKey;

/// Serves one request.
///
/// # Errors
/// Never: what goes wrong is an answer.
pub(super) async fn serve(
    relay: Arc<Relay>,
    request: hyper::Request<Incoming>,
    guest: Arc<Guest>,
) -> Result<Response<Body>, Infallible> {
    let (mut head, body) = request.into_parts();
    let entry = relay.entry(SessionKey::of(&head.headers));
    let wish = guard::admit(&head, &relay.key);
    if wish.is_ok() {
        guest.admit();
    }
    Ok(match wish {
        Err(status) => replies::send(entry, replies::refusal(status)),
        Ok(Wish::Identity) => replies::send(entry, replies::identity(relay.websocket)),
        Ok(Wish::Accounts) => {
            let document = relay.pool.document().await;
            replies::send(entry, replies::accounts(&document))
        }
        // What it takes to find an answer is not kept while that passes, or a connection is idle.
        Ok(Wish::Upgrade) => Box::pin(socket::serve(relay, entry, head, body)).await,
        Ok(Wish::Usage) => {
            head.uri = Uri::from_static("/wham/usage");
            Box::pin(http::serve(relay, entry, head, body)).await
        }
        Ok(Wish::Upstream) => Box::pin(http::serve(relay, entry, head, body)).await,
    })
}
