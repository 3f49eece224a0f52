//! What was not written through to a client's file is made up for.

use std::fs;

use codex_accounts::store::lock::{self, Patience};
use nix::sys::signal::Signal;
use serde_json::Value;

use super::super::support::Home;
use super::super::support::stage::{Stage, wait_until};
use super::clients::{
    CODEX, LATER, OPENCODE, access_of_account_one, codex_text, opencode_text, read,
};
use super::pending::pending;
use super::{end, outcomes, run, send, start};

/// What Codex's file has for a refresh token.
fn codex_token(home: &Home) -> String {
    let auth: Value = serde_json::from_str(&read(home, CODEX)).unwrap();
    auth["tokens"]["refresh_token"].as_str().unwrap().to_owned()
}

/// A machine on which Codex has the login of account one too.
fn with_codex() -> Stage {
    let stage = Stage::new(1);
    let token = stage.stored(0, "refreshToken");
    stage
        .home
        .write(CODEX, codex_text(&token, "", "", "2026-05-01T00:00:00Z"));
    stage
}

fn codex_lock(stage: &Stage) -> lock::Lock {
    let path = stage.home.path().join(".codex/auth.lock");
    let lock = lock::exclusive(&path, Patience::USUAL, |_| ()).unwrap();
    lock.expect("nobody has it")
}

/// Starts a refresh that gets as far as Codex's lock, and kills it.
fn refresh_and_kill(stage: &Stage) {
    let count = stage.exchanges() + 1;
    let child = start(&stage.home, &["--force"]);
    wait_until("the store has the new token", || {
        stage.exchanges() == count
            && stage.stored(0, "refreshToken") == stage.current(0).refresh_token
    });
    send(Signal::SIGKILL, &child);
    end(child);
}

#[test]
fn killed_after_the_commit_the_clients_file_still_gets_the_token() {
    let stage = with_codex();
    let before = codex_token(&stage.home);
    let held = codex_lock(&stage);
    refresh_and_kill(&stage);
    drop(held);
    assert_eq!(codex_token(&stage.home), before);
    // Nothing is due, and yet there is something to do.
    assert_eq!(outcomes(&run(&stage.home, &[])), ["kept"]);
    assert_eq!(codex_token(&stage.home), stage.current(0).refresh_token);
    assert!(pending(&stage.home).is_empty());
    assert_eq!(stage.exchanges(), 1);
}

/// Something in the place of Codex's lock, so that nothing can be written under it.
fn block_codex(stage: &Stage) -> std::path::PathBuf {
    let path = stage.home.path().join(".codex/auth.lock");
    fs::create_dir(&path).unwrap();
    path
}

#[test]
fn tokens_that_were_used_up_meanwhile_are_replaced_too() {
    let stage = with_codex();
    let first = stage.stored(0, "refreshToken");
    let blocked = block_codex(&stage);
    for count in 1..3 {
        let shown = run(&stage.home, &["--force"]);
        assert_eq!(outcomes(&shown), ["renewed"], "{shown}");
        assert!(
            shown.stderr.contains("still has the used-up token"),
            "{shown}"
        );
        assert_eq!(stage.exchanges(), count);
    }
    assert_eq!(codex_token(&stage.home), first);
    fs::remove_dir(blocked).unwrap();
    assert_eq!(outcomes(&run(&stage.home, &[])), ["kept"]);
    assert_eq!(codex_token(&stage.home), stage.current(0).refresh_token);
    assert!(pending(&stage.home).is_empty());
}

#[test]
fn a_used_up_token_in_a_clients_file_is_not_adopted() {
    let stage = with_codex();
    let token = stage.stored(0, "refreshToken");
    let access = access_of_account_one(LATER);
    let auth = codex_text(&token, &access, "", "then");
    stage.home.write(CODEX, &auth);
    block_codex(&stage);
    for _ in 0..2 {
        assert_eq!(outcomes(&run(&stage.home, &["--force"])), ["renewed"]);
    }
    assert_eq!(read(&stage.home, CODEX), auth);
}

#[test]
fn a_torn_file_gets_the_token_once_it_is_whole() {
    let stage = Stage::new(1);
    let whole = opencode_text(&stage.stored(0, "refreshToken"), "", 0);
    stage.home.write(OPENCODE, &whole[..whole.len() - 1]);
    let shown = run(&stage.home, &[]);
    assert_eq!(outcomes(&shown), ["renewed"]);
    assert!(
        shown.stderr.contains("still has the used-up token"),
        "{shown}"
    );
    let shown = run(&stage.home, &[]);
    assert!(
        shown.stderr.contains("still has the used-up token"),
        "{shown}"
    );
    stage.home.write(OPENCODE, &whole);
    let shown = run(&stage.home, &[]);
    assert_eq!(
        (outcomes(&shown), &*shown.stderr),
        (vec!["kept".to_owned()], "")
    );
    assert!(read(&stage.home, OPENCODE).contains(&stage.current(0).refresh_token));
    assert!(pending(&stage.home).is_empty());
}
