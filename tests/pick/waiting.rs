//! Waiting for an account, and how that ends.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

use super::{NOW, edit, file, home_of, limit, pick, picked};
use crate::support::Home;

/// A pick that waits, and has said so.
fn waiting(home: &Home, args: &[&str]) -> (Child, String) {
    let mut child = home.std_command("codex-account-pick");
    let mut child = child
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut note = String::new();
    let stderr = child.stderr.take().expect("a pipe");
    BufReader::new(stderr).read_line(&mut note).expect("a note");
    (child, note)
}

#[test]
fn waiting_ends_when_somebody_lifts_the_limit() {
    let home = home_of(&["work", "personal"]);
    limit(&home, 0, NOW + 3_600_000);
    limit(&home, 1, NOW + 7_200_000);
    let (child, note) = waiting(&home, &["--wait"]);
    assert_eq!(
        note,
        "codex-account-pick: waiting for account 0 'work', until 2026-05-04T20:24:56Z\n"
    );
    assert_eq!(home.sh("codex-ratelimit-mark --clear personal").code, 0);
    let output = child.wait_with_output().expect("its end");
    assert!(output.status.success());
    let record: Value = serde_json::from_slice(&output.stdout).expect("a record");
    assert_eq!(record["label"], "personal");
}

#[test]
fn waiting_ends_with_the_limit() {
    let mut home = home_of(&["work"]);
    home.unset("CODEX_ACCOUNTS_CLOCK");
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("now");
    let until = now + Duration::from_millis(300);
    limit(&home, 0, u64::try_from(until.as_millis()).expect("a time"));
    assert_eq!(picked(&home, "--wait=1h"), "work");
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("now");
    assert!(now >= until);
}

#[test]
fn waiting_has_an_end() {
    let home = home_of(&["work"]);
    limit(&home, 0, NOW + 3_600_000);
    insta::assert_snapshot!(pick(&home, "--wait=50ms"), @"
    --- stderr
    codex-account-pick: waiting for account 0 'work', until 2026-05-04T20:24:56Z
    codex-account-pick: error: every account is limited; account 0 'work' comes back first, at 2026-05-04T20:24:56Z
    hint: that is in 1 h
    --- exit 75
    ");
    insta::assert_snapshot!(pick(&home, "-q --wait=0"), @"
    --- stderr
    codex-account-pick: error: every account is limited; account 0 'work' comes back first, at 2026-05-04T20:24:56Z
    hint: that is in 1 h
    --- exit 75
    ");
}

#[test]
fn where_nothing_recovers_by_itself_there_is_no_wait() {
    let home = home_of(&["work", "personal"]);
    edit(&home, |store| {
        store["accounts"][0]["loginRequired"] = json!({"code": "invalid_grant", "at": NOW});
        store["accounts"][1]["enabled"] = json!(false);
    });
    insta::assert_snapshot!(pick(&home, "--wait"), @"
    --- stderr
    codex-account-pick: error: no account can be used without a new login
    hint: log in again with 'codex-accounts add'
    --- exit 77
    ");
    insta::assert_snapshot!(pick(&home, "--wait --exclude work"), @"
    --- stderr
    codex-account-pick: error: every account is disabled or excluded
    hint: codex-accounts enable ACCOUNT
    --- exit 1
    ");
    insta::assert_snapshot!(pick(&Home::new(), "--wait"), @"
    --- stderr
    codex-account-pick: error: there are no accounts
    hint: log in with 'codex-accounts add'
    --- exit 1
    ");
}

#[test]
fn waiting_ends_when_the_last_hope_goes() {
    let home = home_of(&["work"]);
    limit(&home, 0, NOW + 3_600_000);
    let (mut child, _) = waiting(&home, &["--wait"]);
    edit(&home, |store| {
        store["accounts"][0]["loginRequired"] = json!({"code": "invalid_grant", "at": NOW});
    });
    assert_eq!(child.wait().expect("its end").code(), Some(77));
}

#[test]
fn ctrl_c_ends_the_wait_and_leaves_the_store_alone() {
    use std::os::unix::process::ExitStatusExt;
    let home = home_of(&["work"]);
    limit(&home, 0, NOW + 3_600_000);
    let before = file(&home);
    let (mut child, _) = waiting(&home, &["--wait"]);
    kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGINT).expect("a process");
    let end = child.wait().expect("its end");
    assert_eq!(end.signal(), Some(Signal::SIGINT as i32));
    assert_eq!(file(&home), before);
}
