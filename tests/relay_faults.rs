//! Whose fault it is decides what the relay tries: who was asked, what the client got, what the
//! store says (DESIGN §2, the table of verdicts). Situations that people have captured.

use std::time::Duration;

use codex_accounts::rehearse::{Answer, Script, Standing, Style};
use http::StatusCode;
use serde_json::{Value, json};

use super::support::Home;
use super::support::pretend::now_millis;
use super::support::relay::Setting;
use super::support::wire::{Then, Turn, Wire};

const CREATED: &str = "event: response.created\ndata: {\"type\":\"response.created\",\
    \"sequence_number\":0,\"response\":{\"id\":\"resp_1\",\"object\":\"response\"}}\n\n";
const DELTA: &str = "event: response.output_text.delta\ndata: {\"type\":\
    \"response.output_text.delta\",\"sequence_number\":1,\"delta\":\"Hello\"}\n\n";

const STREAM: [(&str, &str); 1] = [("content-type", "text/event-stream")];

fn event(event: &Value) -> String {
    format!("data: {event}\n\n")
}

fn limit_event() -> String {
    let resets_at = now_millis() / 1000 + 7200;
    event(
        &json!({"type": "response.failed", "sequence_number": 2, "response": {"error": {
        "code": "usage_limit_reached", "message": "The usage limit has been reached",
        "resets_at": resets_at}}}),
    )
}

/// So many accounts, the first so many of which answer this every time.
fn answering(accounts: usize, of_them: usize, answer: &Answer) -> Setting {
    let mut script = Script::with_accounts(accounts);
    for account in &mut script.accounts[..of_them] {
        account.standing = Standing::Always(answer.clone());
    }
    Setting::new(script, &[])
}

fn stream(body: String) -> Answer {
    Answer::raw(200, &STREAM, body)
}

fn json_answer(status: u16, body: &Value) -> Answer {
    let kind = [("content-type", "application/json")];
    Answer::raw(status, &kind, body.to_string())
}

/// Ends the relay: nobody has a mark, is disabled or needs a login.
fn assert_nobody_is_blamed(setting: Setting) {
    let store = setting.store();
    for account in store["accounts"].as_array().expect("accounts") {
        assert_eq!(account.get("limits"), None, "{account}");
        assert_eq!(account.get("loginRequired"), None, "{account}");
        assert_ne!(account["enabled"], false, "{account}");
    }
}

#[test]
fn a_limit_in_the_read_of_the_first_output_is_a_limit() {
    let answer = stream(format!("{CREATED}{DELTA}{}", limit_event()));
    let setting = answering(2, 1, &answer);
    for _ in 0..2 {
        let got = setting.ask();
        assert!(got.body.contains("answered by two@"), "{}", got.body);
        assert!(!got.body.contains("Hello"), "{}", got.body);
    }
    assert_eq!(setting.asked(), [Some(0), Some(1), Some(1)]);
    let store = setting.store();
    let until = store["accounts"][0]["limits"]["default"]["until"].as_u64();
    assert!(until.is_some_and(|until| until > now_millis() + 7_000_000));
}

#[test]
fn a_stream_without_output_is_the_server_s_fault() {
    let overloaded = json!({"type": "error", "error": {"code": "server_is_overloaded",
        "message": "Our servers are currently overloaded."}});
    let failed = json!({"type": "response.failed", "response": {"error": {
        "code": "server_is_overloaded", "message": "Overloaded."}}});
    let capacity = json!({"type": "response.failed", "response": {"error": {
        "message": "Selected model is at capacity. Please try a different model."}}});
    for body in [
        String::new(),
        CREATED.to_owned(),
        ": comment\n\n".to_owned(),
        format!("{CREATED}{}", event(&overloaded)),
        format!("{CREATED}{}", event(&failed)),
        format!("{CREATED}{}", event(&capacity)),
    ] {
        // One other account serves it.
        let setting = answering(2, 1, &stream(body.clone()));
        let got = setting.ask();
        assert!(
            got.body.contains("answered by two@"),
            "{body}: {}",
            got.body
        );
        assert_eq!(
            setting.asked(),
            [Some(0), Some(0), Some(0), Some(1)],
            "{body}"
        );
        assert_nobody_is_blamed(setting);

        // Nobody does: told by a status, and no third account is asked.
        let setting = answering(3, 3, &stream(body.clone()));
        let got = setting.ask();
        assert_eq!(got.status, StatusCode::SERVICE_UNAVAILABLE, "{body}");
        let said: Value = serde_json::from_str(&got.body).expect("JSON");
        assert_eq!(said["error"]["code"], "server_is_overloaded", "{said}");
        assert_eq!(
            setting.asked(),
            [Some(0), Some(0), Some(0), Some(1)],
            "{body}"
        );
        assert_nobody_is_blamed(setting);
    }
}

#[test]
fn a_stream_that_breaks_off_before_its_output_goes_to_one_other_account() {
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\
        Transfer-Encoding: chunked\r\n\r\n";
    let cut = || {
        let chunk = format!("{head}{:x}\r\n{CREATED}\r\n", CREATED.len());
        Turn::new(chunk, Then::Close)
    };
    let whole = format!("{CREATED}{DELTA}data: {{\"type\":\"response.completed\"}}\n\n");
    let good = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: {}\r\n\r\n{whole}",
        whole.len()
    );
    let wire = Wire::new([cut(), cut(), cut(), Turn::new(good, Then::Stay)]);
    let setting = relay_to(&wire, 2);
    let got = setting.ask();
    assert_eq!(got.body, whole);
    let asked = wire.asked();
    let accounts: Vec<_> = asked
        .iter()
        .flat_map(|asked| asked.header("chatgpt-account-id"))
        .collect();
    assert_eq!(
        accounts,
        ["account-one", "account-one", "account-one", "account-two"]
    );
    assert_nobody_is_blamed(setting);
}

/// A relay in front of an upstream written by hand.
fn relay_to(wire: &Wire, accounts: usize) -> Setting {
    let mut home = Home::new();
    let pretend = home.with_servers(Script::with_accounts(accounts));
    home.set("CODEX_ACCOUNTS_UPSTREAM", &wire.url);
    Setting::of(home, pretend, &[])
}

#[test]
fn a_stream_never_ends_without_an_event_that_says_so() {
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n";
    let body = format!("{CREATED}{DELTA}");
    let whole = format!("{head}Content-Length: {}\r\n\r\n{body}", body.len());
    let half = &DELTA[..DELTA.len() - 20];
    let cut = format!(
        "{head}Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{body}{half}\r\n",
        body.len() + half.len()
    );
    for (turn, passed) in [
        (Turn::new(whole, Then::Stay), body.clone()),
        (Turn::new(cut, Then::Close), format!("{body}{half}")),
    ] {
        let wire = Wire::new([turn]);
        let setting = relay_to(&wire, 1);
        let got = setting.ask();
        let end = got
            .body
            .strip_prefix(&passed)
            .expect("what came, unchanged");
        let data = end
            .strip_prefix("\n\nevent: response.failed\ndata: ")
            .unwrap_or_else(|| panic!("{end}"));
        let event: Value = serde_json::from_str(data).expect("one event");
        assert_eq!(event["type"], "response.failed");
        assert!(event["sequence_number"].as_u64() >= Some(2), "{event}");
        for field in [
            "id",
            "object",
            "created_at",
            "model",
            "status",
            "output",
            "error",
        ] {
            assert!(!event["response"][field].is_null(), "{field}: {event}");
        }
        assert_eq!(event["response"]["model"], "gpt-5.5");
        assert_nobody_is_blamed(setting);
    }
}

#[test]
fn a_challenge_of_the_edge_is_nobody_s_fault() {
    let page = Answer::raw(
        403,
        &[("content-type", "text/html"), ("cf-mitigated", "challenge")],
        "<html>Just a moment...</html>",
    );
    let mut script = Script::with_accounts(4);
    for account in &mut script.accounts {
        account.standing = Standing::Always(page.clone());
    }
    let setting = Setting::new(script, &["--log", "log"]);
    let got = setting.ask();
    assert_eq!(got.status, StatusCode::FORBIDDEN);
    assert!(got.body.contains("Just a moment"), "{}", got.body);
    assert_eq!(setting.asked(), [Some(0); 2], "once more, and nobody else");
    let log = setting.home.sh("cat log").stdout;
    let lines = log
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let network: Vec<Value> = lines.filter(|it| it["event"] == "network").collect();
    assert_eq!(network.len(), 1, "{log}");
    assert_eq!(network[0]["status"], 403, "{log}");
    assert_nobody_is_blamed(setting);
}

#[test]
fn a_region_that_is_not_served_is_nobody_s_fault() {
    let refused = json_answer(
        403,
        &json!({"error": {"code": "unsupported_country_region_territory",
            "type": "request_forbidden", "message": "Country not supported"}}),
    );
    let setting = answering(3, 3, &refused);
    assert_eq!(setting.ask().status, StatusCode::FORBIDDEN);
    assert_eq!(setting.asked(), [Some(0); 2]);
    assert_nobody_is_blamed(setting);
}

#[test]
fn what_was_flagged_is_asked_of_nobody_else() {
    let error = json!({"error": {"code": "cyber_policy", "message":
        "This content was flagged for possible cybersecurity risk."}});
    let in_stream = json!({"type": "response.failed", "response": error});
    for answer in [
        json_answer(400, &error),
        stream(format!("{CREATED}{}", event(&in_stream))),
    ] {
        let setting = answering(3, 3, &answer);
        let got = setting.ask();
        assert!(got.body.contains("cyber_policy"), "{}", got.body);
        assert_eq!(setting.asked(), [Some(0)]);
        assert_nobody_is_blamed(setting);
    }
}

#[test]
fn of_three_hundred_limited_accounts_sixteen_are_asked_at_once() {
    let mut script = Script::with_accounts(20);
    for account in &mut script.accounts {
        account.limit(Duration::from_secs(3600), Style::UsageLimit);
    }
    let setting = Setting::new(script, &[]);
    let got = setting.ask();
    assert_eq!(got.status, StatusCode::TOO_MANY_REQUESTS);
    assert!(got.body.contains("usage_limit_reached"), "{}", got.body);
    let asked = setting.asked();
    assert_eq!(asked.len(), 16, "{asked:?}");
}

#[test]
fn no_more_than_four_accounts_are_asked_for_what_is_no_limit() {
    let refused = json_answer(
        403,
        &json!({"error": {"code": "usage_not_included", "message": "Not in your plan"}}),
    );
    let setting = answering(6, 6, &refused);
    assert_eq!(setting.ask().status, StatusCode::FORBIDDEN);
    assert_eq!(setting.asked(), [Some(0), Some(1), Some(2), Some(3)]);
}

#[test]
fn a_stream_that_lives_is_not_taken_for_dead() {
    let mut script = Script::with_accounts(1);
    script.pace = Duration::from_millis(300);
    let comments = vec![": still here\n\n".to_owned(); 8];
    let mut chunks = vec![CREATED.to_owned()];
    chunks.extend(comments);
    chunks.push(DELTA.to_owned());
    chunks.push("data: {\"type\":\"response.completed\"}\n\n".to_owned());
    let kind = STREAM.map(|(name, value)| (name.to_owned(), value.to_owned()));
    script.accounts[0].standing = Standing::Always(Answer::Raw {
        status: 200,
        headers: kind.into(),
        chunks: chunks.into_iter().map(Into::into).collect(),
    });
    let setting = Setting::new(script, &["--head-timeout", "1s"]);
    let got = setting.ask();
    assert_eq!(got.status, StatusCode::OK);
    assert!(got.body.contains("Hello"), "{}", got.body);
    assert!(
        got.body.ends_with("response.completed\"}\n\n"),
        "{}",
        got.body
    );
    assert_eq!(setting.asked().len(), 1);
}

#[test]
fn a_model_that_one_account_lacks_is_asked_of_the_next_and_that_is_remembered() {
    let setting = answering(2, 1, &Style::ModelUnsupported.into());
    for _ in 0..2 {
        let got = setting.ask();
        assert!(got.body.contains("answered by two@"), "{}", got.body);
    }
    assert_eq!(setting.asked(), [Some(0), Some(1), Some(1)]);
    let store = setting.store();
    let limits = store["accounts"][0]["limits"].as_object().expect("marks");
    assert!(
        limits.keys().all(|scope| scope.starts_with("model:")),
        "{limits:?}"
    );
    assert!(store["accounts"][1].get("limits").is_none());
}

#[test]
fn a_model_that_all_lack_is_passed_on() {
    let setting = answering(2, 2, &Style::ModelUnsupported.into());
    let got = setting.ask();
    assert_eq!(got.status, StatusCode::BAD_REQUEST);
    assert!(got.body.contains("not supported"), "{}", got.body);
    assert_eq!(setting.asked(), [Some(0), Some(1)]);

    // Later too, and nobody has to be asked for that.
    let again = setting.ask();
    assert_eq!(again.status, StatusCode::BAD_REQUEST);
    let said: Value = serde_json::from_str(&again.body).expect("JSON");
    let refusal = "The 'gpt-5.5' model is not supported when using Codex with a ChatGPT account.";
    assert_eq!(said, json!({"detail": refusal}));
    assert_eq!(again.headers["content-type"], "application/json");
    assert_eq!(setting.asked().len(), 2);
}

#[test]
fn an_account_whose_fresh_token_is_refused_is_left_alone() {
    let mut script = Script::with_accounts(2);
    script.accounts[0].standing = Standing::Always(Style::Expired.into());
    let setting = Setting::new(script, &["--strategy", "least-used"]);
    for _ in 0..10 {
        let got = setting.ask();
        assert!(got.body.contains("answered by two@"), "{}", got.body);
    }
    let asked = setting.asked();
    assert_eq!(asked[..2], [Some(0); 2], "with its token, and a fresh one");
    assert_eq!(asked[2..], [Some(1); 10]);
    assert_eq!(setting.exchanges(), 1, "and not renewed for each request");
    let account = &setting.store()["accounts"][0];
    let refused = &account["limits"]["refused"];
    assert_eq!(refused["class"], "refused", "{account}");
}
