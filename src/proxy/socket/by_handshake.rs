//! How an account is asked for a connection.

use std::borrow::Cow;
use std::sync::Arc;

use super::link::{Link, Opened};
use crate::account::Account;
use crate::proxy::exchange::{Judged, Transport};
use crate::proxy::relay::Relay;
use crate::proxy::session::Carrier;
use crate::proxy::silence::Silence;
use crate::proxy::upstream::Question;

/// See the module.
pub(super) struct ByHandshake<'a> {
    relay: Arc<Relay>,
    question: &'a Question,
}

impl<'a> ByHandshake<'a> {
    pub(super) const fn new(relay: Arc<Relay>, question: &'a Question) -> Self {
        Self { relay, question }
    }
}

/// A handshake holds nothing that an account could not read.
impl Carrier for ByHandshake<'_> {
    fn text(&self) -> Option<Cow<'_, [u8]>> {
        None
    }

    fn send(&mut self, _: Option<String>) {}
}

impl Transport for ByHandshake<'_> {
    type Answer = Opened;

    async fn ask(&mut self, account: &Account) -> Result<Judged<Opened>, Silence> {
        Link::open(&self.relay, self.question, account).await
    }
}
