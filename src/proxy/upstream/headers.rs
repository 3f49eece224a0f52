//! Which headers go on: what is for one connection, or for the relay, stays here.

use http::header::{
    ACCEPT_ENCODING, AUTHORIZATION, CONNECTION, CONTENT_LENGTH, COOKIE, EXPECT, HOST,
    PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, SET_COOKIE, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::proxy::guard::KEY_HEADER;

/// The header that names the account (PROTOCOL §3).
pub const ACCOUNT_ID: HeaderName = HeaderName::from_static("chatgpt-account-id");
/// The header that belongs to the account that gave it (PROTOCOL §6).
pub const TURN_STATE: HeaderName = HeaderName::from_static("x-codex-turn-state");

const RESIDENCY: HeaderName = HeaderName::from_static("x-openai-internal-codex-residency");
const FEDRAMP: HeaderName = HeaderName::from_static("x-openai-fedramp");

/// Headers that are for one connection only (RFC 9110 §7.6.1).
const HOP_BY_HOP: [HeaderName; 8] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    TE,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// Headers of a request that the relay sets itself, or that are no business of the upstream.
const OURS: [HeaderName; 10] = [
    HOST,
    CONTENT_LENGTH,
    EXPECT,
    // The body goes on whole, without them.
    TRAILER,
    AUTHORIZATION,
    ACCOUNT_ID,
    COOKIE,
    KEY_HEADER,
    RESIDENCY,
    FEDRAMP,
];

/// The headers of a client's request that go on to the upstream.
#[must_use]
pub fn request_headers(headers: &HeaderMap) -> HeaderMap {
    let takes_trailers = takes_trailers(headers);
    let mut headers = end_to_end(headers);
    for name in OURS {
        headers.remove(name);
    }
    // Limits that come in a stream must be seen, and every client reads what is not encoded.
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    if takes_trailers {
        headers.insert(TE, HeaderValue::from_static("trailers"));
        headers.insert(CONNECTION, HeaderValue::from_static("te"));
    }
    headers
}

/// The headers of an answer that go on to the client.
#[must_use]
pub fn answer_headers(headers: &HeaderMap) -> HeaderMap {
    let mut kept = end_to_end(headers);
    // An account's cookies are not the client's, which would send them with every account.
    kept.remove(SET_COOKIE);
    // Where both are there, the length does not count (RFC 9112 §6.3).
    if headers.contains_key(TRANSFER_ENCODING) {
        kept.remove(CONTENT_LENGTH);
    }
    kept
}

/// The headers of a message without those for one connection.
fn end_to_end(headers: &HeaderMap) -> HeaderMap {
    let mut kept = headers.clone();
    for named in headers.get_all(CONNECTION) {
        for name in named.to_str().unwrap_or_default().split(',') {
            kept.remove(name.trim());
        }
    }
    for name in HOP_BY_HOP {
        kept.remove(name);
    }
    kept
}

/// Whether the sender can read trailers: the one thing of `TE` that is to be sent on (RFC 9110
/// §10.1.4).
fn takes_trailers(headers: &HeaderMap) -> bool {
    let codings = headers.get_all(TE).into_iter();
    codings
        .filter_map(|codings| codings.to_str().ok())
        .flat_map(|codings| codings.split(','))
        .any(|coding| coding.trim().eq_ignore_ascii_case("trailers"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_for_one_connection_or_for_the_relay_stays_here() {
        let client = [
            ("connection", "keep-alive, x-hop"),
            ("x-hop", "1"),
            ("te", "trailers"),
            ("authorization", "Bearer of-the-client"),
            ("chatgpt-account-id", "of-the-client"),
            ("cookie", "c=1"),
            ("x-codex-accounts-key", "key"),
            ("accept-encoding", "gzip"),
            ("session-id", "s"),
        ];
        let headers: HeaderMap = client
            .into_iter()
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect();
        let kept = request_headers(&headers);
        let mut names: Vec<_> = kept.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["accept-encoding", "connection", "session-id", "te"]);
        assert_eq!(kept["accept-encoding"], "identity");
        assert_eq!(kept["connection"], "te");
    }
}
