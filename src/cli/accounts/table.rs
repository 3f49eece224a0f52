//! Aligned columns. Knows nothing of what is in them.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::look::{Ink, Look};

/// Between two columns.
const GAP: &str = "  ";

/// A text in one or several inks.
#[derive(Clone, Debug, Default)]
pub(super) struct Cell(Vec<(Ink, String)>);

impl Cell {
    /// A text in one ink.
    pub(super) fn new(ink: Ink, text: impl Into<String>) -> Self {
        Self(vec![(ink, text.into())])
    }

    /// The cell with more text after it.
    pub(super) fn and(mut self, ink: Ink, text: impl Into<String>) -> Self {
        self.0.push((ink, text.into()));
        self
    }

    fn width(&self) -> usize {
        self.0.iter().map(|(_, text)| text.width()).sum()
    }
}

/// The width that these rows need.
pub(super) fn width(rows: &[Vec<Cell>]) -> usize {
    let widths = widths(rows);
    let gaps = widths.len().saturating_sub(1) * GAP.len();
    widths.iter().sum::<usize>() + gaps
}

/// The rows as lines, without white space at their ends.
pub(super) fn render(rows: &[Vec<Cell>], look: Look) -> String {
    let widths = widths(rows);
    let mut text = String::new();
    for row in rows {
        // Padding is kept back until something follows it.
        let mut padding = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            let used = cell.width();
            if used > 0 {
                text.push_str(&std::mem::take(&mut padding));
            }
            for (ink, part) in &cell.0 {
                text.push_str(&look.paint(*ink, part));
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

/// The text as far as it fits into so many columns, with a sign where it was cut.
pub(super) fn fitted(text: &str, columns: usize, look: Look) -> String {
    if text.width() <= columns {
        return text.to_owned();
    }
    let sign = look.sign("…", "~");
    let mut left = columns.saturating_sub(sign.width());
    let fits = |c: &char| {
        let width = c.width().unwrap_or(0);
        let fits = width <= left;
        left = left.saturating_sub(width);
        fits
    };
    text.chars().take_while(fits).chain(sign.chars()).collect()
}

/// What other programs wrote must not move the cursor.
pub(super) fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOOK: Look = Look {
        width: 80,
        colour: false,
        unicode: true,
    };

    #[test]
    fn columns_are_aligned_by_what_is_seen() {
        let cell = |text: &str| Cell::new(Ink::Plain, text);
        let rows = [
            vec![cell("a"), cell("büro"), cell("x")],
            vec![cell("bb"), cell("会社"), cell("y")],
            vec![cell(""), cell("c"), cell("")],
        ];
        assert_eq!(render(&rows, LOOK), "a   büro  x\nbb  会社  y\n    c\n");
        assert_eq!(width(&rows), 11);
    }

    #[test]
    fn what_is_cut_shows_it() {
        assert_eq!(fitted("work", 4, LOOK), "work");
        assert_eq!(fitted("work@example.com", 5, LOOK), "work…");
        assert_eq!(fitted("会社です", 4, LOOK), "会…");
    }
}
