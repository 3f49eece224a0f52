//! `codex-store-postgres` with a real PostgreSQL: what its page promises beyond
//! `codex-store-helper(7)`, which `tests/store-helper` looks at.

use serde_json::{Value, json};

use super::support::Home;
use super::support::kept;
use super::support::postgres::{self, Helper, Postgres};

mod connection;
mod tables;
mod trouble;

/// The kind of an error, and its text.
fn error(answer: &Value) -> String {
    let text = |name: &str| answer[name].as_str().unwrap_or_default();
    format!("{}: {}", text("error"), text("message"))
}

#[test]
fn it_keeps_the_contract() {
    let postgres = Postgres::shared();
    let url = format!("{}?store=NAME", postgres.url(&postgres.migrated()));
    let mut suite = std::process::Command::new(kept::folder().with_file_name("store-helper"));
    // Other tests run beside it.
    let run = suite
        .env("SLOW", "20")
        .arg(url)
        .arg(postgres::helper())
        .output();
    let run = run.expect("the suite starts");
    let text = String::from_utf8_lossy(&run.stdout);
    assert!(run.status.success(), "{text}");
    assert!(text.lines().count() > 30, "{text}");
    assert!(
        !postgres.log().contains("canary-9f2c"),
        "what is kept is in the server's log"
    );
}
