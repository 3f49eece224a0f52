//! What the relay writes down: one line for each answer of the backend, and one for each request
//! when it is over, however it ends.

use std::time::Duration;

use codex_accounts::rehearse::{Script, Style};
use serde_json::Value;

use super::support::relay::{Setting, first_limited};
use super::support::request::QUESTION;
use super::support::stage::{LONG, wait_until};

fn lines(setting: &Setting) -> Vec<Value> {
    let text = setting.relay.stderr();
    text.lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect()
}

/// The lines, once there are so many of requests that are over.
fn once_over(setting: &Setting, requests: usize) -> Vec<Value> {
    let mut all = Vec::new();
    wait_until("the requests are over", || {
        all = lines(setting);
        all.iter().filter(|line| line["event"] == "done").count() == requests
    });
    all
}

#[test]
fn a_rotation_can_be_read_from_the_log() {
    let setting = Setting::new(first_limited(Style::UsageLimit), &["-v"]);
    setting.ask();
    let mut lines = once_over(&setting, 1);
    for line in &mut lines {
        for time in ["at", "headMs", "firstByteMs", "bytes"] {
            if let Some(time) = line.get_mut(time) {
                assert!(time.is_u64(), "{time}");
                *time = Value::Null;
            }
        }
    }
    let lines: Vec<String> = lines.iter().map(Value::to_string).collect();
    insta::assert_snapshot!(lines.join("\n"), @r#"
    {"at":null,"request":1,"session":"s-1","event":"answer","account":"one@example.com","status":429,"verdict":"limited","step":"next","headMs":null}
    {"at":null,"request":1,"session":"s-1","event":"answer","account":"two@example.com","status":200,"verdict":"ok","step":"pass-on","headMs":null}
    {"at":null,"request":1,"session":"s-1","event":"done","account":"two@example.com","status":200,"verdict":"ok","headMs":null,"firstByteMs":null,"bytes":null,"whole":true}
    "#);
}

#[test]
fn who_is_refused_is_in_the_log_too() {
    let setting = Setting::new(Script::with_accounts(1), &["-v"]);
    for (path, headers) in [
        ("/responses", [("origin", "null")]),
        ("/../x", [("x", "1")]),
    ] {
        setting.send(path, &headers, "{}");
    }
    let statuses: Vec<Value> = once_over(&setting, 2)
        .iter()
        .map(|line| line["status"].clone())
        .collect();
    assert_eq!(statuses, [403, 404]);
}

#[test]
fn a_client_that_goes_before_its_answer_is_in_the_log_too() {
    let mut script = Script::with_accounts(1);
    script
        .delays
        .insert("/backend-api/codex/responses".into(), LONG);
    let setting = Setting::new(script, &["-v"]);
    let client = setting.connect(QUESTION, "");
    assert!(setting.pretend.wait_for(LONG, |seen| !seen.is_empty()));
    drop(client);
    let lines = once_over(&setting, 1);
    let done = lines.last().expect("a line");
    assert_eq!(done.get("status"), None, "{done}");
    assert_eq!(done["whole"], false, "{done}");
}

#[test]
fn a_held_request_is_in_the_log_when_its_client_goes() {
    let mut script = Script::with_accounts(1);
    script.accounts[0].limit(Duration::from_secs(60), Style::UsageLimit);
    let setting = Setting::new(script, &["-v", "--max-wait", "5m"]);
    let client = setting.connect(QUESTION, "");
    let mut first = [0; 1];
    std::io::Read::read_exact(&mut &client, &mut first).expect("the head of the answer");
    drop(client);
    let lines = once_over(&setting, 1);
    let done = lines.last().expect("a line");
    assert_eq!(done["status"], 200, "{done}");
    assert_eq!(done["whole"], false, "{done}");
}
