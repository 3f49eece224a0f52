//! Logins at which the issuer's answer is not as it should be.

use super::*;

#[test]
fn an_answer_that_is_none_changes_nothing() {
    let html = || Answer::raw(200, &[("content-type", "text/html")], "<html>hello</html>");
    let answers = [
        ("HTML", TokenAnswer::Refuse(html())),
        ("500", TokenAnswer::Refuse(Style::Error500.into())),
        ("502", TokenAnswer::Refuse(Style::Error502.into())),
        ("an empty object", TokenAnswer::Refuse(Answer::Good(None))),
        ("no head", TokenAnswer::Grant(Style::CloseBeforeHead.into())),
        ("half", TokenAnswer::Grant(Style::CloseMidBody.into())),
        ("no HTTP", TokenAnswer::Grant(Style::Garbage.into())),
        (
            "invalid_grant",
            TokenAnswer::Refuse(Answer::token_error(400, "invalid_grant", ErrorShape::Text)),
        ),
    ];
    let mut told = String::new();
    for (name, answer) in answers {
        let pretend = issuer(1);
        pretend.change(|script| script.token_answers.push_back(answer));
        let home = home(&pretend);
        home.write_store(&store([account("work")]));
        let before = std::fs::read(home.store_path()).expect("a store");
        let mut login = Waiting::new(&home, &["--port", "0"]);
        let page = get(&consent(&login.url()));
        assert!(page.body.contains("Not logged in"), "{}", page.body);
        let shown = login.end(&home);
        assert_eq!(shown.stdout, "");
        assert_eq!(std::fs::read(home.store_path()).expect("a store"), before);
        assert_eq!(exchanges(&pretend), 1, "a code is presented once");
        let error = shown.stderr.lines().last().expect("an error");
        told += &format!("{name}: {} {error}\n", shown.code);
    }
    insta::assert_snapshot!(told, @"
    HTML: 69 codex-oauth-login: error: the issuer answered with something else than tokens (status 200)
    500: 69 codex-oauth-login: error: the issuer answered with something else than tokens (status 500)
    502: 69 codex-oauth-login: error: the issuer answered with something else than tokens (status 502)
    an empty object: 69 codex-oauth-login: error: the issuer answered with something else than tokens (status 200)
    no head: 69 codex-oauth-login: error: no answer from 127.0.0.1: Peer disconnected
    half: 69 codex-oauth-login: error: no answer from 127.0.0.1: Peer disconnected
    no HTTP: 69 codex-oauth-login: error: no answer from 127.0.0.1: protocol: http parse fail: invalid HTTP version
    invalid_grant: 77 codex-oauth-login: error: the issuer did not accept the login (invalid_grant)
    ");
}

#[test]
fn an_issuer_out_of_reach_changes_nothing() {
    let gone = issuer(1);
    let home = home(&gone);
    drop(gone);
    insta::assert_snapshot!(log_in_by_device(&home), @"
    --- stderr
    codex-oauth-login: error: no answer from 127.0.0.1: Connection refused (os error 111)
    --- exit 69
    ");
    assert!(!home.store_path().exists());
}

#[test]
fn a_login_without_a_refresh_token_is_none() {
    let pretend = issuer(1);
    pretend.change(|script| script.token_reply.refresh_token = false);
    let home = home(&pretend);
    let shown = log_in(&home, &[]);
    insta::assert_snapshot!(steady(&shown), @"
    --- stderr
    codex-oauth-login: log in with the browser; its page is
    URL
    codex-oauth-login: error: the issuer did not accept the login (no refresh token)
    --- exit 77
    ");
    assert!(!home.store_path().exists());
}

#[test]
fn where_expires_in_is_missing_the_token_says_it() {
    let pretend = issuer(1);
    pretend.change(|script| script.token_reply.expires_in = false);
    let home = home(&pretend);
    assert_eq!(log_in(&home, &[]).code, 0);
    let tokens = pretend.current(0).expect("a login");
    let claims = codex_accounts::account::claims::Claims::of(&tokens.access_token);
    let expires = claims.expires_at.expect("an expiry").as_millis();
    assert_eq!(home.store()["accounts"][0]["expiresAt"], expires);
}
