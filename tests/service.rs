//! `codex-proxy` as a service: what it needs to start, whom it lets in, how it tells who started it,
//! and what it keeps to itself.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::support::Home;
use super::support::accounts::{account, store};

fn home() -> Home {
    let home = Home::new();
    home.write_store(&store([account("work")]));
    home
}

#[test]
fn a_store_that_is_missing_or_empty_starts_no_relay() {
    let home = Home::new();
    let missing = home.sh("codex-proxy");
    insta::assert_snapshot!(missing, @r"
    --- stderr
    codex-proxy: error: there are no accounts
    hint: log in with 'codex-accounts add'
    --- exit 1
    ");
    home.write_store(&store([]));
    assert_eq!(home.sh("codex-proxy").to_string(), missing.to_string());
}

#[test]
fn a_store_that_is_corrupt_starts_no_relay() {
    let home = Home::new();
    home.write(home.store_path(), "{\"version\":1,\"acc");
    insta::assert_snapshot!(home.sh("codex-proxy"), @r"
    --- stderr
    codex-proxy: error: '$HOME/.local/share/opencode/openai-codex-accounts.json' is left as it is: not valid JSON at byte 16 (line 1, column 17)
    --- exit 78
    ");
}

#[test]
fn a_store_that_others_can_read_starts_no_relay() {
    let home = home();
    fs::set_permissions(home.store_path(), fs::Permissions::from_mode(0o640)).expect("mode");
    insta::assert_snapshot!(home.sh("codex-proxy"), @r"
    --- stderr
    codex-proxy: error: '$HOME/.local/share/opencode/openai-codex-accounts.json' can be read or written by others (mode 0640)
    hint: chmod 600 '$HOME/.local/share/opencode/openai-codex-accounts.json'
    --- exit 77
    ");
}

/// A command before which a process is no more than a person's other ones. That needs no telling
/// where the tests do not run as root.
#[cfg(target_os = "linux")]
fn as_a_person() -> &'static str {
    if nix::unistd::geteuid().is_root() {
        "setpriv --bounding-set=-all"
    } else {
        "env"
    }
}

#[cfg(target_os = "linux")]
#[test]
fn no_other_process_looks_into_a_relay() {
    let home = home();
    let person = as_a_person();
    let look = "grep -qz '^HOME=' /proc/$pid/environ && echo seen || echo hidden";
    let relay = home.sh(&format!(
        "mkfifo end ready; exec {person} sh -c 'codex-proxy <end >ready & pid=$!; exec 3>end; \
         read -r record <ready; {look}; exec 3>&-; wait'"
    ));
    assert_eq!(relay.stdout, "hidden\n", "{relay}");
    assert!(relay.stderr.contains("Permission denied"), "{relay}");
    // Its client is a program like any other.
    let launch = home.sh(&format!(
        "exec {person} codex-launch sh -c 'pid=$PPID; {look}; pid=$$; {look}'"
    ));
    assert_eq!(launch.stdout, "hidden\nseen\n", "{launch}");
}

#[test]
fn a_client_keeps_the_persons_limit_of_core_dumps() {
    let home = home();
    let shown = home.sh("ulimit -Sc \"$(ulimit -Hc)\"; ulimit -c; codex-launch sh -c 'ulimit -c'");
    let (before, inside) = shown.stdout.split_once('\n').expect("two lines");
    assert_eq!(before, inside.trim(), "{shown}");
}
