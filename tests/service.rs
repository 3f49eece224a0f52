//! `codex-proxy` as a service: what it needs to start, whom it lets in, how it tells who started it,
//! and what it keeps to itself.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::support::Home;
use super::support::accounts::{account, store};

fn home() -> Home {
    let home = Home::new();
    home.write_store(&store([account("work")]));
    home
}

#[test]
fn a_store_that_is_missing_or_empty_starts_no_relay() {
    let home = Home::new();
    let missing = home.sh("codex-proxy");
    insta::assert_snapshot!(missing, @r"
    --- stderr
    codex-proxy: error: there are no accounts
    hint: log in with 'codex-accounts add'
    --- exit 1
    ");
    home.write_store(&store([]));
    assert_eq!(home.sh("codex-proxy").to_string(), missing.to_string());
}

#[test]
fn a_store_that_is_corrupt_starts_no_relay() {
    let home = Home::new();
    home.write(home.store_path(), "{\"version\":1,\"acc");
    insta::assert_snapshot!(home.sh("codex-proxy"), @r"
    --- stderr
    codex-proxy: error: '$HOME/.local/share/opencode/openai-codex-accounts.json' is left as it is: not valid JSON at byte 16 (line 1, column 17)
    --- exit 78
    ");
}

#[test]
fn a_store_that_others_can_read_starts_no_relay() {
    let home = home();
    fs::set_permissions(home.store_path(), fs::Permissions::from_mode(0o640)).expect("mode");
    insta::assert_snapshot!(home.sh("codex-proxy"), @r"
    --- stderr
    codex-proxy: error: '$HOME/.local/share/opencode/openai-codex-accounts.json' can be read or written by others (mode 0640)
    hint: chmod 600 '$HOME/.local/share/opencode/openai-codex-accounts.json'
    --- exit 77
    ");
}
