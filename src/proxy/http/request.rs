//! Taking in what a client asks: its body, kept whole so that it can be asked again, and what it
//! says of itself. A client that sends too much or too slowly is turned away.

use std::fmt;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{ACCEPT, CONTENT_ENCODING};
use http::{HeaderMap, StatusCode};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use tokio::time::{Instant, timeout_at};

use crate::proxy::budget::{Budget, Room};
use crate::proxy::decode;

/// A request larger than this is refused: it has to be kept to be asked again.
const LARGEST: usize = 64 << 20;

/// A body larger than this is read where it keeps nobody waiting.
const LARGE: usize = 256 << 10;

/// How long a body may take, however small.
const PATIENCE: Duration = Duration::from_secs(30);

/// One second more for each so many bytes that have come.
const SLOWEST: usize = 16 << 10;

/// The body of a request.
///
/// # Errors
/// With the status for the client, when the body is too large or too slow, or breaks off.
pub(super) async fn read(mut body: Incoming, budget: &Budget) -> Result<(Bytes, Room), StatusCode> {
    let told = body.size_hint().lower();
    if told > LARGEST as u64 {
        return Err(StatusCode::PAYLOAD_TOO_LARGE);
    }
    // Proof: it is no more than a size that fits. What was told is waited for before it is read.
    let mut room = budget
        .room(usize::try_from(told).unwrap_or(LARGEST))
        .await?;
    let started = Instant::now();
    let mut read = BytesMut::new();
    loop {
        let more = Duration::from_secs((read.len() / SLOWEST) as u64);
        let frame = match timeout_at(started + PATIENCE + more, body.frame()).await {
            Ok(Some(Ok(frame))) => frame,
            Ok(Some(Err(_))) => return Err(StatusCode::BAD_REQUEST),
            Ok(None) => return Ok((read.freeze(), room)),
            Err(_) => return Err(StatusCode::REQUEST_TIMEOUT),
        };
        // Trailers may be dropped where nobody waits for them (RFC 9110 §6.5.1).
        let Ok(data) = frame.into_data() else {
            continue;
        };
        if read.len() + data.len() > LARGEST {
            return Err(StatusCode::PAYLOAD_TOO_LARGE);
        }
        room.grow_to(read.len() + data.len()).await?;
        read.extend_from_slice(&data);
    }
}

/// What a request says of itself.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Named {
    /// The model that it asks.
    pub(super) model: Option<String>,
    /// It wants the answer as a stream of events.
    pub(super) stream: bool,
}

impl Named {
    /// Reads on until it is known what is asked for, and no further: where the head says that the
    /// client takes events, the model is enough. Codex may send its questions encoded (PROTOCOL §3).
    pub(super) fn of(headers: &HeaderMap, body: &Bytes) -> Self {
        let read = || {
            let mut search = Search {
                named: Self {
                    model: None,
                    stream: accepts_events(headers),
                },
            };
            if body.starts_with(b"{") {
                search.read(&mut serde_json::Deserializer::from_slice(body));
            } else if let Some(text) = decode::reader(headers, body, LARGEST) {
                search.read(&mut serde_json::Deserializer::from_reader(text));
            }
            search.named
        };
        // What takes long keeps nobody waiting but who asked for it.
        match body.len() > LARGE || headers.contains_key(CONTENT_ENCODING) {
            true => tokio::task::block_in_place(read),
            false => read(),
        }
    }
}

/// Reads an object until all is known that is asked for.
struct Search {
    named: Named,
}

impl Search {
    fn read<'de>(&mut self, text: impl Deserializer<'de>) {
        // That it is not read to its end is no failure, and neither is what can't be read.
        let _ = text.deserialize_map(self);
    }
}

impl<'de> Visitor<'de> for &mut Search {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let named = &mut self.named;
        while named.model.is_none() || !named.stream {
            match map.next_key::<Key>()? {
                None => break,
                Some(Key::Model) => named.model = map.next_value()?,
                Some(Key::Stream) => named.stream |= map.next_value::<bool>()?,
                Some(Key::Other) => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Key {
    Model,
    Stream,
    #[serde(other)]
    Other,
}

/// Whether the client takes a stream of events, by its head.
pub(super) fn accepts_events(headers: &HeaderMap) -> bool {
    headers
        .get_all(ACCEPT)
        .into_iter()
        .any(|kinds| memchr::memmem::find(kinds.as_bytes(), b"text/event-stream").is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(accept: &str, body: &str) -> Named {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, accept.parse().unwrap());
        Named::of(&headers, &Bytes::copy_from_slice(body.as_bytes()))
    }

    #[test]
    fn a_request_says_what_it_asks_for() {
        for (body, model, stream) in [
            (r#"{"model":"m","stream":true}"#, Some("m"), true),
            (
                r#"{"input":[{"model":"x"}],"stream":false,"model":"m"}"#,
                Some("m"),
                false,
            ),
            (r#"{"model":null,"stream":true}"#, None, true),
            (r#"{"model":"m","input":"#, Some("m"), false),
            ("", None, false),
            ("[]", None, false),
            (r#"{"model":7}"#, None, false),
        ] {
            let expected = Named {
                model: model.map(str::to_owned),
                stream,
            };
            assert_eq!(named("*/*", body), expected, "{body}");
        }
    }

    #[test]
    fn what_comes_behind_what_is_known_is_not_read() {
        let body = r#"{"model":"m", this is no JSON at all"#;
        let expected = Named {
            model: Some("m".to_owned()),
            stream: true,
        };
        assert_eq!(named("text/event-stream", body), expected);
    }
}
