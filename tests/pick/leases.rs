//! Leases: runs side by side, and how one ends.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdin, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;

use super::{edit, home_of, picked, reasons};
use crate::support::stage::wait_until;
use crate::support::{CLOCK, Home};

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
    assert_eq!(super::picked(&home, "--peek"), "c");
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
    hint: that is in 1 min; --wait waits for it
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
