//! The heads of a handshake (RFC 6455 §4): whether a client's is complete, what of it goes on to
//! the upstream, and what comes back. Nothing is sent here.

use bytes::Bytes;
use http::header::{
    CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Version};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use crate::proxy::guard::PREFIX;
use crate::proxy::upstream::{self, Question};

/// What of the head of an upstream's 101 the clients read.
const PASSED: [&str; 5] = [
    "x-codex-turn-state",
    "x-models-etag",
    "x-reasoning-included",
    "openai-model",
    "x-request-id",
];

/// What a handshake asks for.
pub(super) struct Handshake {
    /// What every connection to the upstream is opened with.
    pub(super) question: Question,
    /// The thread, as the client names it; else its session.
    pub(super) thread: Option<String>,
    /// The client is Codex, which resumes by itself after a close.
    pub(super) is_codex: bool,
}

impl Handshake {
    /// What this head asks for.
    pub(super) fn of(head: &Parts) -> Self {
        Self {
            question: Question {
                headers: request_headers(&head.headers),
                method: head.method.clone(),
                uri: head.uri.clone(),
                body: Bytes::new(),
            },
            thread: thread(&head.headers),
            // It names its window.
            is_codex: head.headers.contains_key("x-codex-window-id"),
        }
    }
}

/// Whether it asks for a WebSocket, at the only path that has one, and has all that belongs to it
/// (RFC 6455 §4.2.1).
pub(super) fn is_complete(head: &Parts) -> bool {
    let headers = &head.headers;
    let key = headers.get(SEC_WEBSOCKET_KEY).map(HeaderValue::as_bytes);
    head.method == Method::GET
        && head.version == Version::HTTP_11
        && head.uri.path().strip_prefix(PREFIX) == Some("/responses")
        && lists(headers, &UPGRADE, "websocket")
        && lists(headers, &CONNECTION, "upgrade")
        && lists(headers, &SEC_WEBSOCKET_VERSION, "13")
        // Sixteen bytes, in base64.
        && key.is_some_and(|key| key.len() == 24 && key.ends_with(b"=="))
}

fn lists(headers: &HeaderMap, name: &HeaderName, word: &str) -> bool {
    let mut values = headers.get_all(name).iter();
    values.any(|value| {
        let words = value.to_str().unwrap_or_default().split(',');
        words.map(str::trim).any(|it| it.eq_ignore_ascii_case(word))
    })
}

/// The headers that accept it.
pub(super) fn accept(headers: &HeaderMap) -> HeaderMap {
    let key = headers.get(SEC_WEBSOCKET_KEY).map(HeaderValue::as_bytes);
    let accept = derive_accept_key(key.unwrap_or_default());
    let accept = HeaderValue::try_from(accept).ok();
    let named = accept.map(|accept| (SEC_WEBSOCKET_ACCEPT, accept));
    [
        (CONNECTION, HeaderValue::from_static("Upgrade")),
        (UPGRADE, HeaderValue::from_static("websocket")),
    ]
    .into_iter()
    .chain(named)
    .collect()
}

/// The client's headers as they go on, without those of its own connection.
fn request_headers(headers: &HeaderMap) -> HeaderMap {
    let mut kept = upstream::request_headers(headers);
    for name in [
        SEC_WEBSOCKET_KEY,
        SEC_WEBSOCKET_VERSION,
        SEC_WEBSOCKET_EXTENSIONS,
        SEC_WEBSOCKET_PROTOCOL,
        SEC_WEBSOCKET_ACCEPT,
    ] {
        kept.remove(name);
    }
    kept.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    kept.insert(UPGRADE, HeaderValue::from_static("websocket"));
    kept.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
    kept
}

/// What of an upstream's head goes back to the client. Compression is not among it: what was not
/// offered to the upstream can't be accepted here.
pub(super) fn answer_headers(headers: &HeaderMap) -> HeaderMap {
    let passed = |name: &HeaderName| PASSED.contains(&name.as_str());
    let kept = headers.iter().filter(|(name, _)| passed(name));
    kept.map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

/// Whether a status says that the upstream, or somebody on the way, has no WebSockets at all.
pub(super) const fn refuses_sockets(status: u16) -> bool {
    matches!(status, 404 | 405 | 426 | 501)
}

/// The thread that a connection is for, else its session.
fn thread(headers: &HeaderMap) -> Option<String> {
    let named = ["thread-id", "session-id", "x-session-id"];
    let mut named = named.into_iter().filter_map(|name| headers.get(name));
    named.find_map(|id| id.to_str().ok().map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    const WHOLE: [(&str, &str); 4] = [
        ("upgrade", "WebSocket"),
        ("connection", "keep-alive, Upgrade"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];

    fn head(path: &str, headers: &[(&str, &str)]) -> Parts {
        let mut request = Request::get(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn a_head_that_lacks_anything_is_none() {
        assert!(is_complete(&head("/codex/responses", &WHOLE)));
        assert!(!is_complete(&head("/codex/models", &WHOLE)));
        assert!(!is_complete(&head("/codex/responses/x", &WHOLE)));
        for (missing, (name, _)) in WHOLE.iter().enumerate() {
            let mut rest = WHOLE.to_vec();
            rest.remove(missing);
            assert!(!is_complete(&head("/codex/responses", &rest)), "{name}");
            for wrong in ["8", "d2Vi", "h2c"] {
                let mut rest = rest.clone();
                rest.push((name, wrong));
                assert!(!is_complete(&head("/codex/responses", &rest)), "{name}");
            }
        }
    }

    #[test]
    fn the_accept_is_that_of_the_standard() {
        let head = head("/codex/responses", &WHOLE);
        let accept = &accept(&head.headers)[SEC_WEBSOCKET_ACCEPT];
        assert_eq!(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }
}
