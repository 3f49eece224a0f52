//! The harness under test itself: what every other test takes for granted.

use serde_json::json;

use super::accounts::{account, jwt, store};
use super::canary::{self, CANARY};
use super::{CLOCK, Home};

#[test]
fn a_home_is_a_machine_of_its_own() {
    let shown = Home::new().sh("env | LC_ALL=C sort | grep -v -e ^PATH= -e ^PWD= -e ^_=; pwd");
    insta::assert_snapshot!(shown, @"
    CODEX_ACCOUNTS_CLOCK=1777922696
    COLUMNS=80
    HOME=$HOME
    LC_ALL=C.UTF-8
    TMPDIR=$HOME/tmp
    TZ=UTC
    XDG_CACHE_HOME=$HOME/.cache
    XDG_CONFIG_HOME=$HOME/.config
    XDG_DATA_HOME=$HOME/.local/share
    XDG_STATE_HOME=$HOME/.local/state
    $HOME
    --- exit 0
    ");
}

#[test]
fn variables_are_the_homes() {
    let mut home = Home::new();
    let clock = "echo ${CODEX_ACCOUNTS_CLOCK-none}";
    assert_eq!(home.sh(clock).stdout, format!("{CLOCK}\n"));
    home.unset("CODEX_ACCOUNTS_CLOCK");
    assert_eq!(home.sh(clock).stdout, "none\n");
    home.set("CODEX_ACCOUNTS_CLOCK", "0");
    assert_eq!(home.sh(clock).stdout, "0\n");
}

#[test]
fn our_commands_come_first_on_path() {
    let shown = Home::new().sh("command -v codex-account-pick");
    let built = env!("CARGO_BIN_EXE_codex-account-pick");
    assert_eq!(shown.stdout.trim_end(), built);
}

#[test]
fn an_end_is_shown_whole_and_steady() {
    let home = Home::new();
    let script = "cat; echo $HOME/x http://127.0.0.1:40123/codex http://127.0.0.1:1455; \
                  echo 'name: error: no' >&2; printf '127.0.0.1:' >&2; kill -TERM $$";
    insta::assert_snapshot!(home.sh_with(script, "in\n"), @"
    in
    $HOME/x http://127.0.0.1:PORT/codex http://127.0.0.1:1455
    --- stderr
    name: error: no
    127.0.0.1:[no newline]
    --- exit 143
    ");
}

#[test]
fn a_command_runs_without_a_shell() {
    let home = Home::new();
    let shown = home.run(home.command("cat").write_stdin(r#"{"v":1}"#));
    assert_eq!(shown.code, 0);
    assert_eq!(shown.json(), json!({"v": 1}));
}

#[test]
fn a_command_need_not_read_its_stdin() {
    let shown = Home::new().sh_with("exit 2", vec![b'x'; 1 << 20]);
    assert_eq!(shown.code, 2);
}

#[test]
#[should_panic(expected = "a secret got out: error: CANARY-refresh-work")]
fn a_secret_on_stderr_fails_any_test() {
    Home::new().sh(&format!("echo 'error: {CANARY}-refresh-work' >&2"));
}

#[test]
fn the_secrets_of_an_account_can_be_found() {
    let account = account("work");
    for name in ["refreshToken", "accessToken"] {
        let secret = account[name].as_str().expect("a token");
        assert!(std::panic::catch_unwind(|| canary::assert_none(secret)).is_err());
    }
    canary::assert_none(&account["email"].to_string());
    assert!(jwt(&json!({})).starts_with("eyJ"));
}

#[test]
fn a_store_is_where_the_commands_look() {
    let home = Home::new();
    let written = store([account("work"), account("personal")]);
    home.write_store(&written);
    assert_eq!(home.store(), written);
    let shown = home.sh("cd $XDG_DATA_HOME/opencode && stat -c '%a %n' . *");
    insta::assert_snapshot!(shown, @"
    700 .
    600 openai-codex-accounts.json
    --- exit 0
    ");
}

#[test]
fn a_browser_follows_the_redirect_in_the_background() {
    let mut home = Home::new();
    home.install_browser();
    // A pipe nobody has opened yet: were the browser waited for, this would hang.
    let shown = home.sh(r#"mkfifo page && "$BROWSER" "file://$PWD/page" && echo > page"#);
    insta::assert_snapshot!(shown, @"--- exit 0");
}

#[test]
fn a_server_is_ready_when_it_says_so_and_ends_with_its_stdin() {
    let home = Home::new();
    let script = r#"echo ready >&2; echo '{"v":1,"pid":'$$'}'; cat; exit 3"#;
    let server = home.serve("sh", &["-c", script]);
    assert_eq!(server.ready["v"], 1);
    assert_eq!(server.stderr(), "ready\n");
    assert_eq!(server.end().code(), Some(3));
}

#[test]
#[should_panic(expected = "sh is not ready: listening\nerror: busy")]
fn a_server_that_does_not_start_says_why() {
    Home::new().serve("sh", &["-c", "echo 'error: busy' >&2; echo listening"]);
}

#[test]
fn the_real_clients_run() {
    let home = Home::with_clients();
    assert_eq!(home.sh("opencode --version").stdout, "1.18.33\n");
    assert_eq!(home.sh("codex --version").stdout, "codex-cli 0.169.0\n");
}
