//! What the issuer can answer: what says that a login is dead, what says nothing, and what of a reply
//! can be used.

use codex_accounts::rehearse::{Answer, DEAD_TOKEN_CODES, ErrorShape, Style, TokenAnswer};
use serde_json::{Value, json};

use super::super::support::CLOCK;
use super::super::support::accounts::jwt;
use super::super::support::stage::Stage;
use super::{COMMAND, outcomes, refuse, run, run_later};

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
