//! `codex-accounts import` where the files that accounts come from are not in order.

use serde_json::json;

use super::support::Home;
use super::support::accounts::{account, store};

#[test]
fn files_of_a_folder_that_should_hold_an_account_are_told() {
    let home = Home::new();
    let file = |name: &str, text: &str| home.write(format!("logins/{name}.json"), text);
    file(
        "good",
        r#"{"type":"codex","refresh_token":"a","account_id":"acc-a"}"#,
    );
    file("other", r#"{"type":"gemini","refresh_token":"x"}"#);
    file("tokenless", r#"{"type":"codex","access_token":"x"}"#);
    file("torn", r#"{"type":"codex","refresh_token":"b","acc"#);
    insta::assert_snapshot!(home.sh("codex-accounts import logins"), @"
    added    0 acc-a, from 'logins/good.json'
    --- stderr
    codex-accounts: 'logins/tokenless.json' is passed over: it is a login of CLIProxyAPI without a refresh token, so nothing could renew it
    codex-accounts: 'logins/torn.json' is passed over: not valid JSON at line 1, column 40
    --- exit 0
    ");
}

#[test]
fn a_dead_account_does_not_get_a_token_that_was_used_up_before_its_own() {
    let home = Home::new();
    let mut dead = account("work");
    let refreshed = dead["refreshedAt"].as_u64().expect("a time");
    dead["loginRequired"] = json!({"code": "invalid_grant", "at": refreshed});
    home.write_store(&store([dead.clone()]));
    let mut older = account("work");
    older["refreshToken"] = json!("CANARY-older");
    older["refreshedAt"] = json!(refreshed - 1000);
    home.write("older.json", store([older.clone()]).to_string());
    insta::assert_snapshot!(home.sh("codex-accounts import older.json"), @"
    kept     0 work, from 'older.json': the tokens here are no older
    --- exit 0
    ");
    assert_eq!(home.store(), store([dead]));
    older["refreshedAt"] = json!(refreshed + 1000);
    home.write("later.json", store([older]).to_string());
    insta::assert_snapshot!(home.sh("codex-accounts import later.json"), @"
    renewed  0 work, from 'later.json'
    --- exit 0
    ");
}

/// The settings of a Codex that keeps its login in the keyring.
const IN_KEYRING: &str = "cli_auth_credentials_store = \"keyring\"\n";

/// What `secret-tool` is told for the folder of Codex in a home.
const ASKED: &str = "lookup service Codex Auth username cli|";

#[test]
#[cfg(target_os = "linux")]
fn a_login_of_codex_in_the_keyring_is_read_by_the_tool_of_the_system() {
    let mut home = Home::new();
    home.write(".codex/config.toml", IN_KEYRING);
    home.install(
        "secret-tool",
        "#!/bin/sh\necho \"$*\" >asked\n\
         echo '{\"tokens\":{\"refresh_token\":\"from-keyring\",\"account_id\":\"acc\"}}'\n",
    );
    insta::assert_snapshot!(home.sh("codex-accounts import codex"), @"
    added    0 acc, from the keyring
    --- stderr
    codex-accounts: what is in the keyring stays as it is: once the token is renewed here, Codex CLI has to be run by codex-launch, or to log in again
    codex-accounts: this login is Codex CLI's too: 'codex login' and 'codex logout' end it for both
    --- exit 0
    ");
    assert_eq!(home.store()["accounts"][0]["refreshToken"], "from-keyring");
    assert!(home.store()["accounts"][0].get("sharedWith").is_none());
    let asked = home.sh("cat asked").stdout;
    let folder = home.sh("printf %s \"$(realpath ~/.codex)\" | sha256sum | cut -c 1-16");
    assert_eq!(asked, format!("{ASKED}{}", folder.stdout));
}

#[test]
#[cfg(target_os = "linux")]
fn what_is_in_the_keyring_and_can_not_be_read_is_said_with_what_to_do() {
    let mut home = Home::new();
    home.write(".codex/config.toml", IN_KEYRING);
    insta::assert_snapshot!(home.sh("PATH=$(dirname $(command -v codex-accounts)) codex-accounts import codex"), @"
    --- stderr
    codex-accounts: error: Codex CLI keeps its login in the keyring, and there is no 'secret-tool' to read it with: install libsecret-tools, or log in with 'codex-accounts add'
    --- exit 1
    ");
    home.install("secret-tool", "#!/bin/sh\nexit 1\n");
    insta::assert_snapshot!(home.sh("codex-accounts import codex"), @"
    --- stderr
    codex-accounts: error: Codex CLI keeps its login in the keyring, and 'secret-tool' finds none there: unlock the keyring, or log in with 'codex-accounts add'
    --- exit 1
    ");
}
