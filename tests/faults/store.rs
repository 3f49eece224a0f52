//! A mark and an import as subjects: what changes a store and asks nobody.

use serde_json::Value;

use super::super::support::Home;
use super::super::support::accounts::{account, store};
use super::super::support::faults::{points, sample};
use super::{clear, failures, temporary};

const MARK: &str = "codex-ratelimit-mark --retry-after 1h work";
const IMPORT: &str = "codex-accounts import login.json";

/// A home with two accounts and a login to be imported. Nobody is there to be asked.
fn home() -> Home {
    let mut home = Home::new();
    for server in ["CODEX_ACCOUNTS_ISSUER", "CODEX_ACCOUNTS_UPSTREAM"] {
        home.set(server, "http://127.0.0.1:1");
    }
    home.write(
        "login.json",
        r#"{"refreshToken":"CANARY-new","chatgptAccountId":"acc-new"}"#,
    );
    reset(&home);
    home
}

/// The store as it is at first, and nothing beside it.
fn reset(home: &Home) {
    clear(home);
    home.write_store(&store([account("work"), account("personal")]));
}

/// The accounts without what two runs differ in.
fn accounts(document: &Value) -> Value {
    let mut accounts = document["accounts"].clone();
    for account in accounts.as_array_mut().into_iter().flatten() {
        if let Some(account) = account.as_object_mut() {
            account.remove("addedAt");
        }
    }
    accounts
}

/// Cuts a change off at its calls: the document is the old or the new one, and the next change is
/// as if nothing had been.
fn kill_at_each_call(home: &Home, command: &str) {
    let points = points(home, command);
    let new = accounts(&home.store());
    reset(home);
    let old = accounts(&home.store());
    for point in sample(points, 30) {
        reset(home);
        point.kill(home, command);
        let left = accounts(&home.store());
        assert!(left == old || left == new, "killed at {point:?}: {left}");
        let again = home.sh(command);
        assert_eq!(again.code, 0, "after a kill at {point:?}: {again}");
        assert_eq!(accounts(&home.store()), new, "after a kill at {point:?}");
        assert_eq!(temporary(home.path()), [""; 0], "after a kill at {point:?}");
    }
}

#[test]
fn a_commit_is_killed_at_each_call() {
    kill_at_each_call(&home(), MARK);
}

#[test]
fn an_import_is_killed_at_each_call() {
    kill_at_each_call(&home(), IMPORT);
}

/// Lets each call fail in each way: the command says that it failed and changed nothing, or it did
/// not fail.
fn fail_each_call(home: &Home, command: &str) {
    let points = points(home, command);
    let new = accounts(&home.store());
    reset(home);
    let old = accounts(&home.store());
    for (point, error) in sample(failures(points), 60) {
        reset(home);
        let shown = point.fail(home, command, error);
        let left = accounts(&home.store());
        let told = format!("{error} at {point:?}: {shown}");
        match shown.code {
            0 => assert_eq!(left, new, "{told}"),
            1 | 69 | 74 | 75 | 77 | 78 => {
                // What was committed stays so when its record can't be printed.
                let is_output = point.line.starts_with("write(1<");
                assert!(left == old || is_output && left == new, "{told}");
                assert_eq!(shown.stdout, "", "{told}");
                assert!(shown.stderr.contains("error: "), "{told}");
            }
            _ => panic!("{told}"),
        }
        assert_eq!(home.sh(command).code, 0, "after {told}");
        assert_eq!(accounts(&home.store()), new, "after {told}");
        assert_eq!(temporary(home.path()), [""; 0], "after {told}");
    }
}

#[test]
fn each_call_of_a_commit_fails() {
    fail_each_call(&home(), MARK);
}

#[test]
fn each_call_of_an_import_fails() {
    fail_each_call(&home(), IMPORT);
}
