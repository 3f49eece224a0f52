//! The real Codex over a WebSocket of the relay: whatever an account meets, the turn ends with the
//! answer, and nothing of it is shown (PROTOCOL-WEBSOCKET §8).

use std::time::Duration;

use codex_accounts::rehearse::{Answer, Blobs, Progress, Script, Standing, Style};
use http::Method;
use serde_json::Value;

use super::support::Home;
use super::support::pretend::Servers;
use super::support::relay::HOUR;
use super::support::shown::Shown;

const EXEC: &str = "codex-launch codex -m gpt-5.5 exec --json --skip-git-repo-check";

/// A turn with a tool in it.
const TOOL: &str = "[run echo one] [run echo two]";

/// What one run came to.
struct Run {
    shown: Shown,
    home: Home,
    pretend: Servers,
}

impl Run {
    /// Runs a turn against so many accounts. What one account seals, the others can read, unless
    /// the script says otherwise.
    fn new(prompt: &str, accounts: usize, change: impl FnOnce(&mut Script)) -> Self {
        let mut home = Home::with_clients();
        let mut script = Script::with_accounts(accounts);
        script.blobs = Blobs::Portable;
        change(&mut script);
        let pretend = home.with_servers(script);
        let shown = home.sh(&format!("{EXEC} '{prompt}' </dev/null"));
        Self {
            shown,
            home,
            pretend,
        }
    }

    fn events(&self) -> impl Iterator<Item = Value> {
        let lines = self.shown.stdout.lines();
        lines.filter_map(|line| serde_json::from_str(line).ok())
    }

    /// It ended with the answer of this account, and nobody saw how.
    fn answered_by(&self, name: &str, what: &str) {
        let shown = &self.shown;
        assert_eq!(shown.code, 0, "{what}: {shown}");
        let said = format!("answered by {name}@example.com");
        assert!(shown.stdout.contains(&said), "{what}: {shown}");
        for event in self.events() {
            let kind = event["type"].as_str().unwrap_or_default();
            assert!(!["error", "turn.failed"].contains(&kind), "{what}: {event}");
        }
        assert!(!shown.stderr.contains("Reconnecting"), "{what}: {shown}");
        let seen = self.pretend.seen();
        let posts = seen
            .iter()
            .filter(|seen| seen.method == Method::POST && seen.asks_the_model());
        assert_eq!(posts.count(), 0, "{what}: by WebSocket alone");
    }

    /// How often the client opened a connection to the relay.
    fn handshakes(&self) -> usize {
        let log = self
            .home
            .path()
            .join(".local/state/codex-accounts/relay.log");
        let log = std::fs::read_to_string(log).expect("a log");
        log.matches(r#""ws":"handshake""#).count()
    }

    fn is_marked(&self, account: usize) -> bool {
        self.home.store()["accounts"][account]["limits"].is_object()
    }
}

#[test]
fn plain_turns_stay_on_one_websocket() {
    let run = Run::new(TOOL, 2, |_| {});
    run.answered_by("one", "plain");
    assert_eq!(run.handshakes(), 1, "{}", run.shown);
    let seen = run.pretend.seen();
    let questions: Vec<_> = seen.iter().filter(|seen| seen.asks_the_model()).collect();
    let increments = questions.iter().filter(|seen| {
        let body: Value = serde_json::from_slice(&seen.body).expect("JSON");
        body["previous_response_id"].is_string()
    });
    assert_eq!(
        increments.count(),
        questions.len() - 1,
        "all but the prewarm"
    );
}

#[test]
fn a_limit_wherever_it_is_met_is_not_seen() {
    type Case = (&'static str, &'static str, fn(&mut Script));
    let limits: [Case; 8] = [
        ("at the handshake", "Hi", |script| {
            script.socket.limits_at_handshake = true;
            script.accounts[0].limit(HOUR, Style::UsageLimit);
        }),
        ("on the prewarm", "Hi", |script| {
            script.accounts[0].limit(HOUR, Style::UsageLimit);
        }),
        ("at the first request", "Hi", |script| {
            script.accounts[0].limit_after(1, HOUR, Style::UsageLimit);
        }),
        ("after created", "Hi", |script| {
            script.accounts[0].limit_after(1, HOUR, Style::ErrorCreated);
        }),
        ("as a failed response", "Hi", |script| {
            script.accounts[0].limit_after(1, HOUR, Style::FailedCreated);
        }),
        ("at a tool's output", TOOL, |script| {
            script.accounts[0].limit_after(2, HOUR, Style::UsageLimit);
        }),
        ("after text", "Hi", |script| {
            script.accounts[0].limit_after(1, HOUR, Style::ErrorOutput);
        }),
        ("at a tool's output, after text", TOOL, |script| {
            script.accounts[0].limit_after(2, HOUR, Style::FailedOutput);
        }),
    ];
    for (what, prompt, change) in limits {
        let run = Run::new(prompt, 2, change);
        run.answered_by("two", what);
        assert!(run.is_marked(0) && !run.is_marked(1), "{what}");
        assert!(run.handshakes() <= 2, "{what}: {}", run.handshakes());
    }
}

#[test]
fn two_limited_accounts_cost_one_new_connection() {
    let run = Run::new("Hi", 3, |script| {
        script.accounts[0].limit_after(1, HOUR, Style::UsageLimit);
        script.accounts[1].limit(HOUR, Style::UsageLimit);
    });
    run.answered_by("three", "three accounts");
    assert!(run.is_marked(0) && run.is_marked(1) && !run.is_marked(2));
    assert!(run.handshakes() <= 2, "{}", run.handshakes());
}

#[test]
fn an_account_that_is_spent_is_left_between_two_requests() {
    let run = Run::new(TOOL, 2, |script| {
        script.accounts[0]
            .next
            .extend([Answer::Good(None), Style::LastOne.into()]);
    });
    run.answered_by("two", "all used up");
    assert!(run.handshakes() <= 2, "{}", run.handshakes());
}

#[test]
fn a_connection_that_is_cut_is_not_seen() {
    for after in [Progress::Nothing, Progress::Created, Progress::Item] {
        for code in [None, Some(1000), Some(1011)] {
            let run = Run::new(TOOL, 1, |script| {
                let close = Answer::Close { code, after };
                script.accounts[0].next.extend([Answer::Good(None), close]);
            });
            run.answered_by("one", &format!("{code:?} {after:?}"));
            assert!(!run.is_marked(0));
            assert!(run.handshakes() <= 2, "{after:?}: {}", run.handshakes());
        }
    }
}

#[test]
fn an_overloaded_account_and_a_throttled_one_are_not_seen() {
    let run = Run::new(TOOL, 2, |script| {
        script.accounts[0].next.push_back(Answer::Good(None));
        script.accounts[0].standing = Standing::Always(Style::Overloaded.into());
    });
    run.answered_by("two", "overloaded");
    let run = Run::new(TOOL, 1, |script| {
        let throttle = Answer::limit(Style::Throttle, Duration::from_secs(1));
        script.accounts[0]
            .next
            .extend([Answer::Good(None), throttle]);
    });
    run.answered_by("one", "throttled");
}

#[test]
fn when_all_are_limited_it_fails_once_and_says_until_when() {
    let run = Run::new("Hi", 2, |script| {
        script.accounts[0].limit_after(1, 2 * HOUR, Style::UsageLimit);
        script.accounts[1].limit(HOUR, Style::UsageLimit);
    });
    assert_ne!(run.shown.code, 0, "{}", run.shown);
    let failed = run.events().filter(|event| event["type"] == "turn.failed");
    assert_eq!(failed.count(), 1, "{}", run.shown);
    assert!(run.shown.stdout.contains("usage limit"), "{}", run.shown);
    assert!(run.is_marked(0) && run.is_marked(1));
}
