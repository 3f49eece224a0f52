//! A request that is held while every account is limited, and what its client sees meanwhile.

use std::time::Duration;

use codex_accounts::rehearse::{Answer, Script, Standing, Style};
use http::StatusCode;
use serde_json::Value;

use super::support::relay::{HOUR, Setting};
use super::support::request::QUESTION;
use super::support::stage::{LONG, wait_until};

const COMMENT: &str = ": waiting for an account\n\n";

/// Longer than a request is held in silence.
const LIMIT: Duration = Duration::from_secs(7);

/// A relay that holds requests, for one account that is limited so long.
fn holding(limit: Duration) -> Setting {
    let mut script = Script::with_accounts(1);
    script.accounts[0].limit(limit, Style::UsageLimit);
    Setting::new(script, &["--max-wait", "60s"])
}

#[test]
fn a_stream_is_kept_alive_with_comments_until_it_is_answered() {
    let setting = holding(LIMIT);
    let got = setting.ask();
    assert_eq!(got.status, StatusCode::OK);
    assert_eq!(got.headers["content-type"], "text/event-stream");
    let answer = got.body.trim_start_matches(COMMENT);
    assert!(got.body.len() > answer.len(), "no comment: {}", got.body);
    assert!(answer.starts_with("event: response.created"), "{answer}");
    assert!(answer.contains("answered by one@"), "{answer}");
    assert_eq!(setting.asked().len(), 2, "limited, then answered");
}

#[test]
fn a_client_that_wants_no_stream_is_held_in_silence() {
    let mut script = Script::with_accounts(1);
    let path = "/backend-api/codex/responses".to_owned();
    script
        .answers_at
        .insert(path.clone(), Answer::limit(Style::UsageLimit, LIMIT));
    let setting = Setting::new(script, &["--max-wait", "60s"]);
    let body = QUESTION.replace(r#""stream":true"#, r#""stream":false"#);
    let got = std::thread::scope(|scope| {
        let asking = scope.spawn(|| setting.send("/responses", &[], &body));
        assert!(setting.pretend.wait_for(LONG, |seen| !seen.is_empty()));
        setting.pretend.change(|script| script.answers_at.clear());
        asking.join().expect("an answer")
    });
    // The backend answers in streams only, and says so when it comes to that.
    assert_eq!(got.status, StatusCode::BAD_REQUEST);
    assert_eq!(got.body, r#"{"detail":"Stream must be set to true"}"#);
    assert_eq!(setting.asked().len(), 2, "limited, then answered");
}

#[test]
fn a_limit_that_a_person_lifts_is_seen_while_a_request_is_held() {
    let setting = holding(Duration::from_secs(50));
    let got = std::thread::scope(|scope| {
        let asking = scope.spawn(|| setting.ask());
        assert!(setting.pretend.wait_for(LONG, |seen| !seen.is_empty()));
        wait_until("the mark is in the store", || {
            setting.home.store()["accounts"][0]["rateLimitResetTime"].is_u64()
        });
        setting
            .pretend
            .change(|script| script.accounts[0].standing = Standing::Good);
        assert_eq!(setting.home.sh("codex-accounts clear 0").code, 0);
        asking.join().expect("an answer")
    });
    assert!(got.body.contains("answered by one@"), "{}", got.body);
}

#[test]
fn what_fails_after_the_wait_is_told_in_the_stream() {
    let mut script = Script::with_accounts(1);
    script.accounts[0]
        .next
        .push_back(Answer::limit(Style::UsageLimit, LIMIT));
    script.accounts[0].standing = Standing::Always(Answer::raw(
        400,
        &[("content-type", "application/json")],
        r#"{"error":{"type":"invalid_request_error","message":"No such model"}}"#,
    ));
    let setting = Setting::new(script, &["--max-wait", "60s"]);
    let got = setting.ask();
    assert_eq!(got.status, StatusCode::OK);
    let event = got.body.trim_start_matches(COMMENT);
    let data = event
        .strip_prefix("event: response.failed\ndata: ")
        .unwrap_or_else(|| panic!("{event}"));
    let data: Value = serde_json::from_str(data).expect("one event");
    assert_eq!(data["type"], "response.failed");
    assert_eq!(data["response"]["error"]["code"], "invalid_request_error");
    assert_eq!(data["response"]["error"]["message"], "No such model");
}

#[test]
fn a_limit_beyond_the_longest_wait_is_told_at_once() {
    let mut script = Script::with_accounts(1);
    script.accounts[0].limit(HOUR, Style::UsageLimit);
    let setting = Setting::new(script, &["--max-wait", "60s"]);
    assert_eq!(setting.ask().status, StatusCode::TOO_MANY_REQUESTS);
}
