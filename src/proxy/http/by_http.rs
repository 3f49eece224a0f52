//! How an account is asked over HTTP: the request as the client made it, with the account's
//! credentials.

use std::sync::Arc;

use tokio::time::timeout;

use super::answer::{self, Held};
use crate::account::Account;
use crate::proxy::exchange::{Judged, Silence, Transport};
use crate::proxy::relay::Relay;
use crate::proxy::upstream::{Question, TURN_STATE};

/// See the module.
pub(super) struct ByHttp {
    relay: Arc<Relay>,
    question: Question,
}

impl ByHttp {
    pub(super) const fn new(relay: Arc<Relay>, question: Question) -> Self {
        Self { relay, question }
    }
}

impl Transport for ByHttp {
    type Answer = Held;

    async fn ask(&mut self, account: &Account) -> Result<Judged<Held>, Silence> {
        let relay = &self.relay;
        let mut states = self.question.headers.get_all(TURN_STATE).iter();
        let keeps_turn = states.all(|state| relay.turns.is_of(state, account));
        let asking = relay.upstream.ask(&self.question, account, keeps_turn);
        let Ok(answer) = timeout(relay.head_patience, asking).await else {
            return Err(Silence::of_server("the upstream did not answer in time"));
        };
        let answer = answer?;
        if let Some(turn) = answer.headers().get(TURN_STATE) {
            relay.turns.remember(turn, account);
        }
        answer::read(answer, relay.head_patience, relay.pool.now()).await
    }
}
