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
