//! The WebSocket's handshake.

use super::reply::Field;
use http::HeaderMap;
use http::header::{
    CONNECTION, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION,
    UPGRADE,
};

/// Whether a head asks for a WebSocket as RFC 6455 §4.2.1 has it.
pub(super) fn is_complete(head: &HeaderMap) -> bool {
    let lists = |name, word: &str| {
        let value = head
            .get(name)
            .and_then(|value: &HeaderValue| value.to_str().ok());
        value.is_some_and(|value| {
            value
                .split(',')
                .any(|one| one.trim().eq_ignore_ascii_case(word))
        })
    };
    lists(UPGRADE, "websocket")
        && lists(CONNECTION, "upgrade")
        && lists(SEC_WEBSOCKET_VERSION, "13")
        && head.contains_key(SEC_WEBSOCKET_KEY)
}

/// The fields that accept it.
pub(super) fn accept(head: &HeaderMap) -> Vec<Field> {
    let key = head
        .get(SEC_WEBSOCKET_KEY)
        .map(HeaderValue::as_bytes)
        .unwrap_or_default();
    let accept = tokio_tungstenite::tungstenite::handshake::derive_accept_key(key);
    let accept = HeaderValue::try_from(accept)
        .ok()
        .map(|value| (SEC_WEBSOCKET_ACCEPT, value));
    let fixed = [
        (CONNECTION, HeaderValue::from_static("Upgrade")),
        (UPGRADE, HeaderValue::from_static("websocket")),
    ];
    fixed.into_iter().chain(accept).collect()
}
