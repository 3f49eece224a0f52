//! `codex-account-pick`: which account, in which form, what of it is recorded, and how it ends where
//! there is none. The rules of the choice are also properties, in `src/account/pick.rs`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::MetadataExt;
use std::process::{Child, ChildStdin, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use codex_accounts::rehearse::{Answer, ErrorShape, Pretend, Script, TokenAnswer};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

use super::support::accounts::{access_token, account, store};
use super::support::canary::{self, CANARY};
use super::support::shown::Shown;
use super::support::stage::wait_until;
use super::support::{CLOCK, Home};

/// The moment of every test, as the store counts.
const NOW: u64 = CLOCK * 1000;

/// A home with these accounts, the first of them active.
fn home_of(labels: &[&str]) -> Home {
    let home = Home::new();
    home.write_store(&store(labels.iter().map(|label| account(label))));
    home
}

/// Changes the store as somebody else would.
fn edit(home: &Home, change: impl FnOnce(&mut Value)) {
    let mut store = home.store();
    change(&mut store);
    home.write_store(&store);
}

fn limit(home: &Home, index: usize, until: u64) {
    edit(home, |store| {
        let account = &mut store["accounts"][index];
        account["limits"] = json!({"default": {"until": until, "source": "body.resets_at"}});
        account["rateLimitResetTime"] = json!(until);
    });
}

fn pick(home: &Home, args: &str) -> Shown {
    home.sh(&format!("codex-account-pick {args}"))
}

/// The label of the account that is picked, or how it fails.
fn picked(home: &Home, args: &str) -> String {
    let shown = pick(home, args);
    match shown.code {
        0 => shown.json()["label"].as_str().expect("a label").to_owned(),
        code => format!("exit {code}"),
    }
}

/// The reason of each account.
fn reasons(home: &Home, args: &str) -> Vec<String> {
    let shown = pick(home, &format!("--explain {args}"));
    assert_eq!(shown.code, 0, "{shown}");
    let records = shown.stdout.lines().map(|line| {
        let record: Value = serde_json::from_str(line).expect("a record");
        record["reason"].as_str().expect("a reason").to_owned()
    });
    records.collect()
}

fn usage(short: f64, weekly: f64) -> Value {
    json!({"observedAt": NOW, "windows": [
        {"minutes": 300, "usedPercent": short, "resetsAt": 0},
        {"minutes": 10_080, "usedPercent": weekly, "resetsAt": 0}]})
}

// --- which account

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
    codex-account-pick: error: account 'work' is disabled or excluded
    hint: codex-accounts enable 'work'
    --- exit 1
    ");
    limit(&home, 0, NOW + 90_000);
    insta::assert_snapshot!(pick(&home, "--account work"), @"
    --- stderr
    codex-account-pick: error: account 0 'work' is limited until 2026-05-04T19:26:26Z
    hint: that is in 90 s; --wait waits for it
    --- exit 75
    ");
}

#[test]
fn what_is_reserved_comes_last() {
    let home = home_of(&["work", "personal"]);
    edit(&home, |store| {
        store["accounts"][0]["usage"] = usage(90.0, 10.0)
    });
    assert_eq!(picked(&home, "--peek --reserve 9.9"), "work");
    assert_eq!(picked(&home, "--peek --reserve 10%"), "personal");
    assert_eq!(reasons(&home, "--reserve 10"), ["reserved", "chosen"]);
    limit(&home, 1, NOW + 1);
    assert_eq!(picked(&home, "--peek --reserve 10"), "work");
}

// --- what is recorded

/// What tells a written file from one that was left alone: a write replaces it.
fn file(home: &Home) -> (u64, Vec<u8>) {
    let path = home.store_path();
    let inode = fs::metadata(&path).expect("a store").ino();
    (inode, fs::read(&path).expect("a store"))
}

#[test]
fn an_unchanged_pick_writes_once_a_minute() {
    let mut home = home_of(&["work", "personal"]);
    picked(&home, "");
    let first = file(&home);
    for (seconds, writes) in [
        (0, false),
        (59, false),
        (60, true),
        (119, false),
        (120, true),
    ] {
        home.set("CODEX_ACCOUNTS_CLOCK", (CLOCK + seconds).to_string());
        let before = file(&home);
        picked(&home, "");
        assert_eq!(file(&home) != before, writes, "after {seconds} s");
    }
    assert_ne!(file(&home), first);
    assert_eq!(home.store()["accounts"][0]["lastUsed"], NOW + 120_000);
}

#[test]
fn looking_writes_nothing() {
    let home = home_of(&["work", "personal"]);
    limit(&home, 0, NOW + 1);
    let before = file(&home);
    for args in [
        "--peek",
        "--peek --strategy round-robin",
        "--peek --session s",
        "--peek --format access-token",
        "--explain",
        "--at 2030-01-01T00:00:00Z",
        "--explain --at 1 --strategy least-used",
    ] {
        assert_eq!(pick(&home, args).code, 0, "{args}");
    }
    assert_eq!(file(&home), before);
    let folder = home.store_path();
    let folder = fs::read_dir(folder.parent().expect("its folder")).expect("its folder");
    assert_eq!(folder.count(), 1, "no lock was needed");
}

#[test]
fn nothing_is_written_where_there_is_no_account_to_use() {
    let home = home_of(&["work"]);
    limit(&home, 0, NOW + 1);
    let before = file(&home);
    assert_eq!(pick(&home, "").code, 75);
    assert_eq!(file(&home), before);
}

// --- why, and as of when

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

// --- leases

/// A shell that picked with a lease and has not ended yet.
struct Run {
    shell: Child,
    /// It ends when this is closed.
    stdin: ChildStdin,
    picked: String,
}

impl Run {
    fn start(home: &Home, args: &str) -> Run {
        let script = format!("codex-account-pick {args} | jq -r .label; read -r line");
        let mut shell = home.std_command("sh");
        let mut shell = shell
            .args(["-c", &script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("sh starts");
        let mut picked = String::new();
        let stdout = shell.stdout.take().expect("a pipe");
        BufReader::new(stdout)
            .read_line(&mut picked)
            .expect("a label");
        Run {
            stdin: shell.stdin.take().expect("a pipe"),
            shell,
            picked: picked.trim_end().to_owned(),
        }
    }

    fn end(mut self) {
        drop(self.stdin);
        self.shell.wait().expect("its end");
    }

    fn die(mut self, signal: Signal) {
        let pid = Pid::from_raw(self.shell.id().cast_signed());
        kill(pid, signal).expect("a process");
        self.shell.wait().expect("its end");
    }
}

#[test]
fn leases_spread_runs_that_go_side_by_side() {
    let home = home_of(&["a", "b", "c"]);
    let runs: Vec<Run> = (0..3).map(|_| Run::start(&home, "--lease 1h")).collect();
    let picked: Vec<&str> = runs.iter().map(|run| run.picked.as_str()).collect();
    assert_eq!(picked, ["a", "b", "c"]);
    // When no account is free, a busy one will do.
    assert_eq!(super::pick::picked(&home, "--peek"), "c");
    assert_eq!(reasons(&home, ""), ["busy", "busy", "chosen"]);
    runs.into_iter().for_each(Run::end);
}

#[test]
fn a_lease_ends_with_its_process_however_that_ends() {
    let ends: [fn(Run); 3] = [
        Run::end,
        |run| run.die(Signal::SIGTERM),
        |run| run.die(Signal::SIGKILL),
    ];
    for end in ends {
        let home = home_of(&["a", "b"]);
        let run = Run::start(&home, "--lease 1h");
        assert_eq!(run.picked, "a");
        assert_eq!(picked(&home, "--peek"), "b");
        end(run);
        assert_eq!(picked(&home, "--peek"), "a");
    }
}

#[test]
fn a_lease_ends_with_its_time() {
    let mut home = home_of(&["a", "b"]);
    let run = Run::start(&home, "--lease 10");
    home.set("CODEX_ACCOUNTS_CLOCK", (CLOCK + 9).to_string());
    assert_eq!(picked(&home, "--peek"), "b");
    home.set("CODEX_ACCOUNTS_CLOCK", (CLOCK + 10).to_string());
    assert_eq!(picked(&home, "--peek"), "a");
    run.end();
}

/// What another process would pick.
const OTHER: &str = "sh -c 'codex-account-pick --peek; :' | jq -r .label";

#[test]
fn a_lease_is_given_back() {
    let home = home_of(&["a", "b"]);
    let shown = home.sh(&format!(
        "codex-account-pick --lease 1h | jq -r .label; {OTHER}
         codex-account-pick | jq -r .label; codex-account-pick --lease 0 | jq -r .label; {OTHER}"
    ));
    assert_eq!(shown.stdout, "a\nb\na\na\na\n");
    assert!(home.store()["accounts"][0].get("lease").is_none());
}

#[test]
fn a_run_that_moves_on_gives_back_what_it_held() {
    let home = home_of(&["a", "b"]);
    let shown = home.sh("codex-account-pick --lease 1h >/dev/null
         codex-ratelimit-mark --retry-after 60 a >/dev/null
         codex-account-pick --lease 1h | jq -r .label
         codex-ratelimit-mark --retry-after 90 b >/dev/null
         codex-account-pick --lease 1h");
    insta::assert_snapshot!(shown, @"
    b
    --- stderr
    codex-account-pick: error: every account is limited; account 0 'a' comes back first, at 2026-05-04T19:25:56Z
    hint: that is in 60 s; --wait waits for it
    --- exit 75
    ");
    for account in home.store()["accounts"].as_array().expect("accounts") {
        assert!(account.get("lease").is_none());
    }
}

#[test]
fn a_lease_taken_in_a_substitution_is_the_scripts_own_by_its_pid() {
    let home = home_of(&["a", "b"]);
    let shown = home.sh(&format!(
        "a=$(codex-account-pick --lease 10m --pid $$ | jq .index); echo $a; {OTHER}
         b=$(codex-account-pick --pid $$ | jq .index); echo $b"
    ));
    assert_eq!(shown.stdout, "0\nb\n0\n", "{shown}");
    assert_eq!(picked(&home, "--peek"), "a", "the script ended");
}

#[test]
#[cfg(target_os = "linux")]
fn a_holder_that_nobody_waited_for_is_gone_all_the_same() {
    let home = home_of(&["a", "b"]);
    let mut run = Run::start(&home, "--lease 1h");
    let pid = run.shell.id();
    kill(Pid::from_raw(pid.cast_signed()), Signal::SIGKILL).expect("a process");
    wait_until("it is a zombie", || {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("a process");
        stat.contains(") Z ")
    });
    assert_eq!(picked(&home, "--peek"), "a");
    run.shell.wait().expect("its end");
}

#[test]
#[cfg(target_os = "linux")]
fn a_later_process_of_the_same_number_holds_nothing() {
    let home = home_of(&["a", "b"]);
    let run = Run::start(&home, "--lease 1h");
    let start = home.store()["accounts"][0]["lease"]["processStart"].as_u64();
    assert!(start.is_some());
    assert_eq!(picked(&home, "--peek"), "b");
    edit(&home, |store| {
        store["accounts"][0]["lease"]["processStart"] = json!(start.map(|start| start - 1));
    });
    assert_eq!(picked(&home, "--peek"), "a");
    run.end();
}

#[test]
fn the_holder_of_a_lease_can_be_named() {
    let home = home_of(&["a", "b"]);
    let me = std::process::id();
    assert_eq!(picked(&home, &format!("--lease 1h --pid {me}")), "a");
    assert_eq!(home.store()["accounts"][0]["lease"]["pid"], me);
    assert_eq!(picked(&home, "--peek"), "b");
    assert_eq!(picked(&home, &format!("--peek --pid {me}")), "a");
}

// --- waiting

/// A pick that waits, and has said so.
fn waiting(home: &Home, args: &[&str]) -> (Child, String) {
    let mut child = home.std_command("codex-account-pick");
    let mut child = child
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut note = String::new();
    let stderr = child.stderr.take().expect("a pipe");
    BufReader::new(stderr).read_line(&mut note).expect("a note");
    (child, note)
}

#[test]
fn waiting_ends_when_somebody_lifts_the_limit() {
    let home = home_of(&["work", "personal"]);
    limit(&home, 0, NOW + 3_600_000);
    limit(&home, 1, NOW + 7_200_000);
    let (child, note) = waiting(&home, &["--wait"]);
    assert_eq!(
        note,
        "codex-account-pick: waiting for account 0 'work', until 2026-05-04T20:24:56Z\n"
    );
    assert_eq!(home.sh("codex-ratelimit-mark --clear personal").code, 0);
    let output = child.wait_with_output().expect("its end");
    assert!(output.status.success());
    let record: Value = serde_json::from_slice(&output.stdout).expect("a record");
    assert_eq!(record["label"], "personal");
}

#[test]
fn waiting_ends_with_the_limit() {
    let mut home = home_of(&["work"]);
    home.unset("CODEX_ACCOUNTS_CLOCK");
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("now");
    let until = now + Duration::from_millis(300);
    limit(&home, 0, u64::try_from(until.as_millis()).expect("a time"));
    assert_eq!(picked(&home, "--wait=1h"), "work");
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("now");
    assert!(now >= until);
}

#[test]
fn waiting_has_an_end() {
    let home = home_of(&["work"]);
    limit(&home, 0, NOW + 3_600_000);
    insta::assert_snapshot!(pick(&home, "--wait=50ms"), @"
    --- stderr
    codex-account-pick: waiting for account 0 'work', until 2026-05-04T20:24:56Z
    codex-account-pick: error: every account is limited; account 0 'work' comes back first, at 2026-05-04T20:24:56Z
    hint: that is in 3600 s
    --- exit 75
    ");
    insta::assert_snapshot!(pick(&home, "-q --wait=0"), @"
    --- stderr
    codex-account-pick: error: every account is limited; account 0 'work' comes back first, at 2026-05-04T20:24:56Z
    hint: that is in 3600 s
    --- exit 75
    ");
}

#[test]
fn where_nothing_recovers_by_itself_there_is_no_wait() {
    let home = home_of(&["work", "personal"]);
    edit(&home, |store| {
        store["accounts"][0]["loginRequired"] = json!({"code": "invalid_grant", "at": NOW});
        store["accounts"][1]["enabled"] = json!(false);
    });
    insta::assert_snapshot!(pick(&home, "--wait"), @"
    --- stderr
    codex-account-pick: error: no account can be used without a new login
    hint: log in again with 'codex-accounts add'
    --- exit 77
    ");
    insta::assert_snapshot!(pick(&home, "--wait --exclude work"), @"
    --- stderr
    codex-account-pick: error: every account is disabled or excluded
    hint: codex-accounts enable ACCOUNT
    --- exit 1
    ");
    insta::assert_snapshot!(pick(&Home::new(), "--wait"), @"
    --- stderr
    codex-account-pick: error: there are no accounts
    hint: log in with 'codex-accounts add'
    --- exit 1
    ");
}

#[test]
fn waiting_ends_when_the_last_hope_goes() {
    let home = home_of(&["work"]);
    limit(&home, 0, NOW + 3_600_000);
    let (mut child, _) = waiting(&home, &["--wait"]);
    edit(&home, |store| {
        store["accounts"][0]["loginRequired"] = json!({"code": "invalid_grant", "at": NOW});
    });
    assert_eq!(child.wait().expect("its end").code(), Some(77));
}

#[test]
fn ctrl_c_ends_the_wait_and_leaves_the_store_alone() {
    use std::os::unix::process::ExitStatusExt;
    let home = home_of(&["work"]);
    limit(&home, 0, NOW + 3_600_000);
    let before = file(&home);
    let (mut child, _) = waiting(&home, &["--wait"]);
    kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGINT).expect("a process");
    let end = child.wait().expect("its end");
    assert_eq!(end.signal(), Some(Signal::SIGINT as i32));
    assert_eq!(file(&home), before);
}

// --- forms

#[test]
fn each_form_is_what_its_reader_takes() {
    let home = home_of(&["work"]);
    let token = access_token("work");
    let text = |format: &str| pick(&home, &format!("--format {format}")).stdout;
    assert_eq!(text("id"), "acc-work\n");
    assert_eq!(text("access-token"), format!("{token}\n"));
    assert_eq!(
        text("headers"),
        format!("Authorization: Bearer {token}\nChatGPT-Account-Id: acc-work\n")
    );
    assert_eq!(
        text("curl-config"),
        format!(
            "header = \"Authorization: Bearer {token}\"\nheader = \"ChatGPT-Account-Id: acc-work\"\n"
        )
    );
    let opencode: Value = serde_json::from_str(&text("opencode")).expect("JSON");
    assert_eq!(opencode["openai"]["type"], "oauth");
    assert_eq!(opencode["openai"]["access"], token);
    assert_eq!(opencode["openai"]["accountId"], "acc-work");
    let codex: Value = serde_json::from_str(&text("codex")).expect("JSON");
    assert_eq!(codex["auth_mode"], "chatgpt");
    assert_eq!(codex["tokens"]["access_token"], token);
    assert_eq!(codex["tokens"]["account_id"], "acc-work");
    for format in ["json", "id", "headers", "curl-config", "opencode", "codex"] {
        let refresh = format!("{CANARY}-refresh-work");
        assert!(!text(format).contains(&refresh), "{format}");
    }
    canary::assert_none(&text("json"));
}

#[test]
fn curl_sends_the_headers_as_they_are() {
    let pretend = Pretend::start(Script::with_accounts(1)).expect("a pretend backend");
    let home = home_of(&["work"]);
    let id = r#"a"b\c"#;
    edit(&home, |store| {
        store["accounts"][0]["chatgptAccountId"] = json!(id);
    });
    let url = format!("{}/codex/models", pretend.upstream());
    for (format, takes) in [("headers", "-H @-"), ("curl-config", "-K -")] {
        let script =
            format!("codex-account-pick --format {format} | curl -s -o /dev/null {takes} {url}");
        assert_eq!(home.sh(&script).code, 0, "{format}");
        let seen = pretend.seen();
        let request = seen.last().expect("a request");
        let bearer = format!("Bearer {}", access_token("work"));
        assert_eq!(request.header("authorization"), Some(&*bearer), "{format}");
        assert_eq!(request.header("chatgpt-account-id"), Some(id), "{format}");
    }
}

#[test]
fn a_token_with_a_line_break_makes_no_header() {
    let home = home_of(&["work"]);
    edit(&home, |store| {
        store["accounts"][0]["accessToken"] = json!(format!("{CANARY}\nX-Evil: 1"));
    });
    insta::assert_snapshot!(pick(&home, "--format headers"), @"
    --- stderr
    codex-account-pick: error: what 'work' has for the header Authorization is no text of one line
    --- exit 65
    ");
}

#[test]
fn an_id_that_is_not_known_is_a_clear_no() {
    let home = home_of(&["work"]);
    edit(&home, |store| {
        let account = store["accounts"][0].as_object_mut().expect("an account");
        account.shift_remove("chatgptAccountId");
    });
    let before = file(&home);
    insta::assert_snapshot!(pick(&home, "--format id"), @"
    --- stderr
    codex-account-pick: error: no account id of 'work' is known
    --- exit 1
    ");
    assert_eq!(file(&home), before, "it did not become the active one");
    edit(&home, |store| {
        store["accounts"][0]["chatgptAccountId"] = json!("");
    });
    assert_eq!(pick(&home, "--format id").code, 1, "a blank one is none");
}

#[test]
fn a_token_is_not_shown_on_a_terminal() {
    let home = home_of(&["work"]);
    let on_terminal = |args: &str| {
        let script = format!("script -qec 'codex-account-pick {args}' /dev/null </dev/null");
        home.sh(&script)
    };
    for format in [
        "access-token",
        "headers",
        "curl-config",
        "opencode",
        "codex",
    ] {
        let shown = on_terminal(&format!("--format {format}"));
        assert_eq!(shown.code, 77, "{format}");
        canary::assert_none(&shown.stdout);
        assert!(shown.stdout.contains("a secret is not shown on a terminal"));
    }
    let forced = on_terminal("--format access-token --force");
    assert_eq!(forced.stdout.trim_end(), access_token("work"));
    assert_eq!(on_terminal("").code, 0);
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let home = home_of(&["work", "personal"]);
    // Both ends are opened, and the reader's is closed before anything is written.
    home.sh("mkfifo pipe");
    for args in ["", "--explain", "--format headers"] {
        let ends = "exec 3<>pipe 4>pipe; exec 3<&-";
        let shown = home.sh(&format!("{ends}; codex-account-pick {args} >&4"));
        insta::allow_duplicates! {
            insta::assert_snapshot!(shown, @"--- exit 0");
        }
    }
}

// --- tokens

/// A home whose accounts are those of a pretend issuer, with tokens that expired.
fn expired(accounts: usize) -> (Home, Pretend) {
    let pretend = Pretend::start(Script::with_accounts(accounts)).expect("a pretend issuer");
    let mut home = Home::new();
    home.set("CODEX_ACCOUNTS_ISSUER", pretend.issuer());
    let accounts = (0..accounts).map(|index| {
        let tokens = pretend.issue(index).expect("an account");
        let mut account = account(["one", "two", "three"][index]);
        account["refreshToken"] = json!(tokens.refresh_token);
        account["accessToken"] = json!(tokens.access_token);
        account["expiresAt"] = json!(NOW - 1);
        account
    });
    home.write_store(&store(accounts));
    (home, pretend)
}

fn token_requests(pretend: &Pretend) -> usize {
    let seen = pretend.seen();
    seen.iter()
        .filter(|seen| seen.is("POST", "/oauth/token"))
        .count()
}

#[test]
fn a_token_that_expires_soon_is_renewed_before_it_is_handed_out() {
    let (home, pretend) = expired(1);
    let shown = pick(&home, "--format access-token");
    let current = pretend.current(0).expect("tokens");
    assert_eq!(shown.stdout, format!("{}\n", current.access_token));
    let kept = &home.store()["accounts"][0];
    assert_eq!(kept["refreshToken"], json!(current.refresh_token));
    assert_eq!(token_requests(&pretend), 1);
    // Now it is fresh.
    assert_eq!(pick(&home, "--format access-token").stdout, shown.stdout);
    assert_eq!(token_requests(&pretend), 1);
    for (left, renewed) in [(300_001, 1), (300_000, 2)] {
        edit(&home, |store| {
            store["accounts"][0]["expiresAt"] = json!(NOW + left);
        });
        assert_eq!(pick(&home, "--format headers").code, 0);
        assert_eq!(token_requests(&pretend), renewed, "{left} ms left");
    }
}

#[test]
fn forms_without_a_token_renew_nothing() {
    let (home, pretend) = expired(1);
    assert_eq!(pick(&home, "").code, 0);
    assert_eq!(pick(&home, "--format id").code, 0);
    assert_eq!(token_requests(&pretend), 0);
}

#[test]
fn looking_renews_nothing_and_hands_out_nothing_that_expired() {
    let (home, pretend) = expired(1);
    let before = file(&home);
    insta::assert_snapshot!(pick(&home, "--peek --format access-token"), @"
    --- stderr
    codex-account-pick: error: the access token of 'one' has expired
    hint: without --peek and --at it is renewed
    --- exit 1
    ");
    assert_eq!(token_requests(&pretend), 0);
    assert_eq!(file(&home), before);
}

fn dead_login() -> Option<TokenAnswer> {
    let answer = Answer::token_error(401, "refresh_token_reused", ErrorShape::Object);
    Some(TokenAnswer::Refuse(answer))
}

#[test]
fn an_account_whose_login_is_dead_is_passed_over() {
    let (home, pretend) = expired(2);
    pretend.change(|script| script.accounts[0].refresh = dead_login());
    let shown = pick(&home, "--format access-token");
    let current = pretend.current(1).expect("tokens");
    assert_eq!(shown.stdout, format!("{}\n", current.access_token));
    assert_eq!(
        shown.stderr,
        "codex-account-pick: 'one' needs a new login (refresh_token_reused)\n"
    );
    let after = home.store();
    assert_eq!(
        after["accounts"][0]["loginRequired"]["code"],
        "refresh_token_reused"
    );
    assert_eq!(after["activeIndex"], 1);
}

#[test]
fn when_every_login_is_dead_a_new_one_is_needed() {
    let (home, pretend) = expired(2);
    pretend.change(|script| {
        for account in &mut script.accounts {
            account.refresh = dead_login();
        }
    });
    insta::assert_snapshot!(pick(&home, "--format headers"), @"
    --- stderr
    codex-account-pick: 'one' needs a new login (refresh_token_reused)
    codex-account-pick: 'two' needs a new login (refresh_token_reused)
    codex-account-pick: error: no account can be used without a new login
    hint: log in again with 'codex-accounts add'
    --- exit 77
    ");
}

#[test]
fn a_dead_login_of_opencodes_is_told_once() {
    let pretend = Pretend::start(Script::with_accounts(1)).expect("a pretend issuer");
    pretend.change(|script| script.accounts[0].refresh = dead_login());
    let mut home = Home::new();
    home.set("CODEX_ACCOUNTS_ISSUER", pretend.issuer());
    let tokens = pretend.issue(0).expect("an account");
    let entry = json!({"type": "oauth", "refresh": tokens.refresh_token, "expires": 0});
    home.write(AUTH, json!({"openai": entry}).to_string());
    let shown = pick(&home, "--format headers");
    assert_eq!((shown.code, shown.stdout.as_str()), (77, ""), "{shown}");
    assert_eq!(token_requests(&pretend), 1);
}

#[test]
fn an_account_that_was_asked_for_is_not_replaced_by_another() {
    let (home, pretend) = expired(2);
    pretend.change(|script| script.accounts[0].refresh = dead_login());
    let shown = pick(&home, "--account one --format headers");
    assert_eq!((shown.code, shown.stdout.as_str()), (77, ""), "{shown}");
}

#[test]
fn without_the_issuer_a_token_that_still_holds_will_do() {
    let (mut home, _pretend) = expired(1);
    // Nobody listens on the port of a server that is gone.
    let gone = Pretend::start(Script::default())
        .expect("a server")
        .issuer();
    home.set("CODEX_ACCOUNTS_ISSUER", gone);
    let shown = pick(&home, "--format access-token");
    assert_eq!((shown.code, shown.stdout.as_str()), (69, ""), "{shown}");
    edit(&home, |store| {
        store["accounts"][0]["expiresAt"] = json!(NOW + 1000);
    });
    let shown = pick(&home, "--format access-token");
    assert_eq!(shown.code, 0, "{shown}");
    assert!(
        shown.stderr.contains("the token is near its end"),
        "{shown}"
    );
}

// --- opencode's own login, where there is no store

const AUTH: &str = ".local/share/opencode/auth.json";

#[test]
fn without_a_store_opencodes_login_is_the_list() {
    let home = Home::new();
    let token = access_token("work");
    let auth = format!(
        r#"{{ "openai":{{"type":"oauth","refresh":"{CANARY}","access":"{token}","expires":{},"accountId":"acc-work"}}, "x":{{"type":"api","key":"k"}} }}"#,
        NOW + 86_400_000
    );
    let path = home.write(AUTH, &auth);
    insta::assert_snapshot!(pick(&home, ""), @r#"
    {"v":1,"index":0,"chatgptAccountId":"acc-work","chatgptUserId":"user-work","email":"work@example.com","switched":true,"lastSwitchReason":"initial"}
    --- exit 0
    "#);
    let shown = pick(&home, "--format access-token --lease 1h");
    assert_eq!(shown.stdout, format!("{token}\n"));
    assert_eq!(fs::read_to_string(&path).expect("auth.json"), auth);
    assert!(!home.store_path().exists(), "no store is created");
}

#[test]
fn opencodes_packed_login_is_several_accounts() {
    let home = Home::new();
    let auth = r#"{"openai":{"type":"oauth","refresh":"r1|a1||r2|a2","access":"","expires":0}}"#;
    let path = home.write(AUTH, auth);
    let shown = home.sh("codex-account-pick --exclude a1; codex-account-pick --format id");
    insta::assert_snapshot!(shown, @r#"
    {"v":1,"index":1,"chatgptAccountId":"a2","switched":true,"lastSwitchReason":"initial"}
    a1
    --- exit 0
    "#);
    assert_eq!(fs::read_to_string(&path).expect("auth.json"), auth);
    assert!(!home.store_path().exists(), "no store is created");
}

#[test]
fn what_is_renewed_of_opencodes_login_goes_back_there() {
    for packed in [false, true] {
        let pretend = Pretend::start(Script::with_accounts(2)).expect("a pretend issuer");
        let mut home = Home::new();
        home.set("CODEX_ACCOUNTS_ISSUER", pretend.issuer());
        let tokens = [0, 1].map(|index| pretend.issue(index).expect("an account"));
        let [one, two] = tokens.map(|tokens| tokens.refresh_token);
        let refresh = match packed {
            true => format!("{one}|account-one||{two}|account-two"),
            false => one,
        };
        let auth = json!({"openai": {"type": "oauth", "refresh": refresh, "access": "", "expires": 0},
            "x": {"type": "api", "key": "k"}});
        let path = home.write(AUTH, auth.to_string());
        let shown = pick(&home, "--format access-token");
        let current = pretend.current(0).expect("tokens");
        assert_eq!(
            shown.stdout,
            format!("{}\n", current.access_token),
            "{shown}"
        );
        let text = fs::read(&path).expect("auth.json");
        let after: Value = serde_json::from_slice(&text).expect("auth.json");
        let expected = match packed {
            true => format!("{}|account-one||{two}|account-two", current.refresh_token),
            false => current.refresh_token,
        };
        assert_eq!(after["openai"]["refresh"], json!(expected));
        assert_eq!(after["x"], auth["x"]);
        assert!(!home.store_path().exists(), "no store is created");
    }
}

// --- arguments

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
             _CLAP_IFS=' ' codex-account-pick -- {words} ''"
        );
        home.sh(&script).stdout
    };
    let strategies = "sticky round-robin least-used step=5";
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
