//! What becomes of a request, whichever way it came: a reply, the events of a response, or the end of the connection.
//!
//! Knows how events look in a stream of HTTP and nothing of accounts or limits.

use super::reply::{End, Field, Reply};
use bytes::Bytes;
use http::StatusCode;
use http::header::{CONTENT_TYPE, HeaderValue};
use serde_json::{Value, json};
use std::time::Duration;

/// See the module.
pub(super) enum Outcome {
    /// It is answered with this.
    Reply(Reply),
    /// It is answered with these events.
    Events(Stream),
    /// The WebSocket is the client's, with these fields in the head that says so.
    Upgrade(Vec<Field>),
    /// The connection gets these bytes, if any, in place of a response, and is closed.
    Hangup(Bytes),
    /// The connection gets a head that is these bytes again and again.
    EndlessHead(Bytes),
    /// Nothing, for as long as the client waits.
    Silence,
}

/// The events of a response, and how they are sent.
pub(super) struct Stream {
    pub(super) headers: Vec<Field>,
    pub(super) events: Vec<Value>,
    pub(super) pieces: Pieces,
    pub(super) end: End,
    /// How long it is silent before the first of them.
    pub(super) silence: Duration,
    /// The code of the close frame that comes last, where that is a WebSocket.
    pub(super) close: Option<u16>,
}

/// In what pieces a stream of HTTP is sent.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Pieces {
    /// One for each event.
    Events,
    /// All in one.
    One,
    /// So many bytes each, wherever an event ends.
    Bytes(usize),
    /// One for each event, and all of them comments.
    Comments,
}

impl Outcome {
    /// A JSON body.
    pub(super) fn json(status: StatusCode, body: &Value) -> Self {
        Self::whole(status, "application/json", body.to_string())
    }

    /// A body in one piece.
    pub(super) fn whole(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Self {
        let mut reply = Reply::new(status, vec![body.into()]);
        reply
            .headers
            .push((CONTENT_TYPE, HeaderValue::from_static(kind)));
        Self::Reply(reply)
    }

    /// The events of a response.
    pub(super) fn events(events: Vec<Value>) -> Self {
        Self::Events(Stream {
            headers: Vec::new(),
            events,
            pieces: Pieces::Events,
            end: End::Clean,
            silence: Duration::ZERO,
            close: None,
        })
    }

    /// The end of the connection before there is anything to see.
    pub(super) fn closed(code: Option<u16>) -> Self {
        match Self::events(Vec::new()) {
            Self::Events(stream) => Self::Events(Stream {
                end: End::Broken,
                close: code,
                ..stream
            }),
            other => other,
        }
    }

    /// Waits so long before the first event.
    pub(super) fn after(mut self, silence: Duration) -> Self {
        if let Self::Events(stream) = &mut self {
            stream.silence = silence;
        }
        self
    }

    /// Adds header fields, if there is anything to add them to.
    pub(super) fn with_headers(mut self, headers: Vec<Field>) -> Self {
        match &mut self {
            Self::Reply(reply) => reply.headers.extend(headers),
            Self::Events(stream) => stream.headers.extend(headers),
            Self::Upgrade(fields) => fields.extend(headers),
            Self::Hangup(_) | Self::EndlessHead(_) | Self::Silence => {}
        }
        self
    }

    /// Sends the events, if there are any, in such pieces.
    pub(super) fn in_pieces(mut self, pieces: Pieces) -> Self {
        if let Self::Events(stream) = &mut self {
            stream.pieces = pieces;
        }
        self
    }

    /// Stops the answer in the middle: at half its events, or half its bytes where it has none.
    pub(super) fn cut(mut self, end: End) -> Self {
        match &mut self {
            Self::Events(stream) => {
                stream.events.truncate(stream.events.len() / 2);
                stream.end = end;
            }
            Self::Reply(reply) => reply.cut(end),
            Self::Upgrade(_) | Self::Hangup(_) | Self::EndlessHead(_) | Self::Silence => {}
        }
        self
    }
}

impl Stream {
    /// The stream as a reply of HTTP; `None` where the connection ends before there is anything to see.
    pub(super) fn into_reply(self) -> Option<Reply> {
        if self.events.is_empty() && self.end == End::Broken {
            return None;
        }
        let sent: Vec<Bytes> = match self.pieces {
            Pieces::Comments => self
                .events
                .iter()
                .map(|_| Bytes::from_static(b": keep-alive\n\n"))
                .collect(),
            _ => self
                .events
                .iter()
                .map(|event| Bytes::from(server_sent(event)))
                .collect(),
        };
        let chunks = match self.pieces {
            Pieces::Events | Pieces::Comments => sent,
            Pieces::One => vec![sent.concat().into()],
            Pieces::Bytes(length) => sent
                .concat()
                .chunks(length.max(1))
                .map(Bytes::copy_from_slice)
                .collect(),
        };
        let mut reply = Reply::stream(StatusCode::OK, chunks, self.end);
        reply.silence = self.silence;
        reply.headers.push((
            CONTENT_TYPE,
            HeaderValue::from_static("text/event-stream; charset=utf-8"),
        ));
        reply.headers.extend(self.headers);
        Some(reply)
    }
}

fn server_sent(event: &Value) -> String {
    let kind = event["type"].as_str().unwrap_or("message");
    format!("event: {kind}\ndata: {event}\n\n")
}

/// 404, in the words of the real backend.
pub(super) fn not_found() -> Outcome {
    Outcome::json(StatusCode::NOT_FOUND, &json!({"detail": "Not Found"}))
}
