//! `codex-proxy` as a service: what it needs to start, whom it lets in, how it tells who started it,
//! and what it keeps to itself.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::process::{Child, Stdio};

use codex_accounts::rehearse::Script;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::support::Home;
use super::support::accounts::{account, store};
use super::support::relay::Setting;
use super::support::request::QUESTION;
use super::support::stage::LONG;

const KEY: &str = "a-key-of-the-persons-own";

fn home() -> Home {
    let home = Home::new();
    home.write_store(&store([account("work")]));
    home
}

#[test]
fn a_store_that_is_missing_or_empty_starts_no_relay() {
    let home = Home::new();
    let missing = home.sh("codex-proxy");
    insta::assert_snapshot!(missing, @r"
    --- stderr
    codex-proxy: error: there are no accounts
    hint: log in with 'codex-accounts add'
    --- exit 1
    ");
    home.write_store(&store([]));
    assert_eq!(home.sh("codex-proxy").to_string(), missing.to_string());
}

#[test]
fn a_store_that_is_corrupt_starts_no_relay() {
    let home = Home::new();
    home.write(home.store_path(), "{\"version\":1,\"acc");
    insta::assert_snapshot!(home.sh("codex-proxy"), @r"
    --- stderr
    codex-proxy: error: '$HOME/.local/share/opencode/openai-codex-accounts.json' is left as it is: not valid JSON at byte 16 (line 1, column 17)
    --- exit 78
    ");
}

#[test]
fn a_store_that_others_can_read_starts_no_relay() {
    let home = home();
    fs::set_permissions(home.store_path(), fs::Permissions::from_mode(0o640)).expect("mode");
    insta::assert_snapshot!(home.sh("codex-proxy"), @r"
    --- stderr
    codex-proxy: error: '$HOME/.local/share/opencode/openai-codex-accounts.json' can be read or written by others (mode 0640)
    hint: chmod 600 '$HOME/.local/share/opencode/openai-codex-accounts.json'
    --- exit 77
    ");
}

#[test]
fn only_loopback_is_listened_on() {
    let home = home();
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:8080"] {
        let shown = home.sh(&format!("codex-proxy --listen {address}"));
        insta::allow_duplicates!(insta::assert_snapshot!(shown, @r"
        --- stderr
        codex-proxy: error: --listen takes a loopback address, like 127.0.0.1:8080
        hint: from another machine: ssh -N -L 8080:127.0.0.1:8080 HOST
        --- exit 2
        "));
    }
}

#[test]
fn a_key_that_is_for_good_is_not_shown_on_a_terminal() {
    const KEY: &str = "a-key-of-this-test-0123";
    let home = home();
    home.write("key", KEY);
    home.sh("chmod 600 key");
    // The end of its input ends it.
    let terminal = |arguments: &str| {
        home.sh(&format!(
            "script -qec 'true | codex-proxy --listen 0 {arguments}' /dev/null"
        ))
    };
    let shown = terminal("--key-file key").stdout;
    assert!(shown.contains("http://127.0.0.1:"), "{shown}");
    assert!(
        !shown.contains(KEY) && !shown.contains("\"key\""),
        "{shown}"
    );
    // One of a single run is needed there.
    assert!(terminal("").stdout.contains("\"key\""));
    let piped = home.sh("true | codex-proxy --listen 0 --key-file key");
    assert!(piped.stdout.contains(KEY), "{piped}");
}

#[test]
fn a_port_that_is_taken_is_named() {
    let home = home();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    insta::assert_snapshot!(home.sh(&format!("codex-proxy --listen {address}")), @r"
    --- stderr
    codex-proxy: error: can't listen on 127.0.0.1:PORT: Address already in use (os error 98)
    --- exit 74
    ");
}

#[test]
fn the_key_of_a_file_lets_in() {
    let mut home = Home::new();
    let pretend = home.with_servers(Script::with_accounts(1));
    home.write("key", format!("{KEY}\nand what follows\n"));
    let setting = Setting::of(home, pretend, &["--key-file", "key"]);
    assert_eq!(setting.ready("key"), KEY);
    assert_eq!(setting.ask().status, 200);
}

#[test]
fn a_key_that_can_be_guessed_is_refused() {
    let home = home();
    for key in ["", "fifteen-letters", "\nthe-key-is-in-the-second-line"] {
        home.write("key", key);
        insta::allow_duplicates!(
            insta::assert_snapshot!(home.sh("codex-proxy --key-file key"), @r"
        --- stderr
        codex-proxy: error: the key in 'key' is shorter than 16 characters
        hint: make one with: head -c 32 /dev/urandom | base64
        --- exit 78
        ")
        );
    }
}

#[test]
fn a_key_that_others_can_read_is_refused() {
    let home = home();
    let path = home.write("key", KEY);
    fs::set_permissions(path, fs::Permissions::from_mode(0o644)).expect("mode");
    insta::assert_snapshot!(home.sh("codex-proxy --key-file key"), @r"
    --- stderr
    codex-proxy: error: 'key' can be read or written by others (mode 0644)
    hint: chmod 600 'key'
    --- exit 77
    ");
}

/// What is said to these bytes.
fn answer_to(setting: &Setting, question: &str) -> String {
    let url = setting.ready("url").strip_prefix("http://");
    let address = url
        .and_then(|url| url.split('/').next())
        .expect("an address");
    let key = setting.ready("key");
    let question = question.replace("HERE", address).replace("KEY", key);
    let mut stream = TcpStream::connect(address).expect("a connection");
    stream.write_all(question.as_bytes()).expect("a question");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}

#[test]
fn what_is_not_served_is_refused_without_detail() {
    let setting = Setting::new(Script::with_accounts(1), &[]);
    for (line, key, status, must_say) in [
        ("CONNECT backend.example:443", "KEY", 405, "allow: GET, "),
        ("TRACE /codex/responses", "KEY", 405, "allow: GET, "),
        ("GET http://backend.example/codex/models", "KEY", 421, ""),
        (
            "GET /codex/models",
            "WRONG",
            401,
            "www-authenticate: Bearer",
        ),
        ("GET /codex/..%2fwham/usage", "KEY", 404, ""),
        ("GET /codex/..;/wham/usage", "KEY", 404, ""),
    ] {
        let question = format!(
            "{line} HTTP/1.1\r\nHost: HERE\r\nX-Codex-Accounts-Key: {key}\r\n\
             Connection: close\r\n\r\n"
        );
        let answer = answer_to(&setting, &question);
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
        assert!(
            head.starts_with(&format!("HTTP/1.1 {status} ")),
            "{line}: {head}"
        );
        assert!(head.contains(must_say), "{line}: {head}");
        assert_eq!(body, "", "{line}");
    }
    assert!(setting.pretend.seen().is_empty(), "nobody was asked");
}

#[test]
fn absolute_form_to_the_relay_itself_is_served() {
    let setting = Setting::new(Script::with_accounts(1), &[]);
    let answer = answer_to(
        &setting,
        &format!(
            "POST http://HERE/codex/responses HTTP/1.1\r\nHost: HERE\r\n\
             authorization: bearer KEY\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{QUESTION}",
            QUESTION.len()
        ),
    );
    assert!(answer.contains("answered by one@example.com"), "{answer}");
}

/// A relay as systemd starts one; killed when dropped.
struct Service(Child);

impl Service {
    /// With a listener as descriptor 3. `sh` becomes the command, and the process stays the same.
    fn start(home: &Home, listener: &TcpListener, args: &[&str]) -> Service {
        let socket = OwnedFd::from(listener.try_clone().expect("a socket"));
        let script = "exec 3<&0 </dev/null; \
                      LISTEN_FDS=1 LISTEN_PID=$$ exec codex-proxy \"$@\"";
        let child = home
            .std_command("sh")
            .args(["-c", script, "sh"])
            .args(args)
            .stdin(socket)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        Service(child)
    }

    /// What it said, when it has ended.
    fn end(mut self) -> (Option<i32>, String) {
        let status = self.0.wait().expect("an end");
        let mut said = String::new();
        let mut stderr = self.0.stderr.take().expect("a pipe");
        stderr.read_to_string(&mut said).expect("text");
        (status.code(), said)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The socket of a service manager, and its name. Not in the home: such a name must be short.
fn manager(home: &mut Home) -> (tempfile::TempDir, UnixDatagram) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("notify");
    let socket = UnixDatagram::bind(&path).expect("a socket");
    socket.set_read_timeout(Some(LONG)).expect("a time");
    home.set("NOTIFY_SOCKET", path);
    (folder, socket)
}

fn heard(manager: &UnixDatagram) -> String {
    let mut message = [0; 256];
    let length = manager.recv(&mut message).expect("a message");
    String::from_utf8_lossy(&message[..length])
        .trim()
        .to_owned()
}

#[test]
fn a_service_manager_hears_when_it_is_ready_and_when_it_stops() {
    let mut home = Home::new();
    let pretend = home.with_servers(Script::with_accounts(1));
    let (_folder, manager) = manager(&mut home);
    let setting = Setting::of(home, pretend, &[]);
    assert_eq!(heard(&manager), "READY=1");
    assert_eq!(setting.ask().status, 200);
    assert!(setting.relay.end().success());
    assert_eq!(heard(&manager), "STOPPING=1");
}

#[test]
fn a_listener_that_was_passed_on_is_served() {
    let mut home = Home::new();
    let pretend = home.with_servers(Script::with_accounts(1));
    home.write("key", KEY);
    let (_folder, manager) = manager(&mut home);
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    // Who comes before the relay is served as well.
    let mut early = TcpStream::connect(address).expect("a connection");
    let service = Service::start(&home, &listener, &["--key-file", "key"]);
    assert_eq!(heard(&manager), "READY=1");
    drop(listener);
    let question = format!(
        "POST /codex/responses HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {KEY}\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{QUESTION}",
        QUESTION.len()
    );
    early.write_all(question.as_bytes()).expect("a question");
    let mut answer = String::new();
    early.read_to_string(&mut answer).expect("an answer");
    assert!(answer.contains("answered by one@example.com"), "{answer}");
    kill(Pid::from_raw(service.0.id().cast_signed()), Signal::SIGTERM).expect("a signal");
    assert_eq!(heard(&manager), "STOPPING=1");
    assert_eq!(service.end(), (Some(0), String::new()));
    drop(pretend);
}

#[test]
fn a_service_without_accounts_says_so_to_whoever_asks() {
    let mut home = Home::new();
    home.write("key", KEY);
    let (_folder, manager) = manager(&mut home);
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let service = Service::start(&home, &listener, &["--key-file", "key"]);
    assert_eq!(heard(&manager), "READY=1");
    drop(listener);
    let shown = home.sh(&format!(
        "curl -sS -H 'Authorization: Bearer {KEY}' -d '{{}}' http://{address}/codex/responses"
    ));
    assert!(
        shown
            .stdout
            .contains("There is no account. Log in with: codex-accounts add"),
        "{shown}"
    );
    kill(Pid::from_raw(service.0.id().cast_signed()), Signal::SIGTERM).expect("a signal");
    assert_eq!(service.end(), (Some(0), String::new()));
}

#[test]
fn a_listener_for_everybody_is_refused() {
    let home = home();
    let listener = TcpListener::bind("0.0.0.0:0").expect("a port");
    let (code, said) = Service::start(&home, &listener, &[]).end();
    assert_eq!(code, Some(78), "{said}");
    assert!(said.contains("not on loopback\nhint: "), "{said}");
}

#[test]
fn a_listener_that_was_passed_on_leaves_nothing_to_choose() {
    let home = home();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let (code, said) = Service::start(&home, &listener, &["--listen", "127.0.0.1:0"]).end();
    assert_eq!(code, Some(2), "{said}");
}

/// A command before which a process is no more than a person's other ones. That needs no telling
/// where the tests do not run as root.
#[cfg(target_os = "linux")]
fn as_a_person() -> &'static str {
    if nix::unistd::geteuid().is_root() {
        "setpriv --bounding-set=-all"
    } else {
        "env"
    }
}

#[cfg(target_os = "linux")]
#[test]
fn no_other_process_looks_into_a_relay() {
    let home = home();
    let person = as_a_person();
    let look = "grep -qz '^HOME=' /proc/$pid/environ && echo seen || echo hidden";
    let relay = home.sh(&format!(
        "mkfifo end ready; exec {person} sh -c 'codex-proxy <end >ready & pid=$!; exec 3>end; \
         read -r record <ready; {look}; exec 3>&-; wait'"
    ));
    assert_eq!(relay.stdout, "hidden\n", "{relay}");
    assert!(relay.stderr.contains("Permission denied"), "{relay}");
    // Its client is a program like any other.
    let launch = home.sh(&format!(
        "exec {person} codex-launch sh -c 'pid=$PPID; {look}; pid=$$; {look}'"
    ));
    assert_eq!(launch.stdout, "hidden\nseen\n", "{launch}");
}

/// Every command that may hold tokens, while it waits for something.
#[cfg(target_os = "linux")]
#[test]
fn no_other_process_looks_into_a_command_that_holds_tokens() {
    let mut home = Home::new();
    let script = Script {
        delays: [
            "/oauth/token",
            "/api/accounts/deviceauth/usercode",
            "/wham/usage",
            "/wham/rate-limit-reset-credits",
        ]
        .map(|path| (path.to_owned(), LONG))
        .into(),
        ..Script::with_accounts(1)
    };
    let _pretend = home.with_servers(script);
    let mut store = home.store();
    store["accounts"][0]["label"] = "one".into();
    // Who needs one waits for the issuer.
    store["accounts"][0]["accessToken"] = serde_json::Value::Null;
    home.write_store(&store);
    let person = as_a_person();
    for command in [
        "codex-token-encode",
        "codex-token-decode",
        "codex-session-strip",
        "codex-ratelimit-mark one",
        "codex-account-pick --format access-token",
        "codex-oauth-login --device",
        "codex-token-refresh --force",
        "codex-usage-fetch",
        "codex-reset-redeem --yes one",
        "codex-accounts import -",
    ] {
        // A process that is just being started is the shell still, and one that has ended is none.
        let shown = home.sh(&format!(
            "rm -f end; mkfifo end; exec {person} sh -c '{command} <end >/dev/null 2>said & pid=$!; \
             exec 3>end; while [ -d /proc/$pid ]; do \
             case $(cat /proc/$pid/environ 2>&1 >/dev/null) in \
             *denied*) echo hidden; break;; esac; done; kill -9 $pid; exec 3>&-; wait; cat said'"
        ));
        assert!(shown.stdout.starts_with("hidden\n"), "{command}: {shown}");
    }
}

#[test]
fn a_client_keeps_the_persons_limit_of_core_dumps() {
    let home = home();
    let shown = home.sh("ulimit -Sc \"$(ulimit -Hc)\"; ulimit -c; codex-launch sh -c 'ulimit -c'");
    let (before, inside) = shown.stdout.split_once('\n').expect("two lines");
    assert_eq!(before, inside.trim(), "{shown}");
}

#[test]
fn what_a_relay_was_started_to_ignore_does_not_end_it() {
    let home = home();
    let mut relay = home
        .std_command("sh")
        .args(["-c", "trap '' HUP INT QUIT TERM; exec codex-proxy"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut ready = [0; 1];
    let mut output = relay.stdout.take().expect("a pipe");
    output.read_exact(&mut ready).expect("a record");
    let pid = Pid::from_raw(relay.id().cast_signed());
    for signal in [Signal::SIGHUP, Signal::SIGINT, Signal::SIGTERM] {
        kill(pid, signal).expect("a process");
    }
    let input = relay.stdin.take();
    assert!(relay.try_wait().expect("a process").is_none());
    drop(input);
    assert!(relay.wait().expect("an end").success());
}
