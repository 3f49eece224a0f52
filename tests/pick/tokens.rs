//! Tokens that have to be renewed before they are handed out.

use std::fs;

use codex_accounts::rehearse::{Answer, ErrorShape, Pretend, Script, TokenAnswer};
use serde_json::json;

use super::{AUTH, NOW, edit, file, home_of, pick};
use crate::support::Home;
use crate::support::accounts::{access_token, account, store};
use crate::support::shown::Shown;

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

/// A pick in a folder without `codex-token-refresh`, so that it takes this one from PATH.
fn pick_beside(home: &mut Home, refresh: &str, args: &str) -> Shown {
    home.install("codex-token-refresh", &format!("#!/bin/sh\n{refresh}\n"));
    let pick = home.path().join("alone/codex-account-pick");
    fs::create_dir_all(pick.parent().expect("a folder")).expect("a folder");
    if !pick.exists() {
        fs::hard_link(env!("CARGO_BIN_EXE_codex-account-pick"), &pick).expect("a link");
    }
    home.sh(&format!("alone/codex-account-pick {args}"))
}

#[test]
fn a_renewal_that_takes_long_holds_no_good_token_back_and_goes_on() {
    let mut home = home_of(&["work"]);
    edit(&home, |store| {
        store["accounts"][0]["expiresAt"] = json!(NOW + 1000);
    });
    let shown = pick_beside(
        &mut home,
        "echo $$ >pid; exec sleep 600",
        "--format access-token",
    );
    assert_eq!(shown.stdout, format!("{}\n", access_token("work")));
    assert_eq!(
        shown.stderr,
        "codex-account-pick: the token is near its end, and to renew it takes long\n"
    );
    // It was not ended: a token that is being renewed must not be lost.
    assert_eq!(home.sh("kill $(cat pid)").code, 0);
}

#[test]
fn what_the_renewal_says_is_passed_on() {
    let mut home = home_of(&["work"]);
    edit(&home, |store| {
        store["accounts"][0]["expiresAt"] = json!(NOW)
    });
    let refresh = "echo \"codex-token-refresh: error: no '$*'\nhint: do that\" >&2; exit 74";
    insta::assert_snapshot!(pick_beside(&mut home, refresh, "--format headers --account work"), @"
    --- stderr
    codex-account-pick: error: no '--hand-out 0'
    hint: do that
    --- exit 74
    ");
    insta::assert_snapshot!(pick_beside(&mut home, "kill -9 $$", "--format headers"), @"
    --- stderr
    codex-account-pick: error: 'codex-token-refresh' ended with signal: 9 (SIGKILL)
    --- exit 74
    ");
}
