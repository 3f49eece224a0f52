//! `codex app-server` behind the relay, as an editor uses it: what is said while an answer runs interrupts that, over
//! the same connection, and the next request goes on from there (PROTOCOL-WEBSOCKET §2).

use std::time::Duration;

use codex_accounts::rehearse::{Script, Seen, Style};
use serde_json::Value;

use super::support::Home;
use super::support::app_server::AppServer;
use super::support::pretend::Servers;
use super::support::relay::HOUR;

/// Slow enough for a person to be quicker.
const PACE: Duration = Duration::from_millis(300);

/// What Codex interrupts by a message; for older ones it waits for the end.
const MODEL: &str = "gpt-6-sol";

fn launched(script: Script) -> (Home, Servers, AppServer) {
    let mut home = Home::with_clients();
    let pretend = home.with_servers(Script {
        pace: PACE,
        ..script
    });
    let server = AppServer::start(&home, "codex-launch", &["codex", "app-server"]);
    (home, pretend, server)
}

fn has_begun(message: &Value) -> bool {
    message["method"] == "item/started" && message["params"]["item"]["type"] == "reasoning"
}

fn body(seen: &Seen) -> Value {
    serde_json::from_slice(&seen.body).expect("JSON")
}

/// The requests to the model but the warming up.
fn requests(pretend: &Servers) -> Vec<Seen> {
    let seen = pretend.seen().into_iter();
    seen.filter(|seen| seen.asks_the_model() && body(seen)["generate"] != false)
        .collect()
}

#[test]
fn what_is_said_meanwhile_interrupts_the_answer_and_goes_on_from_it() {
    let (_home, pretend, mut server) = launched(Script::with_accounts(2));
    let thread = server.begin(MODEL);
    let turn = server.say(&thread, "say who you are");
    server.wait_for(has_begun);
    server.steer(&thread, &turn, "and say it again");
    let end = (
        "completed".to_owned(),
        "answered by one@example.com".to_owned(),
    );
    assert_eq!(server.end_of_turn(), end);
    let requests = requests(&pretend);
    assert_eq!(requests.len(), 2);
    assert!(
        requests
            .iter()
            .all(|seen| seen.socket == requests[0].socket)
    );
    assert!(requests.iter().all(|seen| seen.status == Some(200)));
    // It goes on from the response that was interrupted, whose output was not whole.
    let [first, second] = [body(&requests[0]), body(&requests[1])];
    assert!(first["previous_response_id"].is_string());
    assert!(second["previous_response_id"].is_string());
    assert_ne!(
        first["previous_response_id"],
        second["previous_response_id"]
    );
    assert_eq!(
        second["input"].as_array().expect("items").len(),
        1,
        "{second}"
    );
}

#[test]
fn what_is_said_meanwhile_is_answered_by_the_next_account() {
    let mut script = Script::with_accounts(2);
    // The warming up, and what is interrupted.
    script.accounts[0].limit_after(2, HOUR, Style::UsageLimit);
    let (home, pretend, mut server) = launched(script);
    let thread = server.begin(MODEL);
    let turn = server.say(&thread, "say who you are");
    server.wait_for(has_begun);
    server.steer(&thread, &turn, "and say it again");
    let end = (
        "completed".to_owned(),
        "answered by two@example.com".to_owned(),
    );
    assert_eq!(server.end_of_turn(), end);
    server.say(&thread, "and now");
    assert_eq!(server.end_of_turn(), end);
    assert!(
        server
            .heard
            .iter()
            .all(|message| message["method"] != "error")
    );
    let by_post = requests(&pretend)
        .iter()
        .filter(|seen| seen.socket.is_none())
        .count();
    assert_eq!(by_post, 0);
    assert!(home.store()["accounts"][0]["limits"].is_object());
}

#[test]
fn a_turn_that_is_given_up_costs_nothing_of_the_next() {
    let (_home, pretend, mut server) = launched(Script::with_accounts(1));
    let thread = server.begin(MODEL);
    let turn = server.say(&thread, "say who you are");
    server.wait_for(has_begun);
    server.call(
        "turn/interrupt",
        serde_json::json!({"threadId": thread, "turnId": turn}),
    );
    assert_eq!(server.end_of_turn().0, "interrupted");
    pretend.change(|script| script.pace = Duration::ZERO);
    server.say(&thread, "once more");
    let end = (
        "completed".to_owned(),
        "answered by one@example.com".to_owned(),
    );
    assert_eq!(server.end_of_turn(), end);
}
