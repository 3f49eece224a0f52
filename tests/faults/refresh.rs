//! A refresh as the subject, with its write-through into the clients' files.

use std::collections::BTreeMap;
use std::fs;

use super::super::support::faults::{Point, points, sample};
use super::super::support::stage::Stage;
use super::super::support::{CLOCK, Home};
use super::{clear, failures, temporary};

pub(super) const REFRESH: &str = "codex-token-refresh --force";

/// One account, whose login opencode and Codex have too.
pub(super) struct Login {
    pub(super) stage: Stage,
}

impl Login {
    pub(super) fn new() -> Self {
        let login = Self {
            stage: Stage::new(1),
        };
        login.reset();
        login
    }

    pub(super) fn reset(&self) {
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
    pub(super) fn survives(&self, told: &str) -> bool {
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

/// Whatever else could fail, or be waited for, comes before the request or after the write.
#[test]
fn between_the_request_and_the_journal_no_file_is_opened() {
    let login = Login::new();
    let points = points(&login.stage.home, REFRESH);
    let window = unavoidable(&login.stage.home, &points);
    let touches = ["open", "rename", "link", "stat", "mkdir", "access"];
    let is_file = |point: &&Point| touches.iter().any(|it| point.name.contains(it));
    let files: Vec<&Point> = window.iter().filter(is_file).collect();
    assert!(files.is_empty(), "{files:#?}");
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
