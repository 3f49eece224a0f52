//! `codex-account-pick`: which account, in which form, what of it is recorded, and how it ends where
//! there is none. The rules of the choice are also properties, in `src/account/pick/properties.rs`.

use std::fs;
use std::os::unix::fs::MetadataExt;

use serde_json::{Value, json};

use super::support::accounts::{account, store};
use super::support::shown::Shown;
use super::support::{CLOCK, Home};

mod arguments;
mod choices;
mod explained;
mod forms;
mod leases;
mod opencode_login;
mod recorded;
mod strategies;
mod tokens;
mod waiting;

/// Where opencode keeps its own login.
pub(super) const AUTH: &str = ".local/share/opencode/auth.json";

/// The moment of every test, as the store counts.
pub(super) const NOW: u64 = CLOCK * 1000;

/// A home with these accounts, the first of them active.
pub(super) fn home_of(labels: &[&str]) -> Home {
    let home = Home::new();
    home.write_store(&store(labels.iter().map(|label| account(label))));
    home
}

/// Changes the store as somebody else would.
pub(super) fn edit(home: &Home, change: impl FnOnce(&mut Value)) {
    let mut store = home.store();
    change(&mut store);
    home.write_store(&store);
}

pub(super) fn limit(home: &Home, index: usize, until: u64) {
    edit(home, |store| {
        let account = &mut store["accounts"][index];
        account["limits"] = json!({"default": {"until": until, "source": "body.resets_at"}});
        account["rateLimitResetTime"] = json!(until);
    });
}

pub(super) fn pick(home: &Home, args: &str) -> Shown {
    home.sh(&format!("codex-account-pick {args}"))
}

/// The label of the account that is picked, or how it fails.
pub(super) fn picked(home: &Home, args: &str) -> String {
    let shown = pick(home, args);
    match shown.code {
        0 => shown.json()["label"].as_str().expect("a label").to_owned(),
        code => format!("exit {code}"),
    }
}

/// The reason of each account.
pub(super) fn reasons(home: &Home, args: &str) -> Vec<String> {
    let shown = pick(home, &format!("--explain {args}"));
    assert_eq!(shown.code, 0, "{shown}");
    let records = shown.stdout.lines().map(|line| {
        let record: Value = serde_json::from_str(line).expect("a record");
        record["reason"].as_str().expect("a reason").to_owned()
    });
    records.collect()
}

pub(super) fn usage(short: f64, weekly: f64) -> Value {
    json!({"observedAt": NOW, "windows": [
        {"minutes": 300, "usedPercent": short, "resetsAt": 0},
        {"minutes": 10_080, "usedPercent": weekly, "resetsAt": 0}]})
}

/// What tells a written file from one that was left alone: a write replaces it.
pub(super) fn file(home: &Home) -> (u64, Vec<u8>) {
    let path = home.store_path();
    let inode = fs::metadata(&path).expect("a store").ino();
    (inode, fs::read(&path).expect("a store"))
}
