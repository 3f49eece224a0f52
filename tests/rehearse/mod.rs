//! The pretend issuer and backend keep to PROTOCOL.md: what the rest of the suite relies on.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that panics has failed"
)]

mod backend;
mod issuer;
mod limits;
mod seen;
mod socket;
mod strict;
mod wire;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use codex_accounts::rehearse::{
    Answer, BankedReset, Budget, Consent, Credits, DEAD_TOKEN_CODES, ErrorShape, Interval, Pretend,
    Script, Seen, Standing, Style, TokenAnswer, Tokens, UnknownStyle, Window, Windows,
};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use url::Url;

use crate::support::request::QUESTION;

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
