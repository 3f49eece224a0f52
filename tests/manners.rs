//! What all commands do alike, whatever they are for.

use std::fs;
use std::io::Write as _;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::support::Home;
use super::support::accounts::{account, store};
use super::support::canary::CANARY;
use super::support::stage::Stage;

/// Every command there is.
fn commands() -> Vec<String> {
    let folder = fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/bin")).expect("sources");
    let names = folder.map(|file| file.expect("a file").file_name());
    let name = |file: std::ffi::OsString| file.to_string_lossy().trim_end_matches(".rs").to_owned();
    names.map(name).collect()
}

#[test]
fn a_flag_that_nobody_knows_is_wrong_usage_everywhere() {
    let home = Home::new();
    for command in commands() {
        let shown = home.sh(&format!("{command} --xyzzy"));
        assert_eq!((shown.code, &*shown.stdout), (2, ""), "{command}: {shown}");
        let said = format!("{command}: error: unexpected argument '--xyzzy' found\nhint: ");
        assert!(shown.stderr.starts_with(&said), "{shown}");
    }
    assert!(!home.store_path().exists());
}

#[test]
fn who_waits_for_data_on_a_terminal_says_for_what() {
    let home = Home::new();
    home.write_store(&store([account("work")]));
    for (command, what) in [
        ("codex-token-decode >records", "a packed refresh string"),
        ("codex-token-encode >records", "account records"),
        ("codex-ratelimit-mark work", "a response"),
        ("codex-session-strip >stripped", "the body of a request"),
    ] {
        let mut script = home
            .std_command("script")
            .args(["-qec", command, "/dev/null"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("script starts");
        // The end of input. It waits in the terminal until somebody reads.
        let mut keys = script.stdin.take().expect("stdin is a pipe");
        keys.write_all(b"\x04").expect("it reads");
        let said = script.wait_with_output().expect("its end").stdout;
        drop(keys);
        let said = String::from_utf8_lossy(&said).into_owned();
        let name = command.split(' ').next().expect("a name");
        let expected = format!("{name}: reading {what}");
        assert!(said.contains(&expected), "{command}: {said}");
        assert!(
            said.contains("from standard input; Ctrl-D ends it"),
            "{said}"
        );
    }
}

// --- What others on this machine can see of a process.

/// The command lines and environments of the processes of this home.
fn outlook(home: &Home) -> Vec<String> {
    let home = home.path().to_str().expect("a path of text");
    let processes = fs::read_dir("/proc").expect("processes").flatten();
    let texts = processes.filter_map(|process| {
        // Some end while one looks.
        let read = |name| fs::read(process.path().join(name)).ok();
        let environment = String::from_utf8_lossy(&read("environ")?).into_owned();
        let arguments = String::from_utf8_lossy(&read("cmdline")?).into_owned();
        environment
            .contains(home)
            .then(|| format!("{arguments}\n{environment}"))
    });
    texts.collect()
}

fn assert_no_secret(home: &Home, command: &str, secrets: &[&str]) {
    let seen = outlook(home);
    assert!(seen.iter().any(|it| it.contains(command)), "{command} runs");
    for text in seen {
        for secret in secrets
            .iter()
            .chain([&CANARY, &"pretend-refresh", &"pretend-access"])
        {
            assert!(!text.contains(secret), "a secret can be seen: {text}");
        }
    }
}

fn ends(mut child: Child) {
    assert!(child.wait().expect("its end").success());
}

fn start(command: &mut Command) -> Child {
    command.stdin(Stdio::null()).stdout(Stdio::null());
    command.stderr(Stdio::null()).spawn().expect("it starts")
}

#[test]
fn no_secret_can_be_seen_while_a_token_is_renewed() {
    let stage = Stage::new(1);
    stage.slow_issuer(Duration::from_millis(500));
    let old = stage.current(0);
    let child = start(&mut stage.home.std_command("codex-token-refresh"));
    stage.wait_for_exchange(1);
    let new = stage.current(0);
    let secrets = [&*old.refresh_token, &new.refresh_token, &new.access_token];
    assert_no_secret(&stage.home, "codex-token-refresh", &secrets);
    ends(child);
}

#[test]
fn no_secret_can_be_seen_while_somebody_logs_in() {
    let mut stage = Stage::new(1);
    stage.home.install_browser();
    stage.pretend.change(|script| script.any_port = true);
    stage.slow_issuer(Duration::from_millis(500));
    let mut login = stage.home.std_command("codex-oauth-login");
    let child = start(login.args(["--port", "0"]));
    stage.wait_for_exchange(1);
    let new = stage.current(0);
    let secrets = [&*new.refresh_token, &new.access_token, "pretend-code"];
    assert_no_secret(&stage.home, "codex-oauth-login", &secrets);
    ends(child);
}
