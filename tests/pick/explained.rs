//! Why each account was chosen or passed over, and as of when.

use std::fs;

use serde_json::json;

use super::{NOW, edit, home_of, limit, pick, picked, usage};
use crate::support::CLOCK;

#[test]
fn the_reasons_are_told() {
    let home = home_of(&[
        "work", "off", "dead", "slow", "full", "taken", "spare", "other",
    ]);
    edit(&home, |store| {
        let accounts = &mut store["accounts"];
        accounts[1]["enabled"] = json!(false);
        accounts[2]["loginRequired"] = json!({"code": "invalid_grant", "at": NOW});
        accounts[4]["usage"] = usage(99.0, 10.0);
        accounts[5]["lease"] = json!({"until": NOW + 1000, "pid": std::process::id()});
    });
    limit(&home, 3, NOW + 5000);
    let args = "--reserve 5 --exclude spare --pid 1 --explain";
    insta::assert_snapshot!(home.sh(&format!("codex-account-pick {args} | cut -d, -f 6-")), @r#"
    "label":"work","chosen":true,"reason":"chosen"}
    "label":"off","chosen":false,"reason":"disabled"}
    "label":"dead","chosen":false,"reason":"login-required"}
    "label":"slow","chosen":false,"reason":"limited","until":1777922701000}
    "label":"full","chosen":false,"reason":"reserved"}
    "label":"taken","chosen":false,"reason":"busy"}
    "label":"spare","chosen":false,"reason":"excluded"}
    "label":"other","chosen":false,"reason":"not-next"}
    --- exit 0
    "#);
}

#[test]
fn a_past_decision_is_replayed_to_the_byte() {
    let mut home = home_of(&["a", "b", "c"]);
    edit(&home, |store| {
        let accounts = &mut store["accounts"];
        accounts[0]["usage"] = usage(10.0, 60.0);
        accounts[1]["usage"] = usage(10.0, 40.0);
        accounts[2]["lease"] = json!({"until": NOW + 8000, "pid": 1});
    });
    limit(&home, 0, NOW + 3000);
    limit(&home, 1, NOW + 6000);
    fs::copy(home.store_path(), home.path().join("saved")).expect("a copy");
    for seconds in [0, 3, 6, 9] {
        for how in [
            "",
            "--strategy least-used",
            "--session s",
            "--strategy round-robin",
        ] {
            let time = CLOCK + seconds;
            home.set("CODEX_ACCOUNTS_CLOCK", time.to_string());
            let then = pick(&home, &format!("--explain {how}"));
            let chosen = picked(&home, &format!("--peek {how}"));
            home.set("CODEX_ACCOUNTS_CLOCK", (CLOCK + 999_999).to_string());
            let replay = format!("--store saved --at {time} {how}");
            let now = pick(&home, &format!("--explain {replay}"));
            assert_eq!((now.code, &now.stdout), (then.code, &then.stdout), "{how}");
            assert_eq!(picked(&home, &replay), chosen, "{how}");
        }
    }
}

#[test]
fn what_the_holder_of_a_lease_was_told_is_replayed_with_its_pid() {
    let home = home_of(&["a", "b"]);
    let me = format!("--pid {}", std::process::id());
    assert_eq!(picked(&home, &format!("--lease 1h {me}")), "a");
    fs::copy(home.store_path(), home.path().join("saved")).expect("a copy");
    let then = pick(&home, &format!("--explain {me}"));
    assert!(
        then.stdout.contains("chosen\":true,\"reason\":\"chosen"),
        "{then}"
    );
    let replay = |pid: &str| {
        pick(
            &home,
            &format!("--explain --store saved --at {CLOCK} {pid}"),
        )
    };
    assert_eq!(replay(&me).stdout, then.stdout);
    assert_eq!(replay(&me).stdout, then.stdout, "whoever asks");
    // Without it, it is the answer that any other process was given.
    let to_others = pick(&home, "--explain");
    assert_eq!(replay("").stdout, to_others.stdout);
    assert_ne!(to_others.stdout, then.stdout);
}
