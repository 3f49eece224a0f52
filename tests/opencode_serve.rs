//! `opencode serve` behind the relay: the clients that attach to it know nothing of accounts, nor of
//! the wrapper that it runs in.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::process::{Child, Stdio};
use std::time::Duration;

use codex_accounts::rehearse::{Script, Style};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use super::support::Home;
use super::support::asked::asked;
use super::support::network;

/// A server that runs, and where it is.
struct Serving {
    child: Child,
    url: String,
}

impl Serving {
    fn new(home: &Home) -> Serving {
        let log = File::create(home.path().join("serve.stderr")).expect("a file for stderr");
        let mut child = home
            .std_command("codex-launch")
            .args(["opencode", "serve", "--port", "0"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .expect("it starts");
        let lines = BufReader::new(child.stdout.take().expect("stdout is a pipe")).lines();
        let url = lines.map_while(Result::ok).find_map(|line| {
            line.split_once("listening on ")
                .map(|(_, url)| url.to_owned())
        });
        let url = url.expect("it says where it listens");
        Serving { child, url }
    }

    /// What a client that attaches is answered.
    fn ask(&self, home: &Home) -> String {
        let shown = home.sh(&format!(
            "opencode run --attach {} --format json -m openai/gpt-5.5 'say who you are' </dev/null",
            self.url
        ));
        assert_eq!(shown.code, 0, "{shown}");
        let events = shown.stdout.lines().map(|line| {
            serde_json::from_str::<Value>(line).unwrap_or_else(|error| panic!("{error}: {shown}"))
        });
        events
            .filter_map(|event| event["part"]["text"].as_str().map(str::to_owned))
            .collect()
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // Only a test that failed leaves it running; it passes this on to opencode.
        if let Ok(None) = self.child.try_wait() {
            let _ = kill(Pid::from_raw(self.child.id() as i32), Signal::SIGTERM);
            let _ = self.child.wait();
        }
    }
}

/// The network is the test's own: the port that opencode likes best is nobody else's there, now
/// and afterwards.
#[test]
fn who_attaches_to_a_server_is_answered_by_the_next_account() {
    network::alone(|| {
        let mut home = Home::with_clients();
        let pretend = home.with_servers(Script::with_accounts(2));
        let mut serving = Serving::new(&home);

        assert_eq!(serving.ask(&home), "answered by one@example.com");
        pretend.change(|script| {
            script.accounts[0].limit(Duration::from_secs(3600), Style::UsageLimit);
        });
        let before = asked(&pretend).len();
        assert_eq!(serving.ask(&home), "answered by two@example.com");
        assert!(asked(&pretend)[before..].contains(&0));

        kill(Pid::from_raw(serving.child.id() as i32), Signal::SIGTERM).unwrap();
        // As a shell says of whom that signal ended: opencode leaves it to the system.
        assert_eq!(serving.child.wait().expect("its end").code(), Some(143));
        let address = serving.url.trim_start_matches("http://");
        assert!(TcpStream::connect(address).is_err(), "it still listens");
        assert_eq!(home.store()["activeIndex"], 1);
    });
}
