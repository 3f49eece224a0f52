//! How an account is asked over HTTP: the request as the client made it, with the account's
//! credentials.

use std::sync::Arc;

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

    async fn send(&self, account: &Account) -> Result<Judged<Held>, Silence> {
        let relay = &self.relay;
        let mut states = self.question.headers.get_all(TURN_STATE).iter();
        let keeps_turn = states.all(|state| relay.turns.is_of(state, account));
        let upstream = &relay.upstream;
        let answer = upstream.ask(&self.question, account, keeps_turn).await?;
        if let Some(turn) = answer.headers().get(TURN_STATE) {
            relay.turns.remember(turn, account);
        }
        answer::read(answer, relay.pool.now()).await
    }
}

impl Transport for ByHttp {
    type Answer = Held;

    async fn ask(&mut self, account: &Account) -> Result<Judged<Held>, Silence> {
        match tokio::time::timeout(self.relay.head_patience, self.send(account)).await {
            Ok(asked) => asked,
            Err(_) => Err(Silence {
                reason: "the upstream did not answer in time".to_owned(),
            }),
        }
    }
}
