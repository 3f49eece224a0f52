//! The WebSocket of the pretend backend (PROTOCOL-WEBSOCKET): ids by connection, turn state by account, and all that ends
//! a connection.

use std::net::TcpStream;
use std::time::Duration;

use codex_accounts::rehearse::{Answer, Pretend, Progress, Script, Style};
use http::Request;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::protocol::WebSocket;
use tokio_tungstenite::tungstenite::{self, Message};

use crate::support::Home;
use crate::support::request::{codex, items_of, opencode, output, user};

const HOUR: Duration = Duration::from_secs(3600);

/// So many accounts that are logged in.
fn accounts(count: usize) -> Pretend {
    Pretend::start(Script::with_accounts(count)).expect("a server")
}

/// A connection of an account.
struct Client(WebSocket<TcpStream>);

/// The request that opens a WebSocket, as Codex sends it.
fn upgrade(pretend: &Pretend, account: usize) -> Request<()> {
    let tokens = pretend.issue(account).expect("tokens");
    let id = pretend.change(|script| script.accounts[account].account_id.clone());
    let url = pretend.upstream().replace("http://", "ws://");
    Request::get(format!("{url}/codex/responses"))
        .header("host", "pretend")
        .header("connection", "Upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", generate_key())
        .header("openai-beta", "responses_websockets=2026-02-06")
        .header("authorization", format!("Bearer {}", tokens.access_token))
        .header("chatgpt-account-id", id)
        .header("thread-id", "t-1")
        .body(())
        .expect("a request")
}

/// Opens a connection, or says with what status it was refused.
fn open(pretend: &Pretend, request: Request<()>) -> Result<Client, u16> {
    let address = pretend.issuer().replace("http://", "");
    let stream = TcpStream::connect(address).expect("a connection");
    stream
        .set_read_timeout(Some(Duration::from_secs(60)))
        .expect("a timeout");
    match tungstenite::client(request, stream) {
        Ok((socket, _)) => Ok(Client(socket)),
        Err(tungstenite::HandshakeError::Failure(tungstenite::Error::Http(answer))) => {
            Err(answer.status().as_u16())
        }
        Err(error) => panic!("{error}"),
    }
}

fn connect(pretend: &Pretend, account: usize) -> Client {
    open(pretend, upgrade(pretend, account)).unwrap_or_else(|status| panic!("{status}"))
}

impl Client {
    fn send(&mut self, body: &Value) {
        self.0.send(Message::text(body.to_string())).expect("sent");
    }

    /// The next event; the code of the close frame, or none, where it is the end.
    fn next(&mut self) -> Result<Value, Option<u16>> {
        match self.0.read() {
            Ok(Message::Text(text)) => Ok(serde_json::from_str(&text).expect("an event")),
            Ok(Message::Close(frame)) => Err(frame.map(|frame| frame.code.into())),
            Ok(other) => panic!("{other:?}"),
            Err(_) => Err(None),
        }
    }

    /// Asks, and reads to the last event of the answer.
    fn ask(&mut self, body: &Value) -> Vec<Value> {
        self.send(body);
        let mut events = Vec::new();
        loop {
            let event = self
                .next()
                .unwrap_or_else(|code| panic!("closed {code:?} after {events:?}"));
            let kind = event["type"].as_str().expect("a type").to_owned();
            events.push(event);
            let ends = [
                "response.completed",
                "response.failed",
                "response.incomplete",
                "error",
            ];
            if ends.contains(&kind.as_str()) {
                return events;
            }
        }
    }
}

/// The frame that asks for this.
fn create(mut body: Value) -> Value {
    body["type"] = "response.create".into();
    body
}

fn text(events: &[Value]) -> String {
    events
        .iter()
        .filter_map(|event| event["delta"].as_str())
        .collect()
}

fn id(events: &[Value]) -> Value {
    events.last().expect("an event")["response"]["id"].clone()
}

fn error(events: &[Value]) -> Value {
    events.last().expect("an event")["error"].clone()
}

#[test]
fn a_prewarm_and_the_increments_on_it_are_answered_on_their_own_connection() {
    let pretend = accounts(1);
    let mut client = connect(&pretend, 0);
    let mut prewarm = create(codex(&[]));
    prewarm["generate"] = false.into();
    let first = client.ask(&prewarm);
    assert_eq!(text(&first), "");

    // What comes on top of it is all that is sent.
    let mut increment = create(codex(&[]));
    increment["previous_response_id"] = id(&first);
    increment["input"] = json!([user("[run echo hi] [invent]")]);
    let second = client.ask(&increment);
    let call = items_of(&second).pop().expect("a call");
    assert_eq!(call["type"], "function_call");
    let mut next = increment.clone();
    next["previous_response_id"] = id(&second);
    next["input"] = json!([output(&call, "hi")]);
    let third = client.ask(&next);
    assert!(
        text(&third).starts_with("answered by one@example.com. The word is "),
        "{third:?}"
    );

    let mut other = connect(&pretend, 0);
    next["previous_response_id"] = id(&third);
    let refused = other.ask(&next);
    assert_eq!(error(&refused)["code"], "previous_response_not_found");
    assert_eq!(refused[0]["status"], 400);
    // Over HTTP there is nothing to go on from at all.
    let asked = pretend
        .seen()
        .iter()
        .filter(|seen| seen.asks_the_model())
        .count();
    assert_eq!(asked, 4, "a frame is a request");
}

#[test]
fn a_failed_response_took_what_was_before_with_it() {
    let pretend = accounts(1);
    let mut client = connect(&pretend, 0);
    let first = client.ask(&create(codex(&[user("hi")])));
    pretend.change(|script| {
        script.accounts[0]
            .next
            .push_back(Style::FailedCreated.into())
    });
    let mut increment = create(codex(&[user("and?")]));
    increment["previous_response_id"] = id(&first);
    assert_eq!(error(&client.ask(&increment))["code"], Value::Null);
    let refused = client.ask(&increment);
    assert_eq!(error(&refused)["code"], "previous_response_not_found");
    // A whole request goes on.
    assert_eq!(
        text(&client.ask(&create(codex(&[user("hi")])))),
        "answered by one@example.com"
    );
}

#[test]
fn whole_requests_of_opencode_are_answered_too() {
    let pretend = accounts(1);
    let mut body = create(opencode(&[user("hi")]));
    body.as_object_mut().expect("a body").remove("stream");
    let mut client = connect(&pretend, 0);
    assert_eq!(text(&client.ask(&body)), "answered by one@example.com");
}

#[test]
fn what_another_account_made_is_refused_here_as_over_http() {
    let pretend = accounts(2);
    let prompt = user("hi");
    let first = connect(&pretend, 0).ask(&create(codex(std::slice::from_ref(&prompt))));
    let mut input = vec![prompt];
    input.extend(items_of(&first));
    input.push(user("and?"));
    let refused = connect(&pretend, 1).ask(&create(codex(&input)));
    assert_eq!(refused[0]["status"], 400);
    assert_eq!(error(&refused)["code"], "invalid_encrypted_content");
    assert_eq!(
        text(&connect(&pretend, 0).ask(&create(codex(&input)))),
        "answered by one@example.com"
    );
}

#[test]
fn a_turn_state_comes_in_an_event_and_is_the_accounts_own() {
    let pretend = accounts(2);
    let events = connect(&pretend, 0).ask(&create(codex(&[user("hi")])));
    let metadata = events
        .iter()
        .find(|event| event["type"] == "response.metadata")
        .expect("an event");
    let limits = events
        .iter()
        .find(|event| event["type"] == "codex.rate_limits")
        .expect("an event");
    assert_eq!(limits["rate_limits"]["primary"]["used_percent"], 12.5);
    let mut body = create(codex(&[user("hi")]));
    body["client_metadata"]["x-codex-turn-state"] =
        metadata["headers"]["x-codex-turn-state"].clone();
    assert_eq!(
        text(&connect(&pretend, 0).ask(&body)),
        "answered by one@example.com"
    );
    assert_eq!(connect(&pretend, 1).ask(&body)[0]["status"], 400);
}

#[test]
fn a_limit_is_met_at_the_handshake_or_by_a_frame() {
    let pretend = accounts(1);
    pretend.change(|script| script.accounts[0].limit(HOUR, Style::UsageLimit));
    let events = connect(&pretend, 0).ask(&create(codex(&[user("hi")])));
    assert_eq!(events[0]["status"], 429);
    assert_eq!(events[0]["headers"]["x-codex-primary-used-percent"], "100");
    assert_eq!(error(&events)["type"], "usage_limit_reached");

    pretend.change(|script| script.socket.limits_at_handshake = true);
    assert_eq!(open(&pretend, upgrade(&pretend, 0)).err(), Some(429));
    pretend.change(|script| {
        script.accounts[0].standing = codex_accounts::rehearse::Standing::Good;
        script.accounts[0]
            .handshakes
            .push_back(Style::Overloaded.into());
    });
    assert_eq!(open(&pretend, upgrade(&pretend, 0)).err(), Some(503));
    let mut client = connect(&pretend, 0);
    for (style, kind) in [
        (Style::ErrorCreated, "error"),
        (Style::ErrorOutput, "error"),
        (Style::FailedCreated, "response.failed"),
        (Style::Throttle, "error"),
        (Style::Overloaded, "error"),
    ] {
        pretend.change(|script| script.accounts[0].next.push_back(style.into()));
        let events = client.ask(&create(codex(&[user("hi")])));
        assert_eq!(events.last().expect("an event")["type"], kind, "{style}");
    }
    pretend.change(|script| script.accounts[0].next.push_back(Style::LastOne.into()));
    let events = client.ask(&create(codex(&[user("hi")])));
    let reached = |event: &Value| event["rate_limits"]["limit_reached"] == true;
    assert!(events.iter().any(reached), "{events:?}");
}

#[test]
fn a_connection_ends_as_scripted() {
    let pretend = accounts(1);
    for (code, after, last) in [
        (Some(1012), Progress::Nothing, None),
        (Some(1011), Progress::Created, Some("response.in_progress")),
        (None, Progress::Output, Some("response.output_text.delta")),
        (None, Progress::Item, Some("response.output_item.done")),
        (Some(1000), Progress::Completed, Some("response.completed")),
    ] {
        let answer = Answer::Close { code, after };
        pretend.change(|script| script.accounts[0].next.push_back(answer));
        let mut client = connect(&pretend, 0);
        client.send(&create(codex(&[user("hi")])));
        let mut seen = None;
        let end = loop {
            match client.next() {
                Ok(event) => seen = event["type"].as_str().map(str::to_owned),
                Err(end) => break end,
            }
        };
        assert_eq!((end, seen.as_deref()), (code, last), "{after:?}");
    }
}

#[test]
fn a_message_can_be_too_long_and_a_connection_too_old() {
    let pretend = accounts(1);
    pretend.change(|script| script.socket.max_message = 20_000);
    let mut client = connect(&pretend, 0);
    client.send(&create(codex(&[user(&"x".repeat(20_000))])));
    assert_eq!(client.next(), Err(Some(1009)));

    let mut client = connect(&pretend, 0);
    pretend.change(|script| script.socket.max_age = Duration::ZERO);
    let events = client.ask(&create(codex(&[user("hi")])));
    assert_eq!(error(&events)["code"], "websocket_connection_limit_reached");

    let mut client = connect(&pretend, 0);
    client.0.send(Message::binary(vec![1])).expect("sent");
    assert_eq!(client.next(), Err(Some(1003)));
}

#[test]
fn a_response_that_runs_can_be_interrupted_and_gone_on_from() {
    let pretend = accounts(1);
    pretend.change(|script| script.pace = HOUR);
    let mut client = connect(&pretend, 0);
    client.send(&create(codex(&[user("hi")])));
    let created = client.next().expect("an event");
    let id = created["response"]["id"].clone();
    let interrupt =
        json!({"type": "response.interrupt", "response_id": id, "mode": "discard_partial_items"});
    client.send(&interrupt);
    for kind in [
        "response.interrupt.accepted",
        "response.output_item.interrupted",
    ] {
        assert_eq!(client.next().expect("an event")["type"], kind);
    }
    let end = client.next().expect("an event");
    assert_eq!(
        end["response"]["incomplete_details"]["reason"],
        "interrupted"
    );
    pretend.change(|script| script.pace = Duration::ZERO);
    let mut next = create(codex(&[]));
    next["previous_response_id"] = id;
    next["input"] = json!([user("go on")]);
    assert_eq!(text(&client.ask(&next)), "answered by one@example.com");
    client.send(&interrupt);
    assert_eq!(
        client.next().expect("an event")["type"],
        "response.interrupt.failed"
    );
}

#[test]
fn an_upgrade_that_is_not_complete_is_refused() {
    let pretend = accounts(1);
    let without = |name: &str, value: Option<&str>| {
        let mut request = upgrade(&pretend, 0);
        match value {
            Some(value) => request.headers_mut().insert(
                http::HeaderName::try_from(name).expect("a name"),
                value.parse().expect("a value"),
            ),
            None => request.headers_mut().remove(name),
        };
        let answer = ureq::get(format!("{}/codex/responses", pretend.upstream()));
        let answer = request
            .headers()
            .iter()
            .fold(answer, |answer, (name, value)| answer.header(name, value));
        answer
            .config()
            .http_status_as_error(false)
            .build()
            .call()
            .expect("an answer")
            .status()
            .as_u16()
    };
    assert_eq!(without("sec-websocket-version", Some("8")), 426);
    assert_eq!(without("sec-websocket-key", None), 426);
    assert_eq!(without("authorization", None), 401);
    assert_eq!(without("chatgpt-account-id", Some("account-two")), 403);
    pretend.change(|script| script.socket.offered = false);
    assert_eq!(open(&pretend, upgrade(&pretend, 0)).err(), Some(426));
}

#[test]
fn the_real_codex_stays_on_it_with_increments() {
    let mut home = Home::with_clients();
    let pretend = home.with_servers(Script::with_accounts(1));
    let provider = format!(
        "model_providers.p={{name=\"OpenAI\",base_url=\"{}/codex\",wire_api=\"responses\",env_key=\"TOKEN\",\
         supports_websockets=true,http_headers={{chatgpt-account-id=\"account-one\"}}}}",
        pretend.upstream()
    );
    let token = home.store()["accounts"][0]["accessToken"]
        .as_str()
        .expect("a token")
        .to_owned();
    let mut command = home.command("codex");
    command
        .env("TOKEN", token)
        .args(["exec", "--skip-git-repo-check", "-m", "gpt-5.5", "--json"])
        .args([
            "-c",
            "model_provider=p",
            "-c",
            &provider,
            "[run echo hi] [invent]",
        ]);
    let shown = home.run(command.write_stdin(""));
    assert!(
        shown
            .stdout
            .contains("answered by one@example.com. The word is"),
        "{shown}"
    );
    assert!(!shown.stdout.contains(r#""type":"error""#), "{shown}");
    let seen = pretend.seen();
    let frames: Vec<Value> = seen
        .iter()
        .filter(|seen| seen.asks_the_model())
        .map(|seen| serde_json::from_slice(&seen.body).expect("a frame"))
        .collect();
    let goes_on: Vec<bool> = frames
        .iter()
        .map(|frame| frame["previous_response_id"].is_string())
        .collect();
    assert_eq!(
        goes_on,
        [false, true, true],
        "a prewarm and what comes on top of it"
    );
    assert!(
        !seen
            .iter()
            .any(|seen| seen.is("POST", "/backend-api/codex/responses"))
    );
}
