//! Which session a request belongs to.

use std::fmt;

use http::HeaderMap;

/// The headers that name a session. Threads of one session (Codex's sub-agents) send each other
/// encrypted messages, so that the session goes before the thread.
const HEADERS: [&str; 3] = ["session-id", "x-session-id", "thread-id"];

/// No id of a client is longer; one that is, is no name for anything.
const LONGEST: usize = 256;

/// What a session is told by, as its client names it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionKey(String);

impl SessionKey {
    /// The session that a request with these headers belongs to, if it says.
    #[must_use]
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        let named = |name| headers.get(name)?.to_str().ok();
        let fits = |key: &&str| (1..=LONGEST).contains(&key.len());
        let key = HEADERS.into_iter().filter_map(named).find(fits)?;
        Some(Self(key.to_owned()))
    }

    /// The key, as the client wrote it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    fn key(headers: &[(&'static str, &str)]) -> Option<String> {
        let pairs = headers.iter().map(|(name, value)| {
            let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
            (HeaderName::from_static(name), value)
        });
        SessionKey::of(&pairs.collect()).map(|key| key.to_string())
    }

    #[test]
    fn the_session_goes_before_the_thread() {
        let codex = [("thread-id", "t"), ("session-id", "s")];
        assert_eq!(key(&codex).as_deref(), Some("s"));
        let opencode = [("x-session-id", "x")];
        assert_eq!(key(&opencode).as_deref(), Some("x"));
        assert_eq!(key(&codex[..1]).as_deref(), Some("t"));
        assert_eq!(key(&[("session", "s")]), None);
    }

    #[test]
    fn what_is_no_name_is_passed_over() {
        let long = "s".repeat(LONGEST + 1);
        for none in ["", &long, "\u{e9}"] {
            let headers = [("session-id", none), ("thread-id", "t")];
            assert_eq!(key(&headers).as_deref(), Some("t"), "{none}");
        }
    }
}
