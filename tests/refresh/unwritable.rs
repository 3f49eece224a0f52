//! A client's file that holds the login too and can't be written, as in a container that has it
//! mounted read-only: that is known before the issuer is asked, and what follows is said. And what a
//! write that was cut off left in a client's folder.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use serde_json::json;

use super::super::support::shown::Shown;
use super::super::support::stage::{LONG, Stage};
use super::super::support::{CLOCK, Home};
use super::clients::{CODEX, OPENCODE, codex_text, opencode_text};
use super::outcomes;

/// Two more minutes, in the store's milliseconds.
const SOON: u64 = (CLOCK + 120) * 1000;

/// One account, whose token expires soon; Codex has its login, in a folder that can't be written.
fn stage() -> Stage {
    let stage = Stage::new(1);
    let mut store = stage.home.store();
    store["accounts"][0]["expiresAt"] = json!(SOON);
    stage.home.write_store(&store);
    let token = stage.stored(0, "refreshToken");
    let text = codex_text(&token, "", "", "2026-05-01T00:00:00Z");
    stage.home.write(CODEX, text);
    // Made beforehand, as Codex does.
    for lock in [".codex/auth.lock", ".codex/auth.json.lock"] {
        stage.home.write(lock, "");
    }
    allow(&stage, 0o500);
    stage
}

fn allow(stage: &Stage, mode: u32) {
    let folder = stage.home.path().join(".codex");
    fs::set_permissions(folder, Permissions::from_mode(mode)).expect("mode");
}

/// The superuser may write everywhere, until that is taken away too.
fn as_a_person(home: &Home, command: &str) -> Shown {
    home.sh(&format!(
        "if [ $(id -u) = 0 ]; then exec setpriv --bounding-set=-dac_override {command}; \
         else exec {command}; fi"
    ))
}

fn has(stage: &Stage, token: &str) -> bool {
    let text = fs::read_to_string(stage.home.path().join(CODEX)).expect("a login");
    text.contains(token)
}

#[test]
fn a_token_that_is_good_is_left_alone_where_a_client_would_keep_the_used_up_one() {
    let stage = stage();
    let shown = as_a_person(&stage.home, "codex-token-refresh");
    assert_eq!(outcomes(&shown), ["kept"], "{shown}");
    insta::assert_snapshot!(shown, @r#"
    {"v":1,"index":0,"chatgptAccountId":"account-one","chatgptUserId":"user-one","email":"one@example.com","label":"one","active":true,"state":"ready","planType":"plus","enabled":true,"addedAt":1777836296000,"lastUsed":0,"expiresAt":1777922816000,"refreshedAt":1777836296000,"outcome":"kept"}
    --- stderr
    codex-token-refresh: codex has the login of 'one' too, in a file that can't be written: the token is left alone while it is good, and codex loses the login when it is renewed here; make that file writable: '$HOME/.codex/auth.json': permission denied
    --- exit 0
    "#);
    assert_eq!(stage.exchanges(), 0);
    let account = &stage.home.store()["accounts"][0];
    assert_eq!(account["sharedWith"], json!(["codex"]));
    let picked = as_a_person(&stage.home, "codex-account-pick --format access-token");
    assert_eq!(picked.code, 0, "{picked}");
    assert!(
        picked.stderr.contains("codex has the login of 'one' too"),
        "{picked}"
    );
    assert_eq!(stage.exchanges(), 0);
}

#[test]
fn it_is_renewed_in_time_when_the_file_can_be_written() {
    let stage = stage();
    allow(&stage, 0o700);
    let shown = as_a_person(&stage.home, "codex-token-refresh");
    assert_eq!(outcomes(&shown), ["renewed"], "{shown}");
    assert_eq!(shown.stderr, "");
    assert!(has(&stage, &stage.current(0).refresh_token));
}

#[test]
fn a_token_that_has_expired_is_renewed_and_what_follows_is_said_and_made_up_for() {
    for (flags, later) in [("", 121), ("--force", 0)] {
        let stage = stage();
        let clock = CLOCK + later;
        let command = format!("env CODEX_ACCOUNTS_CLOCK={clock} codex-token-refresh {flags}");
        let shown = as_a_person(&stage.home, &command);
        assert_eq!(outcomes(&shown), ["renewed"], "{shown}");
        assert!(
            shown
                .stderr
                .contains("codex still has the used-up token of 'one'"),
            "{shown}"
        );
        assert!(!has(&stage, &stage.current(0).refresh_token));
        allow(&stage, 0o700);
        assert_eq!(outcomes(&as_a_person(&stage.home, &command)).len(), 1);
        assert!(has(&stage, &stage.current(0).refresh_token));
    }
}

#[test]
fn what_the_client_renewed_itself_is_taken_over() {
    let stage = stage();
    as_a_person(&stage.home, "codex-token-refresh");
    let theirs = stage.pretend.issue(0).expect("tokens");
    let text = codex_text(
        &theirs.refresh_token,
        &theirs.access_token,
        &theirs.id_token,
        "2026-05-04T00:00:00Z",
    );
    stage.home.write(CODEX, text);
    allow(&stage, 0o500);
    let shown = as_a_person(&stage.home, "codex-token-refresh");
    assert_eq!(outcomes(&shown), ["adopted"], "{shown}");
    assert_eq!(stage.exchanges(), 0);
}

#[test]
fn who_can_not_be_given_the_token_of_an_account_that_is_gone_is_named() {
    let stage = stage();
    stage.slow_issuer(std::time::Duration::from_millis(500));
    let mut refresh = stage.home.std_command("sh");
    let command = "exec setpriv --bounding-set=-dac_override codex-token-refresh --force";
    refresh
        .args(["-c", command])
        .stderr(std::process::Stdio::piped());
    let refresh = refresh.spawn().expect("the command starts");
    stage.wait_for_exchange(1);
    // Another program, which does not know of our locks.
    stage
        .home
        .write_store(&json!({"version": 1, "accounts": [], "activeIndex": 0}));
    let output = refresh.wait_with_output().expect("an end");
    let stderr = String::from_utf8(output.stderr).expect("text");
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(
        stderr.contains("'one' is not in the store any more; codex still has"),
        "{stderr}"
    );
    let ended = |seen: &[codex_accounts::rehearse::Seen]| {
        seen.iter()
            .any(|request| request.is("POST", "/oauth/revoke"))
    };
    assert!(
        stage.pretend.wait_for(LONG, ended),
        "the new login lives on in no file"
    );
}

#[test]
fn what_a_write_that_was_cut_off_left_in_a_clients_folder_goes_with_the_next_refresh() {
    let stage = Stage::new(1);
    // Somebody else's login: nothing is to be written there.
    stage.home.write(OPENCODE, opencode_text("theirs", "", 0));
    stage
        .home
        .write(CODEX, codex_text("theirs", "", "", "2026-05-01T00:00:00Z"));
    let left = [OPENCODE, CODEX].map(|file| {
        let name = format!(".codex-accounts-{}.AbCdEf", "auth.json");
        let path = file.replace("auth.json", &name);
        stage
            .home
            .write(path, "pretend-refresh-of-a-killed-process")
    });
    let shown = as_a_person(&stage.home, "codex-token-refresh");
    assert_eq!(outcomes(&shown), ["renewed"], "{shown}");
    for left in left {
        assert!(!left.exists(), "{}", left.display());
    }
}
