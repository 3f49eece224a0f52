//! `codex-token-refresh`: what it renews, and what it prints.

use codex_accounts::rehearse::{Answer, ErrorShape, Style, TokenAnswer, TokenReply};
use serde_json::{Value, json};

use super::super::support::stage::{EXPIRED, Stage};
use super::super::support::{CLOCK, Home};
use super::{outcomes, records, run};

#[test]
fn the_active_account_is_renewed_and_shown() {
    let stage = Stage::new(2);
    let shown = run(&stage.home, &[]);
    insta::assert_snapshot!(shown, @r#"
    {"v":1,"index":0,"chatgptAccountId":"account-one","chatgptUserId":"user-one","email":"one@example.com","label":"one","active":true,"state":"ready","planType":"plus","enabled":true,"addedAt":1777836296000,"lastUsed":0,"expiresAt":1777926296000,"refreshedAt":1777922696000,"outcome":"renewed"}
    --- exit 0
    "#);
    assert_eq!(
        stage.stored(0, "refreshToken"),
        stage.current(0).refresh_token
    );
    assert_eq!(
        stage.stored(0, "accessToken"),
        stage.current(0).access_token
    );
    assert_eq!(stage.stored(0, "idToken"), stage.current(0).id_token);
    assert_eq!(stage.home.store()["accounts"][1]["expiresAt"], EXPIRED);
    assert_eq!(outcomes(&run(&stage.home, &[])), ["kept"]);
    assert_eq!(stage.exchanges(), 1);
}

#[test]
fn what_is_renewed_depends_on_the_flags() {
    let stage = Stage::new(1);
    let run = |arguments: &[&str]| outcomes(&run(&stage.home, arguments)).concat();
    assert_eq!(run(&["--if-expiring", "0"]), "renewed");
    // It expires in an hour, and was renewed a moment ago.
    for (arguments, outcome) in [
        (&["--if-expiring", "59m"][..], "kept"),
        (&["--older-than", "0"], "kept"),
        (&["--if-expiring", "1h"], "renewed"),
        (&["--force"], "renewed"),
    ] {
        assert_eq!(run(arguments), outcome, "{arguments:?}");
    }
    let mut store = stage.home.store();
    store["accounts"][0]["refreshedAt"] = json!((CLOCK - 8 * 24 * 60 * 60) * 1000);
    stage.home.write_store(&store);
    assert_eq!(run(&["--older-than", "9d"]), "kept");
    assert_eq!(run(&["--older-than", "7d"]), "renewed");
}

#[test]
fn accounts_are_named_or_all() {
    let stage = Stage::new(3);
    let mut store = stage.home.store();
    store["accounts"][2]["enabled"] = json!(false);
    stage.home.write_store(&store);
    let indices = |arguments: &[&str]| -> Vec<u64> {
        let shown = run(&stage.home, arguments);
        let index = |record: &Value| record["index"].as_u64().unwrap();
        records(&shown.stdout).iter().map(index).collect()
    };
    assert_eq!(indices(&["two", "0"]), [1, 0]);
    assert_eq!(indices(&["--all"]), [0, 1, 2]);
    insta::assert_snapshot!(run(&stage.home, &["two", "nobody"]), @"
    --- stderr
    codex-token-refresh: error: no account is called 'nobody'
    hint: there is 0 one, 1 two, 2 three
    --- exit 1
    ");
    insta::assert_snapshot!(run(&stage.home, &["--all", "two"]), @"
    --- stderr
    codex-token-refresh: error: the argument '--all' cannot be used with '[ACCOUNT]...'
    hint: -h shows the usage
    --- exit 2
    ");
    insta::assert_snapshot!(run(&stage.home, &["--now", "--older-than", "1d"]), @"
    --- stderr
    codex-token-refresh: error: the argument '--now' cannot be used with '--older-than <DURATION>'
    hint: -h shows the usage
    --- exit 2
    ");
    insta::assert_snapshot!(run(&stage.home, &["--if-expiring", "soon"]), @"
    --- stderr
    codex-token-refresh: error: invalid value 'soon' for '--if-expiring <DURATION>': not a length of time, like 90, 90s, 15m, 5h or 7d
    hint: -h shows the usage
    --- exit 2
    ");
    assert_eq!(stage.exchanges(), 3);
}

#[test]
fn without_accounts_there_is_nothing_to_renew() {
    let home = Home::new();
    insta::assert_snapshot!(run(&home, &[]), @"
    --- stderr
    codex-token-refresh: error: there are no accounts
    hint: log in with 'codex-accounts add'
    --- exit 1
    ");
    assert!(!home.store_path().exists());
}

#[test]
fn one_failure_does_not_keep_the_others_from_their_tokens() {
    let stage = Stage::new(4);
    stage.pretend.change(|script| {
        let dead = Answer::token_error(401, "refresh_token_expired", ErrorShape::Object);
        script.accounts[0].refresh = Some(TokenAnswer::Refuse(Style::Error500.into()));
        script.accounts[1].refresh = Some(TokenAnswer::Refuse(dead));
        script.accounts[2].refresh = Some(TokenAnswer::Refuse(Style::Error502.into()));
    });
    let shown = run(&stage.home, &["--all"]);
    assert_eq!(outcomes(&shown), ["renewed"]);
    assert_eq!(shown.code, 77);
    insta::assert_snapshot!(shown.stderr, @"
    codex-token-refresh: error: the token of 'one' was not renewed: the issuer answered with something else than tokens (status 500)
    codex-token-refresh: error: 'two' needs a new login (refresh_token_expired)
    hint: log in again with 'codex-accounts add'
    codex-token-refresh: error: the token of 'three' was not renewed: the issuer answered with something else than tokens (status 502)
    ");
}

#[test]
fn a_reply_without_a_refresh_token_keeps_the_old_one() {
    let stage = Stage::new(1);
    let before = stage.stored(0, "refreshToken");
    let id = stage.stored(0, "idToken");
    stage.pretend.change(|script| {
        script.token_reply = TokenReply {
            refresh_token: false,
            id_token: false,
            expires_in: true,
        };
    });
    assert_eq!(outcomes(&run(&stage.home, &[])), ["renewed"]);
    assert_eq!(stage.stored(0, "refreshToken"), before);
    assert_eq!(stage.stored(0, "idToken"), id);
    assert_eq!(
        stage.stored(0, "accessToken"),
        stage.current(0).access_token
    );
    assert_eq!(outcomes(&run(&stage.home, &["--force"])), ["renewed"]);
}
