//! Which tokens are of one login, and which only of the same account: that a good login never gives
//! way to another one, that a token is presented once wherever it stands, and that nothing an issuer
//! says is taken for more than it is.

use std::fs;
use std::process::Stdio;
use std::time::Duration;

use codex_accounts::rehearse::{Answer, ErrorShape, Style, TokenAnswer};
use serde_json::{Value, json};

use super::support::accounts::jwt;
use super::support::shown::Shown;
use super::support::stage::Stage;
use super::support::{CLOCK, Home};

const CODEX: &str = ".codex/auth.json";
const OPENCODE: &str = ".local/share/opencode/auth.json";

fn run(home: &Home, arguments: &[&str]) -> Shown {
    home.run(home.command("codex-token-refresh").args(arguments))
}

fn outcome(shown: &Shown) -> String {
    let record: Value = serde_json::from_str(&shown.stdout).unwrap_or_default();
    record["outcome"].as_str().unwrap_or("none").to_owned()
}

/// Codex's file with a login of account one that has nothing to do with ours.
fn separate_login(stage: &Stage, expires: u64) -> String {
    let access = jwt(&json!({"exp": expires, "https://api.openai.com/auth": {
        "chatgpt_account_id": "account-one", "chatgpt_user_id": "user-one"}}));
    let tokens = json!({"id_token": access, "access_token": access,
        "refresh_token": "separate", "account_id": "account-one"});
    let auth = json!({"OPENAI_API_KEY": null, "tokens": tokens, "last_refresh": "then"});
    let text = auth.to_string();
    stage.home.write(CODEX, &text);
    text
}

fn answer(stage: &Stage, answer: Answer) {
    stage.pretend.change(|script| {
        script.token_answers.clear();
        script.token_answers.push_back(TokenAnswer::Refuse(answer));
    });
}

#[test]
fn a_separate_login_of_a_client_never_takes_the_place_of_ours() {
    // Last month's; one that expires later than ours; and both beside a store without a time.
    for (expires, forget) in [(CLOCK - 100_000, false), (CLOCK + 999_999, false)]
        .into_iter()
        .flat_map(|(expires, _)| [(expires, false), (expires, true)])
    {
        let stage = Stage::new(1);
        let theirs = separate_login(&stage, expires);
        if forget {
            let mut store = stage.home.store();
            let account = store["accounts"][0].as_object_mut().unwrap();
            account.remove("expiresAt");
            account.remove("refreshedAt");
            stage.home.write_store(&store);
        }
        let mark = "printf 'HTTP/1.1 401 Unauthorized\r\n\r\n' | codex-ratelimit-mark one";
        assert_eq!(stage.home.sh(mark).code, 0);
        let picked = stage.home.sh("codex-account-pick --format access-token");
        assert_eq!(picked.code, 0, "{picked}");
        let ours = stage.current(0);
        assert_eq!(picked.stdout.trim_end(), ours.access_token);
        assert_eq!(stage.stored(0, "refreshToken"), ours.refresh_token);
        let codex = fs::read_to_string(stage.home.path().join(CODEX)).unwrap();
        assert_eq!(codex, theirs);
    }
}

#[test]
fn a_separate_login_rescues_an_account_whose_own_is_dead() {
    let stage = Stage::new(1);
    separate_login(&stage, CLOCK + 999_999);
    answer(
        &stage,
        Answer::token_error(403, "app_session_terminated", ErrorShape::Text),
    );
    let shown = run(&stage.home, &[]);
    assert_eq!(outcome(&shown), "adopted", "{shown}");
    assert_eq!(stage.stored(0, "refreshToken"), "separate");
    assert_eq!(
        stage.home.store()["accounts"][0]["sharedWith"],
        json!(["codex"])
    );
}

#[test]
fn that_a_client_has_the_login_is_known_from_when_its_file_was_seen() {
    let stage = Stage::new(1);
    let tokens = json!({"id_token": "", "access_token": "",
        "refresh_token": stage.stored(0, "refreshToken"), "account_id": "account-one"});
    let auth = json!({"tokens": tokens, "last_refresh": "then"});
    stage.home.write(CODEX, auth.to_string());
    assert_eq!(outcome(&run(&stage.home, &[])), "renewed");
    assert_eq!(
        stage.home.store()["accounts"][0]["sharedWith"],
        json!(["codex"])
    );
}

#[test]
fn two_stores_with_one_login_present_its_token_once() {
    let stage = Stage::new(1);
    let copy = stage.home.write("copy/accounts.json", stage.store_bytes());
    let copy = copy.to_str().unwrap().to_owned();
    stage.slow_issuer(Duration::from_millis(300));
    let start = |arguments: &[&str]| {
        let mut command = stage.home.std_command("codex-token-refresh");
        command.args(arguments).stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().expect("the command starts")
    };
    let both = [start(&[]), start(&["--store", &copy])];
    for child in both {
        let output = child.wait_with_output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{stderr}");
    }
    assert_eq!(stage.exchanges(), 1);
    let now = stage.current(0).refresh_token;
    assert_eq!(stage.stored(0, "refreshToken"), now);
    let other: Value = serde_json::from_slice(&fs::read(&copy).unwrap()).unwrap();
    assert_eq!(other["accounts"][0]["refreshToken"], now);
}

#[test]
fn a_store_that_took_opencodes_login_along_and_opencodes_file_meet_at_one_lock() {
    let stage = Stage::new(1);
    let store = stage.home.store_path();
    let entry = json!({"openai": {"type": "oauth", "refresh": stage.stored(0, "refreshToken"),
        "access": stage.stored(0, "accessToken"), "expires": 5, "accountId": "account-one"}});
    stage.home.write(OPENCODE, entry.to_string());
    stage.slow_issuer(Duration::from_millis(300));
    let kept = stage.store_bytes();
    fs::remove_file(&store).unwrap();
    let mut without = stage.home.std_command("codex-token-refresh");
    without
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let without = without.spawn().expect("the command starts");
    stage.wait_for_exchange(1);
    // The store comes back with the token that is used up now.
    stage.home.write(&store, kept);
    let with = run(&stage.home, &[]);
    assert_eq!(with.code, 0, "{with}");
    assert!(without.wait_with_output().unwrap().status.success());
    assert_eq!(stage.exchanges(), 1);
    assert_eq!(
        stage.stored(0, "refreshToken"),
        stage.current(0).refresh_token
    );
}

#[test]
fn a_journal_that_cannot_be_read_is_kept_and_named() {
    let stage = Stage::new(1);
    answer(&stage, Style::Error500.into());
    assert_eq!(run(&stage.home, &[]).code, 69);
    let folder = stage.home.path().join(".local/state/codex-accounts");
    let files = fs::read_dir(folder).unwrap().map(|it| it.unwrap().path());
    let is_journal = |path: &std::path::PathBuf| path.extension().is_some_and(|it| it == "journal");
    let journal = files.into_iter().find(is_journal).expect("a journal");
    let damaged = "[{\"pending\":{\"consumed\":[\"the only copy";
    fs::write(&journal, damaged).unwrap();
    let shown = run(&stage.home, &["--force"]);
    assert_eq!(shown.code, 78, "{shown}");
    assert!(
        shown.stderr.contains(".journal' is left as it is"),
        "{shown}"
    );
    assert!(!shown.stderr.contains("the only copy"), "{shown}");
    assert_eq!(fs::read_to_string(&journal).unwrap(), damaged);
    assert_eq!(stage.exchanges(), 1);
}

#[test]
fn removed_while_it_is_renewed_an_account_leaves_no_login_behind() {
    let stage = Stage::new(1);
    stage.slow_issuer(Duration::from_millis(500));
    let mut refresh = stage.home.std_command("codex-token-refresh");
    refresh
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut refresh = refresh.spawn().expect("the command starts");
    stage.wait_for_exchange(1);
    let shown = stage.home.sh("codex-accounts remove --yes one");
    assert_eq!(shown.code, 0, "{shown}");
    refresh.wait().unwrap();
    assert!(stage.pretend.current(0).is_none(), "the login lives on");
}

#[test]
fn removed_while_it_is_renewed_an_account_whose_login_is_kept_leaves_it_to_the_client() {
    let stage = Stage::new(1);
    let tokens = json!({"id_token": "", "access_token": "",
        "refresh_token": stage.stored(0, "refreshToken"), "account_id": "account-one"});
    let auth = json!({"tokens": tokens, "last_refresh": "then"});
    stage.home.write(CODEX, auth.to_string());
    stage.slow_issuer(Duration::from_millis(500));
    let mut refresh = stage.home.std_command("codex-token-refresh");
    refresh
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut refresh = refresh.spawn().expect("the command starts");
    stage.wait_for_exchange(1);
    let shown = stage
        .home
        .sh("codex-accounts remove --yes --keep-login one");
    assert_eq!(shown.code, 0, "{shown}");
    refresh.wait().unwrap();
    let codex = fs::read_to_string(stage.home.path().join(CODEX)).unwrap();
    let codex: Value = serde_json::from_str(&codex).unwrap();
    let current = stage.current(0).refresh_token;
    assert_eq!(codex["tokens"]["refresh_token"], current);
}

#[test]
fn tokens_that_are_anothers_or_no_tokens_are_refused() {
    let other = jwt(
        &json!({"exp": CLOCK + 3600, "https://api.openai.com/auth": {
        "chatgpt_account_id": "account-two", "chatgpt_user_id": "user-two"}}),
    );
    for (reply, said) in [
        (
            json!({"access_token": other, "refresh_token": "new"}),
            "of another account",
        ),
        (
            json!({"access_token": "a", "refresh_token": "new|account-two"}),
            "can't be used",
        ),
        (
            json!({"access_token": "a\r\nx: y", "refresh_token": "new"}),
            "can't be used",
        ),
    ] {
        let stage = Stage::new(1);
        let before = stage.store_bytes();
        let headers = [("content-type", "application/json")];
        answer(&stage, Answer::raw(200, &headers, reply.to_string()));
        let shown = run(&stage.home, &[]);
        assert_eq!(shown.code, 69, "{shown}");
        assert!(shown.stderr.contains(said), "{shown}");
        assert!(stage.store_bytes() == before);
    }
}

#[test]
fn of_an_issuers_code_only_what_is_one_is_shown() {
    for (code, shown) in [
        ("something_new", "(something_new)"),
        ("canary\u{1b}[31m", "(400)"),
        ("Secret-Token-123", "(400)"),
        (&"x".repeat(65), "(400)"),
    ] {
        let stage = Stage::new(1);
        answer(&stage, Answer::token_error(400, code, ErrorShape::Text));
        let told = run(&stage.home, &[]);
        assert!(told.stderr.contains(shown), "{told}");
    }
}
