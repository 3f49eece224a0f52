//! Which account it is.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::{AUTH, NOW, edit, home_of, limit, pick, picked, reasons, usage};
use crate::support::Home;

#[test]
fn sticky_stays_until_the_account_is_limited() {
    let home = home_of(&["work", "personal", "spare"]);
    insta::assert_snapshot!(pick(&home, ""), @r#"
    {"v":1,"index":0,"chatgptAccountId":"acc-work","chatgptUserId":"user-work","email":"work@example.com","label":"work","switched":true,"lastSwitchReason":"initial"}
    --- exit 0
    "#);
    insta::assert_snapshot!(pick(&home, ""), @r#"
    {"v":1,"index":0,"chatgptAccountId":"acc-work","chatgptUserId":"user-work","email":"work@example.com","label":"work","switched":false,"lastSwitchReason":"initial"}
    --- exit 0
    "#);
    limit(&home, 0, NOW + 1);
    insta::assert_snapshot!(pick(&home, ""), @r#"
    {"v":1,"index":1,"chatgptAccountId":"acc-personal","chatgptUserId":"user-personal","email":"personal@example.com","label":"personal","switched":true,"lastSwitchReason":"rate-limit"}
    --- exit 0
    "#);
    // It stays there when the first one is back: that keeps the cache warm.
    limit(&home, 0, NOW);
    assert_eq!(picked(&home, ""), "personal");
    let after = home.store();
    assert_eq!(after["activeIndex"], 1);
    assert_eq!(after["accounts"][1]["activation"], json!({"at": NOW}));
}

#[test]
fn after_the_last_account_comes_the_first() {
    let home = home_of(&["work", "personal", "spare"]);
    edit(&home, |store| store["activeIndex"] = json!(2));
    limit(&home, 2, NOW + 1);
    assert_eq!(picked(&home, ""), "work");
}

#[test]
fn round_robin_goes_on_every_time() {
    let home = home_of(&["work", "personal", "spare"]);
    let next = || picked(&home, "--strategy round-robin");
    assert_eq!(
        [next(), next(), next(), next()],
        ["personal", "spare", "work", "personal"]
    );
    assert_eq!(
        home.store()["accounts"][1]["lastSwitchReason"],
        json!("rotation")
    );
}

#[test]
fn parallel_round_robin_gives_each_account_its_share() {
    let home = home_of(&["one", "two", "three", "four"]);
    let shown = home
        .sh("for n in 1 2 3 4 5 6 7 8; do codex-account-pick --strategy round-robin & done; wait");
    let mut count = BTreeMap::new();
    for line in shown.stdout.lines() {
        let record: Value = serde_json::from_str(line).expect("a record");
        *count.entry(record["index"].as_u64()).or_insert(0) += 1;
    }
    let shares: Vec<i32> = count.into_values().collect();
    assert_eq!(shares, [2, 2, 2, 2], "{shown}");
}

#[test]
fn least_used_goes_by_the_week_then_by_the_short_window_then_by_time() {
    let home = home_of(&["a", "b", "c", "d"]);
    let used = |figures: [Option<(f64, f64)>; 4], last_used: [u64; 4]| {
        edit(&home, |store| {
            for (index, figures) in figures.into_iter().enumerate() {
                let account = &mut store["accounts"][index];
                account["lastUsed"] = json!(last_used[index]);
                let account = account.as_object_mut().expect("an account");
                match figures {
                    Some((short, weekly)) => {
                        account.insert("usage".into(), usage(short, weekly));
                    }
                    None => drop(account.shift_remove("usage")),
                }
            }
        });
        picked(&home, "--strategy least-used --peek")
    };
    let some = |short, weekly| Some((short, weekly));
    let fourfold = [1, 1, 1, 1];
    let by_week = [
        some(1.0, 9.0),
        some(90.0, 8.0),
        some(1.0, 8.1),
        some(0.0, 50.0),
    ];
    assert_eq!(used(by_week, fourfold), "b");
    let by_short = [
        some(3.0, 8.0),
        some(2.0, 8.0),
        some(1.0, 8.0),
        some(2.0, 8.0),
    ];
    assert_eq!(used(by_short, fourfold), "c");
    let same = [some(1.0, 8.0); 4];
    assert_eq!(used(same, [5, 4, 3, 2]), "d");
    let one_unknown = [some(1.0, 8.0), some(1.0, 8.0), None, some(1.0, 8.0)];
    assert_eq!(used(one_unknown, fourfold), "c");
}

#[test]
fn step_leaves_when_so_much_of_the_week_went() {
    let home = home_of(&["work", "personal"]);
    let week = |used: f64| {
        edit(&home, |store| {
            store["accounts"][0]["usage"] = usage(50.0, used);
        });
        picked(&home, "--strategy step=5")
    };
    assert_eq!(week(30.0), "work");
    assert_eq!(week(34.9), "work");
    assert_eq!(week(35.0), "personal");
}

#[test]
fn a_session_keeps_its_account_and_moves_nobody_else() {
    let home = home_of(&["a", "b", "c"]);
    picked(&home, "");
    let owner = |key: &str| picked(&home, &format!("--session {key}"));
    let keys: Vec<String> = (0..12).map(|n| format!("session-{n}")).collect();
    let before: Vec<String> = keys.iter().map(|key| owner(key)).collect();
    let owners: BTreeSet<&String> = before.iter().collect();
    assert_eq!(owners.len(), 3, "{before:?}");
    assert_eq!(home.store()["activeIndex"], 0, "nobody was switched");
    limit(&home, 1, NOW + 1);
    for (key, owned) in keys.iter().zip(&before) {
        let now = owner(key);
        assert!(now == *owned || owned == "b", "{key}: {owned}, {now}");
    }
    limit(&home, 1, NOW);
    let again: Vec<String> = keys.iter().map(|key| owner(key)).collect();
    assert_eq!(again, before);
}

#[test]
fn a_session_stays_on_an_account_that_another_run_holds() {
    let home = home_of(&["a", "b", "c"]);
    let owner = picked(&home, "--session s");
    let index = ["a", "b", "c"].iter().position(|label| *label == owner);
    edit(&home, |store| {
        let lease = json!({"until": NOW + 60_000, "pid": std::process::id()});
        store["accounts"][index.expect("an account")]["lease"] = lease;
    });
    assert_eq!(
        reasons(&home, "").iter().filter(|it| *it == "busy").count(),
        1
    );
    assert_eq!(picked(&home, "--session s"), owner);
}

#[test]
fn sessions_spread_over_accounts_of_which_no_id_is_known() {
    let home = Home::new();
    home.write(
        AUTH,
        r#"{"openai":{"type":"oauth","refresh":"r1||r2||r3","access":"","expires":0}}"#,
    );
    let owners: BTreeSet<Option<u64>> = (0..12)
        .map(|n| pick(&home, &format!("--session session-{n}")).json()["index"].as_u64())
        .collect();
    assert_eq!(owners.len(), 3);
}

#[test]
fn what_is_asked_for_and_what_is_excluded() {
    let home = home_of(&["work", "personal", "spare"]);
    assert_eq!(picked(&home, "--peek --account spare"), "spare");
    assert_eq!(picked(&home, "--peek --account 1"), "personal");
    assert_eq!(
        picked(&home, "--peek --account work@example.com --exclude 1"),
        "work"
    );
    assert_eq!(
        picked(&home, "--peek --exclude work --exclude acc-pers"),
        "spare"
    );
    insta::assert_snapshot!(pick(&home, "--account acc-"), @"
    --- stderr
    codex-account-pick: error: 'acc-' is more than one account
    hint: there is 0 work, 1 personal, 2 spare
    --- exit 1
    ");
    insta::assert_snapshot!(pick(&home, "--account work --exclude work"), @"
    --- stderr
    codex-account-pick: error: account 0 'work' is excluded
    --- exit 1
    ");
    limit(&home, 0, NOW + 90_000);
    insta::assert_snapshot!(pick(&home, "--account work"), @"
    --- stderr
    codex-account-pick: error: account 0 'work' is limited until 2026-05-04T19:26:26Z
    hint: that is in 2 min; --wait waits for it
    --- exit 75
    ");
}

#[test]
fn the_account_that_was_asked_for_is_told_why_it_can_not_be_used() {
    let home = home_of(&["off", "dead"]);
    edit(&home, |store| {
        store["accounts"][0]["enabled"] = json!(false);
        store["accounts"][1]["loginRequired"] = json!({"code": "invalid_grant", "at": NOW});
    });
    insta::assert_snapshot!(pick(&home, "--account off"), @"
    --- stderr
    codex-account-pick: error: account 0 'off' is disabled
    hint: codex-accounts enable 0
    --- exit 1
    ");
    insta::assert_snapshot!(pick(&home, "--account dead"), @"
    --- stderr
    codex-account-pick: error: account 1 'dead' needs a new login (invalid_grant)
    hint: codex-accounts add 1
    --- exit 77
    ");
}
