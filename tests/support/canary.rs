//! The mark in every secret of the tests, and the search for it where none may be.

/// In each token of [`accounts`](super::accounts), readable in any encoding a token has.
pub(crate) const CANARY: &str = "CANARY";

/// Fails if `text` holds a secret.
pub(crate) fn assert_none(text: &str) {
    if let Some(line) = text.lines().find(|line| line.contains(CANARY)) {
        panic!("a secret got out: {line}");
    }
}
