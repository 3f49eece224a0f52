//! Taking in what a client asks: its body, kept whole so that it can be asked again, and what it
//! says of itself. A client that sends too much or too slowly is turned away.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::ACCEPT;
use http::{HeaderMap, StatusCode};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use serde::Deserialize;
use tokio::time::{Instant, timeout_at};

use crate::proxy::decode;

/// A request larger than this is refused: it has to be kept to be asked again.
const LARGEST: usize = 64 << 20;

/// How long a body may take, however small.
const PATIENCE: Duration = Duration::from_secs(30);

/// One second more for each so many bytes that have come.
const SLOWEST: usize = 16 << 10;

/// The body of a request.
///
/// # Errors
/// With the status for the client, when the body is too large or too slow, or breaks off.
pub(super) async fn read(mut body: Incoming) -> Result<Bytes, StatusCode> {
    if body.size_hint().lower() > LARGEST as u64 {
        return Err(StatusCode::PAYLOAD_TOO_LARGE);
    }
    let started = Instant::now();
    let mut read = BytesMut::new();
    loop {
        let more = Duration::from_secs((read.len() / SLOWEST) as u64);
        let frame = match timeout_at(started + PATIENCE + more, body.frame()).await {
            Ok(Some(Ok(frame))) => frame,
            Ok(Some(Err(_))) => return Err(StatusCode::BAD_REQUEST),
            Ok(None) => return Ok(read.freeze()),
            Err(_) => return Err(StatusCode::REQUEST_TIMEOUT),
        };
        // Trailers may be dropped where nobody waits for them (RFC 9110 §6.5.1).
        let Ok(data) = frame.into_data() else {
            continue;
        };
        if read.len() + data.len() > LARGEST {
            return Err(StatusCode::PAYLOAD_TOO_LARGE);
        }
        read.extend_from_slice(&data);
    }
}

/// What a request says of itself.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Named {
    /// The model that it asks.
    pub(super) model: Option<String>,
    /// It wants the answer as a stream of events.
    #[serde(default)]
    pub(super) stream: bool,
}

impl Named {
    /// Codex may send its questions encoded (PROTOCOL §3).
    pub(super) fn of(headers: &HeaderMap, body: &Bytes) -> Self {
        let text = decode::whole(headers, body, LARGEST);
        if !text.starts_with(b"{") {
            return Self::default();
        }
        serde_json::from_slice(&text).unwrap_or_default()
    }
}

/// Whether the client takes a stream of events, by its head.
pub(super) fn accepts_events(headers: &HeaderMap) -> bool {
    headers
        .get_all(ACCEPT)
        .into_iter()
        .any(|kinds| memchr::memmem::find(kinds.as_bytes(), b"text/event-stream").is_some())
}
