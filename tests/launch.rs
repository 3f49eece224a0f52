//! `codex-launch` as a parent: the terminal, the signals and the exit status are the child's.

use std::fs;
use std::io::{BufRead, BufReader, Lines, Read, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use codex_accounts::rehearse::{self, Pretend, Script, Style};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::support::Home;
use super::support::accounts::{account, store};
#[cfg(target_os = "linux")]
use super::support::network;
use super::support::relay::{Setting, first_limited};
use super::support::request::QUESTION;
use super::support::shown::Shown;
use super::support::stage::wait_until;

fn home() -> Home {
    let home = Home::new();
    home.write_store(&store([account("work")]));
    home
}

#[test]
fn the_exit_status_is_the_childs() {
    let home = home();
    for (script, code) in [
        ("exit 0", 0),
        ("exit 7", 7),
        ("kill -TERM $$", 143),
        ("kill -KILL $$", 137),
    ] {
        let shown = home.run(
            home.command("codex-launch")
                .args(["--", "sh", "-c", script]),
        );
        assert_eq!(shown.code, code, "{script}: {shown}");
        assert_eq!(
            (shown.stdout.as_str(), shown.stderr.as_str()),
            ("", ""),
            "{script}"
        );
    }
}

/// A launch without a terminal, whose child is this shell script; and what that says.
fn without_terminal(home: &Home, script: &str) -> (Child, Lines<BufReader<ChildStdout>>) {
    let mut launch = home
        .std_command("setsid")
        .args(["codex-launch", "--", "sh", "-c", script])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    let lines = BufReader::new(launch.stdout.take().expect("a pipe")).lines();
    (launch, lines)
}

fn send(process: u32, signal: Signal) {
    kill(Pid::from_raw(process.try_into().unwrap()), signal).expect("it is there");
}

#[test]
fn signals_are_the_childs() {
    let home = home();
    for signal in [
        Signal::SIGTERM,
        Signal::SIGHUP,
        Signal::SIGINT,
        Signal::SIGQUIT,
        Signal::SIGUSR1,
        Signal::SIGUSR2,
        Signal::SIGALRM,
        Signal::SIGWINCH,
    ] {
        let name = signal.as_str().trim_start_matches("SIG");
        let script = format!(
            "sleep 60 & trap \"kill $!; echo {name}; exit 3\" {name}; echo ready; wait; wait"
        );
        let (mut launch, mut said) = without_terminal(&home, &script);
        assert_eq!(said.next().unwrap().unwrap(), "ready");
        send(launch.id(), signal);
        assert_eq!(said.next().unwrap().unwrap(), name);
        assert_eq!(launch.wait().unwrap().code(), Some(3), "{name}");
    }
}

#[test]
fn a_stopped_child_is_woken_by_who_wakes_the_launch() {
    let home = home();
    let script = "echo $$; kill -STOP $$; echo woken";
    let (mut launch, mut said) = without_terminal(&home, script);
    let child = said.next().unwrap().unwrap();
    wait_until("the child is stopped", || {
        let status = fs::read_to_string(format!("/proc/{child}/status")).unwrap();
        status.contains("State:\tT")
    });
    send(launch.id(), Signal::SIGCONT);
    assert_eq!(said.next().unwrap().unwrap(), "woken");
    assert_eq!(launch.wait().unwrap().code(), Some(0));
}

#[test]
fn what_was_ignored_at_the_start_stays_ignored_for_both() {
    let home = home();
    let shown = home.sh("nohup codex-launch -- sh -c 'kill -HUP $PPID $$; echo alive'");
    assert!(shown.stdout.ends_with("alive\n"), "{shown}");
    let shown = home.sh("trap '' INT USR1; codex-launch -- sh -c 'kill -INT $$; echo alive'");
    assert_eq!(shown.stdout, "alive\n", "{shown}");
    let shown = home.sh("codex-launch -- sh -c 'kill -INT $$; echo alive'");
    assert_eq!((shown.code, shown.stdout.as_str()), (130, ""), "{shown}");
}

/// An interactive shell at a terminal.
struct Terminal {
    script: Child,
    shown: Arc<Mutex<String>>,
}

impl Terminal {
    fn new(home: &Home) -> Terminal {
        let mut script = home
            .std_command("script")
            .args(["-qec", "bash --norc --noprofile -i", "/dev/null"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let shown = Arc::new(Mutex::new(String::new()));
        let mut screen = script.stdout.take().expect("a pipe");
        let seen = Arc::clone(&shown);
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count @ 1..) = screen.read(&mut bytes) {
                let text = String::from_utf8_lossy(&bytes[..count]);
                seen.lock().expect("a screen").push_str(&text);
            }
        });
        Terminal { script, shown }
    }

    fn write(&mut self, keys: &str) {
        let keyboard = self.script.stdin.as_mut().expect("a pipe");
        keyboard.write_all(keys.as_bytes()).expect("it is read");
    }

    /// Waits until the text is on the screen, and clears that.
    fn see(&self, text: &str) {
        wait_until(text, || self.shown.lock().unwrap().contains(text));
        self.shown.lock().unwrap().clear();
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // It has ended already, unless the test failed.
        let _ = self.script.kill();
        let _ = self.script.wait();
    }
}

#[test]
fn job_control_is_the_childs() {
    let home = home();
    let mut terminal = Terminal::new(&home);
    // Quoted so that what is typed does not look like what is printed.
    let child = "trap \"echo in''t\" INT; trap \"echo wo''ken\" CONT; echo read''y; \
                 while ! read line; do :; done; echo \"<$line>\"; exit 5";
    terminal.write(&format!("codex-launch -- bash -c '{child}'\n"));
    terminal.see("ready");
    for _ in 0..3 {
        terminal.write("\x1a");
        terminal.see("Stopped");
        terminal.write("fg\n");
        terminal.see("woken");
    }
    terminal.write("\x03");
    terminal.see("int");
    terminal.write("hello\n");
    terminal.see("<hello>");
    terminal.write("echo status=$?\n");
    terminal.see("status=5");
    terminal.write("exit\n");
    assert!(terminal.script.wait().unwrap().success());
}

#[test]
fn a_lock_that_takes_long_was_told_of_on_the_childs_terminal() {
    let mut home = Home::new();
    let mut script = Script::with_accounts(2);
    script.accounts[0].limit(Duration::from_secs(3600), Style::UsageLimit);
    let pretend = home.with_servers(script);
    home.write("question", QUESTION);
    // The child is answered, and ends, once the relay has had the lock.
    let lock = "$XDG_DATA_HOME/opencode/openai-codex-accounts.json.lock";
    let child = format!(
        "flock {lock} sh -c 'echo held; sleep 2' | {{ read held; \
         curl -sS -H \"Authorization: Bearer $OPENAI_API_KEY\" -d @question $OPENAI_BASE_URL/responses; }}"
    );
    let shown = home.run(
        home.command("codex-launch")
            .args(["--", "sh", "-c", &child]),
    );
    assert!(shown.stdout.contains("answered by two"), "{shown}");
    assert_eq!(shown.stderr, "");
    drop(pretend);
}

/// Asks once in a session, as Codex on a screen does: of the relay that its arguments name.
const CODEX: &str = r#"#!/bin/sh
url=$(printf %s "$*" | grep -o 'http://[^"]*')
curl -sS -o answer -H "Authorization: Bearer $CODEX_ACCOUNTS_KEY" -H 'session-id: 0199-abc' \
    -d @question "$url/responses"
echo ended
"#;

#[test]
fn a_run_on_a_terminal_ends_with_a_line_that_says_what_it_came_to() {
    let mut home = Home::new();
    home.install("codex", CODEX);
    home.write("question", QUESTION);
    let _pretend = home.with_servers(first_limited(Style::UsageLimit));
    let terminal = home.terminal(200, 30);

    terminal.enter("codex-launch codex");
    terminal.wait_for("continue with");
    terminal.wait_for_shell();
    let screen = terminal.screen();
    let line = screen.lines().find(|line| line.contains("request"));
    let (before, after) = line
        .and_then(|it| it.split_once(" is limited until "))
        .expect(&screen);
    assert_eq!(
        before, "codex-launch: 1 request; one@example.com",
        "{screen}"
    );
    let (_clock, after) = after.split_once("; ").expect(&screen);
    assert_eq!(
        after,
        "two@example.com went on; continue with: codex-launch codex resume 0199-abc"
    );

    for quiet in [
        "codex-launch -q codex",
        "codex-launch codex 2>errors; cat errors",
        "codex-launch true",
    ] {
        terminal.enter(&format!("clear; {quiet}"));
        terminal.wait_for_shell();
        let screen = terminal.screen();
        assert!(!screen.contains("codex-launch:"), "{quiet}: {screen}");
    }
}

/// A relay that runs, and its key in a file; a home without a store that asks for it.
fn relay_and_stranger() -> (Setting, Home, PathBuf) {
    let relay = Setting::new(Script::with_accounts(1), &[]);
    let home = Home::new();
    // What follows is no part of the key.
    let key = format!("{}\nnot this\n", relay.ready("key"));
    home.write("question", QUESTION);
    let key = home.write("key", key);
    (relay, home, key)
}

/// Asks the relay that a launch set, and says which account answered.
const ASK: &str = "curl -sS -H \"Authorization: Bearer $OPENAI_API_KEY\" -d @question \
                   $OPENAI_BASE_URL/responses | grep -o -m 1 'answered by one'";

#[test]
fn a_relay_that_runs_is_used_without_a_store() {
    let (relay, mut home, key) = relay_and_stranger();
    let mut launch = home.command("codex-launch");
    launch.args(["--proxy", relay.ready("url"), "--key-file"]);
    let shown = home.run(launch.arg(key).args(["--", "sh", "-c", ASK]));
    assert_eq!((shown.code, shown.stderr.as_str()), (0, ""), "{shown}");
    assert_eq!(shown.stdout, "answered by one\n");
    assert!(!home.store_path().exists());
    assert!(!home.path().join(".local/state/codex-accounts").exists());

    home.set("CODEX_PROXY_KEY", relay.ready("key"));
    let mut launch = home.command("codex-launch");
    launch.args(["--proxy", relay.ready("url"), "--", "sh", "-c", ASK]);
    let shown = home.run(&mut launch);
    assert_eq!(shown.stdout, "answered by one\n", "{shown}");
    assert_eq!(relay.asked(), [Some(0), Some(0)]);
}

#[test]
fn a_relay_that_can_not_be_used_is_told_before_the_program_runs() {
    let (relay, mut home, _) = relay_and_stranger();
    let url = relay.ready("url").to_owned();
    let launch = |home: &Home, url: &str| {
        let mut launch = home.command("codex-launch");
        home.run(launch.args(["--proxy", url, "--", "echo", "it ran"]))
    };
    insta::assert_snapshot!(launch(&home, &url), @r"
    --- stderr
    codex-launch: error: there is no key for --proxy
    hint: name its file with --key-file, or set CODEX_PROXY_KEY
    --- exit 78
    ");
    home.set("CODEX_PROXY_KEY", "of-somebody-elses-relay");
    insta::assert_snapshot!(launch(&home, &url), @r"
    --- stderr
    codex-launch: error: the codex-proxy at http://127.0.0.1:PORT/codex does not know this key
    hint: the right one is in the record that it printed, or in its --key-file
    --- exit 77
    ");
    assert_eq!(relay.asked(), []);

    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let nobody = format!("http://{}/codex", taken.local_addr().unwrap());
    drop(taken);
    insta::assert_snapshot!(launch(&home, &nobody), @r"
    --- stderr
    codex-launch: error: no answer from 127.0.0.1: Connection refused (os error 111)
    hint: start codex-proxy, and use the address that it prints
    --- exit 69
    ");
    let another = relay.pretend.upstream().replace("/backend-api", "/codex");
    insta::assert_snapshot!(launch(&home, &another), @r"
    --- stderr
    codex-launch: error: no codex-proxy answers at http://127.0.0.1:PORT/codex
    hint: start codex-proxy, and use the address that it prints
    --- exit 69
    ");
    for url in ["https://127.0.0.1:1/codex", "http://127.0.0.1:1/"] {
        let shown = launch(&home, url);
        assert_eq!((shown.code, shown.stdout.as_str()), (78, ""), "{shown}");
        let hint = "hint: use the address that codex-proxy prints\n";
        assert!(shown.stderr.ends_with(hint), "{shown}");
    }
    let shown = home.sh("codex-launch --proxy http://127.0.0.1:1/codex --strategy sticky true");
    assert_eq!(shown.code, 2, "{shown}");
}

#[test]
fn a_proxy_of_the_environment_is_not_asked_for_loopback() {
    let mut home = home();
    home.set("NO_PROXY", "example.com");
    let shown = home.sh("codex-launch -- sh -c 'echo $NO_PROXY $no_proxy'");
    assert_eq!(
        shown.stdout,
        "example.com,127.0.0.1,localhost,::1 127.0.0.1,localhost,::1\n"
    );
}

#[test]
fn without_an_account_it_says_what_to_do() {
    let home = Home::new();
    insta::assert_snapshot!(home.sh("codex-launch opencode run hi"), @r"
    --- stderr
    codex-launch: error: there are no accounts
    hint: log in with 'codex-accounts add'
    --- exit 1
    ");
    assert!(!home.store_path().exists());
}

#[test]
fn where_no_log_can_be_written_it_runs_without() {
    let mut home = home();
    home.set("XDG_STATE_HOME", "/dev/null/nowhere");
    insta::assert_snapshot!(home.sh("codex-launch -- echo it runs"), @"
    it runs
    --- exit 0
    ");
}

#[test]
fn a_client_that_is_launched_needs_no_store_where_opencode_has_a_login() {
    let mut home = Home::new();
    let pretend = home.with_servers(Script::with_accounts(1));
    let store = home.store();
    std::fs::remove_file(home.store_path()).unwrap();
    let account = &store["accounts"][0];
    let auth = serde_json::json!({"openai": {"type": "oauth", "refresh": account["refreshToken"],
        "access": account["accessToken"], "expires": account["expiresAt"],
        "accountId": account["chatgptAccountId"]}});
    let path = home.write(".local/share/opencode/auth.json", auth.to_string());
    home.write("question", QUESTION);
    let shown = home.sh(
        "codex-launch -- sh -c 'curl -sS -H \"Authorization: Bearer $OPENAI_API_KEY\" -d @question \
         $OPENAI_BASE_URL/responses' | grep -o -m 1 'answered by one'",
    );
    assert_eq!(shown.stdout, "answered by one\n", "{shown}");
    assert_eq!(std::fs::read_to_string(path).unwrap(), auth.to_string());
    assert!(!home.store_path().exists());
    drop(pretend);
}

/// A person with no account here, whose browser can log in.
fn stranger(script: Script) -> (Home, Pretend) {
    let mut home = Home::new();
    home.install_browser();
    let pretend = Pretend::start(script).expect("the servers start");
    home.use_servers(&pretend);
    (home, pretend)
}

/// What a person at a terminal sees of a launch, who types this.
fn first_run(home: &Home, typed: &str) -> Shown {
    home.sh(&format!(
        "printf '{typed}' | script -qec 'codex-launch -- echo it ran' /dev/null"
    ))
}

#[test]
fn the_first_run_on_a_terminal_offers_to_log_in() {
    let (home, _pretend) = stranger(Script::with_accounts(1));
    let shown = first_run(&home, "n\\n");
    assert!(shown.stdout.contains("Log in now? [Y/n]: "), "{shown}");
    assert!(shown.stdout.contains("there are no accounts"), "{shown}");
    assert_eq!(shown.code, 1, "{shown}");
    assert!(!home.store_path().exists());
}

#[test]
#[cfg(target_os = "linux")]
fn who_logs_in_at_the_first_run_gets_the_program_then() {
    // The issuer sends a login back to a port that may be another test's.
    network::alone(|| {
        let (home, _pretend) = stranger(Script::with_accounts(1));
        // Yes, log in; no, not another one. What comes too early is no code.
        let shown = first_run(&home, "\\nn\\n");
        let asked = shown
            .stdout
            .find("Log in now? [Y/n]: ")
            .expect("a question");
        let another = shown
            .stdout
            .find("Add another? [y/N]: ")
            .expect("a question");
        let ran = shown.stdout.find("it ran").expect("the program ran");
        assert!(asked < another && another < ran, "{shown}");
        assert_eq!(shown.code, 0, "{shown}");
        assert_eq!(home.store()["accounts"][0]["email"], "one@example.com");
    });
}

#[test]
#[cfg(target_os = "linux")]
fn a_login_at_the_first_run_that_comes_to_nothing_ends_it() {
    network::alone(|| {
        let mut script = Script::with_accounts(1);
        script.consents.push_back(rehearse::Consent::deny());
        let (home, _pretend) = stranger(script);
        let shown = first_run(&home, "y\\n");
        assert!(!shown.stdout.contains("it ran"), "{shown}");
        assert!(shown.stdout.contains("there are no accounts"), "{shown}");
        assert_eq!(shown.code, 1, "{shown}");
    });
}
