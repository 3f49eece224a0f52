//! The real Codex CLI behind the relay.

use std::fs;
use std::time::Duration;

use codex_accounts::rehearse::{Script, Style};

use super::support::Home;

#[test]
fn codex_survives_a_429_of_the_active_account() {
    let mut home = Home::with_clients();
    let mut script = Script::with_accounts(2);
    script.accounts[0].limit(Duration::from_secs(3600), Style::UsageLimit);
    let pretend = home.with_servers(script);
    let config = fs::read(home.path().join(".codex/config.toml")).unwrap();

    let shown = home.sh(
        "codex-launch codex exec --skip-git-repo-check -m gpt-5.5 'say who you are' </dev/null",
    );
    assert_eq!(shown.code, 0, "{shown}");
    assert!(
        shown.stdout.contains("answered by two@example.com"),
        "{shown}"
    );
    assert_eq!(home.store()["activeIndex"], 1);
    assert!(!home.path().join(".codex/auth.json").exists());
    assert_eq!(
        fs::read(home.path().join(".codex/config.toml")).unwrap(),
        config
    );
    let asked = pretend.seen();
    assert!(asked.iter().any(|seen| seen.account == Some(0)));
}
