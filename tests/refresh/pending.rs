//! A store that can't take the new tokens: they wait for the next refresh.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::json;

use super::super::support::shown::Shown;
use super::super::support::stage::Stage;
use super::super::support::{CLOCK, Home};
use super::{end, outcomes, run, send, start};

/// The journals in which new tokens wait.
pub(super) fn pending(home: &Home) -> Vec<std::path::PathBuf> {
    let folder = home.path().join(".local/state/codex-accounts");
    let paths = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let is_journal = |path: &std::path::PathBuf| path.extension().is_some_and(|it| it == "journal");
    let is_pending = |path: &std::path::PathBuf| {
        let text = fs::read_to_string(path).unwrap();
        text.contains("pending")
    };
    paths.filter(is_journal).filter(is_pending).collect()
}

#[test]
fn tokens_that_the_store_cannot_take_wait_for_the_next_refresh() {
    let stage = Stage::new(1);
    stage.slow_issuer(Duration::from_millis(300));
    let child = start(&stage.home, &[]);
    stage.wait_for_exchange(1);
    let chmod = |mode| {
        fs::set_permissions(stage.home.store_path(), fs::Permissions::from_mode(mode)).unwrap();
    };
    chmod(0o644);
    let before = stage.store_bytes();
    insta::assert_snapshot!(Shown::new(end(child), stage.home.path()), @"
    --- stderr
    codex-token-refresh: error: the new token of 'one' waits in '$HOME/.local/state/codex-accounts/refresh-6718e31e34588331.journal' until the store can take it: '$HOME/.local/share/opencode/openai-codex-accounts.json' can be read or written by others (mode 0644)
    hint: chmod 600 '$HOME/.local/share/opencode/openai-codex-accounts.json'
    --- exit 77
    ");
    assert!(stage.store_bytes() == before);
    let [kept] = &pending(&stage.home)[..] else {
        panic!("no tokens are kept");
    };
    assert_eq!(
        fs::metadata(kept).unwrap().permissions().mode() & 0o777,
        0o600
    );

    chmod(0o600);
    assert_eq!(outcomes(&run(&stage.home, &[])), ["adopted"]);
    assert_eq!(stage.exchanges(), 1);
    assert_eq!(
        stage.stored(0, "refreshToken"),
        stage.current(0).refresh_token
    );
    assert!(pending(&stage.home).is_empty());
}

#[test]
fn pending_tokens_give_way_to_a_new_login() {
    let stage = Stage::new(1);
    stage.slow_issuer(Duration::from_millis(300));
    let child = start(&stage.home, &[]);
    stage.wait_for_exchange(1);
    stage.home.write(stage.home.store_path(), "{");
    assert_eq!(end(child).status.code(), Some(78));
    assert_eq!(pending(&stage.home).len(), 1);
    stage.log_in_again();
    let mut store = stage.home.store();
    store["accounts"][0]["refreshedAt"] = json!((CLOCK + 1) * 1000);
    stage.home.write_store(&store);
    assert_eq!(outcomes(&run(&stage.home, &[])), ["renewed"]);
    assert_eq!(
        stage.stored(0, "refreshToken"),
        stage.current(0).refresh_token
    );
    assert!(pending(&stage.home).is_empty());
}

#[test]
fn a_restored_store_gets_the_tokens_that_were_renewed_since() {
    let stage = Stage::new(1);
    // The backup holds what was there before only where no token was replaced since.
    assert_eq!(outcomes(&run(&stage.home, &[])), ["renewed"]);
    let restore = || {
        stage.home.write(stage.home.store_path(), "{");
        let shown = stage.home.sh("codex-accounts doctor --restore --yes");
        assert_eq!(shown.code, 0, "{shown}");
    };
    restore();
    let now = stage.current(0).refresh_token;
    assert_eq!(stage.stored(0, "refreshToken"), now);
    assert_eq!(outcomes(&run(&stage.home, &["--force"])), ["renewed"]);

    // Here the store broke before it could take the token.
    stage.slow_issuer(Duration::from_millis(300));
    let child = start(&stage.home, &["--force"]);
    stage.wait_for_exchange(3);
    stage.home.write(stage.home.store_path(), "{");
    assert_eq!(end(child).status.code(), Some(78));
    restore();
    assert_ne!(
        stage.stored(0, "refreshToken"),
        stage.current(0).refresh_token
    );
    assert_eq!(outcomes(&run(&stage.home, &[])), ["adopted"]);
    assert_eq!(
        stage.stored(0, "refreshToken"),
        stage.current(0).refresh_token
    );
    assert_eq!(stage.exchanges(), 3);
}

#[test]
fn with_an_account_its_pending_tokens_go_and_the_last_one_is_revoked() {
    let stage = Stage::new(1);
    stage.slow_issuer(Duration::from_millis(300));
    let whole = stage.store_bytes();
    let child = start(&stage.home, &[]);
    stage.wait_for_exchange(1);
    stage.home.write(stage.home.store_path(), "{");
    assert_eq!(end(child).status.code(), Some(78));
    assert_eq!(pending(&stage.home).len(), 1);
    stage.home.write(stage.home.store_path(), whole);
    let shown = stage.home.sh("codex-accounts remove --yes one");
    assert_eq!(shown.code, 0, "{shown}");
    assert!(pending(&stage.home).is_empty());
    assert!(stage.pretend.current(0).is_none(), "the login lives on");
}

#[test]
fn what_a_killed_refresh_left_goes_with_its_account() {
    let stage = Stage::new(1);
    stage.slow_issuer(Duration::from_secs(600));
    let killed = start(&stage.home, &[]);
    stage.wait_for_exchange(1);
    send(Signal::SIGKILL, &killed);
    end(killed);
    let journals = "ls .local/state/codex-accounts/*.journal";
    assert_eq!(stage.home.sh(journals).code, 0);
    let shown = stage
        .home
        .sh("codex-accounts remove --yes --keep-login one");
    assert_eq!(shown.code, 0, "{shown}");
    assert_ne!(stage.home.sh(journals).code, 0);
}

#[test]
fn pending_tokens_that_are_later_than_the_stores_are_taken_whatever_it_has() {
    let stage = Stage::new(1);
    stage.slow_issuer(Duration::from_millis(300));
    let old = stage.home.store();
    let child = start(&stage.home, &[]);
    stage.wait_for_exchange(1);
    stage.home.write(stage.home.store_path(), "{");
    assert_eq!(end(child).status.code(), Some(78));
    // A copy from before, with a token that was used up long ago.
    let mut copy = old;
    copy["accounts"][0]["refreshToken"] = json!("used-up-long-ago");
    stage.home.write_store(&copy);
    assert_eq!(outcomes(&run(&stage.home, &[])), ["adopted"]);
    assert_eq!(
        stage.stored(0, "refreshToken"),
        stage.current(0).refresh_token
    );
    assert_eq!(stage.exchanges(), 1);
}

#[test]
fn on_a_full_disk_nothing_is_asked_for() {
    let stage = Stage::new(1);
    let before = stage.store_bytes();
    // No file may grow beyond 4 KiB; the signal that says so is ignored, so that a write fails.
    let shown = stage
        .home
        .sh("trap '' XFSZ; ulimit -f 8; exec codex-token-refresh");
    insta::assert_snapshot!(shown, @"
    --- stderr
    codex-token-refresh: error: '$HOME/.local/state/codex-accounts/refresh-6718e31e34588331.journal': File too large (os error 27)
    --- exit 74
    ");
    assert_eq!(stage.exchanges(), 0);
    assert!(stage.store_bytes() == before);
    assert!(pending(&stage.home).is_empty());
}
