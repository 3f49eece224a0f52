//! Aligned columns, and text in lines. Knows nothing of what is in them.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::look::{Ink, Look};
use crate::account::printable::printable;

/// Between two columns.
const GAP: &str = "  ";

/// Stands for a space at which no line is broken, as between a number and its unit.
const NO_BREAK: &str = "\u{a0}";

/// A text in one or several inks.
#[derive(Clone, Debug, Default)]
pub(super) struct Cell(Vec<(Ink, String)>);

impl Cell {
    /// A text in one ink.
    pub(super) fn new(ink: Ink, text: impl AsRef<str>) -> Self {
        Self::default().and(ink, text)
    }

    /// The cell with more text after it.
    pub(super) fn and(mut self, ink: Ink, text: impl AsRef<str>) -> Self {
        self.0.push((ink, printable(text.as_ref())));
        self
    }

    pub(super) fn width(&self) -> usize {
        self.0.iter().map(|(_, text)| text.width()).sum()
    }

    /// The cell in no more columns than these: the longest of its texts gives way.
    fn cut(&mut self, columns: usize, look: Look) {
        loop {
            let excess = self.width().saturating_sub(columns);
            let longest = self.0.iter_mut().max_by_key(|(_, text)| text.width());
            match longest {
                Some((_, text)) if excess > 0 => {
                    *text = fitted(text, text.width().saturating_sub(excess), look);
                }
                _ => return,
            }
        }
    }
}

/// A column that may be cut down to a width.
#[derive(Clone, Copy, Debug)]
pub(super) struct Flexible {
    /// Which.
    pub(super) column: usize,
    /// It is not cut to less.
    pub(super) least: usize,
}

/// Cuts what may be cut, the widest first, until the rows fit into so many columns, or nothing can be
/// cut any more. Whether they do.
pub(super) fn fit(
    rows: &mut [Vec<Cell>],
    flexible: &[Flexible],
    columns: usize,
    look: Look,
) -> bool {
    let mut widths = widths(rows);
    while total(&widths) > columns {
        let can_give = flexible.iter().filter(|it| widths[it.column] > it.least);
        let Some(widest) = can_give.max_by_key(|it| widths[it.column]) else {
            break;
        };
        widths[widest.column] -= 1;
    }
    for row in rows {
        for Flexible { column, .. } in flexible {
            if let Some(cell) = row.get_mut(*column) {
                cell.cut(widths[*column], look);
            }
        }
    }
    total(&widths) <= columns
}

/// The rows as lines, without white space at their ends, and none wider than the terminal.
pub(super) fn render(rows: &[Vec<Cell>], look: Look) -> String {
    let widths = widths(rows);
    let mut text = String::new();
    for row in rows {
        let mut left = look.width.unwrap_or(usize::MAX);
        // Padding is kept back until something follows it.
        let mut padding = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            let used = cell.width();
            if used > 0 {
                left = left.saturating_sub(padding.len());
                if left == 0 {
                    break;
                }
                text.push_str(&std::mem::take(&mut padding));
            }
            for (ink, part) in &cell.0 {
                let part = fitted(part, left, look);
                left -= part.width();
                text.push_str(&look.paint(*ink, &part));
            }
            padding.push_str(&" ".repeat(width - used));
            padding.push_str(GAP);
        }
        text.push('\n');
    }
    text
}

fn widths(rows: &[Vec<Cell>]) -> Vec<usize> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column| {
        let cells = rows.iter().filter_map(|row: &Vec<Cell>| row.get(column));
        cells.map(Cell::width).max().unwrap_or(0)
    };
    (0..columns).map(width).collect()
}

/// The width of rows whose columns are so wide.
fn total(widths: &[usize]) -> usize {
    widths.iter().sum::<usize>() + widths.len().saturating_sub(1) * GAP.len()
}

/// The text as far as it fits into so many columns, with a sign where it was cut.
pub(super) fn fitted(text: &str, columns: usize, look: Look) -> String {
    if text.width() <= columns {
        return text.to_owned();
    }
    let sign = look.sign("…", "~");
    let Some(mut left) = columns.checked_sub(sign.width()) else {
        return String::new();
    };
    let fits = |c: &char| {
        let width = c.width().unwrap_or(0);
        let fits = width <= left;
        left = left.saturating_sub(width);
        fits
    };
    text.chars().take_while(fits).chain(sign.chars()).collect()
}

/// The text as one that [`wrapped`] does not break.
pub(super) fn unbroken(text: &str) -> String {
    text.replace(' ', NO_BREAK)
}

/// The text in lines of at most so many columns, broken between words; a word that is longer than a
/// line is broken where the line ends.
pub(super) fn wrapped(text: &str, columns: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in printable(text).split(' ') {
        let last = lines.len() - 1;
        if lines[last].is_empty() {
            lines[last].push_str(word);
        } else if lines[last].width() + 1 + word.width() <= columns {
            lines[last].push(' ');
            lines[last].push_str(word);
        } else {
            lines.push(word.to_owned());
        }
        break_last(&mut lines, columns);
    }
    lines.iter().map(|it| it.replace(NO_BREAK, " ")).collect()
}

/// Breaks the last line until it fits.
fn break_last(lines: &mut Vec<String>, columns: usize) {
    while let Some(line) = lines.last_mut().filter(|line| line.width() > columns) {
        let mut width = 0;
        let too_far = line.char_indices().find(|(_, c)| {
            width += c.width().unwrap_or(0);
            width > columns
        });
        // A line holds one sign at least, or this would not end.
        let first = line.chars().next().map_or(0, char::len_utf8);
        let at = too_far.map_or(line.len(), |(at, _)| at.max(first));
        if at >= line.len() {
            return;
        }
        let rest = line.split_off(at);
        lines.push(rest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOOK: Look = Look {
        width: Some(80),
        colour: false,
        unicode: true,
    };

    fn cell(text: &str) -> Cell {
        Cell::new(Ink::Plain, text)
    }

    fn rows() -> Vec<Vec<Cell>> {
        vec![
            vec![cell("a"), cell("büro"), cell("x")],
            vec![cell("bb"), cell("会社"), cell("y")],
            vec![cell(""), cell("c"), cell("")],
        ]
    }

    #[test]
    fn columns_are_aligned_by_what_is_seen() {
        assert_eq!(render(&rows(), LOOK), "a   büro  x\nbb  会社  y\n    c\n");
    }

    #[test]
    fn what_is_cut_shows_it() {
        assert_eq!(fitted("work", 4, LOOK), "work");
        assert_eq!(fitted("work@example.com", 5, LOOK), "work…");
        assert_eq!(fitted("会社です", 4, LOOK), "会…");
        assert_eq!(fitted("work", 0, LOOK), "");
    }

    #[test]
    fn a_flexible_column_gives_way_and_its_longest_text_first() {
        let who = || cell("maria@example.com").and(Ink::Faint, " plus");
        let mut rows = vec![vec![who(), cell("ready")], vec![cell("b"), cell("c")]];
        let flexible = [Flexible {
            column: 0,
            least: 8,
        }];
        assert!(fit(&mut rows, &flexible, 19, LOOK));
        assert_eq!(
            render(&rows, LOOK),
            "maria@… plus  ready\nb             c\n"
        );
        assert!(!fit(&mut rows, &flexible, 12, LOOK));
    }

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        let narrow = Look {
            width: Some(7),
            ..LOOK
        };
        assert_eq!(render(&rows(), narrow), "a   bü…\nbb  会…\n    c\n");
    }

    #[test]
    fn lines_are_broken_between_words_only() {
        let text = format!("back at 21:29 (in {})", unbroken("2 h 5 min"));
        assert_eq!(wrapped(&text, 20), ["back at 21:29 (in", "2 h 5 min)"]);
        assert_eq!(
            wrapped("at '/a/long/path'", 8),
            ["at", "'/a/long", "/path'"]
        );
        assert_eq!(wrapped("会社です", 3), ["会", "社", "で", "す"]);
        assert_eq!(wrapped("会社", 1), ["会", "社"]);
    }
}
