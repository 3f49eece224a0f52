//! The pretend issuer and backend keep to PROTOCOL.md: what the rest of the suite relies on.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that panics has failed"
)]

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use codex_accounts::rehearse::{
    Answer, Consent, DEAD_TOKEN_CODES, ErrorShape, Interval, Pretend, Script, Seen, Standing,
    Style, TokenAnswer, Tokens, UnknownStyle, Window, Windows,
};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use url::Url;

use super::support::request::QUESTION;

const CLIENT_ID: &str = "app_EMoamEEZ73f0CkXaXp7hrann";
const CALLBACK: &str = "http://localhost:1455/auth/callback";
/// The pair of RFC 7636, appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

const HOUR: Duration = Duration::from_secs(3600);
/// Longer than anything here takes. Waiting ends when the thing has happened.
const LONG: Duration = Duration::from_secs(10);

// --- A client that forgives nothing and follows nothing.

struct Got {
    status: u16,
    headers: ureq::http::HeaderMap,
    body: String,
}

impl Got {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    fn header(&self, name: &str) -> Option<&str> {
        Some(self.headers.get(name)?.to_str().unwrap())
    }

    /// The data of each server-sent event, whose name must be that of its type.
    fn events(&self) -> Vec<Value> {
        let block = |block: &str| {
            let (name, data) = block.split_once('\n').unwrap();
            let data: Value = serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
            assert_eq!(name.strip_prefix("event: "), data["type"].as_str());
            data
        };
        self.body.split_terminator("\n\n").map(block).collect()
    }

    fn kinds(&self) -> Vec<String> {
        let kind = |event: &Value| event["type"].as_str().unwrap().to_owned();
        self.events().iter().map(kind).collect()
    }
}

fn agent() -> ureq::Agent {
    ureq::Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .timeout_global(Some(LONG))
        .build()
        .into()
}

fn got(response: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> Got {
    let (head, mut body) = response.unwrap().into_parts();
    Got {
        status: head.status.as_u16(),
        headers: head.headers,
        body: body.read_to_string().unwrap(),
    }
}

fn get(url: &str) -> Got {
    got(agent().get(url).call())
}

fn post_form(url: &str, fields: &[(&str, &str)]) -> Got {
    got(agent().post(url).send_form(fields.iter().copied()))
}

fn post_json(url: &str, body: &Value) -> Got {
    let request = agent().post(url).header("content-type", "application/json");
    got(request.send(body.to_string()))
}

fn token_url(pretend: &Pretend) -> String {
    format!("{}/oauth/token", pretend.issuer())
}

fn authorize_url(pretend: &Pretend, change: &[(&str, &str)]) -> String {
    let mut query: HashMap<&str, &str> = HashMap::from([
        ("response_type", "code"),
        ("client_id", CLIENT_ID),
        ("redirect_uri", CALLBACK),
        ("scope", "openid profile email offline_access"),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
        ("state", "the state"),
    ]);
    query.extend(change.iter().copied());
    let url = format!("{}/oauth/authorize", pretend.issuer());
    Url::parse_with_params(&url, query).unwrap().into()
}

/// Goes through the browser: the parameters that the callback gets.
fn callback(pretend: &Pretend, change: &[(&str, &str)]) -> HashMap<String, String> {
    let got = get(&authorize_url(pretend, change));
    assert_eq!(got.status, 302, "{}", got.body);
    let location = Url::parse(got.header("location").unwrap()).unwrap();
    assert!(location.as_str().starts_with(CALLBACK));
    location.query_pairs().into_owned().collect()
}

fn exchange(pretend: &Pretend, code: &str, redirect_uri: &str, verifier: &str) -> Got {
    post_form(
        &token_url(pretend),
        &[
            ("grant_type", "authorization_code"),
            ("client_id", CLIENT_ID),
            ("code", code),
            ("redirect_uri", redirect_uri),
            ("code_verifier", verifier),
        ],
    )
}

fn refresh(pretend: &Pretend, token: &str) -> Got {
    post_form(
        &token_url(pretend),
        &[
            ("grant_type", "refresh_token"),
            ("refresh_token", token),
            ("client_id", CLIENT_ID),
        ],
    )
}

fn text(value: &Value, key: &str) -> String {
    value[key].as_str().unwrap().to_owned()
}

fn claims(jwt: &str) -> Value {
    let payload = jwt.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}

/// Calls the model as account one.
fn call(pretend: &Pretend, tokens: &Tokens) -> Got {
    call_as(pretend, &tokens.access_token, "account-one")
}

fn call_as(pretend: &Pretend, access_token: &str, account_id: &str) -> Got {
    let url = format!("{}/codex/responses", pretend.upstream());
    let request = agent()
        .post(&url)
        .header("authorization", format!("Bearer {access_token}"))
        .header("chatgpt-account-id", account_id)
        .header("content-type", "application/json");
    got(request.send(QUESTION))
}

fn usage(pretend: &Pretend, tokens: &Tokens) -> Got {
    let request = agent()
        .get(format!("{}/wham/usage", pretend.upstream()))
        .header("authorization", format!("Bearer {}", tokens.access_token))
        .header("chatgpt-account-id", "account-one");
    got(request.call())
}

/// One account, logged in.
fn one() -> (Pretend, Tokens) {
    let pretend = Pretend::start(Script::with_accounts(1)).unwrap();
    let tokens = pretend.issue(0).unwrap();
    (pretend, tokens)
}

/// One account that answers its next call in this style.
fn styled(style: Style, resets_in: Duration) -> (Pretend, Tokens) {
    let (pretend, tokens) = one();
    pretend.change(|script| {
        script.accounts[0]
            .next
            .push_back(Answer::limit(style, resets_in));
    });
    (pretend, tokens)
}

/// A connection on which a model call has been sent.
fn raw_call(pretend: &Pretend, tokens: &Tokens) -> BufReader<TcpStream> {
    let mut stream = connect(pretend);
    write!(
        stream,
        "POST /backend-api/codex/responses HTTP/1.1\r\nhost: pretend\r\nauthorization: Bearer {}\r\n\
         chatgpt-account-id: account-one\r\ncontent-length: {}\r\n\r\n{QUESTION}",
        tokens.access_token,
        QUESTION.len()
    )
    .unwrap();
    BufReader::new(stream)
}

fn connect(pretend: &Pretend) -> TcpStream {
    let stream = TcpStream::connect(address(pretend)).unwrap();
    stream.set_read_timeout(Some(LONG)).unwrap();
    stream
}

fn address(pretend: &Pretend) -> String {
    pretend.issuer().replace("http://", "")
}

fn read_until(stream: &mut BufReader<TcpStream>, end: &str) -> String {
    let mut text = String::new();
    while !text.ends_with(end) {
        assert_ne!(
            stream.read_line(&mut text).unwrap(),
            0,
            "ended early: {text}"
        );
    }
    text
}

/// All that comes until the connection ends, cleanly or not.
fn read_to_end(mut stream: impl std::io::Read) -> Vec<u8> {
    let mut bytes = Vec::new();
    match stream.read_to_end(&mut bytes) {
        Ok(_) => {}
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
    }
    bytes
}

fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs()
}

/// Whether this is the time an hour after a test's call, give or take the second it took.
fn in_an_hour(seconds: u64) -> bool {
    (now() + 3590..=now() + 3601).contains(&seconds)
}

// --- Issuer

#[test]
fn authorize_takes_nothing_that_is_not_as_the_clients_send_it() {
    let pretend = Pretend::start(Script::with_accounts(1)).unwrap();
    for (name, value) in [
        ("client_id", "another"),
        ("response_type", "token"),
        ("redirect_uri", "http://example.com:1455/auth/callback"),
        ("redirect_uri", "https://localhost:1455/auth/callback"),
        ("redirect_uri", "http://localhost:1455/callback"),
        ("redirect_uri", "http://localhost:1456/auth/callback"),
        ("redirect_uri", "nonsense"),
        ("code_challenge", "short"),
        ("code_challenge_method", "plain"),
        ("scope", "openid"),
        ("state", ""),
    ] {
        let got = get(&authorize_url(&pretend, &[(name, value)]));
        assert_eq!(got.status, 400, "{name}={value}");
        assert_eq!(got.json()["error"], "invalid_request");
    }
    let fallback = [("redirect_uri", "http://127.0.0.1:1457/auth/callback")];
    assert_eq!(get(&authorize_url(&pretend, &fallback)).status, 302);

    pretend.change(|script| script.any_port = true);
    let any = [("redirect_uri", "http://[::1]:40123/auth/callback")];
    assert_eq!(get(&authorize_url(&pretend, &any)).status, 302);
}

#[test]
fn the_browser_answers_as_the_same_account_until_asked_to_log_in() {
    let pretend = Pretend::start(Script::with_accounts(2)).unwrap();
    let login = |change: &[(&str, &str)]| {
        let code = &callback(&pretend, change)["code"];
        let reply = exchange(&pretend, code, CALLBACK, VERIFIER).json();
        text(&claims(&text(&reply, "id_token")), "email")
    };
    let again = [("prompt", "login")];
    assert_eq!(login(&[]), "one@example.com");
    assert_eq!(login(&[]), "one@example.com");
    assert_eq!(login(&again), "two@example.com");
    assert_eq!(login(&[]), "two@example.com");
    assert_eq!(login(&again), "one@example.com");
}

#[test]
fn a_login_can_be_denied_or_come_back_wrong() {
    let pretend = Pretend::start(Script::with_accounts(2)).unwrap();
    pretend.change(|script| {
        script.consents = [Consent::deny(), Consent::WrongState, Consent::NoCode].into();
    });
    let denied = callback(&pretend, &[]);
    assert_eq!(denied["error"], "access_denied");
    assert_eq!(denied["error_description"], "The pretend person said no");
    assert_eq!(denied["state"], "the state");
    assert_ne!(callback(&pretend, &[])["state"], "the state");
    assert!(!callback(&pretend, &[]).contains_key("code"));
    // None of them was a login: the first account is still to come.
    assert_eq!(pretend.change(|script| script.browser), None);
    assert!(callback(&pretend, &[]).contains_key("code"));
    assert_eq!(pretend.change(|script| script.browser), Some(0));
}

#[test]
fn a_code_is_good_once_with_its_own_redirect_and_verifier() {
    let pretend = Pretend::start(Script::with_accounts(1)).unwrap();
    let code = || callback(&pretend, &[])["code"].clone();
    let refused = |got: Got| {
        assert_eq!(got.status, 400);
        assert_eq!(got.json()["error"], "invalid_grant");
    };
    let good = code();
    assert_eq!(exchange(&pretend, &good, CALLBACK, VERIFIER).status, 200);
    refused(exchange(&pretend, &good, CALLBACK, VERIFIER));
    refused(exchange(
        &pretend,
        &code(),
        &CALLBACK.replace("localhost", "127.0.0.1"),
        VERIFIER,
    ));
    refused(exchange(
        &pretend,
        &code(),
        CALLBACK,
        &VERIFIER.replace('d', "e"),
    ));
    refused(exchange(&pretend, &code(), CALLBACK, "short"));
    refused(exchange(&pretend, "no code", CALLBACK, VERIFIER));
    // A wrong attempt uses the code up.
    let spoilt = code();
    refused(exchange(&pretend, &spoilt, CALLBACK, "wrong"));
    refused(exchange(&pretend, &spoilt, CALLBACK, VERIFIER));
}

#[test]
fn tokens_hold_the_claims_of_the_account() {
    let pretend = Pretend::start(Script::with_accounts(1)).unwrap();
    pretend.change(|script| script.accounts[0].residency = Some("eu".into()));
    let code = &callback(&pretend, &[])["code"];
    let reply = exchange(&pretend, code, CALLBACK, VERIFIER).json();
    assert_eq!(reply["expires_in"], 3600);
    assert!(text(&reply, "refresh_token").contains("pretend"));
    let id = claims(&text(&reply, "id_token"));
    assert_eq!(id["email"], "one@example.com");
    let access = claims(&text(&reply, "access_token"));
    assert_eq!(
        access["https://api.openai.com/profile"]["email"],
        "one@example.com"
    );
    for claims in [id, access] {
        assert!(in_an_hour(claims["exp"].as_u64().unwrap()));
        let auth = &claims["https://api.openai.com/auth"];
        assert_eq!(auth["chatgpt_account_id"], "account-one");
        assert_eq!(auth["chatgpt_user_id"], "user-one");
        assert_eq!(auth["chatgpt_plan_type"], "plus");
        assert_eq!(auth["chatgpt_compute_residency"], "eu");
        assert!(auth["organizations"][0]["id"].is_string());
    }
}

#[test]
fn a_used_refresh_token_kills_the_whole_login() {
    let (pretend, first) = one();
    let other_login = pretend.issue(0).unwrap();
    let reply = refresh(&pretend, &first.refresh_token).json();
    let second = text(&reply, "refresh_token");
    assert_ne!(second, first.refresh_token);
    assert_eq!(call(&pretend, &first).status, 200);

    // The second form: JSON, as Codex sends it.
    let body = json!({
        "client_id": CLIENT_ID, "grant_type": "refresh_token",
        "refresh_reason": "proactive_expiry", "refresh_token": first.refresh_token,
    });
    let reused = post_json(&token_url(&pretend), &body);
    assert_eq!(reused.status, 401);
    assert_eq!(reused.json()["error"]["code"], "refresh_token_reused");

    let dead = refresh(&pretend, &second);
    assert_eq!(dead.status, 401);
    assert_eq!(dead.json()["error"]["code"], "refresh_token_invalidated");
    for access_token in [first.access_token, text(&reply, "access_token")] {
        let got = call_as(&pretend, &access_token, "account-one");
        assert_eq!(
            (got.status, &got.json()["error"]["code"]),
            (401, &json!("token_invalidated"))
        );
    }
    // Another login of the same account is another family.
    assert_eq!(pretend.current(0), Some(other_login.clone()));
    assert_eq!(call(&pretend, &other_login).status, 200);
    assert_eq!(refresh(&pretend, &other_login.refresh_token).status, 200);
}

#[test]
fn revoke_and_kill_end_a_login() {
    let (pretend, tokens) = one();
    let url = format!("{}/oauth/revoke", pretend.issuer());
    let revoke = |token: &str| {
        let body =
            json!({"token": token, "token_type_hint": "refresh_token", "client_id": CLIENT_ID});
        assert_eq!(post_json(&url, &body).status, 200);
    };
    revoke("never issued");
    assert_eq!(call(&pretend, &tokens).status, 200);
    revoke(&tokens.refresh_token);
    assert_eq!(call(&pretend, &tokens).status, 401);
    let got = refresh(&pretend, &tokens.refresh_token);
    assert_eq!(
        (got.status, &got.json()["error"]["code"]),
        (401, &json!("refresh_token_revoked"))
    );

    let tokens = pretend.issue(0).unwrap();
    pretend.kill(0);
    assert_eq!(pretend.current(0), None);
    assert_eq!(call(&pretend, &tokens).status, 401);
}

#[test]
fn a_token_reply_can_leave_things_out() {
    let (pretend, tokens) = one();
    pretend.change(|script| {
        script.token_reply.refresh_token = false;
        script.token_reply.id_token = false;
        script.token_reply.expires_in = false;
    });
    // Nothing took the old token's place, so it stays good.
    for _ in 0..2 {
        let got = refresh(&pretend, &tokens.refresh_token);
        assert_eq!(got.status, 200);
        let reply = got.json();
        let mut keys: Vec<&String> = reply.as_object().unwrap().keys().collect();
        keys.sort();
        assert_eq!(keys, ["access_token", "token_type"]);
    }
    assert_eq!(
        pretend.current(0).unwrap().refresh_token,
        tokens.refresh_token
    );
}

#[test]
fn the_token_endpoint_fails_as_scripted() {
    let (pretend, tokens) = one();
    for code in DEAD_TOKEN_CODES {
        for (shape, path) in [
            (ErrorShape::Text, "/error"),
            (ErrorShape::Object, "/error/code"),
            (ErrorShape::TopLevel, "/code"),
        ] {
            let answer = TokenAnswer::Refuse(Answer::token_error(400, code, shape));
            pretend.change(|script| script.token_answers.push_back(answer));
            let got = refresh(&pretend, &tokens.refresh_token);
            assert_eq!(
                (got.status, got.json().pointer(path).unwrap()),
                (400, &json!(code))
            );
        }
    }
    for (style, status) in [
        (Style::NoHint, 429),
        (Style::Error500, 500),
        (Style::Error502, 502),
    ] {
        pretend
            .change(|script| script.accounts[0].refresh = Some(TokenAnswer::Refuse(style.into())));
        assert_eq!(refresh(&pretend, &tokens.refresh_token).status, status);
    }
    // None of these used the token up.
    assert_eq!(pretend.current(0), Some(tokens));
}

#[test]
fn a_reply_that_is_lost_has_used_the_token_up() {
    let (pretend, tokens) = one();
    let lost = TokenAnswer::Grant(Style::CloseMidBody.into());
    pretend.change(|script| script.token_answers.push_back(lost));
    let response = agent()
        .post(token_url(&pretend))
        .send_form([
            ("grant_type", "refresh_token"),
            ("refresh_token", &tokens.refresh_token),
            ("client_id", CLIENT_ID),
        ])
        .unwrap();
    assert_eq!(response.status(), 200);
    assert!(response.into_body().read_to_string().is_err());
    assert_ne!(pretend.current(0), Some(tokens.clone()));
    assert_eq!(refresh(&pretend, &tokens.refresh_token).status, 401);
}

#[test]
fn a_delayed_request_is_carried_out_at_once_and_answered_late() {
    let (pretend, tokens) = one();
    pretend.change(|script| script.delays.insert("/oauth/token".into(), HOUR));
    let mut stream = connect(&pretend);
    let form = format!(
        "grant_type=refresh_token&refresh_token={}&client_id={CLIENT_ID}",
        tokens.refresh_token
    );
    write!(
        stream,
        "POST /oauth/token HTTP/1.1\r\nhost: pretend\r\ncontent-length: {}\r\n\
         content-type: application/x-www-form-urlencoded\r\n\r\n{form}",
        form.len()
    )
    .unwrap();
    assert!(pretend.wait_for(LONG, |seen| {
        seen.iter().any(|seen| seen.is("POST", "/oauth/token"))
    }));
    assert_ne!(pretend.current(0), Some(tokens));
    assert_eq!(pretend.seen()[0].status, None);
}

#[test]
fn a_device_is_let_in_after_the_polls_that_come_too_early() {
    let pretend = Pretend::start(Script::with_accounts(1)).unwrap();
    pretend.change(|script| {
        script.device.pending = 2;
        script.device.pending_status = 404;
    });
    let url = |name: &str| format!("{}/api/accounts/deviceauth/{name}", pretend.issuer());
    let start = || post_json(&url("usercode"), &json!({"client_id": CLIENT_ID}));
    let poll = |start: &Value, code: &str| {
        let body = json!({"device_auth_id": start["device_auth_id"], "user_code": start[code]});
        post_json(&url("token"), &body)
    };

    let login = start().json();
    assert_eq!(login["interval"], "1");
    assert_eq!(poll(&login, "user_code").status, 404);
    assert_eq!(poll(&login, "user_code").status, 404);
    let code = poll(&login, "user_code").json();
    let (code, verifier) = (
        text(&code, "authorization_code"),
        text(&code, "code_verifier"),
    );
    let redirect_uri = format!("{}/deviceauth/callback", pretend.issuer());
    assert_eq!(
        exchange(&pretend, &code, &redirect_uri, &verifier).status,
        200
    );

    pretend.change(|script| {
        script.device.pending = 0;
        script.device.expires = true;
        script.device.interval = Interval::Number(7);
        script.device.short_name = true;
    });
    let late = start().json();
    assert_eq!(late["interval"], 7);
    assert_eq!(poll(&late, "usercode").status, 400);

    pretend.change(|script| script.device.offered = false);
    assert_eq!(start().status, 404);
}

// --- Backend

#[test]
fn the_backend_wants_a_good_token_and_its_account() {
    let (pretend, tokens) = one();
    let code = |got: Got| {
        assert_eq!(got.status, 401);
        got.json()["error"]["code"].clone()
    };
    assert_eq!(call(&pretend, &tokens).status, 200);
    assert_eq!(
        code(call_as(&pretend, "unknown", "account-one")),
        Value::Null
    );
    let other = call_as(&pretend, &tokens.access_token, "account-two");
    assert_eq!(other.status, 403);
    assert_eq!(other.json()["detail"]["code"], "invalid_workspace_selected");
    assert_eq!(
        other.header("x-openai-authorization-error"),
        Some("invalid_workspace_selected")
    );
    pretend.change(|script| script.access_lifetime = Duration::ZERO);
    let late = pretend.issue(0).unwrap();
    assert_eq!(code(call(&pretend, &late)), "token_expired");
    // The log knows whose it was all the same.
    let whose: Vec<_> = pretend.seen().iter().map(|seen| seen.account).collect();
    assert_eq!(whose, [Some(0), None, Some(0), Some(0)]);
}

#[test]
fn a_good_answer_is_a_whole_event_stream() {
    let (pretend, tokens) = one();
    let got = call(&pretend, &tokens);
    assert_eq!(got.status, 200);
    assert_eq!(
        got.header("content-type"),
        Some("text/event-stream; charset=utf-8")
    );
    assert_eq!(got.header("x-codex-primary-used-percent"), Some("12.5"));
    assert_eq!(
        got.header("x-codex-secondary-window-minutes"),
        Some("10080")
    );
    assert_eq!(
        got.kinds(),
        [
            "response.created",
            "response.in_progress",
            "response.output_item.added",
            "response.content_part.added",
            "response.output_text.delta",
            "response.output_text.delta",
            "response.output_text.delta",
            "response.output_text.done",
            "response.content_part.done",
            "response.output_item.done",
            "response.completed",
        ]
    );
    let events = got.events();
    for (number, event) in events.iter().enumerate() {
        assert_eq!(event["sequence_number"], number);
    }
    let said: String = events
        .iter()
        .filter_map(|event| event["delta"].as_str())
        .collect();
    assert_eq!(said, "answered by one@example.com");
    let response = &events.last().unwrap()["response"];
    assert_eq!(response["model"], "gpt-5.5");
    assert_eq!(response["output"][0]["content"][0]["text"], *said);
    let usage = &response["usage"];
    assert_eq!(usage["output_tokens"], 3);
    assert!(usage["input_tokens"].as_u64().unwrap() > 10, "{usage}");
}

#[test]
fn answers_come_from_the_queue_then_from_the_text_then_from_the_account() {
    let (pretend, tokens) = one();
    pretend.change(|script| {
        let account = &mut script.accounts[0];
        account.text = Some("the text".into());
        account.next.push_back(Answer::good("the first"));
        account
            .next
            .push_back(Answer::raw(418, &[("x-pot", "a"), ("x-pot", "b")], "tea"));
    });
    let first = call(&pretend, &tokens);
    assert!(first.body.contains("the first"));
    assert!(
        first
            .header("x-codex-turn-state")
            .unwrap()
            .contains("account-one")
    );
    let pot = call(&pretend, &tokens);
    assert_eq!((pot.status, pot.body.as_str()), (418, "tea"));
    assert_eq!(pot.headers.get_all("x-pot").iter().count(), 2);
    assert!(call(&pretend, &tokens).body.contains("the text"));

    pretend.change(|script| {
        script.accounts[0].standing = Standing::Always(Answer::raw(9999, &[], ""));
    });
    assert_eq!(call(&pretend, &tokens).status, 500);
}

#[test]
fn each_style_has_its_status_and_its_words() {
    for (style, status, words) in [
        (Style::UsageLimit, 429, r#""type":"usage_limit_reached""#),
        (Style::ResetsIn, 429, r#""resets_in_seconds":3600"#),
        (Style::WindowsOnly, 429, "usage_limit_reached"),
        (Style::WeeklyPrimary, 429, "usage_limit_reached"),
        (Style::RetryAfter, 429, "usage_limit_reached"),
        (Style::RetryAfterDate, 429, "usage_limit_reached"),
        (Style::RetryAfterMs, 429, "usage_limit_reached"),
        (Style::BodyRetryAfter, 429, r#""retry_after":3600"#),
        (Style::BodyRetryAfterMs, 429, r#""retry_after_ms":3600000"#),
        (Style::NoHint, 429, "usage_limit_reached"),
        (Style::Throttle, 429, "Please try again in 60m0s."),
        (Style::WorkspaceMember, 429, "usage_limit_reached"),
        (Style::ModelFamily, 429, "usage_limit_reached"),
        (Style::NotIncluded, 429, "usage_not_included"),
        (Style::NotIncluded403, 403, "usage_not_included"),
        (Style::InsufficientQuota, 429, "insufficient_quota"),
        (Style::Limit404, 404, "usage_limit_reached"),
        (Style::Overloaded, 503, "server_is_overloaded"),
        (Style::Error500, 500, "server_error"),
        (Style::Error502, 502, "<h1>502 Bad Gateway</h1>"),
        (Style::Error529, 529, "overloaded"),
        (Style::Expired, 401, "token_expired"),
        (Style::Invalidated, 401, "has been invalidated"),
        (
            Style::WorkspaceGone402,
            402,
            r#"{"detail":{"code":"deactivated_workspace"}}"#,
        ),
        (
            Style::WorkspaceGone403,
            403,
            r#"{"detail":{"code":"deactivated_workspace"}}"#,
        ),
        (
            Style::ModelUnsupported,
            400,
            "model is not supported when using Codex with a ChatGPT account",
        ),
        (Style::FailedFirst, 200, r#""code":"usage_limit_reached""#),
        (Style::FailedCreated, 200, r#""code":"usage_limit_reached""#),
        (Style::FailedOutput, 200, r#""code":"usage_limit_reached""#),
        (
            Style::FailedThrottle,
            200,
            r#""code":"rate_limit_exceeded""#,
        ),
        (Style::ErrorFirst, 200, r#""type":"usage_limit_reached""#),
        (Style::ErrorCreated, 200, r#""type":"usage_limit_reached""#),
        (Style::ErrorOutput, 200, r#""type":"usage_limit_reached""#),
        (Style::ThirtyDays, 429, "usage_limit_reached"),
        (Style::WindowsUnsized, 429, "usage_limit_reached"),
        (Style::ModelCooldown, 429, r#""reset_seconds":3600"#),
        (Style::WrongWorkspace, 403, "invalid_workspace_selected"),
        (Style::WorkspaceDenied, 403, "codex_workspace_access_denied"),
        (Style::Region, 401, "not authorized in this region"),
        (
            Style::ModelEvent,
            200,
            "model is not supported when using Codex",
        ),
        (Style::Lite, 400, r#""code":"unsupported_value""#),
        (Style::Challenge, 403, "Just a moment..."),
        (Style::Edge429, 429, "<html>"),
        (Style::TooLarge, 413, "<html>"),
        (Style::Country, 403, "unsupported_country_region_territory"),
        (Style::Cyber, 400, "cyber_policy"),
        (Style::CyberEvent, 200, "cyber_policy"),
        (Style::ContextLength, 400, "context_length_exceeded"),
        (Style::ContextLengthEvent, 200, "context_length_exceeded"),
        (Style::Capacity, 503, "Selected model is at capacity"),
        (Style::CapacityEvent, 200, "Selected model is at capacity"),
        (Style::OverloadedEvent, 200, "server_is_overloaded"),
        (Style::OverloadedFailed, 200, "server_is_overloaded"),
        (Style::FailedAtOnce, 200, r#""code":"usage_limit_reached""#),
        (
            Style::IncompleteCreated,
            200,
            r#""reason":"usage_limit_reached""#,
        ),
        (
            Style::IncompleteOutput,
            200,
            r#""reason":"usage_limit_reached""#,
        ),
        (
            Style::IncompleteTokens,
            200,
            r#""reason":"max_output_tokens""#,
        ),
        (Style::LastOne, 200, r#""limit_reached":true"#),
        (Style::InPieces, 200, "response.completed"),
        (Style::EmptyStream, 200, ""),
        (Style::CommentsOnly, 200, ": keep-alive"),
        (Style::NoOutput, 200, "response.created"),
        (Style::NoTerminal, 200, "response.output_text.delta"),
        (Style::ShortFailed, 200, r#""code":"usage_limit_reached""#),
    ] {
        let (pretend, tokens) = styled(style, HOUR);
        let got = call(&pretend, &tokens);
        assert_eq!(got.status, status, "{style}");
        assert!(got.body.contains(words), "{style}: {}", got.body);
        assert_eq!(
            got.header("retry-after").is_some(),
            matches!(style, Style::RetryAfter | Style::RetryAfterDate),
            "{style}"
        );
        assert_eq!(
            call(&pretend, &tokens).status,
            200,
            "{style} was for one call"
        );
    }
}

#[test]
fn the_captured_limit_has_everything_but_a_retry_after() {
    let (pretend, tokens) = styled(Style::UsageLimit, HOUR);
    let got = call(&pretend, &tokens);
    for (name, value) in [
        ("x-codex-active-limit", "premium"),
        ("x-codex-plan-type", "plus"),
        ("x-codex-primary-used-percent", "100"),
        ("x-codex-primary-window-minutes", "300"),
        ("x-codex-primary-reset-after-seconds", "3600"),
        ("x-codex-secondary-used-percent", "31"),
        ("x-codex-secondary-window-minutes", "10080"),
        ("x-codex-credits-has-credits", "False"),
        ("x-codex-credits-unlimited", "False"),
        ("x-codex-credits-balance", "0"),
        ("content-type", "application/json"),
    ] {
        assert_eq!(got.header(name), Some(value), "{name}");
    }
    let error = &got.json()["error"];
    let resets_at = error["resets_at"].as_u64().unwrap();
    assert!(in_an_hour(resets_at));
    assert_eq!(
        got.header("x-codex-primary-reset-at"),
        Some(resets_at.to_string().as_str())
    );
    assert_eq!(error["resets_in_seconds"], 3600);
    assert_eq!(error["plan_type"], "plus");
}

#[test]
fn a_limit_beyond_five_hours_is_the_weekly_windows() {
    let (pretend, tokens) = styled(Style::WindowsOnly, 72 * HOUR);
    let got = call(&pretend, &tokens);
    assert_eq!(got.header("x-codex-primary-used-percent"), Some("12.5"));
    assert_eq!(got.header("x-codex-secondary-used-percent"), Some("100"));
    assert_eq!(
        got.header("x-codex-secondary-reset-after-seconds"),
        Some("259200")
    );
}

#[test]
fn weekly_turns_up_as_primary() {
    let (pretend, tokens) = styled(Style::WeeklyPrimary, HOUR);
    let got = call(&pretend, &tokens);
    assert_eq!(got.header("x-codex-primary-window-minutes"), Some("10080"));
    assert_eq!(got.header("x-codex-primary-used-percent"), Some("100"));
    assert_eq!(got.header("x-codex-secondary-window-minutes"), Some("0"));
    assert_eq!(got.header("x-codex-secondary-reset-at"), Some(""));
}

#[test]
fn retry_after_comes_in_three_forms() {
    let header = |style, name: &str| {
        let (pretend, tokens) = styled(style, Duration::from_millis(1_898));
        call(&pretend, &tokens).header(name).unwrap().to_owned()
    };
    assert_eq!(header(Style::RetryAfter, "retry-after"), "2");
    assert_eq!(header(Style::RetryAfterMs, "retry-after-ms"), "1898");
    let date = httpdate::parse_http_date(&header(Style::RetryAfterDate, "retry-after")).unwrap();
    assert!(date.duration_since(UNIX_EPOCH).unwrap().as_secs() > now());
}

#[test]
fn a_throttle_leaves_the_windows_alone() {
    let (pretend, tokens) = styled(Style::Throttle, Duration::from_millis(1_898));
    let got = call(&pretend, &tokens);
    assert_eq!(got.header("x-codex-primary-used-percent"), Some("12.5"));
    let message = text(&got.json()["error"], "message");
    assert!(
        message.ends_with("Please try again in 1.898s."),
        "{message}"
    );
}

#[test]
fn a_model_family_has_windows_of_its_own() {
    let (pretend, tokens) = one();
    pretend.change(|script| {
        script.accounts[0].standing = Standing::LimitedUntil {
            until: SystemTime::now() + HOUR,
            style: Style::ModelFamily,
            model: Some("gpt-5.3-codex-spark".into()),
        };
    });
    // The calls here are for another model.
    assert_eq!(call(&pretend, &tokens).status, 200);
    let usage = usage(&pretend, &tokens).json();
    assert_eq!(usage["rate_limit"]["limit_reached"], false);
    let family = &usage["additional_rate_limits"][0];
    assert_eq!(family["metered_feature"], "codex_bengalfox");
    assert_eq!(family["rate_limit"]["limit_reached"], true);

    pretend.change(|script| script.accounts[0].limit(HOUR, Style::ModelFamily));
    let got = call(&pretend, &tokens);
    assert_eq!(got.header("x-codex-active-limit"), Some("codex_bengalfox"));
    assert_eq!(
        got.header("x-codex-bengalfox-limit-name"),
        Some("gpt-5.3-codex-spark")
    );
    assert_eq!(
        got.header("x-codex-bengalfox-primary-used-percent"),
        Some("100")
    );
    assert_eq!(got.header("x-codex-primary-used-percent"), Some("12.5"));
}

#[test]
fn a_stream_fails_where_its_style_says() {
    let created = ["response.created", "response.in_progress"];
    let output = [
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
    ];
    for (style, before, last) in [
        (Style::FailedFirst, &[][..], "response.failed"),
        (Style::FailedCreated, &[&created[..]][..], "response.failed"),
        (
            Style::FailedOutput,
            &[&created[..], &output[..]][..],
            "response.failed",
        ),
        (
            Style::FailedThrottle,
            &[&created[..]][..],
            "response.failed",
        ),
        (Style::ErrorFirst, &[][..], "error"),
        (Style::ErrorCreated, &[&created[..]][..], "error"),
        (
            Style::ErrorOutput,
            &[&created[..], &output[..]][..],
            "error",
        ),
    ] {
        let (pretend, tokens) = styled(style, HOUR);
        let got = call(&pretend, &tokens);
        let expected = [before.concat(), vec![last]].concat();
        assert_eq!(got.kinds(), expected, "{style}");
        let end = got.events().pop().unwrap();
        if last == "error" {
            assert_eq!(end["status"], 429);
            assert_eq!(end["headers"]["x-codex-primary-used-percent"], "100");
            assert!(in_an_hour(end["error"]["resets_at"].as_u64().unwrap()));
        } else {
            assert_eq!(end["response"]["status"], "failed");
        }
    }
}

#[test]
fn a_standing_limit_ends_by_itself() {
    let (pretend, tokens) = one();
    pretend.change(|script| script.accounts[0].limit(HOUR, Style::UsageLimit));
    for _ in 0..2 {
        assert_eq!(call(&pretend, &tokens).status, 429);
    }
    let window = usage(&pretend, &tokens).json()["rate_limit"].clone();
    assert_eq!(window["limit_reached"], true);
    assert_eq!(window["primary_window"]["used_percent"], 100.0);
    assert!(in_an_hour(
        window["primary_window"]["reset_at"].as_u64().unwrap()
    ));

    pretend.change(|script| {
        let Standing::LimitedUntil { until, .. } = &mut script.accounts[0].standing else {
            panic!("not limited");
        };
        *until = SystemTime::now();
    });
    assert_eq!(call(&pretend, &tokens).status, 200);
}

#[test]
fn usage_tells_the_windows() {
    let (pretend, tokens) = one();
    pretend.change(|script| {
        script.accounts[0].windows = Windows {
            primary: Some(Window::weekly(42.5, HOUR)),
            secondary: None,
        };
    });
    let usage = usage(&pretend, &tokens).json();
    assert_eq!(usage["plan_type"], "plus");
    assert_eq!(usage["email"], "one@example.com");
    let limit = &usage["rate_limit"];
    assert_eq!(limit["allowed"], true);
    assert_eq!(limit["primary_window"]["used_percent"], 42.5);
    assert_eq!(limit["primary_window"]["limit_window_seconds"], 604_800);
    assert_eq!(limit["secondary_window"], Value::Null);
}

#[test]
fn a_path_can_be_answered_otherwise() {
    let (pretend, tokens) = one();
    pretend.change(|script| {
        script.answers_at.insert(
            "/backend-api/wham/usage".into(),
            Answer::raw(403, &[], "no"),
        );
    });
    assert_eq!(usage(&pretend, &tokens).status, 403);
    assert_eq!(call(&pretend, &tokens).status, 200);
}

#[test]
fn the_other_endpoints_answer() {
    let (pretend, tokens) = one();
    let get = |path: &str| {
        let request = agent()
            .get(format!("{}{path}", pretend.upstream()))
            .header("authorization", format!("Bearer {}", tokens.access_token))
            .header("chatgpt-account-id", "account-one");
        got(request.call())
    };
    let models = get("/codex/models?client_version=0.169.0");
    assert!(models.header("x-models-etag").is_some());
    assert_eq!(models.json()["models"][0]["slug"], "gpt-6.1-sol");
    assert_eq!(get("/codex/usage").json()["plan_type"], "plus");
    let check = get("/wham/accounts/check").json();
    assert_eq!(check["accounts"][0]["account_id"], "account-one");
    assert_eq!(get("/nothing").status, 404);
    // Gone since August 2026.
    let request = agent()
        .post(format!("{}/codex/responses/compact", pretend.upstream()))
        .header("authorization", format!("Bearer {}", tokens.access_token))
        .header("chatgpt-account-id", "account-one");
    assert_eq!(got(request.send(QUESTION)).status, 404);
}

#[test]
fn a_backend_without_websocket_sends_back_to_http() {
    let mut script = Script::default();
    script.socket.offered = false;
    let pretend = Pretend::start(script).unwrap();
    let mut stream = connect(&pretend);
    write!(
        stream,
        "GET /backend-api/codex/responses HTTP/1.1\r\nhost: pretend\r\nconnection: upgrade\r\n\
         upgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: AA==\r\n\r\n"
    )
    .unwrap();
    let head = read_until(&mut BufReader::new(stream), "\r\n\r\n");
    assert!(head.starts_with("HTTP/1.1 426 "), "{head}");
}

// --- What goes wrong on the wire

#[test]
fn connections_end_as_scripted() {
    let sent = |style| {
        let (pretend, tokens) = styled(style, HOUR);
        let bytes = read_to_end(raw_call(&pretend, &tokens));
        assert_eq!(
            call(&pretend, &tokens).status,
            200,
            "{style} was for one call"
        );
        bytes
    };
    assert_eq!(sent(Style::CloseBeforeHead), b"");
    assert!(!sent(Style::Garbage).starts_with(b"HTTP"));
    let cut = String::from_utf8(sent(Style::CloseMidBody)).unwrap();
    assert!(cut.contains("response.output_text.delta"));
    assert!(!cut.contains("response.completed"));
    assert!(
        !cut.ends_with("0\r\n\r\n"),
        "the end of a chunked body was sent"
    );
}

#[test]
fn a_stalled_stream_stays_open() {
    let (pretend, tokens) = styled(Style::Stall, HOUR);
    let mut stream = raw_call(&pretend, &tokens);
    read_until(&mut stream, "\r\n\r\n");
    assert!(pretend.wait_for(LONG, |seen| {
        seen.iter().any(|seen| seen.status == Some(200))
    }));
    stream
        .get_ref()
        .set_read_timeout(Some(Duration::from_millis(50)))
        .unwrap();
    let error = stream.read_to_end(&mut Vec::new()).unwrap_err();
    assert!(matches!(
        error.kind(),
        ErrorKind::WouldBlock | ErrorKind::TimedOut
    ));
}

#[test]
fn a_head_that_never_comes_is_seen_without_a_status() {
    let (pretend, tokens) = styled(Style::NoHead, HOUR);
    let _stream = raw_call(&pretend, &tokens);
    assert!(pretend.wait_for(LONG, |seen| seen.len() == 1));
    let seen = &pretend.seen()[0];
    assert_eq!((seen.account, seen.status), (Some(0), None));
}

#[test]
fn the_first_event_does_not_wait_for_the_next() {
    let (pretend, tokens) = one();
    pretend.change(|script| script.pace = HOUR);
    let mut stream = raw_call(&pretend, &tokens);
    read_until(&mut stream, "\r\n\r\n");
    let first = read_until(&mut stream, "\n\n");
    assert!(first.contains("event: response.created"), "{first}");
}

#[test]
fn a_paced_stream_comes_to_its_end() {
    let (pretend, tokens) = one();
    pretend.change(|script| script.pace = Duration::from_millis(2));
    assert_eq!(
        call(&pretend, &tokens).kinds().last().unwrap(),
        "response.completed"
    );
}

#[test]
fn no_input_ends_the_server() {
    let (pretend, tokens) = one();
    for nonsense in [
        &b"\x00\xff\xfe nonsense\r\n\r\n"[..],
        b"GET http://[::1 HTTP/1.1\r\n\r\n",
        b"POST /oauth/token HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 3\r\n\r\n[1]",
        b"POST /oauth/token HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 3\r\n\r\n\xff{\"",
        b"POST /oauth/token HTTP/1.1\r\nhost: x\r\ncontent-length: 99\r\n\r\nbreaks off",
        b"GET /oauth/authorize?%ff=%00&redirect_uri=%0d%0a HTTP/1.1\r\nhost: x\r\n\r\n",
        b"POST /backend-api/codex/responses HTTP/1.1\r\nhost: x\r\nauthorization: Bearer\xff\r\ncontent-length: 0\r\n\r\n",
    ] {
        let mut stream = connect(&pretend);
        stream.write_all(nonsense).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        read_to_end(stream);
    }
    assert_eq!(call(&pretend, &tokens).status, 200);
}

// --- What the server tells of itself

#[test]
fn requests_are_seen_as_they_were_sent() {
    let (pretend, tokens) = one();
    // Noise, since it is to be long when it is packed.
    let mut state = 1_u64;
    let noise: String = (0..2 << 20)
        .map(|_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            char::from(b'!'.max((state >> 57) as u8)).to_ascii_lowercase()
        })
        .filter(|sign| sign.is_ascii_graphic() && !matches!(sign, '"' | '\\'))
        .collect();
    let body = zstd::encode_all(QUESTION.replace("Who are you?", &noise).as_bytes(), 0).unwrap();
    assert!(body.len() > 1 << 20, "{}", body.len());
    let request = agent()
        .post(format!("{}/codex/responses?a=b", pretend.upstream()))
        .header("authorization", format!("bearer {}", tokens.access_token))
        .header("chatgpt-account-id", "account-one")
        .header("content-encoding", "zstd");
    assert_eq!(got(request.send(&body[..])).status, 200);

    let seen: Seen = pretend.seen().remove(0);
    assert!(seen.is("POST", "/backend-api/codex/responses"));
    assert_eq!(seen.query, "a=b");
    assert_eq!(seen.header("Content-Encoding"), Some("zstd"));
    assert_eq!((seen.account, seen.status), (Some(0), Some(200)));
    assert_eq!(seen.body_length, body.len());
    assert_eq!(seen.body, body[..1 << 20]);
    assert!(seen.at / 1000 <= now() && seen.at / 1000 >= now() - 60);

    pretend.change(|script| script.remember = false);
    assert_eq!(call(&pretend, &tokens).status, 200);
    assert_eq!(pretend.seen().len(), 1);
}

#[test]
fn waiting_ends_with_the_request_or_with_the_time() {
    let (pretend, tokens) = one();
    assert!(!pretend.wait_for(Duration::from_millis(1), |seen| !seen.is_empty()));
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| pretend.wait_for(LONG, |seen| seen.len() == 2));
        call(&pretend, &tokens);
        call(&pretend, &tokens);
        assert!(waiting.join().unwrap());
    });
}

#[test]
fn a_test_that_panics_leaves_the_server_usable() {
    let (pretend, tokens) = one();
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        pretend.change(|_| panic!("on purpose"));
    }));
    assert!(panicked.is_err());
    assert_eq!(call(&pretend, &tokens).status, 200);
}

#[test]
fn dropping_ends_everything() {
    let (pretend, tokens) = styled(Style::NoHead, HOUR);
    let address = address(&pretend);
    let silent = raw_call(&pretend, &tokens);
    assert!(pretend.wait_for(LONG, |seen| seen.len() == 1));
    pretend.change(|script| script.pace = HOUR);
    let mut streaming = raw_call(&pretend, &tokens);
    read_until(&mut streaming, "\r\n\r\n");
    let idle = connect(&pretend);
    drop(pretend);
    assert_eq!(read_to_end(silent), b"");
    read_to_end(streaming);
    read_to_end(idle);
    assert_eq!(
        TcpStream::connect(address).unwrap_err().kind(),
        ErrorKind::ConnectionRefused
    );
}

#[test]
fn tokens_do_not_print_themselves() {
    let (pretend, tokens) = one();
    let printed = format!("{tokens:?} {pretend:?}");
    for secret in [
        &tokens.id_token,
        &tokens.access_token,
        &tokens.refresh_token,
    ] {
        assert!(secret.contains("pretend"));
        assert!(!printed.contains(secret.as_str()));
    }
}

#[test]
fn styles_have_names_and_descriptions() {
    for style in Style::ALL {
        assert_eq!(style.to_string().parse(), Ok(*style));
        assert!(
            !style.about().is_empty() && !style.about().starts_with(' '),
            "{style}"
        );
    }
    assert_eq!("nothing".parse::<Style>(), Err(UnknownStyle));
    let names = UnknownStyle.to_string();
    assert!(
        names.starts_with("unknown style; there are usage-limit, "),
        "{names}"
    );
    assert!(names.ends_with("garbage"));
}
