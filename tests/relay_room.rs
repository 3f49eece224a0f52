//! What one client can take from the others: connections, room for bodies, the workers; and what an
//! upstream can make the relay say.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use codex_accounts::rehearse::{Answer, Script, Standing};
use http::StatusCode;
use serde_json::Value;

use super::support::Home;
use super::support::relay::{HOUR, Setting, at_once};
use super::support::request::QUESTION;
use super::support::stage::LONG;
use super::support::wire::{Then, Turn, Wire};

fn address(setting: &Setting) -> &str {
    let url = setting.ready("url").trim_start_matches("http://");
    url.trim_end_matches("/codex")
}

#[test]
fn who_does_not_show_the_key_takes_no_room_from_who_does() {
    let setting = Setting::new(Script::with_accounts(1), &[]);
    let silent: Vec<TcpStream> = (0..300)
        .map(|_| TcpStream::connect(address(&setting)).expect("a connection"))
        .collect();
    let got = setting.ask();
    assert_eq!(got.status, StatusCode::OK);
    // The first of them had to go.
    let mut first = &silent[0];
    first.set_read_timeout(Some(LONG)).expect("a timeout");
    assert_eq!(first.read(&mut [0; 1]).expect("its end"), 0);
    // The others have to go when they stay silent, whatever they say slowly.
    let began = Instant::now();
    let mut last = &silent[299];
    last.set_read_timeout(Some(LONG)).expect("a timeout");
    last.write_all(b"GET /codex/models HTTP/1.1\r\nHo")
        .expect("half a head");
    assert_eq!(last.read(&mut [0; 1]).unwrap_or(0), 0);
    assert!(
        began.elapsed() < Duration::from_secs(8),
        "{:?}",
        began.elapsed()
    );
}

#[test]
fn more_streams_than_the_inherited_limit_of_descriptors_are_served() {
    let mut script = Script::with_accounts(1);
    script.delays.insert(
        "/backend-api/codex/responses".into(),
        Duration::from_secs(3),
    );
    let mut home = Home::new();
    let pretend = home.with_servers(script);
    // As many as a shell that was started so would pass on.
    home.install(
        "few",
        "#!/bin/sh\nulimit -S -n 64\nexec codex-proxy \"$@\"\n",
    );
    let relay = home.serve("few", &[]);
    let setting = Setting {
        home,
        pretend,
        relay,
    };
    for got in at_once(100, || setting.ask()) {
        assert_eq!(got.status, StatusCode::OK, "{}", got.body);
    }
}

#[test]
#[cfg(unix)]
fn a_program_is_started_with_the_limit_that_was_inherited() {
    let mut home = Home::new();
    let _pretend = home.with_servers(Script::with_accounts(1));
    let shown = home.sh("ulimit -S -n 77; codex-launch sh -c 'ulimit -S -n'");
    assert_eq!(shown.stdout.trim(), "77", "{shown}");
}

#[test]
fn bodies_that_unfold_to_much_keep_nobody_waiting() {
    let setting = Setting::new(Script::with_accounts(1), &[]);
    let text = format!(r#"{{"model":"m","input":"{}"}}"#, " ".repeat(60 << 20));
    let small = zstd::encode_all(text.as_bytes(), 0).expect("a small body");
    let began = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let encoded = [
                    ("content-encoding", "zstd"),
                    ("accept", "text/event-stream"),
                ];
                let request = setting.request("/responses", &encoded);
                let _ = request.send(&small[..]);
            });
        }
        std::thread::sleep(Duration::from_millis(50));
        assert_eq!(setting.ask().status, StatusCode::OK);
    });
    assert!(began.elapsed() < LONG);
}

#[test]
fn a_protocol_that_nobody_asked_for_is_not_passed_on() {
    let switch =
        "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nhello";
    let wire = Wire::new((0..3).map(|_| Turn::new(switch, Then::Stay)));
    let mut home = Home::new();
    let pretend = home.with_servers(Script::with_accounts(1));
    home.set("CODEX_ACCOUNTS_UPSTREAM", &wire.url);
    let setting = Setting::of(home, pretend, &[]);
    assert_eq!(setting.ask().status, StatusCode::BAD_GATEWAY);
}

#[test]
fn a_token_that_a_refusal_repeats_is_not_passed_on() {
    let mut home = Home::new();
    let pretend = home.with_servers(Script::with_accounts(1));
    let token = home.store()["accounts"][0]["accessToken"].clone();
    let token = token.as_str().expect("a token");
    let echo = format!(r#"{{"error":{{"message":"Bad token: {token}"}}}}"#);
    pretend.change(|script| {
        let kind = [("content-type", "application/json")];
        script.accounts[0].standing = Standing::Always(Answer::raw(400, &kind, echo));
    });
    let token = token.to_owned();
    let setting = Setting::of(home, pretend, &[]);
    let got = setting.ask();
    assert_eq!(got.status, StatusCode::BAD_REQUEST);
    assert!(!got.body.contains(&token), "{}", got.body);
    assert!(got.body.contains("withheld"), "{}", got.body);
}

#[test]
fn what_is_left_is_told_as_the_session_s_account() {
    let setting = Setting::new(Script::with_accounts(2), &[]);
    let root = setting.ready("url").replace("/codex", "");
    for path in ["/wham/usage", "/api/codex/usage", "/codex/api/codex/usage"] {
        let shown = setting.home.sh(&format!(
            "curl -sS -H 'Authorization: Bearer {}' {root}{path}",
            setting.ready("key")
        ));
        let usage: Value = serde_json::from_str(&shown.stdout).expect("JSON");
        assert_eq!(usage["email"], "one@example.com", "{path}: {shown}");
        assert!(usage["rate_limit"]["primary_window"].is_object(), "{usage}");
    }
}

#[test]
fn a_client_that_waits_is_woken_within_five_minutes() {
    let mut script = Script::with_accounts(1);
    script.accounts[0].limit(48 * HOUR, codex_accounts::rehearse::Style::UsageLimit);
    let setting = Setting::new(script, &[]);
    let got = setting.send("/responses", &[], QUESTION);
    assert_eq!(got.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(got.headers["retry-after"], "300");
    let said: Value = serde_json::from_str(&got.body).expect("JSON");
    let message = said["error"]["message"].as_str().expect("a message");
    assert!(message.chars().count() <= 60, "{message}");
    assert!(
        message.contains("'one@example.com' is back first"),
        "{message}"
    );
    let seconds = said["error"]["resets_in_seconds"].as_u64();
    assert!(seconds > Some(47 * 3600), "{said}");
}
