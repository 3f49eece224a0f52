//! The table as a picture: a panel for each figure, and in it two bars for each strategy.

use std::fmt::Write;

use super::report::{FIGURES, Row};

const STYLE: &str = "\
svg { --ground: #ffffff; --edge: #d1d9e0; --text: #1f2328; --faint: #656d76;
      --bar: #0959c8; --kept: #8fb8ef }
@media (prefers-color-scheme: dark) {
svg { --ground: #0d1117; --edge: #30363d; --text: #e2e8ee; --faint: #8b949e;
      --bar: #6cb0ff; --kept: #2f5f96 }
}
text { font: 13px system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif }
.frame { fill: var(--ground); stroke: var(--edge) }
.text { fill: var(--text) } .faint { fill: var(--faint) } .bold { font-weight: 600 }
.bar { fill: var(--bar) } .kept { fill: var(--kept) }
";

/// In pixels.
const WIDTH: f64 = 780.0;
const MARGIN: f64 = 24.0;
const NAMES: f64 = 112.0;
const ROW: f64 = 34.0;
const BAR: f64 = 11.0;
const TOP: f64 = 58.0;
const LEGEND: f64 = 40.0;

/// The picture.
pub(crate) fn draw(rows: &[Row]) -> String {
    let height = TOP + ROW * rows.len() as f64 + LEGEND;
    let (inner_width, inner_height) = (WIDTH - 1.0, height - 1.0);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" \
         viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" \
         aria-label=\"What comes of each strategy in a month\">\n<style>\n{STYLE}</style>\n\
         <rect class=\"frame\" x=\"0.5\" y=\"0.5\" width=\"{inner_width}\" \
         height=\"{inner_height}\" rx=\"8\"/>\n"
    );
    for (index, row) in rows.iter().enumerate() {
        let y = middle(index) + 4.0;
        text(&mut svg, MARGIN, y, "text", &row.strategy.to_string());
    }
    let panel = (WIDTH - 2.0 * MARGIN - NAMES) / FIGURES.len() as f64;
    for (number, figure) in FIGURES.iter().enumerate() {
        let left = MARGIN + NAMES + panel * number as f64;
        text(&mut svg, left, TOP - 24.0, "text bold", figure.0);
        let pairs: Vec<[f64; 2]> = rows.iter().map(|row| figure.of(row)).collect();
        let most = pairs.iter().flatten().copied().fold(0.1, f64::max);
        for (index, pair) in pairs.iter().enumerate() {
            for (second, amount) in pair.iter().enumerate() {
                // Room for the number behind the longest bar.
                let width = (panel - 88.0) * amount / most;
                let y = middle(index) - BAR + BAR * second as f64;
                let class = ["bar", "kept"][second];
                let _ = writeln!(
                    svg,
                    "<rect class=\"{class}\" x=\"{left:.1}\" y=\"{y:.1}\" \
                     width=\"{width:.1}\" height=\"{:.1}\"/>",
                    BAR - 1.0
                );
            }
            let width = (panel - 88.0) * pair[0].max(pair[1]) / most;
            let both = figure.cell(&rows[index]);
            text(
                &mut svg,
                left + width + 5.0,
                middle(index) + 4.0,
                "faint",
                &both,
            );
        }
    }
    let foot = height - MARGIN + 6.0;
    for (place, class, what) in [
        (0.0, "bar", "no reserve"),
        (110.0, "kept", "10 % kept in reserve"),
    ] {
        let x = MARGIN + NAMES + place;
        let _ = writeln!(
            svg,
            "<rect class=\"{class}\" x=\"{x}\" y=\"{:.1}\" width=\"10\" height=\"10\"/>",
            foot - 9.0
        );
        text(&mut svg, x + 16.0, foot, "faint", what);
    }
    svg + "</svg>\n"
}

/// Where the middle of a row is.
fn middle(index: usize) -> f64 {
    TOP + ROW * index as f64 + ROW / 2.0 - 8.0
}

fn text(svg: &mut String, x: f64, y: f64, class: &str, text: &str) {
    let _ = writeln!(
        svg,
        "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\">{text}</text>"
    );
}
