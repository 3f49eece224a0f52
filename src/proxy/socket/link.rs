//! A connection to the upstream as one account: opened by the client's own handshake, and read
//! message by message. It decides nothing about what is said on it.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use http::header::{SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY};
use http::{HeaderMap, HeaderValue, StatusCode};
use tokio::time::{Instant, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::{client::generate_key, derive_accept_key};
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Bytes, Error, Message, Utf8Bytes};

use crate::account::Account;
use crate::account::handle::Handle;
use crate::account::limit::{self, Verdict};
use crate::net::dial::Stream;
use crate::proxy::exchange::Judged;
use crate::proxy::http::answer::{self, Held};
use crate::proxy::relay::Relay;
use crate::proxy::silence::Silence;
use crate::proxy::upstream::{Question, TURN_STATE};

/// A handshake may take so long: a client gives up on its own after 15 seconds.
const PATIENCE: Duration = Duration::from_secs(6);

/// The backend ends a connection after an hour; this one is left before.
const LONGEST: Duration = Duration::from_secs(55 * 60);

/// Who does not answer a ping for so long while nothing else is said is gone.
pub(super) const LONGEST_SILENCE: Duration = Duration::from_secs(120);

/// See the module.
pub(super) struct Link {
    /// Who it belongs to.
    pub(super) account: Account,
    /// The head that opened it.
    pub(super) head: HeaderMap,
    socket: WebSocketStream<Stream>,
    opened: Instant,
    heard: Instant,
}

/// What came of a handshake.
pub(super) enum Opened {
    Link(Box<Link>),
    Refused(Box<Held>),
}

/// What the upstream said.
pub(super) enum Said {
    Text(Utf8Bytes),
    /// The connection is at its end, with this code if one was told.
    End(Option<u16>),
}

/// The limits of what is read, the same on both sides.
pub(super) fn config() -> WebSocketConfig {
    const LARGEST_MESSAGE: usize = 64 << 20;
    const BUFFER: usize = 4 << 10;
    WebSocketConfig::default()
        .max_message_size(Some(LARGEST_MESSAGE))
        .max_frame_size(Some(LARGEST_MESSAGE))
        .read_buffer_size(BUFFER)
        .write_buffer_size(0)
}

impl Link {
    /// Opens one by the head of the client's own handshake.
    pub(super) async fn open(
        relay: &Arc<Relay>,
        question: &Question,
        account: &Account,
    ) -> Result<Judged<Opened>, Silence> {
        let opening = Self::shake_hands(relay, question, account);
        let Ok(opened) = timeout(PATIENCE, opening).await else {
            return Err(Silence::of_server(
                "the upstream did not shake hands in time",
            ));
        };
        opened
    }

    async fn shake_hands(
        relay: &Arc<Relay>,
        question: &Question,
        account: &Account,
    ) -> Result<Judged<Opened>, Silence> {
        let key = generate_key();
        let accept = derive_accept_key(key.as_bytes());
        let mut question = question.clone();
        if let Ok(key) = HeaderValue::try_from(key) {
            question.headers.insert(SEC_WEBSOCKET_KEY, key);
        }
        let mut states = question.headers.get_all(TURN_STATE).iter();
        let keeps_turn = states.all(|state| relay.turns.is_of(state, account));
        let answer = relay.upstream.ask(&question, account, keeps_turn).await?;
        let now = relay.pool.now();
        if answer.status() != StatusCode::SWITCHING_PROTOCOLS {
            let judged = answer::read(answer, PATIENCE, now).await?;
            return Ok(judged.map(|held| Opened::Refused(Box::new(held))));
        }
        let (head, body) = answer.into_parts();
        let head = head.headers;
        let accepted = head.get(SEC_WEBSOCKET_ACCEPT).map(HeaderValue::as_bytes);
        if accepted != Some(accept.as_bytes()) {
            return Err(Silence::of_server(
                "the upstream switched to another protocol",
            ));
        }
        if let Some(state) = head.get(TURN_STATE) {
            relay.turns.remember(state, account);
        }
        let (stream, read) = body
            .into_stream()
            .await
            .ok_or_else(|| Silence::of_server("the connection was closed"))?;
        let config = Some(config());
        let socket =
            WebSocketStream::from_partially_read(stream, read.into(), Role::Client, config).await;
        let mut reading = limit::Response {
            status: Some(StatusCode::OK),
            headers: &head,
            body: b"",
        }
        .read(now);
        reading.verdict = Verdict::Ok;
        let now = Instant::now();
        Ok(Judged {
            status: Some(StatusCode::SWITCHING_PROTOCOLS.as_u16()),
            reading,
            answer: Opened::Link(Box::new(Self {
                account: account.clone(),
                head,
                socket,
                opened: now,
                heard: now,
            })),
        })
    }

    /// Whether this account can be asked on it.
    pub(super) fn serves(&self, account: &Account) -> bool {
        Handle::from(&self.account) == Handle::from(account) && self.opened.elapsed() < LONGEST
    }

    /// Sends a message of the client's.
    pub(super) async fn send(&mut self, text: Utf8Bytes) -> Result<(), Silence> {
        let sent = self.socket.send(Message::Text(text)).await;
        sent.map_err(|error| Silence::of_server(format!("the connection broke: {error}")))
    }

    /// Asks whether anybody is there, and says whether somebody was in the last while.
    pub(super) async fn ping(&mut self) -> bool {
        let asked = self.socket.send(Message::Ping(Bytes::new())).await;
        asked.is_ok() && self.heard.elapsed() < LONGEST_SILENCE
    }

    /// The next message.
    pub(super) async fn next(&mut self) -> Said {
        loop {
            let message = self.socket.next().await;
            self.heard = Instant::now();
            match message {
                Some(Ok(Message::Text(text))) => return Said::Text(text),
                Some(Ok(Message::Close(frame))) => {
                    return Said::End(frame.map(|frame| frame.code.into()));
                }
                // The socket answers pings by itself.
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
                // A client could do nothing with it either.
                Some(Ok(Message::Binary(_))) => return Said::End(None),
                Some(Err(Error::Capacity(_))) => return Said::End(None),
                Some(Err(_)) | None => return Said::End(None),
            }
        }
    }
}
