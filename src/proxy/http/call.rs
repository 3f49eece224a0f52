//! One call of a client over HTTP: what is asked, how long it may be held, and what its answer is.

use std::time::Duration;

use http::Response;
use http::header::CONTENT_LENGTH;
use http_body_util::BodyExt;

use super::answer::Held;
use super::by_http::ByHttp;
use super::passing::Passing;
use crate::account::limit::Verdict;
use crate::account::pick::Nothing;
use crate::account::time::UnixMillis;
use crate::proxy::budget::Room;
use crate::proxy::exchange::{Answered, Exchange, Judged, NoAnswer, Outcome};
use crate::proxy::pool::Unavailable;
use crate::proxy::replies::{self, Body};
use crate::proxy::upstream;
use crate::proxy::watcher::Watcher;

/// A request that is held looks for an account this often.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// See the module.
pub(super) struct Call {
    pub(super) exchange: Exchange,
    pub(super) transport: ByHttp,
    /// The client takes the answer as a stream of events.
    pub(super) streams: bool,
    /// What it takes of the room for requests, until it is answered.
    pub(super) _room: Room,
}

impl Call {
    /// Asks every account that can be used.
    pub(super) async fn ask(&mut self) -> Outcome<Held> {
        self.exchange.run(&mut self.transport).await
    }

    /// Waits for an account to come back, but no longer than until the next look.
    pub(super) async fn wait(&self, until: UnixMillis) {
        let wait = until.min(self.next_look());
        tokio::time::sleep(wait.since(self.exchange.relay.pool.now())).await;
    }

    /// When the accounts are looked at again at the latest: another command may have lifted a limit
    /// or brought an account.
    pub(super) fn next_look(&self) -> UnixMillis {
        self.exchange.relay.pool.now().plus(LOOK_AGAIN)
    }

    /// The answer to the client.
    pub(super) fn answer(self, outcome: Outcome<Held>) -> Response<Body> {
        let none = match outcome {
            Outcome::Answer(answered) if is_failed_stream(&answered.judged) => {
                let reply = replies::server_failed();
                return replies::send(self.exchange.entry, reply);
            }
            Outcome::Answer(answered) => return pass_on(self.exchange, *answered),
            Outcome::None(none) => none,
            Outcome::AskAnew => NoAnswer::Unavailable(Unavailable::Nobody(Nothing::NoneAllowed)),
        };
        let now = self.exchange.relay.pool.now();
        let reply = replies::none(&none, self.exchange.model(), now);
        replies::send(self.exchange.entry, reply)
    }
}

/// Passes an answer on as it comes.
pub(in crate::proxy) fn pass_on(
    mut exchange: Exchange,
    answered: Answered<Held>,
) -> Response<Body> {
    if answered.judged.answer.holds(&answered.account) {
        exchange.entry.account = Some(answered.account.name().to_owned());
        let status = answered.judged.answer.head.status;
        return replies::send(exchange.entry, replies::withheld(status));
    }
    let Held { head, body, made } = answered.judged.answer;
    let watcher = Watcher::new(&exchange, &head.headers, answered.asking);
    watcher.made(&made);
    exchange.entry.account = Some(answered.account.name().to_owned());
    exchange.entry.verdict = Some(answered.judged.reading.verdict.word());
    exchange.entry.note_head(head.status.as_u16());
    let mut response = Response::new(());
    *response.status_mut() = head.status;
    *response.headers_mut() = upstream::answer_headers(&head.headers);
    if body.events.is_some() {
        // It may get an end that it lacks.
        response.headers_mut().remove(CONTENT_LENGTH);
    }
    let passing = Passing::new(body, watcher, exchange.entry, exchange.committing);
    response.map(|()| passing.boxed_unsync())
}

/// Whether the server failed in a stream that began well.
fn is_failed_stream(judged: &Judged<Held>) -> bool {
    judged.reading.verdict == Verdict::Server && judged.answer.head.status.is_success()
}
