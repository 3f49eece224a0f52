//! `codex-token-refresh`, and that a refresh token, which can be used only once, is never lost and
//! never used twice: by many processes, through signals and failures, and with the clients' files.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Output, Stdio};
use std::time::Duration;

use codex_accounts::rehearse::{
    Answer, DEAD_TOKEN_CODES, ErrorShape, Style, TokenAnswer, TokenReply,
};
use codex_accounts::store::lock::{self, Patience};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

use super::support::accounts::{account, jwt, store};
use super::support::shown::Shown;
use super::support::stage::{EXPIRED, Stage, wait_until};
use super::support::{CLOCK, Home};

const COMMAND: &str = "codex-token-refresh";

fn run(home: &Home, arguments: &[&str]) -> Shown {
    let shown = home.run(home.command(COMMAND).args(arguments));
    assert!(!shown.stderr.contains("pretend-"), "a secret got out");
    assert!(!shown.stdout.contains("pretend-"), "a secret got out");
    shown
}

/// The same so many seconds later.
fn run_later(home: &Home, secs: u64, arguments: &[&str]) -> Shown {
    let mut command = home.command(COMMAND);
    command.env("CODEX_ACCOUNTS_CLOCK", (CLOCK + secs).to_string());
    home.run(command.args(arguments))
}

/// Notes in the store that clients have the login of account one too.
fn share(stage: &Stage, clients: &[&str]) {
    let mut store = stage.home.store();
    store["accounts"][0]["sharedWith"] = json!(clients);
    stage.home.write_store(&store);
}

fn records(stdout: &str) -> Vec<Value> {
    let records = stdout.lines().map(serde_json::from_str);
    records.collect::<Result<_, _>>().expect("JSON Lines")
}

fn outcomes(shown: &Shown) -> Vec<String> {
    let outcome = |record: &Value| record["outcome"].as_str().unwrap().to_owned();
    records(&shown.stdout).iter().map(outcome).collect()
}

/// Starts the command beside the test.
fn start(home: &Home, arguments: &[&str]) -> Child {
    let mut command = home.std_command(COMMAND);
    command.args(arguments).stdin(Stdio::null());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().expect("the command starts")
}

fn end(child: Child) -> Output {
    child.wait_with_output().expect("the command ends")
}

fn send(signal: Signal, child: &Child) {
    kill(Pid::from_raw(child.id().cast_signed()), signal).expect("the command runs");
}

fn refuse(stage: &Stage, answer: Answer) {
    stage.pretend.change(|script| {
        script.token_answers.clear();
        script.token_answers.push_back(TokenAnswer::Refuse(answer));
    });
}

// --- The command.

#[test]
fn the_active_account_is_renewed_and_shown() {
    let stage = Stage::new(2);
    let shown = run(&stage.home, &[]);
    insta::assert_snapshot!(shown, @r#"
    {"v":1,"index":0,"chatgptAccountId":"account-one","chatgptUserId":"user-one","email":"one@example.com","label":"one","active":true,"state":"ready","planType":"plus","enabled":true,"addedAt":1777836296000,"lastUsed":0,"expiresAt":1777926296000,"refreshedAt":1777922696000,"outcome":"renewed"}
    --- exit 0
    "#);
    assert_eq!(
        stage.stored(0, "refreshToken"),
        stage.current(0).refresh_token
    );
    assert_eq!(
        stage.stored(0, "accessToken"),
        stage.current(0).access_token
    );
    assert_eq!(stage.stored(0, "idToken"), stage.current(0).id_token);
    assert_eq!(stage.home.store()["accounts"][1]["expiresAt"], EXPIRED);
    assert_eq!(outcomes(&run(&stage.home, &[])), ["kept"]);
    assert_eq!(stage.exchanges(), 1);
}

#[test]
fn what_is_renewed_depends_on_the_flags() {
    let stage = Stage::new(1);
    let run = |arguments: &[&str]| outcomes(&run(&stage.home, arguments)).concat();
    assert_eq!(run(&["--if-expiring", "0"]), "renewed");
    // It expires in an hour, and was renewed a moment ago.
    for (arguments, outcome) in [
        (&["--if-expiring", "59m"][..], "kept"),
        (&["--older-than", "0"], "kept"),
        (&["--if-expiring", "1h"], "renewed"),
        (&["--force"], "renewed"),
    ] {
        assert_eq!(run(arguments), outcome, "{arguments:?}");
    }
    let mut store = stage.home.store();
    store["accounts"][0]["refreshedAt"] = json!((CLOCK - 8 * 24 * 60 * 60) * 1000);
    stage.home.write_store(&store);
    assert_eq!(run(&["--older-than", "9d"]), "kept");
    assert_eq!(run(&["--older-than", "7d"]), "renewed");
}

#[test]
fn accounts_are_named_or_all() {
    let stage = Stage::new(3);
    let mut store = stage.home.store();
    store["accounts"][2]["enabled"] = json!(false);
    stage.home.write_store(&store);
    let indices = |arguments: &[&str]| -> Vec<u64> {
        let shown = run(&stage.home, arguments);
        let index = |record: &Value| record["index"].as_u64().unwrap();
        records(&shown.stdout).iter().map(index).collect()
    };
    assert_eq!(indices(&["two", "0"]), [1, 0]);
    assert_eq!(indices(&["--all"]), [0, 1, 2]);
    insta::assert_snapshot!(run(&stage.home, &["two", "nobody"]), @"
    --- stderr
    codex-token-refresh: error: no account is called 'nobody'
    hint: there is 0 one, 1 two, 2 three
    --- exit 1
    ");
    insta::assert_snapshot!(run(&stage.home, &["--all", "two"]), @"
    --- stderr
    codex-token-refresh: error: the argument '--all' cannot be used with '[ACCOUNT]...'
    hint: -h shows the usage
    --- exit 2
    ");
    insta::assert_snapshot!(run(&stage.home, &["--force", "--older-than", "1d"]), @"
    --- stderr
    codex-token-refresh: error: the argument '--force' cannot be used with '--older-than <DURATION>'
    hint: -h shows the usage
    --- exit 2
    ");
    insta::assert_snapshot!(run(&stage.home, &["--if-expiring", "soon"]), @"
    --- stderr
    codex-token-refresh: error: invalid value 'soon' for '--if-expiring <DURATION>': not a length of time, like 90, 90s, 15m, 5h or 7d
    hint: -h shows the usage
    --- exit 2
    ");
    assert_eq!(stage.exchanges(), 3);
}

#[test]
fn without_accounts_there_is_nothing_to_renew() {
    let home = Home::new();
    insta::assert_snapshot!(run(&home, &[]), @"
    --- stderr
    codex-token-refresh: error: there are no accounts
    hint: log in with 'codex-accounts add'
    --- exit 1
    ");
    assert!(!home.store_path().exists());
}

#[test]
fn one_failure_does_not_keep_the_others_from_their_tokens() {
    let stage = Stage::new(4);
    stage.pretend.change(|script| {
        let dead = Answer::token_error(401, "refresh_token_expired", ErrorShape::Object);
        script.accounts[0].refresh = Some(TokenAnswer::Refuse(Style::Error500.into()));
        script.accounts[1].refresh = Some(TokenAnswer::Refuse(dead));
        script.accounts[2].refresh = Some(TokenAnswer::Refuse(Style::Error502.into()));
    });
    let shown = run(&stage.home, &["--all"]);
    assert_eq!(outcomes(&shown), ["renewed"]);
    assert_eq!(shown.code, 77);
    insta::assert_snapshot!(shown.stderr, @"
    codex-token-refresh: error: the token of 'one' was not renewed: the issuer answered with something else than tokens (status 500)
    codex-token-refresh: error: 'two' needs a new login (refresh_token_expired)
    hint: log in again with 'codex-accounts add'
    codex-token-refresh: error: the token of 'three' was not renewed: the issuer answered with something else than tokens (status 502)
    ");
}

#[test]
fn a_reply_without_a_refresh_token_keeps_the_old_one() {
    let stage = Stage::new(1);
    let before = stage.stored(0, "refreshToken");
    let id = stage.stored(0, "idToken");
    stage.pretend.change(|script| {
        script.token_reply = TokenReply {
            refresh_token: false,
            id_token: false,
            expires_in: true,
        };
    });
    assert_eq!(outcomes(&run(&stage.home, &[])), ["renewed"]);
    assert_eq!(stage.stored(0, "refreshToken"), before);
    assert_eq!(stage.stored(0, "idToken"), id);
    assert_eq!(
        stage.stored(0, "accessToken"),
        stage.current(0).access_token
    );
    assert_eq!(outcomes(&run(&stage.home, &["--force"])), ["renewed"]);
}

// --- What the issuer can answer.

#[test]
fn every_dead_code_in_every_shape_needs_a_new_login() {
    let stage = Stage::new(1);
    let good = stage.home.store();
    for code in DEAD_TOKEN_CODES {
        for shape in [ErrorShape::Text, ErrorShape::Object, ErrorShape::TopLevel] {
            for status in [400, 401] {
                stage.home.write_store(&good);
                refuse(&stage, Answer::token_error(status, code, shape));
                let shown = run(&stage.home, &[]);
                assert_eq!(shown.code, 77, "{code} {shape:?} {status}: {shown}");
                assert_eq!(shown.stdout, "");
                let expected = format!(
                    "{COMMAND}: error: 'one' needs a new login ({code})\n\
                     hint: log in again with 'codex-accounts add'\n"
                );
                assert_eq!(shown.stderr, expected);
                let mut expected = good.clone();
                expected["accounts"][0]["loginRequired"] =
                    json!({"code": code, "at": CLOCK * 1000});
                assert_eq!(stage.home.store(), expected);
            }
        }
    }
}

#[test]
fn a_dead_login_is_not_presented_again() {
    let stage = Stage::new(1);
    refuse(
        &stage,
        Answer::token_error(400, "invalid_grant", ErrorShape::Text),
    );
    assert_eq!(run(&stage.home, &[]).code, 77);
    for arguments in [&[][..], &["--force"], &["--all"]] {
        insta::allow_duplicates! {
            insta::assert_snapshot!(run(&stage.home, arguments), @"
            --- stderr
            codex-token-refresh: error: 'one' needs a new login (invalid_grant)
            hint: log in again with 'codex-accounts add'
            --- exit 77
            ");
        }
    }
    assert_eq!(stage.exchanges(), 1);
}

#[test]
fn nothing_else_says_that_a_login_is_dead() {
    let stage = Stage::new(1);
    let before = stage.store_bytes();
    let text = ErrorShape::Text;
    let html = [("content-type", "text/html")];
    let answers = [
        Style::NoHint.into(),
        Style::Throttle.into(),
        Style::Error500.into(),
        Style::Error502.into(),
        Style::Overloaded.into(),
        Style::CloseBeforeHead.into(),
        Style::CloseMidBody.into(),
        Style::Garbage.into(),
        Answer::token_error(429, "invalid_grant", text),
        Answer::token_error(500, "invalid_grant", text),
        Answer::token_error(400, "invalid_request", text),
        Answer::token_error(401, "invalid_client", text),
        Answer::raw(401, &html, "<html>invalid_grant</html>"),
        Answer::raw(407, &html, "<html>proxy</html>"),
        Answer::raw(200, &html, "<html>welcome to our network</html>"),
        Answer::raw(200, &[("content-type", "application/json")], "{}"),
        Answer::raw(302, &[("location", "https://login.example.com/")], ""),
        Answer::raw(200, &[], ""),
    ];
    for (round, answer) in (0..).zip(answers) {
        let what = format!("{answer:?}");
        refuse(&stage, answer);
        let shown = run_later(&stage.home, round * 1000, &[]);
        assert_eq!(shown.code, 69, "{what}: {shown}");
        assert_eq!(shown.stdout, "", "{what}");
        assert!(shown.stderr.contains("was not renewed"), "{what}: {shown}");
        assert!(stage.store_bytes() == before, "{what}");
    }
    stage.pretend.change(|script| script.token_answers.clear());
    let shown = run_later(&stage.home, 100_000, &[]);
    assert_eq!(outcomes(&shown), ["renewed"], "{shown}");
}

#[test]
fn an_issuer_that_is_not_there_changes_nothing() {
    let mut stage = Stage::new(1);
    let before = stage.store_bytes();
    // The port of a server that is gone.
    let gone = Stage::new(1).pretend.issuer();
    stage.home.set("CODEX_ACCOUNTS_ISSUER", gone);
    insta::assert_snapshot!(run(&stage.home, &[]), @"
    --- stderr
    codex-token-refresh: error: the token of 'one' was not renewed: no answer from 127.0.0.1: Connection refused (os error 111)
    --- exit 69
    ");
    assert!(stage.store_bytes() == before);
    stage
        .home
        .set("CODEX_ACCOUNTS_ISSUER", "http://auth.example.com");
    insta::assert_snapshot!(run(&stage.home, &[]), @"
    --- stderr
    codex-token-refresh: error: CODEX_ACCOUNTS_ISSUER: 'http://auth.example.com' is neither https nor http to a loopback address
    hint: use https, or http to 127.0.0.1
    --- exit 78
    ");
    assert!(stage.store_bytes() == before);
}

#[test]
fn after_an_answer_that_was_lost_the_token_is_presented_once_more_but_not_soon() {
    let stage = Stage::new(1);
    let lost = TokenAnswer::Grant(Style::CloseMidBody.into());
    stage
        .pretend
        .change(|script| script.token_answers.push_back(lost));
    let before = stage.store_bytes();
    assert_eq!(run(&stage.home, &[]).code, 69);
    assert_eq!(
        stage.exchanges(),
        1,
        "a refresh is never repeated by itself"
    );
    assert!(stage.store_bytes() == before);
    insta::assert_snapshot!(run(&stage.home, &["--force"]), @"
    --- stderr
    codex-token-refresh: error: the token of 'one' is not renewed for another 30 s: no answer came when it was presented at 2026-05-04T19:24:56Z
    --- exit 69
    ");
    let doctor = stage.home.sh("codex-accounts doctor");
    assert!(doctor.stdout.contains("it may be used up"), "{doctor}");
    assert_eq!(run_later(&stage.home, 29, &[]).code, 69);
    assert_eq!(stage.exchanges(), 1);
    assert_eq!(run_later(&stage.home, 30, &[]).code, 77);
    assert_eq!(run_later(&stage.home, 90, &[]).code, 77);
    assert_eq!(stage.exchanges(), 2);
}

// --- Many at once, and those that are ended in the middle.

#[test]
fn fifty_processes_make_one_request() {
    let stage = Stage::new(1);
    stage.slow_issuer(Duration::from_millis(500));
    let children: Vec<Child> = (0..50).map(|_| start(&stage.home, &[])).collect();
    let mut renewed = 0;
    for output in children.into_iter().map(end) {
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{stderr}");
        let stdout = String::from_utf8(output.stdout).unwrap();
        let record: Value = serde_json::from_str(&stdout).unwrap();
        assert_eq!(record["refreshedAt"], CLOCK * 1000, "{record}");
        assert_eq!(record["expiresAt"], (CLOCK + 3600) * 1000, "{record}");
        renewed += usize::from(record["outcome"] == "renewed");
    }
    assert_eq!(renewed, 1);
    assert_eq!(stage.exchanges(), 1);
    assert_eq!(
        stage.stored(0, "refreshToken"),
        stage.current(0).refresh_token
    );
}

#[test]
fn a_refresh_of_one_account_does_not_wait_for_that_of_another() {
    let stage = Stage::new(2);
    stage.slow_issuer(Duration::from_secs(600));
    let slow = start(&stage.home, &["one"]);
    stage.wait_for_exchange(1);
    stage.slow_issuer(Duration::ZERO);
    assert_eq!(outcomes(&run(&stage.home, &["two"])), ["renewed"]);
    send(Signal::SIGKILL, &slow);
    end(slow);
}

#[test]
fn signals_between_request_and_commit_lose_nothing() {
    let stage = Stage::new(1);
    stage.slow_issuer(Duration::from_millis(300));
    for (count, signal) in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP]
        .into_iter()
        .enumerate()
    {
        let child = start(&stage.home, &["--force"]);
        stage.wait_for_exchange(count + 1);
        send(signal, &child);
        let ended = end(child).status;
        assert_eq!(ended.signal(), Some(signal as i32), "{ended}");
        let expected = stage.current(0).refresh_token;
        assert_eq!(stage.stored(0, "refreshToken"), expected, "{signal}");
    }
}

#[test]
fn others_go_on_when_the_one_with_the_lock_is_killed() {
    let stage = Stage::new(1);
    stage.slow_issuer(Duration::from_secs(600));
    let killed = start(&stage.home, &[]);
    stage.wait_for_exchange(1);
    let waiting: Vec<Child> = (0..5).map(|_| start(&stage.home, &[])).collect();
    stage.slow_issuer(Duration::ZERO);
    send(Signal::SIGKILL, &killed);
    end(killed);
    // The one exchange that was hit is lost. The others know of it, and leave the issuer alone.
    for output in waiting.into_iter().map(end) {
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(69), "{stderr}");
        assert!(stderr.contains("no answer came"), "{stderr}");
    }
    assert_eq!(stage.exchanges(), 1);
    for secs in [30, 100] {
        let shown = run_later(&stage.home, secs, &[]);
        assert!(shown.stderr.contains("refresh_token_reused"), "{shown}");
    }
    assert_eq!(stage.exchanges(), 2);
}

#[test]
fn killed_at_any_point_the_account_works_or_says_that_it_does_not() {
    let stage = Stage::new(1);
    for point in 0..20 {
        stage.log_in_again();
        let child = start(&stage.home, &["--force"]);
        // Not to wait for anything: this is the random point.
        std::thread::sleep(Duration::from_micros(point * 700));
        send(Signal::SIGKILL, &child);
        end(child);
        let shown = run_later(&stage.home, 60, &["--force"]);
        let exchanges = stage.exchanges();
        match shown.code {
            0 => assert_eq!(
                stage.stored(0, "refreshToken"),
                stage.current(0).refresh_token
            ),
            77 => {
                assert_eq!(run(&stage.home, &["--force"]).code, 77);
                assert_eq!(stage.exchanges(), exchanges, "it was presented again");
            }
            _ => panic!("killed at {point}: {shown}"),
        }
    }
}

// --- A store that can't take the new tokens.

/// The journals in which new tokens wait.
fn pending(home: &Home) -> Vec<std::path::PathBuf> {
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

// --- The clients' files.

/// opencode's `auth.json`, formatted as nobody would.
fn opencode_text(refresh: &str, access: &str, expires: u64) -> String {
    format!(
        "{{\r\n\t\"anthropic\" : {{\"key\":\"k\\u0041\", \"type\":\"api\"}},\n\
         \"openai\":{{ \"type\":\"oauth\" ,\"x\":[1.50,{{}}],\"refresh\":\"{refresh}\",\
         \"access\":\"{access}\",\"expires\":{expires},\"accountId\":\"account-one\"}}, \"z\":null}}"
    )
}

/// Codex's `auth.json`, with the keys that newer versions write.
fn codex_text(refresh: &str, access: &str, id: &str, last_refresh: &str) -> String {
    format!(
        "{{\n  \"auth_mode\": \"chatgpt\",\n  \"OPENAI_API_KEY\": null,\n  \"tokens\": {{\n    \
         \"id_token\": \"{id}\",\n    \"access_token\": \"{access}\",\n    \
         \"refresh_token\": \"{refresh}\",\n    \
         \"oauth_provenance\": {{\"issuer\":\"https://auth.openai.com\"}},\n    \
         \"login_owner_id\": \"abc\",\n    \"account_id\": \"account-one\"\n  }},\n  \
         \"last_refresh\": \"{last_refresh}\"\n}}"
    )
}

const OPENCODE: &str = ".local/share/opencode/auth.json";
const CODEX: &str = ".codex/auth.json";
const LATER: u64 = (CLOCK + 7200) * 1000;

fn read(home: &Home, path: &str) -> String {
    fs::read_to_string(home.path().join(path)).unwrap()
}

fn mode(home: &Home, path: &str) -> u32 {
    let metadata = fs::metadata(home.path().join(path)).unwrap();
    metadata.permissions().mode() & 0o777
}

/// A token of account one as a client would have it, and when it expires.
fn access_of_account_one(expires: u64) -> String {
    jwt(
        &json!({"exp": expires / 1000, "https://api.openai.com/auth": {
        "chatgpt_account_id": "account-one", "chatgpt_user_id": "user-one"}}),
    )
}

#[test]
fn a_consumed_token_is_replaced_in_the_clients_files_and_nothing_else() {
    let stage = Stage::new(1);
    let old = |field| stage.stored(0, field);
    let (refresh, access, id) = (old("refreshToken"), old("accessToken"), old("idToken"));
    let text = opencode_text(&refresh, &access, EXPIRED);
    stage.home.write("elsewhere/opencode.json", text);
    let target = stage.home.path().join("elsewhere/opencode.json");
    symlink(&target, stage.home.path().join(OPENCODE)).unwrap();
    fs::set_permissions(&target, fs::Permissions::from_mode(0o640)).unwrap();
    let text = codex_text(&refresh, &access, &id, "2026-05-01T00:00:00Z");
    stage.home.write(CODEX, text);

    assert_eq!(outcomes(&run(&stage.home, &[])), ["renewed"]);
    let new = stage.current(0);
    let expected = opencode_text(&new.refresh_token, &new.access_token, (CLOCK + 3600) * 1000);
    assert_eq!(read(&stage.home, OPENCODE), expected);
    assert_eq!(mode(&stage.home, OPENCODE), 0o640);
    let link = fs::symlink_metadata(stage.home.path().join(OPENCODE)).unwrap();
    assert!(link.is_symlink());
    let expected = codex_text(
        &new.refresh_token,
        &new.access_token,
        &new.id_token,
        "2026-05-04T19:24:56Z",
    );
    assert_eq!(read(&stage.home, CODEX), expected);
    assert_eq!(mode(&stage.home, CODEX), 0o600);
}

#[test]
fn codex_home_says_where_codex_keeps_its_login() {
    let mut stage = Stage::new(1);
    let folder = stage.home.path().join("codex home");
    stage.home.set("CODEX_HOME", &folder);
    let text = |refresh: &str| codex_text(refresh, "", "", "");
    let path = folder.join("auth.json");
    stage
        .home
        .write(&path, text(&stage.stored(0, "refreshToken")));
    run(&stage.home, &[]);
    let now: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    assert_eq!(
        now["tokens"]["refresh_token"],
        stage.current(0).refresh_token
    );
}

#[test]
fn the_packed_form_keeps_its_other_accounts() {
    let stage = Stage::new(2);
    let refresh = stage.stored(0, "refreshToken");
    let packed = |refresh: &str| {
        let packed = format!("other|account-x||{refresh}|account-one||bare");
        opencode_text(&packed, "of another", 5)
    };
    stage.home.write(OPENCODE, packed(&refresh));
    run(&stage.home, &[]);
    let new = stage.current(0).refresh_token;
    assert_eq!(read(&stage.home, OPENCODE), packed(&new));
    run(&stage.home, &["--force"]);
    let new = stage.current(0).refresh_token;
    assert_eq!(read(&stage.home, OPENCODE), packed(&new));
}

#[test]
fn another_login_in_a_clients_file_is_left_alone() {
    let stage = Stage::new(2);
    let two = stage.pretend.issue(1).unwrap();
    // Another account; a later token of nobody in particular; a placeholder; an API key; no JSON.
    let opencode = [
        opencode_text(&two.refresh_token, &two.access_token, LATER),
        opencode_text("opaque", "opaque", LATER),
        opencode_text("none", &access_of_account_one(LATER), LATER),
        r#"{"openai":{"type":"api","key":"k"}}"#.to_owned(),
        r#"["openai"]"#.to_owned(),
    ];
    let codex = [
        codex_text(&two.refresh_token, &two.access_token, "", "then"),
        codex_text("opaque", "opaque", "opaque", "then"),
        codex_text("", &access_of_account_one(LATER), "", "then"),
        r#"{"auth_mode":"apikey","OPENAI_API_KEY":"k"}"#.to_owned(),
        "7".to_owned(),
    ];
    for (opencode, codex) in opencode.iter().zip(&codex) {
        stage.home.write(OPENCODE, opencode);
        stage.home.write(CODEX, codex);
        let shown = run(&stage.home, &["--force"]);
        assert_eq!(outcomes(&shown), ["renewed"], "{shown}");
        assert_eq!(shown.stderr, "");
        assert_eq!(&read(&stage.home, OPENCODE), opencode);
        assert_eq!(&read(&stage.home, CODEX), codex);
    }
    let left: Vec<_> = fs::read_dir(stage.home.path().join(".codex"))
        .unwrap()
        .collect();
    assert_eq!(
        left.len(),
        1,
        "no lock of ours where there is nothing to do"
    );
}

/// What a client does by itself: it renews, and nobody else hears of it.
fn renew_as_a_client(stage: &Stage, refresh_token: &str) -> Value {
    let script = "curl -sS -d grant_type=refresh_token -d client_id=app_EMoamEEZ73f0CkXaXp7hrann \
                  -d refresh_token=\"$1\" \"$CODEX_ACCOUNTS_ISSUER\"/oauth/token";
    let mut curl = stage.home.command("sh");
    stage
        .home
        .run(curl.args(["-c", script, "sh", refresh_token]))
        .json()
}

#[test]
fn what_opencode_renewed_by_itself_is_adopted_and_nobody_is_logged_out() {
    let stage = Stage::new(1);
    let tokens = renew_as_a_client(&stage, &stage.stored(0, "refreshToken"));
    let text = |field: &str| tokens[field].as_str().unwrap();
    let auth = opencode_text(text("refresh_token"), text("access_token"), LATER);
    stage.home.write(OPENCODE, &auth);
    share(&stage, &["opencode"]);
    let shown = run(&stage.home, &[]);
    assert_eq!(outcomes(&shown), ["adopted"], "{shown}");
    assert_eq!(stage.exchanges(), 1, "the client's own");
    assert_eq!(stage.stored(0, "refreshToken"), text("refresh_token"));
    assert_eq!(stage.stored(0, "accessToken"), text("access_token"));
    assert_eq!(stage.home.store()["accounts"][0]["expiresAt"], LATER);
    assert_eq!(read(&stage.home, OPENCODE), auth);
    // From now on they go on together.
    assert_eq!(outcomes(&run(&stage.home, &["--force"])), ["renewed"]);
    let new = stage.current(0);
    let expected = opencode_text(&new.refresh_token, &new.access_token, (CLOCK + 3600) * 1000);
    assert_eq!(read(&stage.home, OPENCODE), expected);
}

#[test]
fn what_a_client_renewed_and_let_expire_is_renewed_from_there() {
    let stage = Stage::new(1);
    let tokens = renew_as_a_client(&stage, &stage.stored(0, "refreshToken"));
    let text = |field: &str| tokens[field].as_str().unwrap();
    let auth = opencode_text(text("refresh_token"), text("access_token"), EXPIRED + 1);
    stage.home.write(OPENCODE, auth);
    share(&stage, &["opencode"]);
    let shown = run(&stage.home, &[]);
    assert_eq!(outcomes(&shown), ["renewed"], "{shown}");
    let new = stage.current(0);
    assert_eq!(stage.stored(0, "refreshToken"), new.refresh_token);
    let expected = opencode_text(&new.refresh_token, &new.access_token, (CLOCK + 3600) * 1000);
    assert_eq!(read(&stage.home, OPENCODE), expected);
}

#[test]
fn of_two_clients_the_later_token_is_adopted() {
    let stage = Stage::new(1);
    let (early, late) = (
        access_of_account_one(LATER),
        access_of_account_one(LATER + 1000),
    );
    stage
        .home
        .write(OPENCODE, opencode_text("of-opencode", &early, LATER));
    stage
        .home
        .write(CODEX, codex_text("of-codex", &late, &late, "then"));
    share(&stage, &["codex", "opencode"]);
    assert_eq!(outcomes(&run(&stage.home, &[])), ["adopted"]);
    assert_eq!(stage.stored(0, "refreshToken"), "of-codex");
    assert_eq!(stage.exchanges(), 0);
}

#[test]
fn an_older_token_in_a_clients_file_is_not_adopted() {
    let stage = Stage::new(1);
    let auth = opencode_text(
        "stale",
        &access_of_account_one(EXPIRED - 1000),
        EXPIRED - 1000,
    );
    stage.home.write(OPENCODE, &auth);
    assert_eq!(outcomes(&run(&stage.home, &[])), ["renewed"]);
    assert_eq!(read(&stage.home, OPENCODE), auth);
}

#[test]
fn a_login_that_died_here_lives_again_by_a_new_one_in_a_client() {
    let stage = Stage::new(1);
    refuse(
        &stage,
        Answer::token_error(400, "invalid_grant", ErrorShape::Text),
    );
    assert_eq!(run(&stage.home, &[]).code, 77);
    let auth = opencode_text("new-login", &access_of_account_one(LATER), LATER);
    stage.home.write(OPENCODE, auth);
    assert_eq!(outcomes(&run(&stage.home, &[])), ["adopted"]);
    assert_eq!(
        stage.home.store()["accounts"][0]["loginRequired"],
        Value::Null
    );
}

#[test]
fn a_torn_file_is_read_again() {
    let stage = Stage::new(1);
    let whole = opencode_text("of-opencode", &access_of_account_one(LATER), LATER);
    stage.home.write(OPENCODE, &whole);
    share(&stage, &["opencode"]);
    // Somebody writes it in place, time and again: half of the time it is half a file.
    let path = stage.home.path().join(OPENCODE);
    let is_over = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(std::sync::atomic::Ordering::Relaxed) {
                for text in [&whole[..whole.len() / 2], &whole] {
                    fs::write(&path, text).unwrap();
                    std::thread::sleep(Duration::from_millis(3));
                }
            }
        });
        let shown = run(&stage.home, &[]);
        is_over.store(true, std::sync::atomic::Ordering::Relaxed);
        assert_eq!(outcomes(&shown), ["adopted"], "{shown}");
    });
}

#[test]
fn a_clients_file_that_cannot_be_changed_is_a_note() {
    let stage = Stage::new(1);
    let torn = &opencode_text(&stage.stored(0, "refreshToken"), "", 0)[..90];
    stage.home.write(OPENCODE, torn);
    insta::assert_snapshot!(run(&stage.home, &[]), @r#"
    {"v":1,"index":0,"chatgptAccountId":"account-one","chatgptUserId":"user-one","email":"one@example.com","label":"one","active":true,"state":"ready","planType":"plus","enabled":true,"addedAt":1777836296000,"lastUsed":0,"expiresAt":1777926296000,"refreshedAt":1777922696000,"outcome":"renewed"}
    --- stderr
    codex-token-refresh: opencode still has the used-up token of 'one', and loses the login for both when it presents that; make its file writable and run this again, or log in there anew: '$HOME/.local/share/opencode/auth.json': not valid JSON at line 3, column 39
    --- exit 0
    "#);
    assert_eq!(read(&stage.home, OPENCODE), torn);
    let shown = run(&stage.home, &["-q", "--force"]);
    assert_eq!((shown.code, &*shown.stderr), (0, ""));
}

#[test]
fn codex_is_kept_out_by_its_own_locks() {
    for name in ["auth.lock", "auth.json.lock"] {
        let stage = Stage::new(1);
        let text = |refresh: &str| codex_text(refresh, "", "", "");
        let before = text(&stage.stored(0, "refreshToken"));
        let path = stage.home.write(CODEX, &before);
        let lock = path.with_file_name(name);
        let held = lock::exclusive(&lock, Patience::USUAL, |_| ()).unwrap();
        let child = start(&stage.home, &[]);
        wait_until("the store has the new token", || {
            stage.exchanges() == 1
                && stage.stored(0, "refreshToken") == stage.current(0).refresh_token
        });
        assert_eq!(read(&stage.home, CODEX), before, "{name}");
        drop(held);
        assert!(end(child).status.success());
        let after: Value = serde_json::from_str(&read(&stage.home, CODEX)).unwrap();
        let new = stage.current(0).refresh_token;
        assert_eq!(after["tokens"]["refresh_token"], new, "{name}");
    }
}

// --- What was not written through is made up for.

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

// --- Two accounts with one token, and accounts of which little is known.

#[test]
fn a_token_that_two_accounts_have_is_used_once() {
    let stage = Stage::new(1);
    let mut store = stage.home.store();
    let mut other = store["accounts"][0].clone();
    other["chatgptAccountId"] = json!("account-of-the-team");
    other["label"] = json!("team");
    store["accounts"].as_array_mut().unwrap().push(other);
    stage.home.write_store(&store);
    stage.slow_issuer(Duration::from_millis(300));
    let children = ["1", "0", "1", "0"].map(|index| start(&stage.home, &[index]));
    for output in children.map(end) {
        assert!(output.status.success());
    }
    assert_eq!(stage.exchanges(), 1);
    for index in [0, 1] {
        let token = stage.stored(index, "refreshToken");
        assert_eq!(token, stage.current(0).refresh_token);
    }
    let id = stage.stored(1, "chatgptAccountId");
    assert_eq!(id, "account-of-the-team", "it is still the other workspace");
    assert_eq!(outcomes(&run(&stage.home, &["--force", "1"])), ["renewed"]);
    assert_eq!(outcomes(&run(&stage.home, &["0"])), ["kept"]);
}

/// A packed login without ids, as opencode has it.
fn packed_without_ids(stage: &Stage) -> String {
    let tokens = [0, 1, 2].map(|index| stage.current(index).refresh_token);
    opencode_text(&tokens.join("||"), "", 5)
}

/// Six processes at once that want the token of account 1.
fn six_for_account_one(stage: &Stage) {
    stage.slow_issuer(Duration::from_millis(300));
    let before = [0, 2].map(|index| stage.current(index).refresh_token);
    let children: Vec<Child> = (0..6).map(|_| start(&stage.home, &["1"])).collect();
    for output in children.into_iter().map(end) {
        let shown = Shown::new(output, stage.home.path());
        assert_eq!(shown.json()["index"], 1, "{shown}");
        assert_eq!(shown.json()["email"], "two@example.com", "{shown}");
    }
    let after = [0, 2].map(|index| stage.current(index).refresh_token);
    assert_eq!(before, after, "another account's token was used");
}

#[test]
fn six_processes_for_one_account_without_an_id_are_all_about_that_one() {
    let stage = Stage::new(3);
    fs::remove_file(stage.home.store_path()).unwrap();
    let auth = packed_without_ids(&stage);
    let file = stage
        .home
        .write("packed.json", auth.replace("\"accountId\"", "\"x\""));
    let import = stage
        .home
        .command("codex-accounts")
        .arg("import")
        .arg(file)
        .output();
    assert!(import.unwrap().status.success());
    let moments: Vec<Value> = (0..3)
        .map(|index| stage.home.store()["accounts"][index]["addedAt"].clone())
        .collect();
    assert_eq!(moments, [0, 1, 2].map(|nth| json!(CLOCK * 1000 + nth)));
    six_for_account_one(&stage);
    assert_eq!(stage.exchanges(), 1);
}

#[test]
fn without_a_store_they_are_told_by_their_place() {
    let stage = Stage::new(3);
    fs::remove_file(stage.home.store_path()).unwrap();
    stage.home.write(OPENCODE, packed_without_ids(&stage));
    // A packed entry has no room for an access token, so that each renews it in its turn.
    six_for_account_one(&stage);
    assert_eq!(read(&stage.home, OPENCODE), packed_without_ids(&stage));
}

#[test]
fn accounts_that_were_added_at_one_moment_are_not_taken_for_each_other() {
    let stage = Stage::new(2);
    let mut store = stage.home.store();
    for index in [0, 1] {
        let account = store["accounts"][index].as_object_mut().unwrap();
        let ours = ["refreshToken", "addedAt", "label"];
        account.retain(|name, _| ours.contains(&&**name));
    }
    stage.home.write_store(&store);
    stage.slow_issuer(Duration::from_millis(300));
    let children = [0, 1].map(|_| start(&stage.home, &["two"]));
    for output in children.map(end) {
        assert!(matches!(output.status.code(), Some(0 | 1)), "{output:?}");
    }
    assert_eq!(stage.exchanges(), 1, "that of account one was used");
}

#[test]
fn a_login_that_came_meanwhile_stays() {
    let stage = Stage::new(1);
    stage.slow_issuer(Duration::from_millis(500));
    let child = start(&stage.home, &[]);
    stage.wait_for_exchange(1);
    let login = stage.pretend.issue(0).unwrap();
    let mut store = stage.home.store();
    let account = &mut store["accounts"][0];
    account["refreshToken"] = json!(login.refresh_token);
    account["accessToken"] = json!(login.access_token);
    account["expiresAt"] = json!(LATER);
    stage.home.write_store(&store);
    let shown = Shown::new(end(child), stage.home.path());
    assert_eq!(outcomes(&shown), ["adopted"], "{shown}");
    assert_eq!(stage.home.store(), store);
}

// --- What is wrong with a reply does not spoil the rest.

#[test]
fn a_reply_that_can_be_understood_counts() {
    let stage = Stage::new(1);
    let json = [("content-type", "application/json")];
    let text = [("content-type", "text/plain")];
    let old_id = stage.stored(0, "idToken");
    let whole = r#""access_token":"new-access","refresh_token":"new-refresh""#;
    let cases = [
        (r#","expires_in":"3600""#, 200, &json),
        (r#","expires_in":null,"id_token":5"#, 200, &json),
        (r#","expires_in":"soon","token_type":7"#, 200, &json),
        (r#","expires_in":3600"#, 200, &text),
        (r#","expires_in":3600"#, 201, &json),
    ];
    for (more, status, headers) in cases {
        stage.log_in_again();
        refuse(
            &stage,
            Answer::raw(status, headers, format!("{{{whole}{more}}}")),
        );
        let shown = run(&stage.home, &[]);
        assert_eq!(outcomes(&shown), ["renewed"], "{more} {shown}");
        assert_eq!(shown.json()["expiresAt"], (CLOCK + 3600) * 1000, "{more}");
        assert_eq!(stage.stored(0, "refreshToken"), "new-refresh");
        assert_eq!(stage.stored(0, "accessToken"), "new-access");
        assert!(!stage.stored(0, "idToken").is_empty() && !old_id.is_empty());
    }
}

#[test]
fn an_empty_refresh_token_is_none_and_a_missing_access_token_loses_nothing() {
    let stage = Stage::new(1);
    let json = [("content-type", "application/json")];
    let before = stage.stored(0, "refreshToken");
    let body = r#"{"access_token":"new-access","refresh_token":""}"#;
    refuse(&stage, Answer::raw(200, &json, body));
    assert_eq!(outcomes(&run(&stage.home, &[])), ["renewed"]);
    assert_eq!(stage.stored(0, "refreshToken"), before);

    let body = r#"{"access_token":null,"refresh_token":"new-refresh"}"#;
    refuse(&stage, Answer::raw(200, &json, body));
    let shown = run(&stage.home, &["--force"]);
    assert_eq!(shown.code, 69, "{shown}");
    assert_eq!(stage.stored(0, "refreshToken"), "new-refresh");
    assert_eq!(
        stage.home.store()["accounts"][0]["accessToken"],
        Value::Null
    );
}

#[test]
fn an_organization_does_not_replace_the_workspace_that_is_known() {
    let stage = Stage::new(1);
    let token = jwt(
        &json!({"exp": CLOCK + 3600, "https://api.openai.com/auth": {
        "chatgpt_user_id": "user-one", "organizations": [{"id": "org-x"}]}}),
    );
    let body = json!({"access_token": token, "refresh_token": "new"}).to_string();
    let headers = [("content-type", "application/json")];
    refuse(&stage, Answer::raw(200, &headers, body));
    let mut store = stage.home.store();
    store["accounts"][0]
        .as_object_mut()
        .unwrap()
        .remove("idToken");
    stage.home.write_store(&store);
    assert_eq!(outcomes(&run(&stage.home, &[])), ["renewed"]);
    assert_eq!(stage.stored(0, "chatgptAccountId"), "account-one");
}

#[test]
fn the_hint_names_the_store_that_has_the_dead_login() {
    let stage = Stage::new(1);
    let text = stage.store_bytes();
    stage.home.write("my stores/it's.json", text);
    refuse(
        &stage,
        Answer::token_error(400, "invalid_grant", ErrorShape::Text),
    );
    insta::assert_snapshot!(run(&stage.home, &["--store", "my stores/it's.json"]), @r"
    --- stderr
    codex-token-refresh: error: 'one' needs a new login (invalid_grant)
    hint: log in again with: codex-accounts --store 'my stores/it'\''s.json' add
    --- exit 77
    ");
}

// --- Without a store.

#[test]
fn without_a_store_a_dead_token_is_not_presented_again() {
    let stage = Stage::new(1);
    fs::remove_file(stage.home.store_path()).unwrap();
    let old = stage.current(0);
    let auth = opencode_text(&old.refresh_token, "", 5);
    stage.home.write(OPENCODE, &auth);
    refuse(
        &stage,
        Answer::token_error(400, "invalid_grant", ErrorShape::Text),
    );
    for arguments in [&[][..], &[], &["--force"]] {
        let shown = run(&stage.home, arguments);
        assert_eq!(shown.code, 77, "{shown}");
        assert!(shown.stderr.contains("(invalid_grant)"), "{shown}");
    }
    assert_eq!(stage.exchanges(), 1);
    let kept = stage.home.sh("cat .local/state/codex-accounts/*.journal");
    assert!(kept.stdout.contains("invalid_grant"), "{kept}");
    assert!(!kept.stdout.contains(&old.refresh_token), "{kept}");
    assert_eq!(read(&stage.home, OPENCODE), auth);
    // Another token is another matter.
    let new = stage.pretend.issue(0).unwrap();
    stage
        .home
        .write(OPENCODE, opencode_text(&new.refresh_token, "", 5));
    assert_eq!(outcomes(&run(&stage.home, &[])), ["renewed"]);
}

#[test]
fn without_a_store_opencodes_own_login_is_renewed_in_its_place() {
    let stage = Stage::new(1);
    fs::remove_file(stage.home.store_path()).unwrap();
    let old = stage.current(0);
    let auth = opencode_text(&old.refresh_token, &old.access_token, EXPIRED);
    stage.home.write(OPENCODE, auth);
    let shown = run(&stage.home, &[]);
    insta::assert_snapshot!(shown, @r#"
    {"v":1,"index":0,"chatgptAccountId":"account-one","chatgptUserId":"user-one","email":"one@example.com","active":true,"state":"ready","planType":"plus","enabled":true,"addedAt":0,"lastUsed":0,"expiresAt":1777926296000,"refreshedAt":1777922696000,"outcome":"renewed"}
    --- exit 0
    "#);
    let new = stage.current(0);
    assert_ne!(new.refresh_token, old.refresh_token);
    let expected = opencode_text(&new.refresh_token, &new.access_token, (CLOCK + 3600) * 1000);
    assert_eq!(read(&stage.home, OPENCODE), expected);
    assert_eq!(outcomes(&run(&stage.home, &[])), ["kept"]);
    let folder = stage.home.path().join(".local/share/opencode");
    let left = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name());
    assert_eq!(left.collect::<Vec<_>>(), ["auth.json"], "no store is made");
}

#[test]
fn without_a_store_and_a_new_refresh_token_the_access_token_is_kept() {
    let stage = Stage::new(1);
    fs::remove_file(stage.home.store_path()).unwrap();
    let old = stage.current(0);
    stage.home.write(
        OPENCODE,
        opencode_text(&old.refresh_token, &old.access_token, EXPIRED),
    );
    stage
        .pretend
        .change(|script| script.token_reply.refresh_token = false);
    assert_eq!(outcomes(&run(&stage.home, &[])), ["renewed"]);
    assert_eq!(outcomes(&run(&stage.home, &[])), ["kept"]);
}

#[test]
fn the_accounts_of_a_packed_login_are_renewed_each_in_its_place() {
    let stage = Stage::new(2);
    fs::remove_file(stage.home.store_path()).unwrap();
    let packed = |stage: &Stage| {
        let tokens = [0, 1].map(|index| stage.current(index).refresh_token);
        let [one, two] = tokens;
        opencode_text(&format!("{one}|account-one||{two}|account-two"), "a", 5)
    };
    let before = packed(&stage);
    stage.home.write(OPENCODE, &before);
    assert_eq!(
        outcomes(&run(&stage.home, &["--all"])),
        ["renewed", "renewed"]
    );
    assert_ne!(packed(&stage), before);
    assert_eq!(read(&stage.home, OPENCODE), packed(&stage));
}

#[test]
fn a_fresh_token_asks_nobody_and_writes_nothing() {
    let home = Home::new();
    home.write_store(&store([account("work"), account("personal")]));
    let before = fs::read(home.store_path()).unwrap();
    assert_eq!(outcomes(&run(&home, &["--all"])), ["kept", "kept"]);
    assert!(fs::read(home.store_path()).unwrap() == before);
}
