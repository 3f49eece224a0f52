//! README, the page and the picture say of the strategies what `cargo bench --bench strategies`
//! plays.

use std::fs;
use std::path::Path;

use bench::{plot, report};

#[path = "../benches/strategies/main.rs"]
mod bench;

#[test]
fn the_table_of_strategies_is_what_the_bench_plays() {
    let rows = report::rows(&report::loads());
    keep("docs/strategies.svg", |_| plot::draw(&rows));
    keep("README.md", |text| {
        with_block(
            text,
            "| strategy |",
            "\n\n",
            report::markdown(&rows).trim_end(),
        )
    });
    keep("man/codex-account-pick.1", |text| {
        with_block(text, report::MDOC_BEGIN, "\n.El", &report::mdoc(&rows))
    });
}

/// Compares a file with what it should be; with DRAW, as `tests/draw` sets it, writes it.
fn keep(file: &str, of: impl Fn(&str) -> String) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    let kept = fs::read_to_string(&path).unwrap_or_default();
    let now = of(&kept);
    if std::env::var_os("DRAW").is_some() {
        fs::write(&path, &now).expect("a file of the project");
        return;
    }
    assert!(kept == now, "{file} is out of date: run tests/draw");
}

/// The text with what is from `begin` to before `end` replaced.
fn with_block(text: &str, begin: &str, end: &str, block: &str) -> String {
    let from = text.find(begin).expect("the table is there");
    let length = text[from..].find(end).expect("the table ends");
    format!("{}{block}{}", &text[..from], &text[from + length..])
}
