//! opencode asks twice at about the same time, once for the title (PROTOCOL §3): both meet the same
//! limit, and that is one event.

use std::time::Duration;

use codex_accounts::rehearse::{Script, Style};

use super::support::Home;
use super::support::asked::asked;

const RUN: &str = "codex-launch opencode run -m openai/gpt-5.5 'say who you are' </dev/null";

#[test]
fn a_limit_that_a_question_and_its_title_meet_is_one_switch() {
    let mut home = Home::with_clients();
    let mut script = Script::with_accounts(3);
    script.accounts[0].limit(Duration::from_secs(3600), Style::UsageLimit);
    let pretend = home.with_servers(script);

    let shown = home.sh(RUN);
    assert_eq!(shown.code, 0, "{shown}");
    assert!(
        shown.stdout.contains("answered by two@example.com"),
        "{shown}"
    );
    let first = asked(&pretend);
    let of_limited = first.iter().filter(|account| **account == 0).count();
    assert!((1..=2).contains(&of_limited), "{first:?}");
    assert!(!first.contains(&2), "{first:?}");

    let shown = home.sh(RUN);
    assert_eq!(shown.code, 0, "{shown}");
    let later = &asked(&pretend)[first.len()..];
    assert!(!later.is_empty());
    assert!(later.iter().all(|account| *account == 1), "{later:?}");

    let log = home.sh("codex-accounts log --json | jq -c '[.from, .to, .reason]'");
    assert_eq!(
        log.stdout, "[\"one@example.com\",\"two@example.com\",\"rate-limit\"]\n",
        "{log}"
    );
}
