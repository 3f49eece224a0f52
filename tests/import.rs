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
