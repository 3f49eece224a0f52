//! `codex-accounts policy`: what is wished of the choice for good, and that every command keeps to it.

use serde_json::{Value, json};

use super::support::Home;
use super::support::accounts::{account, store};

fn home() -> Home {
    let home = Home::new();
    home.write_store(&store(["work", "personal"].map(account)));
    home
}

#[test]
fn a_policy_is_set_shown_and_taken_away() {
    let home = home();
    insta::assert_snapshot!(home.sh("codex-accounts policy"), @"
    default: strategy sticky, reserve 0 %, credits last
    --- exit 0
    ");
    insta::assert_snapshot!(home.sh("codex-accounts policy --reserve 10 work"), @"
    --- stderr
    codex-accounts: 0 work: reserve 10 %, credits last
    --- exit 0
    ");
    insta::assert_snapshot!(home.sh("codex-accounts policy --default --strategy step=5 --reserve 5%"), @"
    --- stderr
    codex-accounts: default: strategy step=5, reserve 5 %, credits last
    --- exit 0
    ");
    assert_eq!(
        home.store()["policy"],
        json!({"strategy": "step=5", "reserve": 5.0})
    );
    assert_eq!(
        home.store()["accounts"][0]["policy"],
        json!({"reserve": 10.0})
    );
    insta::assert_snapshot!(home.sh("codex-accounts policy; codex-accounts policy personal"), @"
    default: strategy step=5, reserve 5 %, credits last
    0 work: reserve 10 %, credits last
    1 personal: reserve 5 %, credits last
    --- exit 0
    ");
    insta::assert_snapshot!(home.sh("codex-accounts policy --credits never 1"), @"
    --- stderr
    codex-accounts: 1 personal: reserve 5 %, credits never
    --- exit 0
    ");
    assert_eq!(
        home.store()["accounts"][1]["policy"],
        json!({"credits": "never"})
    );
    home.sh("codex-accounts policy --reserve default work");
    home.sh("codex-accounts policy --default --reserve default --strategy default");
    let after = home.store();
    assert_eq!(after.get("policy"), None);
    assert_eq!(after["accounts"][0].get("policy"), None);
}

#[test]
fn a_policy_is_in_the_record_of_its_account() {
    let home = home();
    home.sh("codex-accounts policy --reserve 10 work");
    let shown = home.sh("codex-accounts list --json");
    let policies: Vec<Value> = (shown.stdout.lines())
        .map(|line| serde_json::from_str::<Value>(line).expect("a record")["policy"].clone())
        .collect();
    assert_eq!(policies, [json!({"reserve": 10.0}), Value::Null]);
}

#[test]
fn the_status_tells_who_is_next_by_the_policy() {
    let home = home();
    home.sh("codex-account-pick; codex-accounts policy --default --strategy round-robin");
    let shown = home.sh("codex-accounts");
    assert!(shown.stdout.contains("goes to 1 personal"), "{shown}");
}

#[test]
fn what_makes_no_policy_is_refused() {
    let home = home();
    insta::assert_snapshot!(home.sh("codex-accounts policy --reserve 10"), @"
    --- stderr
    codex-accounts: error: it is not said whose policy that is
    hint: name an ACCOUNT, or say --default for all
    --- exit 2
    ");
    for args in [
        "--reserve 101 work",
        "--strategy sticky work",
        "--credits maybe work",
        "--default work",
        "--default --strategy by-moon",
    ] {
        assert_eq!(
            home.sh(&format!("codex-accounts policy {args}")).code,
            2,
            "{args}"
        );
    }
    assert_eq!(home.sh("codex-accounts policy --reserve 1 nobody").code, 1);
}

#[test]
fn relay_launch_and_pick_keep_to_the_policy() {
    let home = Home::new();
    home.write(
        "script",
        r#"
ask() {
    curl -sS "$OPENAI_BASE_URL/responses" -H "Authorization: Bearer $OPENAI_API_KEY" \
        -d '{"model":"gpt-5.5","stream":true,"store":false,"instructions":"Be brief.",
            "input":[{"role":"user","content":[{"type":"input_text","text":"hi"}]}]}' |
        grep -o -m 1 'answered by .*@'
}
ask; ask"#,
    );
    let asked = |policy: &str| {
        let script =
            format!("{policy}; codex-launch -- sh script; codex-account-pick --format index");
        home.sh(&format!(
            "codex-rehearse -q -- sh -c '{script}' 2>/dev/null"
        ))
        .stdout
    };
    let round = asked("codex-accounts policy -q --default --strategy round-robin");
    assert_eq!(round, "answered by two@\nanswered by one@\n1\n");
    let kept = asked("codex-usage-fetch >/dev/null; codex-accounts policy -q --reserve 100 one");
    assert_eq!(kept, "answered by two@\nanswered by two@\n1\n");
}
