//! How an account is asked over HTTP: the request as the client made it, with the account's
//! credentials.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use http::header::CONTENT_ENCODING;
use tokio::time::timeout;

use super::answer::{self, Held};
use crate::account::Account;
use crate::proxy::decode;
use crate::proxy::exchange::{Judged, Transport};
use crate::proxy::relay::Relay;
use crate::proxy::session::Carrier;
use crate::proxy::silence::Silence;
use crate::proxy::upstream::{Question, TURN_STATE};

/// A body that is sent encoded is read if it becomes no more than this.
const LARGEST_DECODED: usize = 128 << 20;

/// See the module.
pub(super) struct ByHttp {
    relay: Arc<Relay>,
    question: Question,
    /// What is sent in the place of a body that an account can't read.
    cut: Option<Question>,
}

impl ByHttp {
    pub(super) const fn new(relay: Arc<Relay>, question: Question) -> Self {
        Self {
            relay,
            question,
            cut: None,
        }
    }
}

impl Carrier for ByHttp {
    fn text(&self) -> Option<Cow<'_, [u8]>> {
        let Question { headers, body, .. } = &self.question;
        Some(decode::whole(headers, body, LARGEST_DECODED)).filter(|text| !text.is_empty())
    }

    fn send(&mut self, text: Option<String>) {
        self.cut = text.map(|text| {
            let mut cut = self.question.clone();
            cut.headers.remove(CONTENT_ENCODING);
            cut.body = Bytes::from(text);
            cut
        });
    }
}

impl Transport for ByHttp {
    type Answer = Held;

    async fn ask(&mut self, account: &Account) -> Result<Judged<Held>, Silence> {
        let relay = &self.relay;
        let question = self.cut.as_ref().unwrap_or(&self.question);
        let mut states = question.headers.get_all(TURN_STATE).iter();
        let keeps_turn = states.all(|state| relay.turns.is_of(state, account));
        let asking = relay.upstream.ask(question, account, keeps_turn);
        let Ok(answer) = timeout(relay.head_patience, asking).await else {
            return Err(Silence::of_server("the upstream did not answer in time"));
        };
        let answer = answer?;
        if answer.status().is_informational() {
            return Err(Silence::of_server(
                "the upstream switched protocols unasked",
            ));
        }
        if let Some(turn) = answer.headers().get(TURN_STATE) {
            relay.turns.remember(turn, account);
        }
        answer::read(answer, relay.head_patience, relay.pool.now()).await
    }
}
