//! The relay when something is broken: the network, the backend, the issuer, the store. What the
//! client sees then, and that no account is blamed for it.

use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use codex_accounts::rehearse::{Answer, Script, Standing, Style};
use http::StatusCode;
use nix::sys::signal::{Signal, kill};
use serde_json::{Value, json};

use super::support::Home;
use super::support::pretend::now_millis;
use super::support::relay::{HOUR, Setting, at_once, first_answers, first_limited};
use super::support::request::QUESTION;
use super::support::stage::{LONG, wait_until};

/// A relay for one account whose backend is at this address.
fn relay_to(upstream: &str) -> Setting {
    let mut home = Home::new();
    let pretend = home.with_servers(Script::with_accounts(1));
    home.set("CODEX_ACCOUNTS_UPSTREAM", upstream);
    Setting::of(home, pretend, &[])
}

/// Nobody was marked for what was no account's fault.
fn assert_unmarked(setting: Setting) {
    let store = setting.store();
    for account in store["accounts"].as_array().expect("accounts") {
        assert_eq!(account.get("limits"), None, "{account}");
        assert_eq!(account.get("loginRequired"), None, "{account}");
        assert_ne!(account["enabled"], false, "{account}");
    }
}

#[test]
fn a_server_in_trouble_is_asked_twice_more_and_once_as_another_account() {
    for (style, status) in [
        (Style::Error500, 500),
        (Style::Error502, 502),
        (Style::Overloaded, 503),
        (Style::Error529, 529),
    ] {
        let asked = [Some(0), Some(0), Some(0), Some(1)];
        let setting = Setting::new(first_answers(style), &[]);
        assert!(setting.ask().body.contains("answered by two@"), "{style}");
        assert_eq!(setting.asked(), asked, "{style}");
        assert_unmarked(setting);

        let mut script = first_answers(style);
        script.accounts[1].standing = Standing::Always(style.into());
        let setting = Setting::new(script, &[]);
        assert_eq!(setting.ask().status.as_u16(), status);
        assert_eq!(setting.asked(), asked, "{style}");
        assert_unmarked(setting);
    }
}

#[test]
fn a_backend_that_speaks_no_tls_is_told_as_such() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream: TcpStream = stream.expect("a connection");
            // Something that is no TLS, whatever was asked.
            let _ = std::io::Write::write_all(&mut stream, b"HTTP/1.1 400 Bad Request\r\n\r\n");
            let _ = stream.read(&mut [0; 1024]);
        }
    });
    let setting = relay_to(&format!("https://{address}/backend-api"));
    let got = setting.ask();
    assert_eq!(got.status, StatusCode::BAD_GATEWAY);
    assert!(got.body.contains("upstream_unreachable"), "{}", got.body);
    assert_unmarked(setting);
}

#[test]
fn a_name_that_leads_nowhere_is_told_as_such() {
    // Reserved for this (RFC 6761 §6.4).
    let setting = relay_to("https://backend.invalid/backend-api");
    let got = setting.ask();
    assert_eq!(got.status, StatusCode::BAD_GATEWAY);
    assert!(got.body.contains("upstream_unreachable"), "{}", got.body);
    assert_unmarked(setting);
}

#[test]
fn a_stream_that_stalls_before_its_output_is_given_up() {
    let mut script = Script::with_accounts(1);
    let created = "event: response.created\ndata: {\"type\":\"response.created\"}\n\n";
    let kind = [("content-type", "text/event-stream")];
    script.pace = LONG;
    script.accounts[0].next.push_back(Answer::Raw {
        status: 200,
        headers: kind.map(|(name, value)| (name.into(), value.into())).into(),
        chunks: vec![created.into(), created.into()],
    });
    script.accounts[0].standing = Standing::Always(Answer::raw(200, &kind, "data: {}\n\n"));
    let setting = Setting::new(script, &["--head-timeout", "1s"]);
    assert!(setting.ask().body.starts_with("data: {}\n\n"));
    assert_eq!(setting.asked().len(), 2);
}

#[test]
fn a_dead_login_is_found_by_the_refresh_before_a_request() {
    let mut home = Home::new();
    let pretend = home.with_servers(Script::with_accounts(2));
    let mut store = home.store();
    store["accounts"][0]["expiresAt"] = 1.into();
    home.write_store(&store);
    pretend.kill(0);
    let setting = Setting::of(home, pretend, &[]);
    assert!(setting.ask().body.contains("two@"));
    assert_eq!(setting.asked(), [Some(1)], "nobody is asked in vain");
    let store = setting.store();
    assert!(store["accounts"][0]["loginRequired"].is_object());
    assert_eq!(store["activeIndex"], 1);
}

#[test]
fn when_every_login_is_dead_the_person_is_told_what_to_do() {
    let setting = Setting::new(first_answers(Style::Expired), &[]);
    setting.pretend.change(|script| {
        script.accounts[1].standing = Standing::Always(Style::Expired.into());
    });
    setting.pretend.kill(0);
    setting.pretend.kill(1);
    for _ in 0..2 {
        let got = setting.ask();
        assert_eq!(got.status, StatusCode::FORBIDDEN);
        assert!(got.body.contains("codex-accounts add"), "{}", got.body);
    }
}

#[test]
fn a_dead_login_is_not_told_as_a_backend_out_of_reach() {
    let mut home = Home::new();
    let pretend = home.with_servers(Script::with_accounts(1));
    let mut store = home.store();
    store["accounts"][0]["expiresAt"] = 1.into();
    home.write_store(&store);
    pretend.kill(0);
    let setting = Setting::of(home, pretend, &[]);
    let got = setting.ask();
    assert_eq!(got.status, StatusCode::FORBIDDEN, "{}", got.body);
    assert!(got.body.contains("codex-accounts add"), "{}", got.body);
}

#[test]
fn an_issuer_out_of_reach_is_told_as_such() {
    let mut home = Home::new();
    let pretend = home.with_servers(Script::with_accounts(1));
    let mut store = home.store();
    store["accounts"][0]["expiresAt"] = 1.into();
    home.write_store(&store);
    home.set("CODEX_ACCOUNTS_ISSUER", "http://127.0.0.1:1");
    let setting = Setting::of(home, pretend, &[]);
    let got = setting.ask();
    assert_eq!(got.status, StatusCode::BAD_GATEWAY);
    assert!(got.body.contains("issuer_unreachable"), "{}", got.body);
    assert!(got.body.contains("was not renewed"), "{}", got.body);
    assert_unmarked(setting);
}

/// An issuer that says this to whoever asks, and how often it was asked.
fn issuer_that_says(answer: &'static str) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let asked = Arc::<AtomicUsize>::default();
    let count = Arc::clone(&asked);
    std::thread::spawn(move || {
        let mut open = Vec::new();
        for stream in listener.incoming() {
            let mut stream: TcpStream = stream.expect("a connection");
            count.fetch_add(1, Ordering::Relaxed);
            let _ = stream.read(&mut [0; 4096]);
            let _ = std::io::Write::write_all(&mut stream, answer.as_bytes());
            if answer.is_empty() {
                // It hangs.
                open.push(stream);
            }
        }
    });
    (url, asked)
}

const FAILS: &str =
    "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

#[test]
fn a_token_that_is_good_for_minutes_waits_for_no_issuer() {
    for answer in ["", FAILS] {
        let (issuer, asked) = issuer_that_says(answer);
        let mut home = Home::new();
        let pretend = home.with_servers(Script::with_accounts(1));
        let mut store = home.store();
        store["accounts"][0]["expiresAt"] = (now_millis() + 2 * 60 * 1000).into();
        home.write_store(&store);
        home.set("CODEX_ACCOUNTS_ISSUER", issuer);
        let setting = Setting::of(home, pretend, &[]);
        let begun = Instant::now();
        for _ in 0..5 {
            let got = setting.ask();
            assert!(got.body.contains("answered by one@"), "{}", got.body);
        }
        // The issuer is given half a minute where somebody waits for it.
        assert!(begun.elapsed() < Duration::from_secs(20));
        assert!(
            asked.load(Ordering::Relaxed) <= 1,
            "asked with each request"
        );
    }
}

#[test]
fn an_issuer_that_fails_is_not_asked_with_each_request() {
    let (issuer, asked) = issuer_that_says(FAILS);
    let mut home = Home::new();
    let pretend = home.with_servers(Script::with_accounts(1));
    let mut store = home.store();
    store["accounts"][0]["expiresAt"] = 1.into();
    home.write_store(&store);
    home.set("CODEX_ACCOUNTS_ISSUER", issuer);
    let setting = Setting::of(home, pretend, &[]);
    for _ in 0..3 {
        assert_eq!(setting.ask().status, StatusCode::BAD_GATEWAY);
    }
    assert_eq!(asked.load(Ordering::Relaxed), 1);
}

#[test]
fn an_account_that_goes_while_it_is_asked_does_no_harm() {
    for change in [
        "codex-accounts remove --yes --keep-login 0",
        "codex-accounts disable 0",
        "codex-ratelimit-mark --retry-after 1h 0",
        "codex-accounts use 1",
    ] {
        let mut script = first_limited(Style::UsageLimit);
        script.delays.insert(
            "/backend-api/codex/responses".into(),
            Duration::from_secs(2),
        );
        let setting = Setting::new(script, &[]);
        let got = std::thread::scope(|scope| {
            let asking = scope.spawn(|| setting.ask());
            assert!(setting.pretend.wait_for(LONG, |seen| !seen.is_empty()));
            assert_eq!(setting.home.sh(change).code, 0, "{change}");
            asking.join().expect("an answer")
        });
        assert!(got.body.contains("two@"), "{change}: {}", got.body);
        let store = setting.store();
        let active = store["activeIndex"].as_u64().expect("an index") as usize;
        assert_eq!(
            store["accounts"][active]["email"], "two@example.com",
            "{change}"
        );
    }
}

#[test]
fn what_a_locked_store_was_not_told_counts_and_is_told_later() {
    let setting = Setting::new(first_limited(Style::UsageLimit), &["-v"]);
    let path = setting.home.store_path();
    let lock = format!("{}.lock", path.display());
    let mut holder = setting
        .home
        .std_command("flock")
        .args(["--no-fork", &lock, "sh", "-c", "echo held; exec sleep 100"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("flock");
    let mut said = [0; 5];
    let mut output = holder.stdout.take().expect("a pipe");
    output.read_exact(&mut said).expect("a word");
    assert!(setting.ask().body.contains("two@"));
    // It is remembered, also when the file is another one.
    let store = std::fs::read(&path).expect("a store");
    setting.home.write(&path, store);
    assert!(setting.ask().body.contains("two@"));
    assert_eq!(setting.asked(), [Some(0), Some(1), Some(1)]);
    wait_until("it says that waiting for the lock timed out", || {
        setting.relay.stderr().contains("waiting for the lock")
    });
    holder.kill().expect("an end");
    holder.wait().expect("an end");
    wait_until("the store is told", || {
        setting.home.store()["accounts"][0]["limits"].is_object()
    });
}

#[test]
fn a_relay_works_again_by_itself_when_the_first_limit_ends() {
    let mut script = first_limited(Style::UsageLimit);
    script.accounts[1].limit(Duration::from_secs(3), Style::UsageLimit);
    let setting = Setting::new(script, &[]);
    assert_eq!(setting.ask().status, StatusCode::TOO_MANY_REQUESTS);
    let mut body = String::new();
    wait_until("account two is back", || {
        let got = setting.ask();
        body = got.body;
        got.status == StatusCode::OK
    });
    assert!(body.contains("two@"), "{body}");
    // The limited ones are not asked again and again meanwhile.
    let asked = setting.asked();
    assert_eq!(asked, [Some(0), Some(1), Some(1)]);
}

#[test]
fn a_long_throttle_moves_one_request_once() {
    let throttle = Answer::limit(Style::Throttle, Duration::from_secs(20));
    let mut script = Script::with_accounts(3);
    for account in &mut script.accounts {
        account.standing = Standing::Always(throttle.clone());
    }
    let setting = Setting::new(script, &[]);
    assert_eq!(setting.ask().status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(setting.asked(), [Some(0), Some(1)]);
}

#[test]
fn those_that_were_told_to_wait_do_not_come_back_all_at_once() {
    const AT_ONCE: usize = 20;
    let throttle = Answer::limit(Style::Throttle, Duration::from_secs(1));
    let mut script = Script::with_accounts(2);
    // So many are told to wait, and those who come back first are told so again.
    script.accounts[0].next = vec![throttle; AT_ONCE + 1].into();
    script.delays.insert(
        "/backend-api/codex/responses".into(),
        Duration::from_millis(300),
    );
    let setting = Setting::new(script, &[]);
    for got in at_once(AT_ONCE, || setting.ask()) {
        assert!(got.body.contains("one@"), "{}", got.body);
    }
    // One who asked in vain again, and everybody once: nobody else was sent in vain.
    assert_eq!(setting.asked(), [Some(0); 2 * AT_ONCE + 1]);
}

#[test]
fn when_some_waited_in_vain_the_others_turn_to_the_next_account_at_once() {
    const AT_ONCE: usize = 20;
    let throttle = Answer::limit(Style::Throttle, Duration::from_secs(1));
    let mut script = first_answers(throttle);
    script.delays.insert(
        "/backend-api/codex/responses".into(),
        Duration::from_millis(300),
    );
    let setting = Setting::new(script, &[]);
    for got in at_once(AT_ONCE, || setting.ask()) {
        assert!(got.body.contains("two@"), "{}", got.body);
    }
    let asked = setting.asked();
    let of_first = asked.iter().filter(|asked| **asked == Some(0)).count();
    assert!(of_first <= AT_ONCE + 4, "{of_first}");
    assert_eq!(asked.len() - of_first, AT_ONCE);
}

#[test]
fn an_older_success_does_not_lift_a_newer_mark() {
    let mut script = Script::with_accounts(2);
    let stream = |windows: &str| {
        Answer::Raw {
        status: 200,
        headers: vec![
            ("content-type".into(), "text/event-stream".into()),
            ("x-codex-primary-window-minutes".into(), "300".into()),
            ("x-codex-primary-used-percent".into(), windows.into()),
        ],
        chunks: vec![
            "data: {\"type\":\"response.output_text.delta\"}\n\n".into(),
            "data: {\"type\":\"codex.rate_limits\",\"rate_limits\":{\"primary\":{\"used_percent\":99.0,\
             \"window_minutes\":300,\"reset_at\":4000000000}}}\n\n"
                .into(),
        ],
    }
    };
    script.pace = Duration::from_secs(3);
    script.accounts[0].next = vec![stream("99")].into();
    script.accounts[0].limit(HOUR, Style::UsageLimit);
    let setting = Setting::new(script, &["-v"]);
    std::thread::scope(|scope| {
        // The second is answered in the middle of the first.
        let first = scope.spawn(|| setting.ask());
        assert!(setting.pretend.wait_for(LONG, |seen| !seen.is_empty()));
        assert!(setting.ask().body.contains("two@"));
        let first = first.join().expect("an answer");
        assert!(first.body.contains("codex.rate_limits"), "{}", first.body);
    });
    let store = setting.store();
    assert!(
        store["accounts"][0]["limits"]["default"].is_object(),
        "{store}"
    );
    let usage = &store["accounts"][0]["usage"]["windows"][0]["usedPercent"];
    assert!(usage.is_number(), "{store}");
}

#[test]
fn no_signal_loses_a_token_that_is_being_renewed() {
    for signal in [
        Signal::SIGTERM,
        Signal::SIGINT,
        Signal::SIGHUP,
        Signal::SIGQUIT,
    ] {
        let mut home = Home::new();
        let mut script = Script::with_accounts(1);
        script
            .delays
            .insert("/oauth/token".into(), Duration::from_secs(2));
        let pretend = home.with_servers(script);
        let mut store = home.store();
        store["accounts"][0]["expiresAt"] = 1.into();
        home.write_store(&store);
        let setting = Setting::of(home, pretend, &[]);
        let pid = setting.ready_pid();
        let question = setting.connect(QUESTION, "");
        assert!(setting.pretend.wait_for(LONG, |seen| {
            seen.iter().any(|seen| seen.is("POST", "/oauth/token"))
        }));
        kill(pid, signal).expect("a process");
        let current = setting.pretend.current(0).expect("tokens");
        let store = setting.store();
        assert_eq!(
            store["accounts"][0]["refreshToken"], current.refresh_token,
            "{signal}"
        );
        drop(question);
    }
}

#[test]
fn a_token_that_a_client_holds_too_is_renewed_before_it_expires() {
    let mut home = Home::new();
    let pretend = home.with_servers(Script::with_accounts(2));
    let mut store = home.store();
    let soon = now_millis() + 8 * 60_000;
    for account in store["accounts"].as_array_mut().expect("accounts") {
        account["expiresAt"] = soon.into();
        account["refreshedAt"] = (now_millis() - 50 * 60_000).into();
    }
    home.write_store(&store);
    let second = store["accounts"][1].clone();
    let auth = json!({"openai": {"type": "oauth", "refresh": second["refreshToken"],
        "access": second["accessToken"], "expires": soon,
        "accountId": second["chatgptAccountId"]}});
    let path = home.write(".local/share/opencode/auth.json", auth.to_string());
    let setting = Setting::of(home, pretend, &[]);
    let mut entry = Value::Null;
    wait_until("the client's file has the new token", || {
        let auth = std::fs::read(&path).expect("a file");
        entry = serde_json::from_slice::<Value>(&auth).expect("JSON")["openai"].clone();
        entry["refresh"] != second["refreshToken"]
    });
    assert!(entry["expires"].as_u64() > Some(soon), "{entry}");
    assert_eq!(setting.exchanges(), 1, "that of the other is ours alone");
    let store = setting.store();
    assert_eq!(store["accounts"][1]["refreshToken"], entry["refresh"]);
}

#[test]
fn twins_that_meet_one_limit_rotate_once() {
    let mut script = first_limited(Style::UsageLimit);
    script.delays.insert(
        "/backend-api/codex/responses".into(),
        Duration::from_millis(300),
    );
    let setting = Setting::new(script, &[]);
    for got in at_once(2, || setting.ask()) {
        assert!(got.body.contains("two@"), "{}", got.body);
    }
    let log = setting.home.sh("codex-accounts log --json").stdout;
    assert_eq!(log.lines().count(), 1, "{log}");
}

#[test]
fn a_limit_of_hours_is_not_waited_for_by_default() {
    let mut script = Script::with_accounts(1);
    script.accounts[0].limit(HOUR, Style::UsageLimit);
    let setting = Setting::new(script, &[]);
    assert_eq!(setting.ask().status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(setting.ask().status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(
        setting.asked(),
        [Some(0)],
        "a limited account is left alone"
    );
}
