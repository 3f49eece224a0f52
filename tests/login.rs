//! Logging in: by browser, by pasting, by device code, and on a terminal.
//!
//! The issuer is the pretend one. Where a test does not say otherwise the callback has a port of
//! its own, so that tests can run beside each other.

use std::io::{BufRead as _, BufReader, ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStderr, Output, Stdio};
use std::time::Duration;

use codex_accounts::rehearse::{
    Answer, Consent, ErrorShape, Interval, Pretend, Script, Seen, Style, TokenAnswer,
};
use codex_accounts::store::lock::{self, Lock, Patience};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use url::Url;

use super::support::accounts::{account, store};
use super::support::shown::Shown;
use super::support::{CLOCK, Home};

/// Longer than anything here takes. Waiting ends when the thing has happened.
const LONG: Duration = Duration::from_secs(60);

/// In every token and code of the pretend issuer.
const SECRET: &str = "pretend-";

const COMMAND: &str = "codex-oauth-login";

// --- The issuer, the person and their browser.

/// An issuer with some accounts that lets a browser come back to any port.
fn issuer(accounts: usize) -> Pretend {
    let mut script = Script::with_accounts(accounts);
    script.any_port = true;
    Pretend::start(script).expect("a pretend issuer")
}

/// A machine whose browser consents to everything by itself.
fn home(pretend: &Pretend) -> Home {
    let mut home = Home::new();
    home.set("CODEX_ACCOUNTS_ISSUER", pretend.issuer());
    home.install_browser();
    home
}

/// Runs a login to its end.
fn log_in(home: &Home, args: &[&str]) -> Shown {
    let mut command = home.command(COMMAND);
    let shown = home.run(command.args(["--port", "0"]).args(args));
    assert_no_secret(&shown);
    shown
}

fn log_in_by_device(home: &Home) -> Shown {
    let shown = home.run(home.command(COMMAND).arg("--device"));
    assert_no_secret(&shown);
    shown
}

fn assert_no_secret(shown: &Shown) {
    for text in [&shown.stdout, &shown.stderr] {
        assert!(!text.contains(SECRET), "a secret got out: {text}");
    }
}

/// What was shown, without the addresses, which are never the same.
fn steady(shown: &Shown) -> String {
    let text = shown.to_string();
    let line = |line: &str| match line.starts_with("http://") {
        true => "URL\n".to_owned(),
        false => format!("{line}\n"),
    };
    text.lines().map(line).collect()
}

fn exchanges(pretend: &Pretend) -> usize {
    let seen = pretend.seen();
    let is_exchange = |seen: &&Seen| seen.is("POST", "/oauth/token");
    seen.iter().filter(is_exchange).count()
}

/// A login that waits for its person.
struct Waiting {
    child: Child,
    stderr: BufReader<ChildStderr>,
    said: String,
}

impl Waiting {
    /// Starts a login that opens no browser.
    fn new(home: &Home, args: &[&str]) -> Waiting {
        Self::start(home, &[&["--no-browser"], args].concat())
    }

    /// Starts a login that opens a browser.
    fn opening_a_browser(home: &Home) -> Waiting {
        Self::start(home, &["--port", "0"])
    }

    fn start(home: &Home, args: &[&str]) -> Waiting {
        let mut child = home
            .std_command(COMMAND)
            .args(["--timeout", "1m"])
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the command starts");
        let stderr = BufReader::new(child.stderr.take().expect("stderr is a pipe"));
        Waiting {
            child,
            stderr,
            said: String::new(),
        }
    }

    /// Where it sends the person.
    fn url(&mut self) -> Url {
        loop {
            let mut line = String::new();
            let read = self.stderr.read_line(&mut line).expect("stderr");
            assert_ne!(read, 0, "no address: {}", self.said);
            self.said += &line;
            if line.starts_with("http://") {
                return line.trim().parse().expect("an address");
            }
        }
    }

    fn paste(&mut self, line: &str) {
        let stdin = self.child.stdin.as_mut().expect("stdin is a pipe");
        writeln!(stdin, "{line}").expect("it reads");
    }

    fn signal(&self, signal: Signal) {
        let id = Pid::from_raw(self.child.id().cast_signed());
        kill(id, signal).expect("the login is there");
    }

    /// How it ends, with its input still open.
    fn end(mut self, home: &Home) -> Shown {
        let _stdin = self.child.stdin.take();
        self.stderr.read_to_string(&mut self.said).expect("stderr");
        let output = self.child.wait_with_output().expect("its end");
        let shown = Shown::new(
            Output {
                stderr: self.said.into_bytes(),
                ..output
            },
            home.path(),
        );
        assert_no_secret(&shown);
        shown
    }
}

/// What a browser gets.
struct Got {
    status: u16,
    headers: ureq::http::HeaderMap,
    body: String,
}

impl Got {
    fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value.map_or("", |value| value.to_str().expect("text"))
    }

    /// The text between the tags of the page's body.
    fn text(&self) -> Vec<String> {
        let (_, body) = self.body.split_once("<h1>").expect("a heading");
        let lines = body.lines().map(|line| line.replace("<p>", ""));
        lines
            .map(|line| line.replace("</h1>", "").replace("</p>", ""))
            .take_while(|line| line != "</main>")
            .map(|line| line.replace("</main>", ""))
            .collect()
    }
}

fn agent() -> ureq::Agent {
    ureq::Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .timeout_global(Some(LONG))
        .build()
        .into()
}

fn get(url: &Url) -> Got {
    let response = agent().get(url.as_str()).call().expect("an answer");
    let (head, mut body) = response.into_parts();
    Got {
        status: head.status.as_u16(),
        headers: head.headers,
        body: body.read_to_string().expect("a body"),
    }
}

/// Logs in at the issuer: where its browser is sent back to.
fn consent(login: &Url) -> Url {
    let got = get(login);
    assert_eq!(got.status, 302, "{}", got.body);
    got.header("location").parse().expect("an address")
}

fn parameter(url: &Url, name: &str) -> String {
    let mut pairs = url.query_pairs();
    let found = pairs.find(|(known, _)| known == name);
    found.expect("the parameter").1.into_owned()
}

/// 1455 and 1457 are one pair for all of the machine: who needs them takes turns.
pub(crate) fn registered_ports() -> Lock {
    let patience = Patience {
        quiet: LONG,
        most: 5 * LONG,
    };
    let path = std::env::temp_dir().join("codex-accounts-tests-login-ports.lock");
    let lock = lock::exclusive(&path, patience, |_| ()).expect("a lock");
    lock.expect("others let go of the login ports")
}

// --- In the browser.

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
    codex-oauth-login: took along from opencode: acc-opencode, account 0
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

// --- The ports.

#[test]
fn the_browser_comes_back_to_the_registered_port() {
    let _ports = registered_ports();
    let pretend = Pretend::start(Script::with_accounts(1)).expect("a pretend issuer");
    let home = home(&pretend);
    let shown = home.run(&mut home.command(COMMAND));
    assert_eq!(shown.code, 0, "{shown}");
    assert!(shown.stderr.contains("localhost%3A1455"), "{shown}");
}

#[test]
fn where_1455_is_taken_it_is_1457() {
    let _ports = registered_ports();
    let _taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 1455)).expect("the port is free");
    let pretend = Pretend::start(Script::with_accounts(1)).expect("a pretend issuer");
    let home = home(&pretend);
    let shown = home.run(&mut home.command(COMMAND));
    assert_eq!(shown.code, 0, "{shown}");
    assert!(shown.stderr.contains("localhost%3A1457"), "{shown}");
}

#[test]
fn another_login_on_1455_is_asked_to_leave_and_does() {
    let _ports = registered_ports();
    let pretend = Pretend::start(Script::with_accounts(1)).expect("a pretend issuer");
    let home = home(&pretend);
    let mut older = Waiting::new(&home, &[]);
    assert!(older.url().as_str().contains("localhost%3A1455"));
    let shown = home.run(&mut home.command(COMMAND));
    assert_eq!(shown.code, 0, "{shown}");
    assert!(shown.stderr.contains("localhost%3A1455"), "{shown}");
    insta::assert_snapshot!(steady(&older.end(&home)), @"
    --- stderr
    codex-oauth-login: open this page in a browser and log in:
    URL
    codex-oauth-login: error: the login was cancelled by another program
    --- exit 1
    ");
}

#[test]
fn a_foreign_login_server_has_a_second_to_leave() {
    let _ports = registered_ports();
    let pretend = Pretend::start(Script::with_accounts(1)).expect("a pretend issuer");
    let home = home(&pretend);
    let foreign = TcpListener::bind((Ipv4Addr::LOCALHOST, 1455)).expect("the port");
    let leaves = std::thread::spawn(move || {
        let (mut stream, _) = foreign.accept().expect("somebody asks");
        let mut asked = [0; 11];
        stream.read_exact(&mut asked).expect("a request");
        let answer = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
        stream.write_all(answer.as_bytes()).expect("it listens");
        // It has things to end first.
        std::thread::sleep(Duration::from_secs(1));
        asked
    });
    let shown = home.run(&mut home.command(COMMAND));
    assert_eq!(shown.code, 0, "{shown}");
    assert!(shown.stderr.contains("localhost%3A1455"), "{shown}");
    assert_eq!(&leaves.join().expect("its end"), b"GET /cancel");
}

#[test]
fn where_both_are_taken_only_a_browser_that_comes_back_is_lost() {
    let _ports = registered_ports();
    let taken = |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).expect("the port is free");
    let _both = [taken(1455), taken(1457)];
    let pretend = Pretend::start(Script::with_accounts(1)).expect("a pretend issuer");
    let home = home(&pretend);
    insta::assert_snapshot!(home.run(&mut home.command(COMMAND)), @"
    --- stderr
    codex-oauth-login: error: the ports 1455 and 1457 are taken by another program
    hint: end the program that listens there, or use --no-browser or --device
    --- exit 74
    ");
    let mut login = Waiting::new(&home, &[]);
    let callback = consent(&login.url());
    login.paste(callback.as_str());
    assert_eq!(login.end(&home).code, 0);
}

#[test]
fn both_addresses_of_localhost_are_served() {
    let pretend = issuer(1);
    let home = home(&pretend);
    let mut login = Waiting::new(&home, &["--port", "0"]);
    let mut callback = consent(&login.url());
    if TcpListener::bind(("::1", 0)).is_ok() {
        callback.set_host(Some("[::1]")).expect("a host");
    }
    assert_eq!(get(&callback).status, 200);
    assert_eq!(login.end(&home).code, 0);
}

// --- Pasted.

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

// --- What the issuer answers.

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

// --- With a device code.

#[test]
fn a_device_code_logs_in_once_it_has_been_typed() {
    let intervals = [
        Interval::Text("0".into()),
        Interval::Number(0),
        Interval::Text("0.1".into()),
    ];
    for (status, interval) in [403, 404, 403].into_iter().zip(intervals) {
        let pretend = issuer(1);
        pretend.change(|script| {
            script.device.interval = interval;
            script.device.pending = 3;
            script.device.pending_status = status;
            script.device.short_name = status == 404;
        });
        let home = home(&pretend);
        let shown = log_in_by_device(&home);
        assert_eq!(shown.code, 0, "{shown}");
        assert_eq!(shown.json()["email"], "one@example.com");
        let polls = pretend.seen().into_iter();
        let polls = polls.filter(|it| it.path == "/api/accounts/deviceauth/token");
        assert_eq!(polls.count(), 4);
    }
}

#[test]
fn a_device_code_is_shown_even_to_the_quiet() {
    let pretend = issuer(1);
    pretend.change(|script| script.device.pending = 0);
    let home = home(&pretend);
    let shown = home.run(home.command(COMMAND).args(["--device", "-q"]));
    assert_eq!(shown.code, 0);
    insta::assert_snapshot!(shown.stderr.replace(&pretend.issuer(), "ISSUER"), @"codex-oauth-login: open ISSUER/codex/device on any device and enter the code PRET-00001");
}

#[test]
fn device_logins_that_fail() {
    let fail = |change: fn(&mut Script)| {
        let pretend = issuer(1);
        pretend.change(|script| {
            script.device.interval = Interval::Number(0);
            change(script);
        });
        let home = home(&pretend);
        let shown = log_in_by_device(&home);
        assert!(!home.store_path().exists());
        let lines = shown
            .stderr
            .lines()
            .filter(|it| it.contains("error: ") || it.contains("hint"));
        format!("{}: {}\n", shown.code, lines.collect::<Vec<_>>().join("; "))
    };
    let mut told = fail(|script| script.device.offered = false);
    told += &fail(|script| script.device.expires = true);
    told += &fail(|script| {
        let denied = Answer::token_error(400, "access_denied", ErrorShape::Object);
        let path = "/api/accounts/deviceauth/token".into();
        script.answers_at.insert(path, denied);
    });
    told += &fail(|script| {
        let path = "/api/accounts/deviceauth/usercode".into();
        script.answers_at.insert(path, Style::Error502.into());
    });
    told += &fail(|script| {
        let path = "/api/accounts/deviceauth/token".into();
        script.answers_at.insert(path, Style::Error500.into());
    });
    insta::assert_snapshot!(told, @"
    69: codex-oauth-login: error: the issuer offers no login with a device code; hint: log in with a browser or --no-browser
    75: codex-oauth-login: error: the device code was not entered in time; hint: start the login again
    77: codex-oauth-login: error: the issuer did not accept the login (access_denied)
    69: codex-oauth-login: error: the issuer answered with something else than tokens (status 502)
    69: codex-oauth-login: error: the issuer answered with something else than tokens (status 500)
    ");
}

#[test]
fn a_device_code_that_nobody_types_times_out() {
    let pretend = issuer(1);
    pretend.change(|script| script.device.pending = u32::MAX);
    let home = home(&pretend);
    let args = ["--device", "--timeout", "50ms"];
    let shown = home.run(home.command(COMMAND).args(args));
    assert_eq!(shown.code, 75, "{shown}");
}

// --- What is refused before anybody is asked.

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

// --- Signals.

#[test]
fn a_signal_before_the_answer_leaves_the_store_as_it_was() {
    let pretend = issuer(1);
    let home = home(&pretend);
    let mut login = Waiting::new(&home, &["--port", "0"]);
    login.url();
    login.signal(Signal::SIGINT);
    assert_eq!(login.end(&home).code, 130);
    assert!(!home.store_path().exists());
}

#[test]
fn a_signal_between_request_and_commit_does_not_lose_the_login() {
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        let pretend = issuer(1);
        let pause = Duration::from_millis(200);
        pretend.change(|script| script.delays.insert("/oauth/token".into(), pause));
        let home = home(&pretend);
        let mut login = Waiting::new(&home, &["--port", "0"]);
        let callback = consent(&login.url());
        login.paste(callback.as_str());
        assert!(pretend.wait_for(LONG, |seen| seen.iter().any(|it| it.path == "/oauth/token")));
        login.signal(signal);
        assert_eq!(login.end(&home).code, 128 + signal as i32);
        let tokens = pretend.current(0).expect("a login");
        assert_eq!(
            home.store()["accounts"][0]["refreshToken"],
            tokens.refresh_token
        );
    }
}

/// A text browser: it takes the terminal, logs in, and stays as long as the file `stay` does. It is
/// the shell under another name, since a file that was just written may be busy.
fn install_text_browser(home: &mut Home) {
    home.write("stay", "");
    home.write(
        "browse",
        "exec >/dev/null 2>&1 </dev/null; grep SigBlk /proc/self/status >blocked
         curl -sSL -m 30 \"$1\"; while [ -e stay ]; do sleep 0.05; done",
    );
    let w3m = home.path().join("w3m");
    std::os::unix::fs::symlink("/bin/sh", &w3m).expect("a link");
    home.set("BROWSER", format!("{} browse %s", w3m.display()));
}

#[test]
fn a_text_browser_in_the_foreground_does_not_lose_the_login_to_a_signal() {
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        let pretend = issuer(1);
        let pause = Duration::from_millis(500);
        pretend.change(|script| script.delays.insert("/oauth/token".into(), pause));
        let mut home = home(&pretend);
        install_text_browser(&mut home);
        let mut login = Waiting::opening_a_browser(&home);
        login.url();
        assert!(pretend.wait_for(LONG, |seen| seen.iter().any(|it| it.path == "/oauth/token")));
        login.signal(signal);
        assert_eq!(login.end(&home).code, 128 + signal as i32);
        let tokens = pretend.current(0).expect("a login");
        assert_eq!(
            home.store()["accounts"][0]["refreshToken"],
            tokens.refresh_token
        );
        let blocked = std::fs::read_to_string(home.path().join("blocked")).expect("a mask");
        assert_eq!(blocked.trim(), "SigBlk:\t0000000000000000", "the browser's");
        std::fs::remove_file(home.path().join("stay")).expect("it stays");
    }
}

// --- On a terminal.

/// A login on a pseudo-terminal. Its records go to a file.
struct Terminal {
    child: Child,
    said: String,
}

impl Terminal {
    fn new(home: &Home, args: &str) -> Terminal {
        // It ends by itself if a test hangs.
        let command = format!("{COMMAND} --timeout 1m {args} >records");
        let child = home
            .std_command("script")
            .args(["-qefc", &command, "/dev/null"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("script starts");
        Terminal {
            child,
            said: String::new(),
        }
    }

    /// Waits until the terminal shows this, after what was waited for before.
    fn expect(&mut self, text: &str) {
        let stdout = self.child.stdout.as_mut().expect("stdout is a pipe");
        let from = self.said.len();
        let mut byte = [0];
        while !self.said[from..].contains(text) {
            let read = stdout.read(&mut byte).expect("the terminal");
            assert_ne!(read, 0, "{text:?} did not come: {}", self.said);
            self.said.push(byte[0].into());
        }
    }

    fn type_in(&mut self, keys: &str) {
        let stdin = self.child.stdin.as_mut().expect("stdin is a pipe");
        stdin.write_all(keys.as_bytes()).expect("it reads");
    }

    fn end(mut self) -> i32 {
        let stdout = self.child.stdout.as_mut().expect("stdout is a pipe");
        let mut rest = Vec::new();
        stdout.read_to_end(&mut rest).expect("the terminal");
        let status = self.child.wait().expect("its end");
        status.code().expect("an exit code")
    }
}

fn emails(home: &Home) -> Vec<String> {
    let records = std::fs::read_to_string(home.path().join("records")).expect("records");
    let email = |line: &str| -> String {
        let record: Value = serde_json::from_str(line).expect("a record");
        record["email"].as_str().expect("an email").to_owned()
    };
    records.lines().map(email).collect()
}

const FIRST: &str = "You have 1 account(s). Add another? [y/N]: ";
const SECOND: &str = "You have 2 account(s). Add another? [y/N]: ";

#[test]
fn a_person_is_asked_for_another_until_they_want_no_more() {
    let pretend = issuer(3);
    let home = home(&pretend);
    let mut login = Terminal::new(&home, "--port 0");
    login.expect(FIRST);
    login.type_in("y\n");
    login.expect(SECOND);
    login.type_in("\n");
    assert_eq!(login.end(), 0);
    assert_eq!(emails(&home), ["one@example.com", "two@example.com"]);
}

#[test]
fn a_person_is_not_asked_beyond_max() {
    let pretend = issuer(3);
    let home = home(&pretend);
    let mut login = Terminal::new(&home, "--port 0 --max 2 --label work");
    login.expect(FIRST);
    login.type_in("Yes\n");
    assert_eq!(login.end(), 0);
    let accounts = home.store()["accounts"].clone();
    assert_eq!(
        (&accounts[0]["label"], &accounts[1]["label"]),
        (&"work".into(), &Value::Null)
    );
}

#[test]
fn a_failed_login_keeps_those_before_it() {
    let pretend = issuer(3);
    let home = home(&pretend);
    let mut login = Terminal::new(&home, "--port 0");
    login.expect(FIRST);
    login.type_in("y\n");
    login.expect(SECOND);
    pretend.change(|script| script.consents.push_back(Consent::deny()));
    login.type_in("y\n");
    login.expect("error: the login was denied: The pretend person said no");
    assert_eq!(login.end(), 77);
    assert_eq!(emails(&home), ["one@example.com", "two@example.com"]);
    assert_eq!(home.store()["accounts"].as_array().map(Vec::len), Some(2));
}

#[test]
fn ctrl_c_at_the_question_keeps_what_is_there() {
    let pretend = issuer(2);
    let home = home(&pretend);
    let mut login = Terminal::new(&home, "--port 0");
    login.expect(FIRST);
    login.type_in("\u{3}");
    assert_eq!(login.end(), 130);
    assert_eq!(home.store()["accounts"].as_array().map(Vec::len), Some(1));
}

#[test]
fn ctrl_c_while_the_browser_is_away_keeps_the_store_away() {
    let pretend = issuer(1);
    let home = home(&pretend);
    let mut login = Terminal::new(&home, "--no-browser --port 0");
    login.expect("or the code in it");
    login.type_in("\u{3}");
    assert_eq!(login.end(), 130);
    assert!(!home.store_path().exists());
}

#[test]
fn ctrl_c_while_the_browser_is_open_keeps_the_store_away() {
    let pretend = issuer(1);
    let home = home(&pretend);
    slow_consent(&pretend);
    let mut login = Terminal::new(&home, "--port 0");
    login.expect("its page is");
    login.type_in("\u{3}");
    assert_eq!(login.end(), 130);
    assert!(!home.store_path().exists());
}

#[test]
fn ctrl_c_in_the_second_login_keeps_the_first() {
    let pretend = issuer(2);
    let home = home(&pretend);
    let mut login = Terminal::new(&home, "--port 0");
    login.expect(FIRST);
    slow_consent(&pretend);
    login.type_in("y\n");
    login.expect("prompt=login");
    login.type_in("\u{3}");
    assert_eq!(login.end(), 130);
    assert_eq!(home.store()["accounts"].as_array().map(Vec::len), Some(1));
    assert_eq!(emails(&home), ["one@example.com"]);
}

/// The person takes longer than any test.
fn slow_consent(pretend: &Pretend) {
    pretend.change(|script| script.delays.insert("/oauth/authorize".into(), 10 * LONG));
}

#[test]
fn ctrl_c_at_the_offer_of_a_device_code_and_while_it_is_awaited() {
    let pretend = issuer(1);
    pretend.change(|script| script.device.pending = u32::MAX);
    let mut home = home(&pretend);
    home.set("SSH_CONNECTION", "192.0.2.1 50000 192.0.2.2 22");
    home.unset("BROWSER");
    let mut login = Terminal::new(&home, "");
    login.expect("[Y/n]: ");
    login.type_in("\u{3}");
    assert_eq!(login.end(), 130);
    let mut login = Terminal::new(&home, "");
    login.expect("[Y/n]: ");
    login.type_in("\n");
    login.expect("enter the code PRET-00001");
    login.type_in("\u{3}");
    assert_eq!(login.end(), 130);
    assert!(!home.store_path().exists());
}

#[test]
fn a_person_may_paste_again_what_was_wrong_and_give_up() {
    let pretend = issuer(1);
    let home = home(&pretend);
    let mut login = Terminal::new(&home, "--no-browser --port 0");
    login.expect("or the code in it");
    login.type_in("code#of-another-login\n");
    login.expect("belongs to another login: its state does not match; try again");
    login.type_in("two words\n");
    login.expect("what was pasted holds no code; try again");
    // The end of input.
    login.type_in("\u{4}");
    login.expect("the login was given up");
    assert_eq!(login.end(), 1);
}

#[test]
fn far_from_any_display_a_device_code_is_offered() {
    let pretend = issuer(2);
    pretend.change(|script| script.device.pending = 0);
    let mut home = home(&pretend);
    home.set("SSH_CONNECTION", "192.0.2.1 50000 192.0.2.2 22");
    home.unset("BROWSER");
    let mut login = Terminal::new(&home, "");
    login.expect("Log in with a code on another device? [Y/n]: ");
    login.type_in("\n");
    login.expect("enter the code PRET-00001");
    login.expect(FIRST);
    login.type_in("n\n");
    assert_eq!(login.end(), 0);

    let mut login = Terminal::new(&home, "--port 0");
    login.expect("Log in with a code on another device? [Y/n]: ");
    login.type_in("n\n");
    login.expect("paste the address");
    login.type_in("\u{3}");
    assert_eq!(login.end(), 130);
}
