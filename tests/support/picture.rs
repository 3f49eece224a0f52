//! A terminal as a picture: what a command printed, or what a program has on the screen, in its
//! colours, as an SVG file.
//!
//! The picture needs nothing from elsewhere, and goes with the light or the dark theme of whoever
//! looks at it. Letters are put where their cell is, so that columns stand below each other in
//! every font; blocks, of which bars are made, are drawn as rectangles, so that bars have no gaps.

use std::fmt::Write;
use std::num::NonZero;

use vt100::{Cell, Color, Parser};

/// Those of a terminal in which a command was typed.
const COLUMNS: u16 = 80;

/// In pixels: a cell, the space round all cells, and where in a cell letters stand.
const CELL: (f64, f64) = (8.4, 20.0);
const MARGIN: f64 = 24.0;
const BASELINE: f64 = 14.5;

/// Dark text on white, and the other way round. What a rule names is a class of [`Ink`].
const STYLE: &str = "\
svg { --ground: #ffffff; --edge: #d1d9e0; --text: #1f2328; --faint: #656d76;
      --red: #c4252d; --green: #19803a; --yellow: #966100; --blue: #0959c8;
      --magenta: #8250df; --cyan: #1b7c83 }
@media (prefers-color-scheme: dark) {
svg { --ground: #0d1117; --edge: #30363d; --text: #e2e8ee; --faint: #8b949e;
      --red: #ff7b72; --green: #4ac26b; --yellow: #e0a82e; --blue: #6cb0ff;
      --magenta: #c297ff; --cyan: #56d4dd }
}
text { font: 14px ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace;
       white-space: pre }
.frame { fill: var(--ground); stroke: var(--edge) }
.text { fill: var(--text) } .faint { fill: var(--faint) } .bold { font-weight: 600 }
.red { fill: var(--red) } .green { fill: var(--green) }
.yellow { fill: var(--yellow) } .blue { fill: var(--blue) }
.magenta { fill: var(--magenta) } .cyan { fill: var(--cyan) }
";

/// What a terminal shows in which a command was typed and printed this.
pub(crate) fn draw(command: &str, printed: &str) -> String {
    let typed = format!("\u{1b}[2m$\u{1b}[0m \u{1b}[1m{command}\u{1b}[0m\n{printed}");
    let rows = u16::try_from(2 * typed.lines().count()).expect("not too much");
    let terminal = terminal(&typed, COLUMNS, rows);
    let used = terminal.screen().cursor_position().0;
    svg(&format!("What {command} prints"), &terminal, COLUMNS, used)
}

/// What a program has on the screen: lines as `tmux capture-pane -e` writes them.
pub(crate) fn screen(label: &str, lines: &str, columns: u16) -> String {
    let lines = lines.trim_end();
    let rows = u16::try_from(lines.lines().count()).expect("not too much");
    svg(label, &terminal(lines, columns, rows + 1), columns, rows)
}

fn terminal(text: &str, columns: u16, rows: u16) -> Parser {
    let mut terminal = Parser::new(
        NonZero::new(rows).expect("a row"),
        NonZero::new(columns).expect("a column"),
        0,
    );
    terminal.process(text.replace('\n', "\r\n").as_bytes());
    terminal
}

fn svg(label: &str, terminal: &Parser, columns: u16, rows: u16) -> String {
    let screen = terminal.screen();
    let (width, height) = (
        f64::from(columns) * CELL.0 + 2.0 * MARGIN,
        f64::from(rows) * CELL.1 + 2.0 * MARGIN,
    );
    let label = escaped(label);
    let (inner_width, inner_height) = (width - 1.0, height - 1.0);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"{label}\">\n\
         <style>\n{STYLE}</style>\n\
         <rect class=\"frame\" x=\"0.5\" y=\"0.5\" width=\"{inner_width}\" \
         height=\"{inner_height}\" rx=\"8\"/>\n"
    );
    for row in 0..rows {
        let cells = (0..columns).filter_map(|column| Some((column, screen.cell(row, column)?)));
        for run in runs(cells) {
            run.draw(&mut svg, row);
        }
    }
    svg.push_str("</svg>\n");
    svg
}

/// Cells beside each other that look the same.
struct Run {
    column: u16,
    columns: u16,
    text: String,
    class: String,
}

fn runs<'a>(cells: impl Iterator<Item = (u16, &'a Cell)>) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for (column, cell) in cells {
        if !cell.has_contents() || cell.contents() == " " {
            continue;
        }
        let (class, text) = (class(cell), cell.contents());
        match runs.last_mut() {
            // A word goes on, or the next one follows a single space. What is not ASCII comes from
            // another font in many places, with a width of its own.
            Some(run)
                if run.class == class
                    && column <= run.column + run.columns + 1
                    && run.text.is_ascii()
                    && text.is_ascii() =>
            {
                let gap = column - run.column - run.columns;
                run.text.extend((0..gap).map(|_| ' '));
                run.text.push_str(text);
                run.columns += gap + 1;
            }
            _ => runs.push(Run {
                column,
                columns: if cell.is_wide() { 2 } else { 1 },
                text: text.to_owned(),
                class,
            }),
        }
    }
    runs
}

/// Terminals have a table of these, of which the first are for every theme; the others are shades
/// that a program chose for what it took to be the ground, and stay in both themes what they are.
fn class(cell: &Cell) -> String {
    let colour = match cell.fgcolor() {
        Color::Default | Color::Idx(7 | 15) if cell.dim() => "faint",
        Color::Default | Color::Idx(0 | 7 | 15) => "text",
        Color::Idx(8) => "faint",
        Color::Idx(1 | 9) => "red",
        Color::Idx(2 | 10) => "green",
        Color::Idx(3 | 11) => "yellow",
        Color::Idx(4 | 12) => "blue",
        Color::Idx(5 | 13) => "magenta",
        Color::Idx(6 | 14) => "cyan",
        Color::Idx(_) | Color::Rgb(..) if cell.dim() => "faint",
        Color::Idx(_) | Color::Rgb(..) => "text",
    };
    let weight = if cell.bold() { " bold" } else { "" };
    format!("{colour}{weight}")
}

impl Run {
    fn draw(&self, svg: &mut String, row: u16) {
        let x = MARGIN + f64::from(self.column) * CELL.0;
        let y = MARGIN + f64::from(row) * CELL.1;
        let (width, class) = (f64::from(self.columns) * CELL.0, &self.class);
        let drawn = match block(&self.text) {
            Some((part, opacity)) => writeln!(
                svg,
                "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"10\" \
                 opacity=\"{opacity}\" shape-rendering=\"crispEdges\"/>",
                y + 5.0,
                width * part,
            ),
            None => writeln!(
                svg,
                "<text class=\"{class}\" x=\"{x:.1}\" y=\"{:.1}\" textLength=\"{width:.1}\" \
                 lengthAdjust=\"spacingAndGlyphs\">{}</text>",
                y + BASELINE,
                escaped(&self.text),
            ),
        };
        drawn.expect("a String takes everything");
    }
}

/// How much of its cell's width a block element covers, from the left, and how densely.
fn block(text: &str) -> Option<(f64, f64)> {
    let mut chars = text.chars();
    let (Some(sign), None) = (chars.next(), chars.next()) else {
        return None;
    };
    let eighths = |sign: char| f64::from(0x2590 - u32::from(sign)) / 8.0;
    match sign {
        '\u{2588}'..='\u{258f}' => Some((eighths(sign), 1.0)),
        '\u{2591}' => Some((1.0, 0.25)),
        '\u{2592}' => Some((1.0, 0.5)),
        '\u{2593}' => Some((1.0, 0.75)),
        _ => None,
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
