//! Arguments and settings.

use std::fs;

use serde_json::json;

use super::{NOW, edit, home_of, pick};
use crate::support::Home;
use crate::support::accounts::{account, store};

#[test]
fn what_makes_no_sense_is_refused() {
    let home = home_of(&["work"]);
    for args in [
        "--strategy random",
        "--strategy step=",
        "--strategy step=0",
        "--strategy step=-5",
        "--strategy step=inf",
        "--reserve 101",
        "--reserve -1",
        "--lease soon",
        "--pid 0",
        "--at yesterday",
        "--format xml",
        "--wait=ever",
        "--peek --lease 1h",
        "--at 1 --lease 1h",
        "--at 1 --wait",
        "--explain --wait",
        "--explain --format id",
        "work",
    ] {
        let shown = pick(&home, args);
        assert_eq!((shown.code, shown.stdout.as_str()), (2, ""), "{args}");
        let first = shown.stderr.lines().next().unwrap_or_default();
        assert!(first.starts_with("codex-account-pick: error: "), "{shown}");
    }
}

#[test]
fn completion_knows_the_strategies_and_the_accounts_of_the_store_that_was_typed() {
    let home = home_of(&["work", "personal"]);
    home.write("named", store([account("other")]).to_string());
    let completed = |words: &str| {
        let index = words.split(' ').count();
        let script = format!(
            "CODEX_ACCOUNTS_COMPLETE=bash _CLAP_COMPLETE_INDEX={index} _CLAP_COMPLETE_COMP_TYPE=9 \
             _CLAP_IFS=' ' codex-accounts -- {words} ''"
        );
        home.sh(&script).stdout
    };
    let strategies = "sticky round-robin least-used soonest-reset step=5";
    assert_eq!(completed("codex-account-pick --strategy"), strategies);
    assert_eq!(completed("codex-account-pick --account"), "work personal");
    for typed in ["--store named", "--store=named"] {
        let words = format!("codex-account-pick {typed} --account");
        assert_eq!(completed(&words), "other");
    }
}

#[test]
fn a_bad_setting_is_told() {
    let mut home = home_of(&["work"]);
    home.set("CODEX_ACCOUNTS_ISSUER", "http://example.com");
    assert_eq!(pick(&home, "--format headers").code, 0, "nobody is asked");
    edit(&home, |store| {
        store["accounts"][0]["expiresAt"] = json!(NOW);
    });
    assert_eq!(pick(&home, "--format headers").code, 78);
    assert_eq!(pick(&home, "").code, 0, "which this does not need");
}

#[test]
fn a_damaged_store_is_left_as_it_is() {
    let home = Home::new();
    let path = home.write(home.store_path(), "{\"version\":1,\"accounts\":[{");
    for args in ["", "--peek", "--explain", "--format headers"] {
        assert_eq!(pick(&home, args).code, 78, "{args}");
    }
    assert_eq!(
        fs::read(path).expect("the store"),
        b"{\"version\":1,\"accounts\":[{"
    );
}
