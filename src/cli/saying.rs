//! What a command says to a person on standard error. On a terminal, lines break between words: a
//! command or an address that was broken in the middle could not be copied.

use std::io::{self, IsTerminal as _, Write as _};

use terminal_size::{Width, terminal_size_of};

use crate::account::printable::printable;

/// Stands for a space at which no line is broken.
const NO_BREAK: char = '\u{a0}';

/// What goes on in another line stands behind this.
const INDENT: &str = "  ";

/// Says it. What can't be written has nowhere to go.
pub(super) fn say(text: &str) {
    let text = printable(text);
    let text = match columns() {
        Some(columns) => wrapped(&text, columns),
        None => text,
    };
    let text = text.replace(NO_BREAK, " ");
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// A text, like a command, that no line end comes into.
pub(super) fn unbroken(text: &str) -> String {
    text.replace(' ', NO_BREAK.encode_utf8(&mut [0; 4]))
}

fn columns() -> Option<usize> {
    let stderr = io::stderr();
    if !stderr.is_terminal() {
        return None;
    }
    let (Width(columns), _) = terminal_size_of(stderr)?;
    Some(usize::from(columns)).filter(|columns| *columns > 0)
}

/// The text in lines of so many letters, broken between words. A longer word stays whole.
fn wrapped(text: &str, columns: usize) -> String {
    let mut wrapped = String::new();
    let mut used = 0;
    for word in text.split(' ') {
        let length = word.chars().count();
        if used == 0 && wrapped.is_empty() {
            used = length;
        } else if used + 1 + length <= columns {
            wrapped.push(' ');
            used += 1 + length;
        } else {
            wrapped.push('\n');
            wrapped.push_str(INDENT);
            used = INDENT.len() + length;
        }
        wrapped.push_str(word);
    }
    wrapped
}

#[cfg(test)]
mod tests {
    use super::wrapped;

    #[test]
    fn lines_break_between_words_and_addresses_stay_whole() {
        assert_eq!(wrapped("one two three", 80), "one two three");
        assert_eq!(wrapped("one two three", 8), "one two\n  three");
        assert_eq!(
            wrapped("see http://127.0.0.1:1455/a/long/address now", 12),
            "see\n  http://127.0.0.1:1455/a/long/address\n  now"
        );
        assert_eq!(wrapped("", 8), "");
    }
}
