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

mod answers;
mod browser;
mod device;
mod early;
mod pasted;
mod ports;
mod signals;
mod terminal;

/// Longer than anything here takes. Waiting ends when the thing has happened.
const LONG: Duration = Duration::from_secs(60);

/// In every token and code of the pretend issuer.
const SECRET: &str = "pretend-";

const COMMAND: &str = "codex-oauth-login";

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
