//! Many processes that change one store in every way at once, against a model of what must come of
//! it: each has an account of its own, and what it did to that is what is there at the end.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use super::support::Home;
use super::support::accounts::store;
use super::support::faults::is_soak;
use super::support::numbers::Numbers;

/// So many processes, and so many changes by each.
fn size() -> (usize, usize) {
    if is_soak() { (50, 200) } else { (10, 12) }
}

/// What an account is in the end.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Expected {
    label: String,
    enabled: bool,
    scopes: BTreeSet<String>,
    /// Whether the other account of the process is there, too.
    has_second: bool,
}

/// What a process does, as a script, and what must come of it.
fn process(number: usize, changes: usize) -> (String, Expected) {
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15 ^ (number as u64 + 1));
    let (id, second) = (format!("acc-{number:03}"), format!("second-{number:03}"));
    let mut expected = Expected {
        label: format!("label-{number:03}"),
        enabled: true,
        scopes: BTreeSet::new(),
        has_second: false,
    };
    let mut script = String::new();
    let mut run = |command: String, may: &str| {
        let done = format!("{command} >/dev/null 2>&1 </dev/null");
        writeln!(script, "{done} {may} || {{ echo '{command}' >>failed; }}").expect("a text");
    };
    for change in 0..changes {
        match numbers.below(8) {
            0 | 1 => {
                let scope = format!("scope-{change}");
                let mark = "codex-ratelimit-mark --retry-after 1h --scope";
                run(format!("{mark} {scope} {id}"), "");
                expected.scopes.insert(scope);
            }
            2 => {
                expected.label = format!("label-{number:03}-{change}");
                run(format!("codex-accounts label {id} {}", expected.label), "");
            }
            3 => {
                expected.enabled = !expected.enabled;
                let word = if expected.enabled {
                    "enable"
                } else {
                    "disable"
                };
                run(format!("codex-accounts {word} {id}"), "");
            }
            4 => {
                if expected.has_second {
                    let remove = "codex-accounts remove --yes --keep-login";
                    run(format!("{remove} {second}"), "");
                } else {
                    run(format!("codex-accounts import {second}.json"), "");
                }
                expected.has_second = !expected.has_second;
            }
            // Whom it picks depends on the others, and whether there is anybody.
            5 => run(
                "codex-account-pick --strategy round-robin".to_owned(),
                "|| test $? = 75 -o $? = 1",
            ),
            6 => run("codex-account-pick --explain".to_owned(), ""),
            _ => run(
                "codex-account-pick --lease 1m".to_owned(),
                "|| test $? = 75 -o $? = 1",
            ),
        }
    }
    (script, expected)
}

/// What the store has of each process's accounts.
fn found(document: &Value, processes: usize) -> BTreeMap<usize, Option<Expected>> {
    let accounts = document["accounts"].as_array().expect("accounts");
    let of = |id: String| accounts.iter().find(|it| it["chatgptAccountId"] == id);
    (0..processes)
        .map(|number| {
            let account = of(format!("acc-{number:03}"));
            let scopes = |account: &Value| {
                let limits = account["limits"].as_object().into_iter().flatten();
                limits.map(|(scope, _)| scope.clone()).collect()
            };
            let expected = account.map(|account| Expected {
                label: account["label"].as_str().unwrap_or_default().to_owned(),
                enabled: account["enabled"] != false,
                scopes: scopes(account),
                has_second: of(format!("second-{number:03}")).is_some(),
            });
            (number, expected)
        })
        .collect()
}

/// Runs them all at once. Whatever is not as the model says, or failed.
fn play(home: &Home) -> Vec<String> {
    let (processes, changes) = size();
    let account = |number: usize| {
        json!({
            "refreshToken": format!("CANARY-{number}"),
            "chatgptAccountId": format!("acc-{number:03}"),
            "label": format!("label-{number:03}"),
            "addedAt": 1_700_000_000_000_u64 + number as u64,
            "lastUsed": 0,
        })
    };
    home.write_store(&store((0..processes).map(account)));
    let plays = (0..processes).map(|number| {
        let second = json!({
            "refreshToken": format!("CANARY-second-{number}"),
            "chatgptAccountId": format!("second-{number:03}"),
        });
        home.write(format!("second-{number:03}.json"), second.to_string());
        let (script, expected) = process(number, changes);
        let mut shell = home.std_command("sh");
        shell.args(["-c", &script]).stdin(Stdio::null());
        (shell.spawn().expect("sh starts"), expected)
    });
    let (children, model): (Vec<Child>, Vec<Expected>) = plays.unzip();
    for mut child in children {
        child.wait().expect("an end");
    }
    let failed = fs::read_to_string(home.path().join("failed")).unwrap_or_default();
    let mut wrong: Vec<String> = failed.lines().map(|it| format!("failed: {it}")).collect();
    for (number, is) in found(&home.store(), processes) {
        if is.as_ref() != Some(&model[number]) {
            wrong.push(format!("{number}: {is:?} is not {:?}", model[number]));
        }
    }
    wrong
}

#[test]
fn what_each_of_many_processes_did_is_there_at_the_end() {
    let wrong = play(&Home::new());
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

fn is_whole(text: &[u8]) -> bool {
    serde_json::from_slice::<Value>(text).is_ok()
}

/// Says that it is over, also when that is by a panic: else the other thread would go on for ever.
struct AtItsEnd<'a>(&'a AtomicBool);

impl Drop for AtItsEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn a_writer_that_does_not_lock_would_be_seen() {
    let home = Home::new();
    let path = home.store_path();
    let over = AtomicBool::new(false);
    let wrong = std::thread::scope(|scope| {
        scope.spawn(|| {
            let aside = path.with_extension("careless");
            while !over.load(Ordering::Relaxed) {
                // What it read is whole, and may be old by the time that it is written.
                if let Some(text) = fs::read(&path).ok().filter(|text| is_whole(text)) {
                    std::thread::sleep(Duration::from_millis(20));
                    home.write(&aside, text);
                    let _ = fs::rename(&aside, &path);
                }
            }
        });
        let _over = AtItsEnd(&over);
        play(&home)
    });
    assert!(!wrong.is_empty(), "nothing was lost, or nobody saw it");
}
