//! A kill, and each failure that a file system knows, at each system call of what changes a store:
//! the old document or the new one, no token lost but where nothing could help, nothing left behind
//! after the next command, and an end.
//!
//! A part of the points here; all of them by `tests/soak`.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::Value;

use super::support::accounts::{account, store};
use super::support::faults::{Point, points, sample};
use super::support::stage::Stage;
use super::support::{CLOCK, Home};

const MARK: &str = "codex-ratelimit-mark --retry-after 1h work";
const IMPORT: &str = "codex-accounts import login.json";
const REFRESH: &str = "codex-token-refresh --force";

/// What can go wrong at a call on a file.
const ERRORS: [&str; 6] = ["ENOSPC", "EIO", "EINTR", "EMFILE", "EROFS", "EDQUOT"];

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

fn clear(home: &Home) {
    for folder in [".local/share/opencode", ".local/state/codex-accounts"] {
        let _ = fs::remove_dir_all(home.path().join(folder));
    }
}

/// Temporary files anywhere in the home.
fn temporary(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut found = Vec::new();
    for entry in entries {
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.path().is_dir() {
            found.extend(temporary(&entry.path()));
        } else if name.starts_with(".codex-accounts-") || name.ends_with(".new") {
            found.push(name);
        }
    }
    found
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

/// Each call with each way in which it can fail. To close something does not fail in a way that
/// anybody could heed.
fn failures(points: Vec<Point>) -> Vec<(Point, &'static str)> {
    let heeded = points.into_iter().filter(|point| point.name != "close");
    heeded
        .flat_map(|point| ERRORS.map(|error| (point.clone(), error)))
        .collect()
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

// --- A refresh.

/// One account, whose login opencode and Codex have too.
struct Login {
    stage: Stage,
}

impl Login {
    fn new() -> Self {
        let login = Self {
            stage: Stage::new(1),
        };
        login.reset();
        login
    }

    fn reset(&self) {
        let home = &self.stage.home;
        clear(home);
        self.stage.log_in_again();
        let stored = |field| self.stage.stored(0, field);
        let (refresh, access) = (stored("refreshToken"), stored("accessToken"));
        let opencode = format!(
            r#"{{"openai":{{"type":"oauth","refresh":"{refresh}","access":"{access}","expires":1,"accountId":"account-one"}}}}"#
        );
        home.write(".local/share/opencode/auth.json", opencode);
        let codex = format!(
            r#"{{"auth_mode":"chatgpt","OPENAI_API_KEY":null,"tokens":{{"id_token":"{0}","access_token":"{access}","refresh_token":"{refresh}","account_id":"account-one"}},"last_refresh":"2026-05-01T00:00:00Z"}}"#,
            stored("idToken")
        );
        home.write(".codex/auth.json", codex);
    }

    /// Whether the login is alive after another refresh, everywhere; all that is left of the one
    /// before is gone then.
    fn survives(&self, told: &str) -> bool {
        let home = &self.stage.home;
        let mut again = home.sh(REFRESH);
        if [69, 75].contains(&again.code) {
            // An issuer that gave no answer is left alone for a while.
            let later = CLOCK + 60 * 60;
            again = home.sh(&format!("CODEX_ACCOUNTS_CLOCK={later} {REFRESH}"));
        }
        if again.code == 77 {
            return false;
        }
        assert_eq!(again.code, 0, "after {told}: {again}");
        assert!(
            !again.stderr.contains("pretend-refresh"),
            "a token is said: {again}"
        );
        let current = self.stage.current(0).refresh_token;
        assert_eq!(
            self.stage.stored(0, "refreshToken"),
            current,
            "after {told}"
        );
        for file in [".local/share/opencode/auth.json", ".codex/auth.json"] {
            let text = fs::read_to_string(home.path().join(file)).expect("a login");
            assert!(text.contains(&current), "{file} after {told}: {again}");
        }
        assert_eq!(temporary(home.path()), [""; 0], "after {told}");
        true
    }
}

/// The calls between the request that uses the token up and the one that writes the answer down:
/// whoever is cut off there has no answer, and the issuer gives it once.
fn unavoidable<'a>(home: &Home, points: &'a [Point]) -> &'a [Point] {
    let asks = |point: &Point| point.line.contains("POST /oauth/token");
    let first = points.iter().position(asks).expect("a request");
    let of_person = format!("<{}/", home.path().display());
    let writes = |point: &Point| point.name.contains("write") && point.line.contains(&of_person);
    let written = points[first..].iter().position(writes).expect("a journal");
    &points[first..=first + written]
}

#[test]
fn a_refresh_is_killed_at_each_call() {
    let login = Login::new();
    let points = points(&login.stage.home, REFRESH);
    let excused = unavoidable(&login.stage.home, &points).to_vec();
    let mut lost: BTreeMap<String, usize> = BTreeMap::new();
    for point in sample(points, 40) {
        login.reset();
        point.kill(&login.stage.home, REFRESH);
        let told = format!("a kill at {point:?}");
        if !login.survives(&told) {
            assert!(excused.contains(&point), "the login is lost by {told}");
            *lost.entry(point.name).or_default() += 1;
        }
    }
    println!(
        "{} points can't be helped; lost at: {lost:?}",
        excused.len()
    );
}

/// A login of the person's own, made after the kill, is no reason to leave tokens lying about.
#[test]
fn what_a_killed_write_through_left_goes_though_the_client_has_another_login_by_then() {
    let login = Login::new();
    let home = &login.stage.home;
    for file in [".local/share/opencode/auth.json", ".codex/auth.json"] {
        let renames = format!("/{file}\"");
        let points = points(home, REFRESH);
        let mut points = points.into_iter();
        let put = points.find(|it| it.name.starts_with("rename") && it.line.contains(&renames));
        login.reset();
        put.expect("a file is put there").kill(home, REFRESH);
        assert_eq!(temporary(home.path()).len(), 1, "{file}");
        home.write(file, "{}");
        assert_eq!(home.sh(REFRESH).code, 0);
        assert_eq!(temporary(home.path()), [""; 0], "{file}");
        login.reset();
    }
}

#[test]
fn each_call_of_a_refresh_fails() {
    let login = Login::new();
    let points = points(&login.stage.home, REFRESH);
    let excused = unavoidable(&login.stage.home, &points).to_vec();
    for (point, error) in sample(failures(points), 60) {
        login.reset();
        let shown = point.fail(&login.stage.home, REFRESH, error);
        let told = format!("{error} at {point:?}: {shown}");
        assert!([0, 69, 74, 75, 77, 78].contains(&shown.code), "{told}");
        if !login.survives(&told) {
            assert!(excused.contains(&point), "the login is lost by {told}");
        }
    }
}
