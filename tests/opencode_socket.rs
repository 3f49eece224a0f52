//! The real opencode over a WebSocket of the relay, which a person has to ask it for.

use codex_accounts::rehearse::{Answer, Progress, Script, Style};

use super::support::Home;
use super::support::pretend::Servers;
use super::support::relay::HOUR;
use super::support::shown::Shown;

/// A question, to accounts that are so.
fn run(options: &str, change: impl FnOnce(&mut Script)) -> (Shown, Servers) {
    let mut home = Home::with_clients();
    home.set("OPENCODE_EXPERIMENTAL_WEBSOCKETS", "true");
    let mut script = Script::with_accounts(2);
    change(&mut script);
    let pretend = home.with_servers(script);
    let shown = home.sh(&format!(
        "codex-launch {options} opencode run -m openai/gpt-5.5 'say who you are' </dev/null"
    ));
    (shown, pretend)
}

/// How many questions came by WebSocket.
fn messages(pretend: &Servers) -> usize {
    let seen = pretend.seen();
    seen.iter().filter(|seen| seen.socket.is_some()).count()
}

#[test]
fn a_limit_over_a_websocket_is_not_seen_by_opencode() {
    let cases: [fn(&mut Script); 4] = [
        |script| script.accounts[0].limit(HOUR, Style::UsageLimit),
        |script| {
            script.socket.limits_at_handshake = true;
            script.accounts[0].limit(HOUR, Style::UsageLimit);
        },
        |script| script.accounts[0].limit(HOUR, Style::FailedCreated),
        |script| script.accounts[0].limit(HOUR, Style::ErrorCreated),
    ];
    for (number, change) in cases.into_iter().enumerate() {
        let (shown, pretend) = run("", change);
        assert_eq!(shown.code, 0, "{number}: {shown}");
        let answer = "answered by two@example.com";
        assert!(shown.stdout.contains(answer), "{number}: {shown}");
        assert!(messages(&pretend) > 0, "{number}: by WebSocket");
    }
}

#[test]
fn a_connection_that_is_cut_is_not_seen_by_opencode() {
    let (shown, pretend) = run("", |script| {
        let close = Answer::Close {
            code: Some(1011),
            after: Progress::Created,
        };
        script.accounts[0].next.extend([close.clone(), close]);
    });
    assert_eq!(shown.code, 0, "{shown}");
    assert!(shown.stdout.contains("answered by one@"), "{shown}");
    assert!(messages(&pretend) > 0);
}

#[test]
fn without_websockets_opencode_goes_by_http_at_once() {
    let began = std::time::Instant::now();
    let (shown, pretend) = run("--no-websocket", |_| {});
    assert_eq!(shown.code, 0, "{shown}");
    assert!(shown.stdout.contains("answered by one@"), "{shown}");
    assert_eq!(messages(&pretend), 0);
    // A refusal of a WebSocket costs it a minute; it is not to ask for one.
    assert!(began.elapsed().as_secs() < 55, "{:?}", began.elapsed());
}
