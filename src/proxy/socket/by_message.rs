//! How an account is asked by a message: on the connection that is there, or on a new one where
//! that belongs to another account. What goes on from an earlier answer can't be asked on another.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderValue};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};
use tokio_tungstenite::tungstenite::Utf8Bytes;

use super::link::{Link, Opened, Said};
use super::message::{self, Create};
use crate::account::Account;
use crate::account::limit::{self, Reading, Verdict};
use crate::account::session::Blob;
use crate::account::stream::Event;
use crate::account::time::UnixMillis;
use crate::account::usage;
use crate::proxy::exchange::{Judged, Transport};
use crate::proxy::http::answer::Held;
use crate::proxy::relay::Relay;
use crate::proxy::session::Carrier;
use crate::proxy::silence::Silence;
use crate::proxy::upstream::Question;

/// An answer that lives and says nothing is held back so long at most.
const LONGEST_PREAMBLE: Duration = Duration::from_secs(60);

/// The close code for a message that is too large (RFC 6455 §7.4.1).
const TOO_LARGE: u16 = 1009;

/// See the module.
pub(super) struct ByMessage<'a> {
    pub(super) relay: Arc<Relay>,
    /// What a connection is opened with.
    pub(super) question: &'a Question,
    pub(super) link: &'a mut Option<Link>,
    pub(super) create: &'a Create,
    /// What the client says meanwhile.
    pub(super) meanwhile: &'a mut mpsc::Receiver<Utf8Bytes>,
    /// It was sent, and what it goes on from may be gone.
    pub(super) sent: bool,
    /// What is sent in the place of a request that an account can't read.
    pub(super) cut: Option<Create>,
}

/// The beginning of an answer.
#[derive(Default)]
pub(super) struct Begun {
    /// What came, up to the first output.
    pub(super) held: Vec<Utf8Bytes>,
    /// That is all of it.
    pub(super) ended: bool,
    /// The upstream takes no message as large as the request.
    pub(super) too_large: bool,
    /// The blobs that are in it so far.
    pub(super) made: Vec<Blob>,
    /// The head of its connection.
    pub(super) head: HeaderMap,
}

impl Carrier for ByMessage<'_> {
    fn text(&self) -> Option<Cow<'_, [u8]>> {
        Some(Cow::Borrowed(self.create.text.as_bytes()))
    }

    fn send(&mut self, text: Option<String>) {
        self.cut = text.map(|text| Create {
            text: Utf8Bytes::from(text),
            ..self.create.clone()
        });
    }
}

impl Transport for ByMessage<'_> {
    type Answer = Begun;

    fn can_ask(&self, account: &Account) -> bool {
        let goes_on = || self.link.as_ref().is_some_and(|link| link.serves(account));
        !self.create.is_increment || (!self.sent && goes_on())
    }

    async fn ask(&mut self, account: &Account) -> Result<Judged<Begun>, Silence> {
        if !self.link.as_ref().is_some_and(|link| link.serves(account)) {
            *self.link = None;
            let opened = Link::open(&self.relay, self.question, account).await?;
            match opened.answer {
                Opened::Link(link) => *self.link = Some(*link),
                Opened::Refused(held) => {
                    return Ok(Judged {
                        status: opened.status,
                        reading: opened.reading,
                        answer: refused(&held),
                    });
                }
            }
        }
        let Some(mut link) = self.link.take() else {
            return Err(Silence::of_server("there is no connection"));
        };
        self.sent = true;
        let judged = self.ask_on(&mut link, account).await?;
        // After a failure nobody knows what the connection is good for.
        if judged.reading.verdict == Verdict::Ok && !judged.answer.too_large {
            *self.link = Some(link);
        }
        Ok(judged)
    }
}

impl ByMessage<'_> {
    async fn ask_on(
        &mut self,
        link: &mut Link,
        account: &Account,
    ) -> Result<Judged<Begun>, Silence> {
        link.send(self.text_for(account)).await?;
        let mut begun = Beginning::new(self.create, &link.head);
        let patience = self.relay.head_patience;
        let held_until = Instant::now() + LONGEST_PREAMBLE.min(patience);
        while !begun.is_decided {
            let said = tokio::select! {
                said = timeout(patience, link.next()) => said,
                Some(text) = self.meanwhile.recv() => {
                    link.send(text).await?;
                    continue;
                }
            };
            match said {
                Ok(Said::Text(text)) => {
                    let event = Event::of_message(text.as_bytes());
                    remember_turn(&self.relay, &event, &text, account);
                    begun.take(event, text, self.relay.pool.now())?;
                }
                Ok(Said::End(Some(TOO_LARGE))) => {
                    begun.answer.too_large = true;
                    begun.is_decided = true;
                }
                Ok(Said::End(_)) => return Err(Silence::of_server("the connection was closed")),
                Err(_) => return Err(Silence::of_server("the upstream fell silent")),
            }
            begun.is_decided |= Instant::now() >= held_until;
        }
        Ok(Judged {
            status: begun.status,
            reading: begun.reading,
            answer: begun.answer,
        })
    }

    /// The request as this account may see it: the state of a turn is only for who gave it.
    fn text_for(&self, account: &Account) -> Utf8Bytes {
        let create = self.cut.as_ref().unwrap_or(self.create);
        let is_of_another = create.turn_state.as_deref().is_some_and(|state| {
            let state = HeaderValue::from_str(state);
            !state.is_ok_and(|state| self.relay.turns.is_of(&state, account))
        });
        match is_of_another {
            true => create.without_turn_state(),
            false => create.text.clone(),
        }
    }
}

/// Remembers the state of a turn, if the upstream gave one by this message.
pub(super) fn remember_turn(relay: &Relay, event: &Event, text: &str, account: &Account) {
    if *event != Event::Preamble {
        return;
    }
    let state = message::turn_state_given(text);
    if let Some(Ok(state)) = state.map(HeaderValue::try_from) {
        relay.turns.remember(&state, account);
    }
}

/// What came of an answer until it is known what that is.
struct Beginning<'a> {
    create: &'a Create,
    reading: Reading,
    status: Option<u16>,
    is_decided: bool,
    answer: Begun,
}

impl<'a> Beginning<'a> {
    fn new(create: &'a Create, head: &HeaderMap) -> Self {
        Self {
            create,
            reading: Reading::of(Verdict::Ok),
            status: None,
            is_decided: false,
            answer: Begun {
                head: head.clone(),
                ..Begun::default()
            },
        }
    }

    fn take(&mut self, event: Event, text: Utf8Bytes, now: UnixMillis) -> Result<(), Silence> {
        self.answer.held.push(text);
        self.answer.ended = event.is_terminal();
        self.is_decided = self.answer.ended || event.is_output();
        let notice = match event {
            Event::Notice(notice) => notice,
            Event::Item(blobs) => {
                self.answer.made = blobs;
                return Ok(());
            }
            Event::Preamble | Event::Output | Event::End => return Ok(()),
        };
        // A new connection does not have this trouble, and a whole request needs no other.
        let is_of_connection = message::is_about_the_connection(&notice);
        if is_of_connection && (self.create.is_increment || !is_unknown_response(&notice)) {
            return Err(Silence::of_server("the connection can't go on"));
        }
        if let Some(said) = limit::read_event(&notice, &self.answer.head, now) {
            usage::update(&mut self.reading.windows, &said.windows);
            self.reading.plan_type = said.plan_type.or(self.reading.plan_type.take());
            self.reading.verdict = said.verdict;
            self.status = limit::status_code(&notice["status"]).map(|status| status.as_u16());
        }
        Ok(())
    }
}

fn is_unknown_response(notice: &Value) -> bool {
    let codes = [
        &notice["error"]["code"],
        &notice["response"]["error"]["code"],
    ];
    codes
        .into_iter()
        .any(|code| code == "previous_response_not_found")
}

/// A handshake that was refused, as the failure of a request.
fn refused(held: &Held) -> Begun {
    let body: Value = serde_json::from_slice(&held.body.held_bytes()).unwrap_or_default();
    Begun {
        held: vec![failure(held.head.status.as_u16(), body)],
        ended: true,
        ..Begun::default()
    }
}

/// A failure as a message, from what would be the body of an answer with this status.
pub(super) fn failure(status: u16, mut body: Value) -> Utf8Bytes {
    let error = match body["error"].take() {
        Value::Null => json!({"message": format!("The backend answered {status}")}),
        error => error,
    };
    let message = json!({"type": "error", "status": status, "error": error});
    Utf8Bytes::from(message.to_string())
}
