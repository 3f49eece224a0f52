//! What is refused before anybody is asked.

use super::*;

#[test]
fn a_label_that_can_not_be_one_is_refused_early() {
    let pretend = issuer(1);
    let home = home(&pretend);
    home.write_store(&store([account("work"), account("personal")]));
    insta::assert_snapshot!(log_in(&home, &["--label", "7"]), @"
    --- stderr
    codex-oauth-login: error: a label must not be a number: '7' would be taken for an index
    --- exit 2
    ");
    insta::assert_snapshot!(log_in(&home, &["--label", "personal"]), @"
    --- stderr
    codex-oauth-login: error: 'personal' already stands for account 1
    --- exit 2
    ");
    insta::assert_snapshot!(log_in(&home, &["--label", ""]), @"
    --- stderr
    codex-oauth-login: error: a label must not be empty
    --- exit 2
    ");
    assert!(pretend.seen().is_empty());
}

#[test]
fn no_more_accounts_than_max() {
    let pretend = issuer(1);
    let home = home(&pretend);
    let mut accounts = [account("work"), account("personal")];
    home.write_store(&store(accounts.clone()));
    insta::assert_snapshot!(log_in(&home, &["--max", "2"]), @"
    --- stderr
    codex-oauth-login: error: there are 2 accounts already
    hint: --max 3 lets one more in
    --- exit 1
    ");
    assert!(pretend.seen().is_empty());
    // One that needs a login is let in again.
    accounts[0]["chatgptAccountId"] = "account-one".into();
    accounts[0]["chatgptUserId"] = "user-one".into();
    accounts[0]["loginRequired"] = json!({"code": "refresh_token_expired", "at": 1});
    home.write_store(&store(accounts));
    assert_eq!(log_in(&home, &["--max", "2"]).code, 0);
    assert_eq!(home.store()["accounts"].as_array().map(Vec::len), Some(2));
}

#[test]
fn a_store_that_can_not_be_used_is_told_before_the_login() {
    let pretend = issuer(1);
    let home = home(&pretend);
    home.write(home.store_path(), "{");
    assert_eq!(log_in(&home, &[]).code, 78);
    assert!(pretend.seen().is_empty());
    assert_eq!(
        std::fs::read_to_string(home.store_path()).expect("a file"),
        "{"
    );
}
