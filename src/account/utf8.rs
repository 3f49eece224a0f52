//! The byte order mark, which some editors put before a text.

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The text without the mark.
#[must_use]
pub fn without_mark(text: &[u8]) -> &[u8] {
    text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text)
}
