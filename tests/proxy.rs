//! The relay: what the client sees, what the backend is asked, and what the store says afterwards.

use std::io::Read;
use std::time::Duration;

use codex_accounts::rehearse::{Answer, Script, Standing, Style};
use http::StatusCode;
use serde_json::Value;

use super::support::Home;
use super::support::pretend::now_millis;
use super::support::relay::{HOUR, Setting, at_once, first_answers, first_limited};
use super::support::request::QUESTION;
use super::support::stage::wait_until;

#[test]
fn the_next_account_answers_when_one_is_limited() {
    let setting = Setting::new(first_limited(Style::UsageLimit), &[]);
    let got = setting.ask();
    assert_eq!(got.status, StatusCode::OK);
    assert!(
        got.body.contains("answered by two@example.com"),
        "{}",
        got.body
    );
    assert_eq!(setting.asked(), [Some(0), Some(1)]);

    // A second one asks nobody in vain.
    setting.ask();
    assert_eq!(setting.asked(), [Some(0), Some(1), Some(1)]);

    let store = setting.store();
    let mark = &store["accounts"][0]["limits"]["default"];
    assert_eq!(mark["source"], "body.resets_at");
    assert_eq!(mark["class"], "quota");
    let left = mark["until"].as_u64().expect("a time") - now_millis();
    assert!((3_500_000..=3_601_000).contains(&left), "{left}");
    assert_eq!(store["accounts"][0]["rateLimitResetTime"], mark["until"]);
    assert_eq!(store["activeIndex"], 1);
    assert_eq!(store["accounts"][1]["lastSwitchReason"], "rate-limit");
}

#[test]
fn every_style_of_limit_fails_over() {
    for style in [
        Style::ResetsIn,
        Style::WindowsOnly,
        Style::WeeklyPrimary,
        Style::RetryAfter,
        Style::RetryAfterDate,
        Style::RetryAfterMs,
        Style::BodyRetryAfter,
        Style::BodyRetryAfterMs,
        Style::NoHint,
        Style::WorkspaceMember,
        Style::InsufficientQuota,
        Style::Limit404,
        Style::FailedFirst,
        Style::FailedCreated,
        Style::FailedThrottle,
        Style::ErrorFirst,
        Style::ErrorCreated,
    ] {
        let setting = Setting::new(first_limited(style), &[]);
        let got = setting.ask();
        assert!(
            got.body.contains("answered by two@example.com"),
            "{style}: {} {}",
            got.status,
            got.body
        );
        assert_eq!(setting.asked(), [Some(0), Some(1)], "{style}");
        let store = setting.store();
        let until = store["accounts"][0]["rateLimitResetTime"].as_u64();
        assert!(until.is_some_and(|until| until > now_millis()), "{style}");
    }
}

#[test]
fn a_limit_after_the_first_output_is_passed_on_and_recorded() {
    for (style, event) in [
        (Style::FailedOutput, "response.failed"),
        (Style::ErrorOutput, "\"type\":\"error\""),
    ] {
        let setting = Setting::new(first_limited(style), &[]);
        let got = setting.ask();
        assert!(got.body.contains(event), "{style}: {}", got.body);
        assert_eq!(setting.asked(), [Some(0)], "{style}");
        let store = setting.store();
        let until = &store["accounts"][0]["rateLimitResetTime"];
        assert!(until.is_u64(), "{style}");
    }
}

#[test]
fn all_limited_is_said_in_the_upstreams_shape() {
    let mut script = first_limited(Style::UsageLimit);
    script.accounts[1].limit(2 * HOUR, Style::UsageLimit);
    let setting = Setting::new(script, &[]);
    let got = setting.ask();
    assert_eq!(got.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(got.headers["retry-after"], "300");
    let body: Value = serde_json::from_str(&got.body).unwrap();
    let wait = body["error"]["resets_in_seconds"].as_u64().unwrap();
    assert!((3500..=3601).contains(&wait), "{wait}");
    assert_eq!(body["error"]["type"], "usage_limit_reached");
    assert!(body["error"]["resets_at"].is_u64());
    let message = body["error"]["message"].as_str().unwrap();
    assert!(message.contains("one@example.com"), "{message}");
}

#[test]
fn a_request_is_held_until_an_account_is_back() {
    let mut script = Script::with_accounts(1);
    script.accounts[0].limit(Duration::from_secs(2), Style::UsageLimit);
    let setting = Setting::new(script, &["--max-wait", "30s"]);
    let got = setting.ask();
    assert!(
        got.body.contains("answered by one@example.com"),
        "{}",
        got.body
    );
}

#[test]
fn a_refused_token_is_renewed_once_and_asked_again() {
    let mut script = Script::with_accounts(2);
    script.accounts[0].next.push_back(Style::Expired.into());
    let setting = Setting::new(script, &[]);
    let got = setting.ask();
    assert!(
        got.body.contains("answered by one@example.com"),
        "{}",
        got.body
    );
    assert_eq!(setting.asked(), [Some(0), Some(0)]);
    let refreshes = setting.pretend.seen();
    let refreshes = refreshes.iter().filter(|s| s.is("POST", "/oauth/token"));
    assert_eq!(refreshes.count(), 1);
}

#[test]
fn a_token_refused_twice_leads_to_the_next_account() {
    let setting = Setting::new(first_answers(Style::Expired), &[]);
    let got = setting.ask();
    assert!(
        got.body.contains("answered by two@example.com"),
        "{}",
        got.body
    );
    assert_eq!(setting.asked(), [Some(0), Some(0), Some(1)]);
}

#[test]
fn a_dead_login_is_noted_and_the_next_account_answers() {
    let setting = Setting::new(first_answers(Style::Expired), &[]);
    setting.pretend.kill(0);
    let got = setting.ask();
    assert!(
        got.body.contains("answered by two@example.com"),
        "{}",
        got.body
    );
    let store = setting.store();
    assert!(store["accounts"][0]["loginRequired"].is_object());
}

#[test]
fn a_workspace_that_is_gone_is_disabled() {
    for style in [Style::WorkspaceGone402, Style::WorkspaceGone403] {
        let setting = Setting::new(first_answers(style), &[]);
        let got = setting.ask();
        assert!(
            got.body.contains("answered by two@example.com"),
            "{style}: {}",
            got.body
        );
        assert_eq!(setting.store()["accounts"][0]["enabled"], false, "{style}");
    }
}

#[test]
fn a_server_in_trouble_is_asked_twice_more_and_is_no_accounts_fault() {
    let mut script = Script::with_accounts(2);
    let account = &mut script.accounts[0];
    account
        .next
        .extend([Style::Error502.into(), Style::CloseBeforeHead.into()]);
    let setting = Setting::new(script, &[]);
    let got = setting.ask();
    assert!(
        got.body.contains("answered by one@example.com"),
        "{}",
        got.body
    );
    assert_eq!(setting.asked(), [Some(0), Some(0), Some(0)]);
}

#[test]
fn a_short_throttle_is_waited_out_on_the_same_account() {
    let mut script = Script::with_accounts(2);
    let throttle = Answer::limit(Style::Throttle, Duration::from_millis(300));
    script.accounts[0].next.push_back(throttle);
    let setting = Setting::new(script, &[]);
    let got = setting.ask();
    assert!(
        got.body.contains("answered by one@example.com"),
        "{}",
        got.body
    );
    assert_eq!(setting.asked(), [Some(0), Some(0)]);
}

#[test]
fn a_limit_of_one_family_does_not_block_other_models() {
    let script = first_limited(Style::ModelFamily);
    let setting = Setting::new(script, &[]);
    setting.ask_for("gpt-5.3-codex-spark");
    setting.pretend.change(|script| {
        script.accounts[0].standing = Standing::Good;
    });
    let store = setting.home.store();
    let limits = store["accounts"][0]["limits"].as_object().expect("marks");
    assert!(!limits.contains_key("default"), "{limits:?}");
}

#[test]
fn without_the_key_nobody_is_served() {
    let setting = Setting::new(Script::with_accounts(1), &[]);
    let url = setting.ready("url");
    let key = setting.ready("key");
    let ask = |args: &str| {
        let code = "curl -s -o /dev/null -w %{http_code}";
        setting.home.sh(&format!("{code} {args}")).stdout
    };
    assert_eq!(ask(&format!("-d x {url}/responses")), "401");
    let bearer = format!("-d x -H 'Authorization: Bearer {key}'");
    assert_eq!(ask(&format!("{bearer}x {url}/responses")), "401");
    assert_eq!(
        ask(&format!("{bearer} -H 'Host: evil.example' {url}/responses")),
        "421"
    );
    assert_eq!(
        ask(&format!("{bearer} -H 'Origin: http://x' {url}/responses")),
        "403"
    );
    assert_eq!(
        ask(&format!("{bearer} {url}/../wham/usage --path-as-is")),
        "404"
    );
    assert_eq!(
        ask(&format!("{bearer} -H 'Upgrade: websocket' {url}/responses")),
        "426"
    );
    assert_eq!(setting.asked(), []);
}

#[test]
fn it_says_what_it_is_to_those_who_know_the_key() {
    let setting = Setting::new(Script::with_accounts(1), &[]);
    let url = setting.ready("url").replace("/codex", "");
    let ask = |arguments: &str| {
        let curl = format!("curl -sS {arguments} {url}/.well-known/codex-accounts");
        setting.home.sh(&curl).stdout
    };
    let said = ask(&format!(
        "-H 'Authorization: Bearer {}'",
        setting.ready("key")
    ));
    let said: Value = serde_json::from_str(&said).expect("JSON");
    assert_eq!(said["name"], "codex-proxy");
    assert_eq!(said["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(said["pid"], setting.relay.ready["pid"]);
    assert_eq!(ask(""), "", "and to nobody else");
    assert!(
        setting.pretend.seen().is_empty(),
        "the backend has no part in it"
    );
}

#[test]
fn the_client_credentials_stay_here_and_the_accounts_go_out() {
    const RESIDENCY: &str = "x-openai-internal-codex-residency";
    const FEDRAMP: &str = "x-openai-fedramp";
    let ask = |residency: Option<&str>, fedramp| {
        let mut script = Script::with_accounts(1);
        script.accounts[0].residency = residency.map(str::to_owned);
        script.accounts[0].fedramp = fedramp;
        let setting = Setting::new(script, &[]);
        let sent = [
            ("chatgpt-account-id", "of-the-client"),
            ("cookie", "secret=1"),
            ("originator", "opencode"),
            (RESIDENCY, "of-the-client"),
            (FEDRAMP, "of-the-client"),
        ];
        setting.send("/responses", &sent, "{}");
        setting.pretend.seen().pop().expect("a request")
    };
    let asked = ask(Some("eu"), true);
    assert_eq!(asked.header(RESIDENCY), Some("eu"));
    assert_eq!(asked.header(FEDRAMP), Some("true"));
    let asked = ask(None, false);
    assert_eq!(asked.header(RESIDENCY), None);
    assert_eq!(asked.header(FEDRAMP), None);
    assert_eq!(asked.account, Some(0));
    assert_eq!(asked.header("chatgpt-account-id"), Some("account-one"));
    assert_eq!(asked.header("originator"), Some("opencode"));
    assert_eq!(asked.header("cookie"), None);
    assert_eq!(asked.header("x-codex-accounts-key"), None);
}

#[test]
fn many_requests_at_once_mark_and_rotate_once() {
    let setting = Setting::new(first_limited(Style::NoHint), &[]);
    let answers = at_once(20, || setting.ask());
    for got in &answers {
        assert!(
            got.body.contains("answered by two@example.com"),
            "{}",
            got.body
        );
    }
    let log = setting.home.sh("codex-accounts log --json").stdout;
    assert_eq!(log.lines().count(), 1, "{log}");
    let store = setting.store();
    let mark = &store["accounts"][0]["limits"]["default"];
    // A limit without a hint is believed for a minute: twins do not double it.
    assert_eq!(mark["repeats"], Value::Null, "{mark}");
}

#[test]
fn many_requests_at_once_renew_a_refused_token_once() {
    let mut home = Home::new();
    let pretend = home.with_servers(Script::with_accounts(1));
    let mut store = home.store();
    store["accounts"][0]["accessToken"] = "a.stale.token".into();
    home.write_store(&store);
    let setting = Setting::of(home, pretend, &[]);
    for got in at_once(20, || setting.ask()) {
        assert_eq!(got.status, StatusCode::OK, "{}", got.body);
    }
    assert_eq!(setting.exchanges(), 1);
}

#[test]
fn many_requests_at_once_renew_an_expired_token_once() {
    let mut home = Home::new();
    let pretend = home.with_servers(Script::with_accounts(1));
    let mut store = home.store();
    store["accounts"][0]["expiresAt"] = 1.into();
    home.write_store(&store);
    let setting = Setting::of(home, pretend, &[]);
    for got in at_once(20, || setting.ask()) {
        assert_eq!(got.status, StatusCode::OK, "{}", got.body);
    }
    assert_eq!(setting.exchanges(), 1);
    assert!(setting.asked().iter().all(|account| *account == Some(0)));
}

#[test]
fn a_model_that_the_plan_does_not_include_is_asked_of_the_next_account() {
    for style in [Style::NotIncluded, Style::NotIncluded403] {
        let setting = Setting::new(first_answers(style), &[]);
        let got = setting.ask();
        assert!(
            got.body.contains("answered by two@example.com"),
            "{style}: {}",
            got.body
        );
        let store = setting.store();
        let limits = &store["accounts"][0]["limits"];
        assert_eq!(*limits, Value::Null, "{style} is no limit");
    }
}

#[test]
fn an_invalidated_token_leads_to_one_other_account_at_most() {
    let mut script = Script::with_accounts(3);
    for account in &mut script.accounts {
        account.standing = Standing::Always(Style::Invalidated.into());
    }
    let setting = Setting::new(script, &[]);
    assert_eq!(setting.ask().status, StatusCode::UNAUTHORIZED);
    let asked: std::collections::BTreeSet<_> = setting.asked().into_iter().collect();
    assert_eq!(asked.len(), 2, "{asked:?}");
}

#[test]
fn a_stream_that_breaks_before_its_output_is_asked_for_again() {
    let mut script = Script::with_accounts(1);
    let created = "event: response.created\ndata: {\"type\":\"response.created\"}\n\n";
    script.accounts[0].next.push_back(Answer::Raw {
        status: 200,
        headers: vec![
            ("content-type".into(), "text/event-stream".into()),
            ("content-length".into(), "9999".into()),
        ],
        chunks: vec![created.into()],
    });
    let setting = Setting::new(script, &[]);
    let got = setting.ask();
    assert!(
        got.body.contains("answered by one@example.com"),
        "{}",
        got.body
    );
}

#[test]
fn an_upstream_that_is_gone_is_told_and_is_no_accounts_fault() {
    let mut home = Home::new();
    let pretend = home.with_servers(Script::with_accounts(1));
    // A port that was free a moment ago.
    home.set("CODEX_ACCOUNTS_UPSTREAM", "http://127.0.0.1:9/backend-api");
    let setting = Setting::of(home, pretend, &[]);
    let got = setting.ask();
    assert_eq!(got.status, StatusCode::BAD_GATEWAY);
    assert!(got.body.contains("upstream_unreachable"), "{}", got.body);
    assert_eq!(setting.store()["accounts"][0]["limits"], Value::Null);
}

#[test]
fn a_head_that_never_comes_is_given_up() {
    let mut script = Script::with_accounts(1);
    script.accounts[0].standing = Standing::Always(Style::NoHead.into());
    let setting = Setting::new(script, &["--head-timeout", "100ms"]);
    assert_eq!(setting.ask().status, StatusCode::BAD_GATEWAY);
    assert_eq!(setting.asked().len(), 3);
}

#[test]
fn what_other_commands_change_counts_at_once() {
    let setting = Setting::new(Script::with_accounts(3), &[]);
    assert!(setting.ask().body.contains("one@"));
    setting.home.sh("codex-accounts disable 0");
    assert!(setting.ask().body.contains("two@"));
    setting
        .home
        .sh("codex-accounts remove --yes --keep-login 1");
    assert!(setting.ask().body.contains("three@"));
    setting
        .home
        .sh("codex-accounts enable 0; codex-accounts use 0");
    assert!(setting.ask().body.contains("one@"));
}

#[test]
fn a_store_that_breaks_stops_nobody() {
    let setting = Setting::new(first_limited(Style::UsageLimit), &["-v"]);
    assert!(setting.ask().body.contains("two@"));
    // What the answer said is recorded behind it; that must not write over what follows.
    wait_until("the usage of account two is known", || {
        setting.home.store()["accounts"][1]["usage"].is_object()
    });
    let good = std::fs::read(setting.home.store_path()).unwrap();
    setting
        .home
        .write(setting.home.store_path(), b"{\"version\":1,\"acc");
    assert!(setting.ask().body.contains("two@"));
    assert!(setting.relay.stderr().contains("not valid JSON"));
    assert_eq!(
        std::fs::read(setting.home.store_path()).unwrap(),
        b"{\"version\":1,\"acc"
    );
    setting.home.write(setting.home.store_path(), good);
    assert!(setting.ask().body.contains("two@"));
}

#[test]
fn a_store_that_is_locked_holds_nobody_up() {
    let setting = Setting::new(Script::with_accounts(1), &[]);
    setting.ask();
    let lock = format!("{}.lock", setting.home.store_path().display());
    let mut holder = setting
        .home
        .std_command("flock")
        .args([&lock, "sh", "-c", "echo held; exec sleep 100"])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = [0; 5];
    holder.stdout.take().unwrap().read_exact(&mut said).unwrap();
    assert!(setting.ask().body.contains("one@"));
    holder.kill().unwrap();
    holder.wait().unwrap();
}

#[test]
fn packed_accounts_of_opencode_rotate_and_are_remembered() {
    let mut home = Home::new();
    let pretend = home.with_servers(first_limited(Style::UsageLimit));
    let packed = home.sh("codex-token-encode --from-store").stdout;
    std::fs::remove_file(home.store_path()).unwrap();
    let auth = serde_json::json!({"openai": {"type": "oauth", "refresh": packed.trim(),
        "access": "", "expires": 0}});
    home.write(".local/share/opencode/auth.json", auth.to_string());
    let setting = Setting::of(home, pretend, &[]);
    assert!(setting.ask().body.contains("two@"));
    assert!(setting.ask().body.contains("two@"));
    assert_eq!(setting.asked(), [Some(0), Some(1), Some(1)]);
    assert!(!setting.home.store_path().exists());
}

#[test]
fn the_first_output_comes_before_the_rest_is_there() {
    let mut script = Script::with_accounts(1);
    script.accounts[0].standing = Standing::Always(Style::Stall.into());
    let setting = Setting::new(script, &[]);
    let mut stream = setting.connect(QUESTION, "");
    let mut seen = Vec::new();
    let mut chunk = [0; 4096];
    while !String::from_utf8_lossy(&seen).contains("response.output_text.delta") {
        let read = stream.read(&mut chunk).expect("the stream goes on");
        assert_ne!(read, 0, "{}", String::from_utf8_lossy(&seen));
        seen.extend_from_slice(&chunk[..read]);
    }
}

#[test]
fn bodies_pass_as_they_are() {
    let body: Vec<u8> = (0..5_000_000_u32)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    let mut script = Script::with_accounts(1);
    let answer = Answer::raw(
        200,
        &[
            ("content-type", "application/json"),
            ("content-encoding", "zstd"),
            ("x-odd", "a  b;c=\"\\t\""),
        ],
        body.clone(),
    );
    // Before anything looks inside, where these bytes mean nothing.
    script
        .answers_at
        .insert("/backend-api/codex/responses".into(), answer);
    let setting = Setting::new(script, &[]);
    let mut answer = setting
        .request("/responses", &[("content-encoding", "zstd")])
        .send(&body[..])
        .expect("an answer");
    assert_eq!(answer.headers()["content-encoding"], "zstd");
    assert_eq!(answer.headers()["x-odd"], "a  b;c=\"\\t\"");
    assert_eq!(answer.headers()["content-length"], "5000000");
    let got = answer
        .body_mut()
        .with_config()
        .limit(10_000_000)
        .read_to_vec()
        .unwrap();
    assert!(got == body, "the answer is another one");
    let seen = setting.pretend.seen();
    let asked = seen.last().unwrap();
    assert_eq!(asked.body_length, 5_000_000);
    assert!(body.starts_with(&asked.body), "the question is another one");
    assert_eq!(asked.header("content-encoding"), Some("zstd"));
}

#[test]
fn the_state_of_a_turn_goes_to_nobody_but_its_giver() {
    let setting = Setting::new(Script::with_accounts(2), &[]);
    let turn = setting.ask().headers["x-codex-turn-state"]
        .to_str()
        .unwrap()
        .to_owned();
    let header = [("x-codex-turn-state", turn.as_str())];
    setting.send("/responses", &header, QUESTION);
    setting
        .pretend
        .change(|script| script.accounts[0].limit(HOUR, Style::UsageLimit));
    setting.send("/responses", &header, QUESTION);
    let seen = setting.pretend.seen();
    let states: Vec<_> = seen
        .iter()
        .filter(|seen| seen.account.is_some())
        .map(|seen| (seen.account, seen.header("x-codex-turn-state").is_some()))
        .collect();
    assert_eq!(
        states,
        [
            (Some(0), false),
            (Some(0), true),
            (Some(0), true),
            (Some(1), false)
        ]
    );
}

#[test]
fn what_one_reader_takes_for_two_requests_is_refused() {
    const HIDDEN: &str = "GET /codex/hidden HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";
    let setting = Setting::new(Script::with_accounts(1), &[]);
    for (length, before) in [
        (
            "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
            "0\r\n\r\n",
        ),
        (
            "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n",
            "0\r\n\r\n",
        ),
        ("Content-Length: 4\r\nContent-Length: 90\r\n", "abcd"),
        ("Content-Length: 4, 90\r\n", "abcd"),
        ("Transfer-Encoding: xchunked\r\n", "0\r\n\r\n"),
        ("Transfer-Encoding: chunked, identity\r\n", "0\r\n\r\n"),
        (
            "Transfer-Encoding: identity\r\nContent-Length: 4\r\n",
            "abcd",
        ),
        ("Transfer-Encoding:\x0bchunked\r\n", "0\r\n\r\n"),
    ] {
        let mut stream = setting.connect(&[before, HIDDEN].concat(), length);
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer);
        // Chunks go before a length, and the connection ends there (RFC 9112 §6.3).
        let read_one_way = length.contains("Transfer-Encoding: chunked\r\n")
            && answer.starts_with("HTTP/1.1 200 ")
            && answer.contains("connection: close\r\n");
        assert!(
            answer.starts_with("HTTP/1.1 400 ") || read_one_way,
            "{length}: {answer}"
        );
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{length}: {answer}");
    }
    let seen = setting.pretend.seen();
    assert!(
        seen.iter().all(|seen| seen.path.ends_with("/responses")
            && !(seen.header("content-length").is_some()
                && seen.header("transfer-encoding").is_some())),
        "{seen:?}"
    );
}

#[test]
fn no_token_is_in_what_it_says_or_in_its_environment() {
    let setting = Setting::new(first_limited(Style::UsageLimit), &["-v"]);
    setting.ask();
    let pid = setting.relay.ready["pid"].as_u64().expect("a process");
    // Hidden from all but root.
    let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    let told = [
        String::from_utf8_lossy(&environment).into_owned(),
        setting.relay.stderr(),
    ]
    .concat();
    assert!(told.contains("\"event\":\"done\""), "{told}");
    for account in setting.home.store()["accounts"]
        .as_array()
        .expect("accounts")
    {
        for token in ["refreshToken", "accessToken", "idToken"] {
            assert!(
                !told.contains(account[token].as_str().expect("a token")),
                "{token}"
            );
        }
    }
    assert!(!told.contains(setting.ready("key")), "the key");
}
