//! Text of others, as a terminal may have it: an address or an id comes from a token or a file, and
//! must not move the cursor, colour the screen, or turn round what stands beside it.

/// The text without control characters (C0 and C1), line separators, and the marks that change the
/// direction of writing (UAX #9).
#[must_use]
pub fn printable(text: &str) -> String {
    text.chars().filter(|c| !commands(*c)).collect()
}

/// Whether it tells a terminal to do something, and shows nothing.
fn commands(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_seen_stays() {
        for (text, shown) in [
            ("büro 会社", "büro 会社"),
            ("a\x1b[31mb\r\n", "a[31mb"),
            ("a\u{9b}31mb", "a31mb"),
            ("moc.\u{202e}elpmaxe\u{202c}", "moc.elpmaxe"),
            ("\u{2066}a\u{2069}\u{200f}b\u{2028}", "ab"),
        ] {
            assert_eq!(printable(text), shown);
        }
    }
}
