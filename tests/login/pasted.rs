//! Logins whose answer a person pastes.

use super::*;

#[test]
fn what_the_browser_came_back_with_can_be_pasted_in_any_form() {
    let forms: [fn(&Url) -> String; 4] = [
        |callback| callback.to_string(),
        |callback| callback.query().expect("a query").to_owned(),
        |callback| {
            format!(
                "{}#{}",
                parameter(callback, "code"),
                parameter(callback, "state")
            )
        },
        |callback| parameter(callback, "code"),
    ];
    for form in forms {
        let pretend = issuer(1);
        let home = home(&pretend);
        let mut login = Waiting::new(&home, &["--port", "0"]);
        let callback = consent(&login.url());
        login.paste("");
        login.paste(&form(&callback));
        let shown = login.end(&home);
        assert_eq!(shown.code, 0, "{shown}");
        assert_eq!(shown.json()["chatgptAccountId"], "account-one");
    }
}

#[test]
fn what_is_of_no_use_is_refused_and_not_repeated() {
    let pretend = issuer(1);
    let home = home(&pretend);
    let paste = |line: &str| {
        let mut login = Waiting::new(&home, &["--port", "0"]);
        login.url();
        login.paste(line);
        steady(&login.end(&home))
    };
    insta::assert_snapshot!(paste("pretend-code-1#of-another-login"), @"
    --- stderr
    codex-oauth-login: open this page in a browser and log in:
    URL
    codex-oauth-login: error: what was pasted belongs to another login: its state does not match
    hint: paste the whole address that the browser ends at, or the code in it
    --- exit 65
    ");
    insta::assert_snapshot!(paste("http://localhost:1455/?pretend-nothing"), @"
    --- stderr
    codex-oauth-login: open this page in a browser and log in:
    URL
    codex-oauth-login: error: what was pasted holds no code
    hint: paste the whole address that the browser ends at, or the code in it
    --- exit 65
    ");
    insta::assert_snapshot!(paste("?error=access_denied"), @"
    --- stderr
    codex-oauth-login: open this page in a browser and log in:
    URL
    codex-oauth-login: error: the login was denied: access_denied
    --- exit 77
    ");
    assert_eq!(exchanges(&pretend), 0);
}

#[test]
fn input_that_ends_gives_a_login_up_only_where_no_browser_can_come_back() {
    let pretend = issuer(1);
    let home = home(&pretend);
    let mut login = Waiting::new(&home, &["--port", "0"]);
    drop(login.child.stdin.take());
    assert_eq!(get(&consent(&login.url())).status, 200);
    assert_eq!(login.end(&home).code, 0);

    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let port = taken.local_addr().expect("its number").port().to_string();
    let args = ["--no-browser", "--port", &port];
    let shown = home.run(home.command(COMMAND).args(args).write_stdin(""));
    insta::assert_snapshot!(steady(&shown), @"
    --- stderr
    codex-oauth-login: open this page in a browser and log in:
    URL
    codex-oauth-login: error: the login was given up
    --- exit 1
    ");
}
