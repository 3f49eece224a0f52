//! `codex-launch` where a person says which accounts a run may use, or which relay elsewhere.

use std::time::Duration;

use codex_accounts::rehearse::{Script, Style};

use super::support::Home;
use super::support::pretend::Servers;
use super::support::request::QUESTION;

/// Asks the relay that a launch set, and says which account answered, or what is wrong.
const ASK: &str = "curl -sS -H \"Authorization: Bearer $OPENAI_API_KEY\" -H 'content-type: application/json' \
                   -d @question $OPENAI_BASE_URL/responses | grep -o -m 1 -e 'answered by [a-z]*' -e usage_limit_reached";

/// A home with three accounts, called by their email; the first is limited, which is not known yet.
fn home() -> (Home, Servers) {
    let mut home = Home::new();
    let mut script = Script::with_accounts(3);
    script.accounts[0].limit(Duration::from_secs(3600), Style::UsageLimit);
    let servers = home.with_servers(script);
    home.write("question", QUESTION);
    home.write("ask", ASK);
    (home, servers)
}

#[test]
fn a_run_keeps_to_the_accounts_that_are_wanted() {
    for (flags, answer) in [
        ("", "answered by two\n"),
        ("--exclude two@example.com", "answered by three\n"),
        ("--account three@example.com", "answered by three\n"),
        ("--exclude 1 --exclude 2", "usage_limit_reached\n"),
        ("--account one@example.com", "usage_limit_reached\n"),
    ] {
        let (home, _servers) = home();
        let shown = home.sh(&format!("codex-launch {flags} -- sh ask"));
        assert_eq!(shown.stdout, answer, "{flags}: {shown}");
    }
}

#[test]
fn an_account_that_is_wanted_and_not_there_is_told_before_the_program_runs() {
    let (home, _servers) = home();
    for flag in ["--account", "--exclude"] {
        let shown = home.sh(&format!(
            "codex-launch {flag} nobody@example.com -- echo it ran"
        ));
        assert_eq!((shown.code, shown.stdout.as_str()), (1, ""), "{shown}");
    }
}

/// A way by ssh to a relay elsewhere, which is started at the end of the way when it is opened.
const SSH: &str = "#!/bin/sh\necho \"$@\" >\"$HOME/given\"\n\
    while [ $# -gt 0 ]; do [ \"$1\" = -L ] && way=$2; shift; done\n\
    port=${way#*:}; exec codex-proxy --listen 127.0.0.1:${port%%:*} --key-file \"$HOME/key\" >/dev/null\n";

#[test]
fn a_relay_of_another_machine_is_reached_by_ssh_as_long_as_the_program_runs() {
    let (mut home, _servers) = home();
    home.write("key", "a-key-for-the-relay-elsewhere\n");
    home.install("ssh", SSH);
    let launch = "codex-launch --proxy ssh://me@build.example:22/9000 --key-file key -- sh ask";
    let shown = home.sh(launch);
    assert_eq!(shown.stdout, "answered by two\n", "{shown}");
    let given = std::fs::read_to_string(home.path().join("given")).expect("what ssh was given");
    assert!(given.contains(":127.0.0.1:9000 "), "{given}");
    assert!(
        given.trim_end().ends_with("-l me -- build.example"),
        "{given}"
    );
    let url = home.sh("codex-launch --proxy ssh://build.example/x --key-file key true");
    assert_eq!(url.code, 2, "{url}");
}

#[test]
fn where_ssh_finds_no_way_the_program_does_not_run() {
    let (mut home, _servers) = home();
    home.write("key", "a-key-for-the-relay-elsewhere\n");
    home.install("ssh", "#!/bin/sh\necho 'ssh: no route' >&2; exit 255\n");
    let shown = home.sh("codex-launch --proxy ssh://build.example --key-file key -- echo it ran");
    assert_eq!((shown.code, shown.stdout.as_str()), (69, ""), "{shown}");
    assert!(shown.stderr.starts_with("ssh: no route\n"), "{shown}");
}

#[test]
fn an_address_elsewhere_is_answered_with_the_way_there() {
    let (home, _servers) = home();
    insta::assert_snapshot!(home.sh("codex-launch --proxy http://build.example:8765/codex true"), @"
    --- stderr
    codex-launch: error: --proxy: 'http://build.example:8765/codex' is not http to a loopback address, with the path /codex
    hint: let ssh carry it: ssh -N -L 8765:127.0.0.1:8765 build.example, and --proxy http://127.0.0.1:8765/codex; or --proxy ssh://build.example/8765
    --- exit 78
    ");
}
