//! Logins in a browser that comes back.

use super::*;

#[test]
fn two_logins_are_two_accounts() {
    let pretend = issuer(2);
    let home = home(&pretend);
    insta::assert_snapshot!(steady(&log_in(&home, &["--label", "work"])), @r#"
    {"v":1,"index":0,"chatgptAccountId":"account-one","chatgptUserId":"user-one","email":"one@example.com","label":"work","active":true,"state":"ready","planType":"plus","enabled":true,"addedAt":1777922696000,"lastUsed":0,"expiresAt":1777926296000,"refreshedAt":1777922696000}
    --- stderr
    codex-oauth-login: log in with the browser; its page is
    URL
    codex-oauth-login: logged in as work, account 0
    --- exit 0
    "#);
    insta::assert_snapshot!(steady(&log_in(&home, &[])), @r#"
    {"v":1,"index":1,"chatgptAccountId":"account-two","chatgptUserId":"user-two","email":"two@example.com","active":false,"state":"ready","planType":"plus","enabled":true,"addedAt":1777922696001,"lastUsed":0,"expiresAt":1777926296000,"refreshedAt":1777922696000}
    --- stderr
    codex-oauth-login: log in with the browser; its page is
    URL
    codex-oauth-login: logged in as two@example.com, account 1
    --- exit 0
    "#);
    let document = home.store();
    let first = pretend.current(0).expect("a login");
    assert_eq!(document["accounts"][0]["refreshToken"], first.refresh_token);
    assert_eq!(document["accounts"][0]["accessToken"], first.access_token);
    assert_eq!(document["accounts"][0]["idToken"], first.id_token);
    assert_eq!(document["accounts"][0]["expiresAt"], (CLOCK + 3600) * 1000);
    assert_eq!(document["activeIndex"], 0);
    let mode = home.sh("cd $XDG_DATA_HOME/opencode && stat -c '%a %n' . *.json");
    assert_eq!(mode.stdout, "700 .\n600 openai-codex-accounts.json\n");
}

#[test]
fn from_the_second_account_on_the_issuer_asks_who_it_is() {
    let pretend = issuer(2);
    let home = home(&pretend);
    log_in(&home, &[]);
    log_in(&home, &[]);
    let seen = pretend.seen();
    let logins = seen
        .iter()
        .filter(|seen| seen.is("GET", "/oauth/authorize"));
    let asks: Vec<bool> = logins.map(|it| it.query.contains("prompt=login")).collect();
    assert_eq!(asks, [false, true]);
}

#[test]
fn a_login_to_a_known_account_renews_it_in_place() {
    let pretend = issuer(1);
    let home = home(&pretend);
    let mut known = account("work");
    known["chatgptAccountId"] = "account-one".into();
    known["chatgptUserId"] = "user-one".into();
    known["enabled"] = false.into();
    known["loginRequired"] = json!({"code": "refresh_token_reused", "at": 1});
    known["odd"] = "kept".into();
    home.write_store(&store([known, account("personal")]));
    let shown = log_in(&home, &[]);
    assert_eq!(shown.code, 0, "{shown}");
    assert!(
        shown
            .stderr
            .contains("renewed the login of work, account 0")
    );
    let document = home.store();
    let renewed = &document["accounts"][0];
    let tokens = pretend.current(0).expect("a login");
    assert_eq!(renewed["refreshToken"], tokens.refresh_token);
    assert_eq!(
        (&renewed["label"], &renewed["odd"]),
        (&"work".into(), &"kept".into())
    );
    assert_eq!(
        (&renewed["enabled"], &renewed["loginRequired"]),
        (&Value::Null, &Value::Null)
    );
    assert_eq!(document["accounts"][1], account("personal"));
}

#[test]
fn another_plan_and_another_case_of_the_email_make_no_other_account() {
    let pretend = issuer(1);
    let home = home(&pretend);
    let mut known = account("work");
    known["chatgptAccountId"] = "account-one".into();
    known
        .as_object_mut()
        .expect("an account")
        .remove("chatgptUserId");
    known["email"] = "ONE@Example.com".into();
    known["planType"] = "free".into();
    home.write_store(&store([known]));
    let shown = log_in(&home, &[]);
    assert!(
        shown.stderr.contains("renewed the login of work"),
        "{shown}"
    );
    let accounts = home.store()["accounts"].clone();
    assert_eq!(accounts.as_array().map(Vec::len), Some(1));
    assert_eq!(accounts[0]["planType"], "plus");
    assert_eq!(accounts[0]["chatgptUserId"], "user-one");
}

/// An account of a packed login: its workspace is known, and not whose it is.
fn nameless(id: &str) -> Value {
    json!({"refreshToken": format!("used-up-{id}"), "chatgptAccountId": id, "addedAt": 1})
}

#[test]
fn the_command_of_the_hint_repairs_a_dead_account_of_which_only_the_workspace_is_known() {
    let pretend = issuer(1);
    let home = home(&pretend);
    home.write_store(&store([nameless("account-one"), account("work")]));
    let shown = home.sh("codex-token-refresh 0");
    assert_eq!(shown.code, 77, "{shown}");
    assert!(shown.stderr.contains("'codex-accounts add'"), "{shown}");
    let shown = home.sh("codex-accounts add --port 0");
    assert!(
        shown
            .stderr
            .contains("renewed the login of one@example.com, account 0"),
        "{shown}"
    );
    assert_eq!(home.sh("codex-token-refresh 0").code, 0);
    assert_eq!(home.store()["accounts"].as_array().map(Vec::len), Some(2));
}

#[test]
fn of_several_such_accounts_none_is_taken_for_the_one_that_logged_in() {
    let pretend = issuer(1);
    let home = home(&pretend);
    let mut dead = nameless("account-one");
    dead["loginRequired"] = json!({"code": "invalid_grant", "at": 1});
    let mut seat = nameless("account-one");
    seat["refreshToken"] = json!("of-another-seat");
    // Two seats, or one that is alive: it may be somebody else's.
    for accounts in [vec![dead, seat.clone()], vec![seat]] {
        home.write_store(&store(accounts.clone()));
        let shown = log_in(&home, &[]);
        assert!(
            shown.stderr.contains("logged in as one@example.com"),
            "{shown}"
        );
        let now = home.store()["accounts"].as_array().map(Vec::len);
        assert_eq!(now, Some(accounts.len() + 1));
    }
}

#[test]
fn opencodes_account_comes_along_into_the_first_store() {
    let pretend = issuer(1);
    let home = home(&pretend);
    let auth = json!({"openai": {"type": "oauth", "refresh": "r", "access": "a", "expires": 5,
        "accountId": "acc-opencode"}, "anthropic": {"type": "api", "key": "k"}});
    let path = home.write(".local/share/opencode/auth.json", auth.to_string());
    let shown = log_in(&home, &[]);
    insta::assert_snapshot!(steady(&shown), @r#"
    {"v":1,"index":1,"chatgptAccountId":"account-one","chatgptUserId":"user-one","email":"one@example.com","active":false,"state":"ready","planType":"plus","enabled":true,"addedAt":1777922696001,"lastUsed":0,"expiresAt":1777926296000,"refreshedAt":1777922696000}
    --- stderr
    codex-oauth-login: log in with the browser; its page is
    URL
    codex-oauth-login: imported from opencode: acc-opencode, account 0
    codex-oauth-login: logged in as one@example.com, account 1
    --- exit 0
    "#);
    let ids = |document: &Value| -> Vec<Value> {
        let accounts = document["accounts"].as_array().expect("accounts").iter();
        accounts.map(|it| it["chatgptAccountId"].clone()).collect()
    };
    assert_eq!(ids(&home.store()), ["acc-opencode", "account-one"]);
    assert_eq!(home.store()["accounts"][0]["refreshToken"], "r");
    let seen = pretend.seen();
    assert!(seen[0].query.contains("prompt=login"), "{}", seen[0].query);
    // It is opencode's still, and does not come again.
    assert_eq!(
        std::fs::read_to_string(path).expect("a file"),
        auth.to_string()
    );
    log_in(&home, &[]);
    assert_eq!(home.store()["accounts"].as_array().map(Vec::len), Some(2));
}

#[test]
fn the_page_tells_what_happened_and_loads_nothing() {
    let pretend = issuer(1);
    pretend.change(|script| script.accounts[0].email = "a<b>&\"c@example.com".into());
    let home = home(&pretend);
    let mut login = Waiting::new(&home, &["--port", "0"]);
    let page = get(&consent(&login.url()));
    assert_eq!(login.end(&home).code, 0);
    insta::assert_snapshot!(page.text().join("\n"), @"
    Logged in
    a&lt;b&gt;&amp;&quot;c@example.com is account 0 now.
    You can close this page and go back to the terminal.
    ");
    assert_eq!(page.status, 200);
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    assert_eq!(page.header("cache-control"), "no-store");
    assert_eq!(page.header("referrer-policy"), "no-referrer");
    let policy = page.header("content-security-policy");
    let (before, rest) = policy.split_once("'nonce-").expect("a nonce");
    let (nonce, after) = rest.split_once('\'').expect("its end");
    assert_eq!(before, "default-src 'none'; style-src ");
    assert_eq!(
        after,
        "; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    assert!(page.body.contains(&format!("<style nonce=\"{nonce}\">")));
    for outside in ["http:", "https:", "src=", "href=", "<script", SECRET] {
        assert!(!page.body.contains(outside), "{outside}");
    }
}

#[test]
fn a_denied_login_is_refused_and_the_page_says_why() {
    let pretend = issuer(1);
    let home = home(&pretend);
    let deny = || Consent::Deny {
        error: "access_denied".into(),
        description: "<b>No\u{1b}[2J".into(),
    };
    pretend.change(|script| script.consents.extend([deny(), deny()]));
    let shown = log_in(&home, &[]);
    insta::assert_snapshot!(steady(&shown), @"
    --- stderr
    codex-oauth-login: log in with the browser; its page is
    URL
    codex-oauth-login: error: the login was denied: <b>No[2J
    --- exit 77
    ");
    let mut login = Waiting::new(&home, &["--port", "0"]);
    let page = get(&consent(&login.url()));
    assert_eq!(login.end(&home).code, 77);
    insta::assert_snapshot!(page.text().join("\n"), @"
    Not logged in
    The login was denied: &lt;b&gt;No[2J.
    Your accounts are as they were. To try again, close this page and start the login again in the terminal.
    ");
    assert!(!home.store_path().exists());
}

#[test]
fn a_callback_without_a_code_fails() {
    let pretend = issuer(1);
    pretend.change(|script| script.consents.push_back(Consent::NoCode));
    let home = home(&pretend);
    let shown = log_in(&home, &[]);
    insta::assert_snapshot!(steady(&shown), @"
    --- stderr
    codex-oauth-login: log in with the browser; its page is
    URL
    codex-oauth-login: error: the issuer gave neither a code nor a reason
    --- exit 77
    ");
    assert_eq!(exchanges(&pretend), 0);
}

#[test]
fn a_callback_of_another_login_is_refused_and_the_right_one_still_counts() {
    let pretend = issuer(1);
    pretend.change(|script| script.consents.push_back(Consent::WrongState));
    let home = home(&pretend);
    let mut login = Waiting::new(&home, &["--port", "0"]);
    let url = login.url();
    let page = get(&consent(&url));
    assert_eq!(page.status, 400);
    insta::assert_snapshot!(page.text().join("\n"), @"
    This is another login
    This page does not belong to the login that is waiting now: its state does not match.
    Nothing was changed. Go on in the tab that was opened last.
    ");
    assert_eq!(exchanges(&pretend), 0);
    assert_eq!(get(&consent(&url)).status, 200);
    assert_eq!(login.end(&home).code, 0);
    assert_eq!(exchanges(&pretend), 1);
}

#[test]
fn a_second_callback_does_no_harm() {
    let pretend = issuer(1);
    let pause = Duration::from_millis(300);
    pretend.change(|script| script.delays.insert("/oauth/token".into(), pause));
    let home = home(&pretend);
    let mut login = Waiting::new(&home, &["--port", "0"]);
    let callback = consent(&login.url());
    let first = std::thread::spawn({
        let callback = callback.clone();
        move || get(&callback)
    });
    assert!(pretend.wait_for(LONG, |seen| seen.iter().any(|it| it.path == "/oauth/token")));
    // It may be told that the login is over, or find nobody any more.
    let second = agent().get(callback.as_str()).call();
    assert!(second.is_err() || second.is_ok_and(|it| it.status() == 409));
    assert_eq!(first.join().expect("a page").status, 200);
    assert_eq!(login.end(&home).code, 0);
    assert_eq!(exchanges(&pretend), 1);
}

#[test]
fn other_requests_and_slow_ones_are_not_in_the_way() {
    let pretend = issuer(1);
    let home = home(&pretend);
    let mut login = Waiting::new(&home, &["--port", "0"]);
    let callback = consent(&login.url());
    let port = callback.port().expect("a port");
    let ask = |request: &str| {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("a connection");
        // What is too long for it, it need not take whole.
        let _ = stream.write_all(request.as_bytes());
        stream
    };
    let status = |request: &str| {
        let mut answer = String::new();
        let read = ask(request).read_to_string(&mut answer);
        // What it does not want to read whole it may answer with a reset as well.
        assert!(read.is_ok() || read.is_err_and(|it| it.kind() == ErrorKind::ConnectionReset));
        answer.get(9..12).unwrap_or("none").to_owned()
    };
    let _slow = ask("GET /auth/callback");
    let target = &callback[url::Position::BeforePath..];
    let request = |line: &str, host: &str| format!("{line} HTTP/1.1\r\nhost: {host}\r\n\r\n");
    assert_eq!(status(&request("GET /", "localhost")), "404");
    assert_eq!(status(&request("GET /favicon.ico", "localhost")), "404");
    assert_eq!(status(&request("POST /auth/callback", "localhost")), "405");
    let elsewhere = request(&format!("GET {target}"), "evil.example");
    assert_eq!(status(&elsewhere), "403");
    let by_page = "GET /cancel HTTP/1.1\r\nhost: localhost\r\norigin: null\r\n\r\n";
    assert_eq!(status(by_page), "403");
    let large = format!("GET /?{} HTTP/1.1\r\n", "x".repeat(1 << 20));
    assert!(["414", "431", "none"].contains(&&*status(&large)));
    assert_eq!(exchanges(&pretend), 0);
    assert_eq!(get(&callback).status, 200);
    assert_eq!(login.end(&home).code, 0);
}

#[test]
fn a_login_without_a_browser_says_so_and_waits() {
    let pretend = issuer(1);
    let mut home = home(&pretend);
    let commands = Path::new(env!("CARGO_BIN_EXE_codex-oauth-login")).parent();
    home.set("PATH", commands.expect("a folder"));
    home.set("BROWSER", "no-such-browser");
    let shown = log_in(&home, &["--timeout", "100ms"]);
    insta::assert_snapshot!(steady(&shown), @"
    --- stderr
    codex-oauth-login: open this page in a browser and log in:
    URL
    codex-oauth-login: error: login timed out
    hint: start the login again
    --- exit 75
    ");
    assert!(!home.store_path().exists());
}

#[test]
fn a_known_account_keeps_its_label() {
    let pretend = issuer(1);
    let home = home(&pretend);
    let mut known = account("work");
    known["chatgptAccountId"] = "account-one".into();
    known["chatgptUserId"] = "user-one".into();
    home.write_store(&store([known]));
    let shown = log_in(&home, &["--label", "other"]);
    let note = "it keeps its label; to change it: codex-accounts label 0 NAME\n";
    assert!(shown.stderr.ends_with(note), "{shown}");
    assert_eq!(home.store()["accounts"][0]["label"], "work");
}
