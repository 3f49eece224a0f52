//! The relay and the clients behind it, where a helper keeps the store: they ask it as rarely as a
//! file, hear of what others change, and go on when it is gone.

use std::time::{Duration, Instant};

use codex_accounts::rehearse::{Pretend, Script, Style};
use serde_json::Value;

use super::support::Home;
use super::support::asked::asked;
use super::support::kept::Kept;
use super::support::relay::{HOUR, Setting, first_limited};
use super::support::stage::wait_until;

/// A relay for such accounts, whose store a helper keeps.
fn relay(script: Script) -> (Setting, Kept) {
    let mut home = Home::new();
    let pretend = home.with_servers(script);
    let kept = Kept::of(&mut home);
    (Setting::of(home, pretend, &["-v"]), kept)
}

fn is_limited(document: &Value, index: usize) -> bool {
    document["accounts"][index]["limits"]["default"].is_object()
}

#[test]
fn a_rotation_is_told_to_the_helper() {
    let (setting, kept) = relay(first_limited(Style::UsageLimit));
    assert!(setting.ask().body.contains("answered by two@"));
    wait_until("the mark is in the store", || is_limited(&kept.store(), 0));
    assert_eq!(kept.store()["activeIndex"], 1);
    assert!(setting.relay.end().success());
}

#[test]
fn requests_ask_the_helper_nothing() {
    let (setting, _kept) = relay(Script::with_accounts(2));
    assert!(setting.ask().body.contains("answered by one@"));
    // What the first one brought is written.
    wait_until("the store is at rest", || {
        let before = Kept::asked(&setting.home).len();
        std::thread::sleep(Duration::from_millis(500));
        Kept::asked(&setting.home).len() == before
    });
    let before = Kept::asked(&setting.home).len();
    let begun = Instant::now();
    for _ in 0..100 {
        assert!(setting.ask().body.contains("answered by one@"));
    }
    // What they bring is written a few times a second, whatever their number.
    let most = 4 * (5 * usize::try_from(begun.elapsed().as_secs()).unwrap_or(0) + 10);
    let asked = Kept::asked(&setting.home).split_off(before);
    assert!(asked.len() < most.min(90), "{asked:?}");
}

#[test]
fn what_another_machine_marks_counts_for_the_next_request() {
    let (setting, kept) = relay(Script::with_accounts(2));
    assert!(setting.ask().body.contains("answered by one@"));
    let mut other = Home::new();
    other.unset("CODEX_ACCOUNTS_CLOCK");
    kept.serve(&mut other);
    let shown = other.sh("codex-ratelimit-mark --retry-after 1h 0");
    assert_eq!(shown.code, 0, "{shown}");
    let marked = Instant::now();
    wait_until("another account answers", || {
        setting.ask().body.contains("answered by two@")
    });
    let took = marked.elapsed();
    // It is a tenth of a second where nothing else runs; without a watch it would be half a minute.
    assert!(took < Duration::from_secs(5), "{took:?}");
}

#[test]
fn a_relay_whose_store_is_gone_goes_on_and_tells_it_later() {
    let (setting, kept) = relay(first_limited(Style::UsageLimit));
    // It knows the accounts.
    let shown = setting.home.sh("codex-account-pick");
    assert_eq!(shown.code, 0, "{shown}");
    Kept::cut(&setting.home, true);
    for _ in 0..3 {
        let begun = Instant::now();
        assert!(setting.ask().body.contains("answered by two@"));
        assert!(begun.elapsed() < Duration::from_secs(5));
    }
    assert!(!is_limited(&kept.store(), 0));
    wait_until("it says so", || {
        setting.relay.stderr().contains("it was told to fail")
    });
    Kept::cut(&setting.home, false);
    wait_until("the mark is in the store", || is_limited(&kept.store(), 0));
    assert_eq!(setting.asked()[0], Some(0));
    assert_eq!(
        setting.asked()[1..]
            .iter()
            .filter(|it| **it == Some(0))
            .count(),
        0
    );
}

#[test]
fn a_relay_outlives_helpers_that_are_killed() {
    let (setting, kept) = relay(first_limited(Style::UsageLimit));
    let url = kept.url();
    let killed = setting.home.sh(&format!(
        "for it in /proc/[0-9]*; do \
         tr '\\0' '\\n' <$it/environ 2>/dev/null | grep -qx 'CODEX_STORE_URL={url}' && \
         kill -9 ${{it#/proc/}} && echo killed; done; true"
    ));
    assert!(killed.stdout.contains("killed"), "{killed}");
    assert!(setting.ask().body.contains("answered by two@"));
    wait_until("the mark is in the store", || is_limited(&kept.store(), 0));
}

/// What both clients are asked.
const RUN: &str = "codex-launch opencode run -m openai/gpt-5.5 'say who you are' </dev/null";

#[test]
fn opencode_changes_accounts_where_a_helper_keeps_them() {
    let mut script = Script::with_accounts(2);
    script.accounts[0].limit(HOUR, Style::UsageLimit);
    script.any_port = true;
    let mut home = Home::with_clients();
    home.install_browser();
    let pretend = Pretend::start(script).expect("the pretend servers start");
    home.use_servers(&pretend);
    let kept = Kept::of(&mut home);
    for _ in 0..2 {
        let shown = home.sh("codex-oauth-login --port 0");
        assert_eq!(shown.code, 0, "{shown}");
    }
    let shown = home.sh(RUN);
    assert_eq!(shown.code, 0, "{shown}");
    assert!(
        shown.stdout.contains("answered by two@example.com"),
        "{shown}"
    );
    assert!(asked(&pretend).contains(&0));
    let document = kept.store();
    assert!(is_limited(&document, 0), "{document}");
    assert_eq!(document["activeIndex"], 1);
    assert!(!home.store_path().exists());

    // Another machine goes on with the account that is left.
    let mut other = Home::with_clients();
    other.use_servers(&pretend);
    kept.serve(&mut other);
    let before = asked(&pretend).len();
    let shown = other.sh(RUN);
    assert_eq!(shown.code, 0, "{shown}");
    assert!(
        shown.stdout.contains("answered by two@example.com"),
        "{shown}"
    );
    assert_eq!(
        asked(&pretend)[before..]
            .iter()
            .filter(|it| **it == 0)
            .count(),
        0
    );
}
