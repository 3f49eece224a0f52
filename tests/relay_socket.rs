//! WebSockets through the relay (PROTOCOL-WEBSOCKET §7): what a client sees, whom the backend saw,
//! and what the store says.

use std::net::TcpStream;
use std::time::{Duration, Instant};

use codex_accounts::rehearse::{Answer, Blobs, Progress, Script, Standing, Style};
use http::Request;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::protocol::WebSocket;
use tokio_tungstenite::tungstenite::{self, Bytes, Message};

use super::support::relay::{HOUR, Setting};
use super::support::request::{codex, items_of, output, user};
use super::support::stage::{LONG, wait_until};

/// The close by which a client is asked to begin anew.
const ANEW: Option<u16> = Some(1012);

/// A client's connection to the relay.
struct Client(WebSocket<TcpStream>);

/// The request that opens one, as Codex sends it.
fn upgrade(setting: &Setting) -> http::request::Builder {
    let url = setting.ready("url").replace("http://", "ws://");
    let host = url.trim_start_matches("ws://").trim_end_matches("/codex");
    Request::get(format!("{url}/responses"))
        .header("host", host)
        .header("connection", "Upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", generate_key())
        .header(
            "sec-websocket-extensions",
            "permessage-deflate; client_max_window_bits",
        )
        .header("openai-beta", "responses_websockets=2026-02-06")
        .header("thread-id", "s-1")
        .header("session-id", "s-1")
}

fn with_key(setting: &Setting) -> http::request::Builder {
    let key = format!("Bearer {}", setting.ready("key"));
    upgrade(setting).header("authorization", key)
}

fn of_codex(setting: &Setting) -> Request<()> {
    let request = with_key(setting).header("x-codex-window-id", "s-1:0");
    request.body(()).expect("a request")
}

/// Opens a connection, or says with what status and body it was refused.
fn open(setting: &Setting, request: Request<()>) -> Result<Client, (u16, String)> {
    let address = setting.ready("url").trim_start_matches("http://");
    let stream = TcpStream::connect(address.trim_end_matches("/codex")).expect("a connection");
    stream.set_read_timeout(Some(LONG)).expect("a timeout");
    match tungstenite::client(request, stream) {
        Ok((socket, _)) => Ok(Client(socket)),
        Err(tungstenite::HandshakeError::Failure(tungstenite::Error::Http(answer))) => {
            let body = answer.body().clone().unwrap_or_default();
            Err((
                answer.status().as_u16(),
                String::from_utf8_lossy(&body).into_owned(),
            ))
        }
        Err(error) => panic!("{error}"),
    }
}

fn connect(setting: &Setting) -> Client {
    open(setting, of_codex(setting)).unwrap_or_else(|refused| panic!("{refused:?}"))
}

impl Client {
    fn send(&mut self, body: &Value) {
        self.0.send(Message::text(body.to_string())).expect("sent");
    }

    /// The next event; the code of the close, or none, where it is the end.
    fn next(&mut self) -> Result<Value, Option<u16>> {
        loop {
            match self.0.read() {
                Ok(Message::Text(text)) => return Ok(serde_json::from_str(&text).expect("JSON")),
                Ok(Message::Ping(_) | Message::Pong(_)) => {}
                Ok(Message::Close(frame)) => return Err(frame.map(|frame| frame.code.into())),
                Ok(other) => panic!("{other:?}"),
                Err(_) => return Err(None),
            }
        }
    }

    /// Asks, and reads to the last event of the answer, or to the close.
    fn ask(&mut self, body: &Value) -> (Vec<Value>, Option<Option<u16>>) {
        self.send(body);
        let mut events = Vec::new();
        loop {
            let event = match self.next() {
                Ok(event) => event,
                Err(code) => return (events, Some(code)),
            };
            let kind = event["type"].as_str().expect("a type").to_owned();
            events.push(event);
            let ends = [
                "response.completed",
                "response.failed",
                "response.incomplete",
                "error",
            ];
            if ends.contains(&kind.as_str()) {
                return (events, None);
            }
        }
    }

    /// Asks, and gets the whole answer.
    fn answer(&mut self, body: &Value) -> Vec<Value> {
        let (events, closed) = self.ask(body);
        assert_eq!(closed, None, "{events:?}");
        let last = events.last().expect("an event");
        assert_eq!(last["type"], "response.completed", "{events:?}");
        events
    }
}

/// A whole request, as it is sent.
fn whole(input: &[Value]) -> Value {
    let mut body = codex(input);
    body["type"] = "response.create".into();
    body["client_metadata"]["turn_id"] = "t-1".into();
    body
}

/// One that goes on from this answer.
fn increment(from: &[Value], input: &[Value]) -> Value {
    let mut body = whole(&[]);
    body["previous_response_id"] = from.last().expect("an event")["response"]["id"].clone();
    body["input"] = input.into();
    body
}

fn text(events: &[Value]) -> String {
    let deltas = events.iter().filter_map(|event| event["delta"].as_str());
    deltas.collect()
}

/// Whom the model was asked as, in order.
fn asked(setting: &Setting) -> Vec<usize> {
    let seen = setting.pretend.seen();
    let questions = seen.iter().filter(|seen| seen.asks_the_model());
    questions.filter_map(|seen| seen.account).collect()
}

fn is_marked(setting: &Setting, account: usize) -> bool {
    setting.home.store()["accounts"][account]["limits"].is_object()
}

fn setting(accounts: usize, change: impl FnOnce(&mut Script)) -> Setting {
    let mut script = Script::with_accounts(accounts);
    change(&mut script);
    Setting::new(script, &["-v"])
}

fn question() -> Value {
    user("Who are you?")
}

#[test]
fn increments_stay_increments_on_one_connection() {
    let setting = setting(2, |_| {});
    let mut client = connect(&setting);
    let mut prewarm = whole(&[]);
    prewarm["generate"] = false.into();
    let first = client.answer(&prewarm);
    let second = client.answer(&increment(&first, &[question()]));
    assert!(text(&second).contains("answered by one@"), "{second:?}");
    let third = client.answer(&increment(&second, &[user("And now?")]));
    assert!(text(&third).contains("answered by one@"), "{third:?}");
    assert_eq!(asked(&setting), [0, 0, 0]);
    let seen = setting.pretend.seen();
    assert!(seen.iter().all(|seen| seen.method != http::Method::POST));
    let sockets: Vec<_> = seen.iter().filter_map(|seen| seen.socket).collect();
    assert!(
        sockets.iter().all(|socket| *socket == sockets[0]),
        "{sockets:?}"
    );
    let log = setting.relay.stderr();
    for ws in ["handshake", "whole", "increment"] {
        assert!(log.contains(&format!(r#""ws":"{ws}""#)), "{ws}: {log}");
    }
}

#[test]
fn what_was_not_let_in_reaches_nobody() {
    let setting = setting(1, |_| {});
    let refused = |request: http::request::Builder| {
        let request = request.body(()).expect("a request");
        open(&setting, request).err().map(|(status, _)| status)
    };
    assert_eq!(refused(upgrade(&setting)), Some(401));
    assert_eq!(
        refused(with_key(&setting).header("origin", "http://localhost")),
        Some(403)
    );
    let mut elsewhere = with_key(&setting);
    elsewhere
        .headers_mut()
        .expect("headers")
        .insert("host", "evil.example".parse().expect("a name"));
    assert_eq!(refused(elsewhere), Some(421));
    let mut old = with_key(&setting);
    old.headers_mut()
        .expect("headers")
        .insert("sec-websocket-version", "8".parse().expect("a number"));
    assert_eq!(refused(old), Some(426));
    assert!(setting.pretend.seen().is_empty());
}

#[test]
fn a_limit_at_the_handshake_is_never_seen() {
    let setting = setting(2, |script| {
        script.socket.limits_at_handshake = true;
        script.accounts[0].limit(HOUR, Style::UsageLimit);
    });
    let mut client = connect(&setting);
    let events = client.answer(&whole(&[question()]));
    assert!(text(&events).contains("answered by two@"), "{events:?}");
    wait_until("the mark is in the store", || is_marked(&setting, 0));
}

#[test]
fn a_limit_of_a_whole_request_is_never_seen() {
    for style in [
        Style::UsageLimit,
        Style::FailedFirst,
        Style::FailedCreated,
        Style::ErrorFirst,
        Style::ErrorCreated,
    ] {
        let setting = setting(3, |script| {
            script.accounts[0].limit(HOUR, style);
            script.accounts[1].limit(HOUR, style);
        });
        let mut client = connect(&setting);
        let events = client.answer(&whole(&[question()]));
        assert!(
            text(&events).contains("answered by three@"),
            "{style}: {events:?}"
        );
        let created = events
            .iter()
            .filter(|event| event["type"] == "response.created");
        assert_eq!(created.count(), 1, "one lifecycle: {events:?}");
        assert_eq!(asked(&setting), [0, 1, 2], "{style}");
        wait_until("the marks are in the store", || {
            is_marked(&setting, 0) && is_marked(&setting, 1)
        });
    }
}

#[test]
fn a_limit_of_an_increment_closes_the_connection_and_the_rest_is_never_seen() {
    let setting = setting(2, |script| script.blobs = Blobs::Portable);
    let mut client = connect(&setting);
    let asks = [user("[run echo hi]")];
    let first = client.answer(&whole(&asks));
    let call = items_of(&first).pop().expect("a call");
    setting
        .pretend
        .change(|script| script.accounts[0].limit(HOUR, Style::UsageLimit));
    let result = output(&call, "hi");
    let (events, closed) = client.ask(&increment(&first, std::slice::from_ref(&result)));
    assert_eq!((events, closed), (Vec::new(), Some(ANEW)));
    wait_until("the mark is in the store", || is_marked(&setting, 0));
    // The client asks anew, with all it has.
    let mut client = connect(&setting);
    let mut input = asks.to_vec();
    input.extend(items_of(&first));
    input.push(result);
    let events = client.answer(&whole(&input));
    assert!(
        events
            .iter()
            .any(|event| event["type"] == "response.completed")
    );
    assert_eq!(asked(&setting), [0, 0, 1]);
    let log = setting.relay.stderr();
    assert!(log.contains(r#""close":1012"#), "{log}");
}

#[test]
fn a_limit_after_output_closes_the_connection_of_codex_once() {
    for style in [Style::FailedOutput, Style::ErrorOutput] {
        let setting = setting(2, |script| script.accounts[0].limit(HOUR, style));
        let mut client = connect(&setting);
        let (events, closed) = client.ask(&whole(&[question()]));
        assert_eq!(closed, Some(ANEW), "{style}: {events:?}");
        let kinds: Vec<_> = events.iter().map(|event| &event["type"]).collect();
        assert!(!kinds.iter().any(|kind| *kind == "error"), "{kinds:?}");
        let events = connect(&setting).answer(&whole(&[question()]));
        assert!(text(&events).contains("answered by two@"), "{events:?}");
        assert_eq!(asked(&setting), [0, 1], "{style}");
    }
}

#[test]
fn when_all_are_limited_the_client_is_told_so_once_with_the_first_time() {
    let setting = setting(2, |script| {
        script.accounts[0].limit(2 * HOUR, Style::UsageLimit);
        script.accounts[1].limit(HOUR, Style::UsageLimit);
    });
    let mut client = connect(&setting);
    let (events, closed) = client.ask(&whole(&[question()]));
    assert_eq!(closed, None);
    let [error] = &events[..] else {
        panic!("{events:?}");
    };
    assert_eq!(error["status"], 429, "{error}");
    assert_eq!(error["error"]["type"], "usage_limit_reached", "{error}");
    let seconds = error["error"]["resets_in_seconds"]
        .as_u64()
        .expect("seconds");
    assert!((3500..=3601).contains(&seconds), "{error}");
    // The next handshake is refused with the same.
    let (status, _) = open(&setting, of_codex(&setting)).err().expect("a refusal");
    assert_eq!(status, 429);
    assert_eq!(asked(&setting), [0, 1]);
}

#[test]
fn an_account_that_is_spent_is_left_between_two_requests() {
    let setting = setting(2, |script| {
        script.accounts[0].next.push_back(Style::LastOne.into());
    });
    let mut client = connect(&setting);
    let events = client.answer(&whole(&[question()]));
    assert!(text(&events).contains("answered by one@"), "{events:?}");
    assert_eq!(
        client.next(),
        Err(ANEW),
        "at once, and not in the next request"
    );
}

#[test]
fn a_connection_that_is_cut_before_output_is_opened_again() {
    for after in [Progress::Nothing, Progress::Created] {
        for code in [None, Some(1000), Some(1011), Some(1012)] {
            let setting = setting(2, |script| {
                let close = Answer::Close { code, after };
                script.accounts[0].next.push_back(close);
            });
            let events = connect(&setting).answer(&whole(&[question()]));
            assert!(
                text(&events).contains("answered by one@"),
                "{code:?}: {events:?}"
            );
            assert_eq!(asked(&setting), [0, 0], "{code:?}");
            assert!(!is_marked(&setting, 0));
        }
    }
}

#[test]
fn a_connection_that_is_cut_after_output_is_codex_s_to_open_again() {
    let close = Answer::Close {
        code: Some(1011),
        after: Progress::Output,
    };
    let setting = setting(1, |script| {
        script.accounts[0]
            .next
            .extend([close.clone(), close.clone()]);
    });
    let (_, closed) = connect(&setting).ask(&whole(&[question()]));
    assert_eq!(closed, Some(ANEW));
    // Once; then it is told.
    let (events, closed) = connect(&setting).ask(&whole(&[question()]));
    assert_eq!(closed, None);
    let last = events.last().expect("an event");
    assert_eq!(last["type"], "response.failed", "{events:?}");
    assert!(last["sequence_number"].is_u64(), "{last}");
}

#[test]
fn other_clients_are_told_what_broke_off() {
    let close = Answer::Close {
        code: None,
        after: Progress::Output,
    };
    let setting = setting(2, |script| script.accounts[0].next.push_back(close));
    let request = with_key(&setting).body(()).expect("a request");
    let mut client = open(&setting, request).unwrap_or_else(|refused| panic!("{refused:?}"));
    let (events, closed) = client.ask(&whole(&[question()]));
    assert_eq!(closed, None, "{events:?}");
    assert_eq!(events.last().expect("an event")["type"], "response.failed");
}

#[test]
fn overload_is_tried_twice_more_and_once_as_another_account() {
    let setting = setting(3, |script| {
        for account in &mut script.accounts {
            account.standing = Standing::Always(Style::Overloaded.into());
        }
    });
    let (events, closed) = connect(&setting).ask(&whole(&[question()]));
    assert_eq!(closed, None);
    let error = events.last().expect("an event");
    assert_eq!(error["status"], 503, "{events:?}");
    assert_eq!(asked(&setting), [0, 0, 0, 1]);
}

#[test]
fn a_connection_that_is_too_old_is_changed_for_another() {
    let setting = setting(1, |script| {
        script.socket.max_age = Duration::from_millis(300)
    });
    let mut client = connect(&setting);
    let first = client.answer(&whole(&[question()]));
    std::thread::sleep(Duration::from_millis(400));
    // A whole request does not notice; one that goes on is asked anew.
    let second = client.answer(&whole(&[question()]));
    assert_ne!(first, second);
    std::thread::sleep(Duration::from_millis(400));
    let (_, closed) = client.ask(&increment(&second, &[question()]));
    assert_eq!(closed, Some(ANEW));
}

#[test]
fn what_is_too_large_for_a_message_goes_by_http() {
    let setting = setting(1, |script| script.socket.max_message = 1 << 20);
    let mut client = connect(&setting);
    let large = user(&"x".repeat(2 << 20));
    let (events, closed) = client.ask(&whole(&[large]));
    assert_eq!((events, closed), (Vec::new(), Some(ANEW)));
    let (status, _) = open(&setting, of_codex(&setting)).err().expect("a refusal");
    assert_eq!(status, 426, "the client goes on by HTTP");
    // Another thread has nothing to do with it.
    drop(connect(&setting));
}

#[test]
fn a_backend_without_websockets_is_asked_for_them_once() {
    let setting = setting(1, |script| script.socket.offered = false);
    for _ in 0..3 {
        let (status, _) = open(&setting, of_codex(&setting)).err().expect("a refusal");
        assert_eq!(status, 426);
    }
    assert_eq!(setting.pretend.seen().len(), 1, "remembered");
}

#[test]
fn without_websockets_the_relay_says_so_by_itself() {
    let setting = Setting::new(Script::with_accounts(1), &["--no-websocket"]);
    let (status, _) = open(&setting, of_codex(&setting)).err().expect("a refusal");
    assert_eq!(status, 426);
    assert!(setting.pretend.seen().is_empty());
}

#[test]
fn the_state_of_a_turn_does_not_cross_to_another_account() {
    let setting = setting(2, |_| {});
    let first = connect(&setting).answer(&whole(&[question()]));
    let given = |events: &[Value]| {
        let metadata = events
            .iter()
            .find(|event| event["type"] == "response.metadata");
        metadata.expect("metadata")["headers"]["x-codex-turn-state"].clone()
    };
    setting
        .pretend
        .change(|script| script.accounts[0].limit(HOUR, Style::UsageLimit));
    let mut body = whole(&[question()]);
    body["client_metadata"]["x-codex-turn-state"] = given(&first);
    let events = connect(&setting).answer(&body);
    assert!(text(&events).contains("answered by two@"), "{events:?}");
    let seen = setting.pretend.seen();
    let last = seen
        .iter()
        .rfind(|seen| seen.asks_the_model())
        .expect("a question");
    let body = String::from_utf8_lossy(&last.body);
    assert!(!body.contains("turn-state"), "{body}");
}

#[test]
fn a_client_that_goes_takes_the_upstream_s_connection_with_it() {
    let setting = setting(1, |script| script.pace = Duration::from_millis(200));
    let mut client = connect(&setting);
    client.send(&whole(&[question()]));
    assert!(client.next().is_ok());
    drop(client);
    wait_until("the request is over", || {
        setting
            .relay
            .stderr()
            .contains(r#""whole":false,"ws":"whole""#)
    });
}

#[test]
fn an_interrupt_is_passed_on_while_an_answer_runs() {
    let setting = setting(1, |script| script.pace = Duration::from_millis(300));
    let mut client = connect(&setting);
    client.send(&whole(&[question()]));
    let first = client.next().expect("an event");
    let id = first["response"]["id"].clone();
    client.send(&json!({"type": "response.interrupt", "response_id": id,
        "mode": "discard_partial_items"}));
    loop {
        let event = client.next().expect("an event");
        if event["type"] == "response.incomplete" {
            let details = &event["response"]["incomplete_details"];
            assert_eq!(details["reason"], "interrupted");
            break;
        }
    }
    setting
        .pretend
        .change(|script| script.pace = Duration::ZERO);
    client.answer(&whole(&[question()]));
}

#[test]
fn at_its_end_a_relay_closes_what_is_idle() {
    let setting = setting(1, |_| {});
    let mut client = connect(&setting);
    client.answer(&whole(&[question()]));
    let Setting { relay, .. } = setting;
    let began = Instant::now();
    assert!(relay.end().success());
    assert!(began.elapsed() < Duration::from_secs(2));
    assert_eq!(client.next(), Err(Some(1001)));
}

#[test]
fn a_held_request_is_answered_when_an_account_is_back() {
    let mut script = Script::with_accounts(1);
    script.accounts[0].limit(Duration::from_secs(3), Style::UsageLimit);
    let setting = Setting::new(script, &["--max-wait", "60s"]);
    let events = connect(&setting).answer(&whole(&[question()]));
    assert!(text(&events).contains("answered by one@"), "{events:?}");
}

#[test]
fn what_no_client_should_send_ends_its_own_connection_only() {
    let setting = setting(1, |_| {});
    let mut other = connect(&setting);
    let mut binary = connect(&setting);
    binary.0.send(Message::binary(vec![0; 10])).expect("sent");
    assert_eq!(binary.next(), Err(Some(1003)));
    let mut flood = connect(&setting);
    for _ in 0..10_000 {
        flood.0.write(Message::Ping(Bytes::new())).expect("sent");
    }
    flood.0.flush().expect("sent");
    flood.answer(&whole(&[question()]));
    let mut unread = connect(&setting);
    unread.0.send(Message::text("{")).expect("sent");
    let refused = unread.next().expect("an event");
    assert_eq!(refused["status"], 400, "{refused}");
    other.answer(&whole(&[question()]));
}
