//! `codex-accounts --refresh` and `usage`: the figures, asked for before they are shown.

use super::support::Home;

/// What a rehearsal of two accounts with figures prints.
fn rehearsed(options: &str, command: &str) -> String {
    let home = Home::new();
    let shown = home.sh(&format!("codex-rehearse -q {options} -- sh -c '{command}'"));
    shown.to_string()
}

#[test]
fn figures_are_asked_for_first() {
    let options = "--usage one=43,35 --usage two=12,63";
    insta::assert_snapshot!(rehearsed(options, "codex-accounts --refresh"), @"
         ACCOUNT  PLAN  STATE  5 H LEFT    RESETS  WEEK LEFT   RESETS     SEEN
    ● 0  one      plus  ready  ███░░░  57% 22:24   ████░░  65% Fri 11:24  now
      1  two      plus  ready  █████░  88% 22:24   ██░░░░  37% Fri 11:24  now

    the next request goes to 0 one; when that is limited, to 1 two
    --- exit 0
    ");
    let usage = rehearsed(options, "codex-accounts usage");
    assert_eq!(usage, rehearsed(options, "codex-accounts status --refresh"));
    let records = "codex-accounts usage --json | jq -c \"[.label, .usage.windows[].usedPercent]\"";
    insta::assert_snapshot!(rehearsed(options, records), @r#"
    ["one",43,35]
    ["two",12,63]
    --- exit 0
    "#);
}

#[test]
fn an_account_without_an_answer_is_told_and_the_others_are_shown() {
    let options = "--usage two=12,63 --kill one";
    let shown = rehearsed(
        options,
        "codex-token-refresh -q --now one 2>/dev/null; codex-accounts --refresh",
    );
    insta::assert_snapshot!(shown, @"
         ACCOUNT  PLAN  STATE         5 H LEFT  RESETS  WEEK LEFT RESETS     SEEN
    ● 0  one      plus  login needed  -                 -                    -
      1  two      plus  ready         ███░  88% 22:24   █░░░  37% Fri 11:24  now

    the next request goes to 1 two; there is no other to turn to
    0 one is logged out (refresh_token_invalidated): codex-accounts add 0
    --- stderr
    codex-accounts: error: 'one' needs a new login (refresh_token_invalidated)
    hint: log in again with 'codex-accounts add'
    --- exit 77
    ");
}

#[test]
fn a_disabled_account_is_not_asked_for() {
    let shown = rehearsed(
        "--usage two=12,63",
        "codex-accounts -q disable one; codex-accounts usage --json | jq -c .usage.observedAt",
    );
    assert!(shown.starts_with("null\n"), "{shown}");
}

/// A relay of the accounts of a rehearsal, at `$url`, and then this where the store is another one.
fn beside_a_relay(command: &str) -> String {
    let home = Home::new();
    home.write(
        "script",
        format!(
            "umask 077; echo a-key-of-more-than-16-letters >key; mkfifo ready
             codex-accounts usage >/dev/null
             codex-proxy --key-file key >ready </dev/null &
             url=$(head -n 1 ready | jq -r .url)
             export CODEX_ACCOUNTS_FILE=none.json
             {command}
             kill $!"
        ),
    );
    let shown = home.sh("codex-rehearse -q --usage one=43,35 -- sh script");
    shown.to_string()
}

#[test]
#[cfg(unix)]
fn the_accounts_of_a_relay_can_be_looked_at_from_elsewhere() {
    let shown = beside_a_relay("codex-accounts --proxy $url --key-file key");
    insta::assert_snapshot!(shown, @"
         ACCOUNT  PLAN  STATE  5 H LEFT    RESETS  WEEK LEFT   RESETS     SEEN
    ● 0  one      plus  ready  ███░░░  57% 22:24   ████░░  65% Fri 11:24  now
      1  two      plus  ready  █████░  88% 22:24   ████░░  69% Fri 11:24  now

    the next request goes to 0 one; when that is limited, to 1 two
    --- exit 0
    ");
    let told = beside_a_relay("codex-accounts --proxy $url --key-file key --json | grep -ci token");
    assert!(told.starts_with("0\n"), "{told}");
}
