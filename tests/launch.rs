//! `codex-launch` as a parent: the terminal, the signals and the exit status are the child's.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use codex_accounts::rehearse::Script;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::support::Home;
use super::support::accounts::{account, store};

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

#[test]
fn signals_are_the_childs() {
    let home = home();
    for (signal, said) in [
        (Signal::SIGTERM, "TERM"),
        (Signal::SIGHUP, "HUP"),
        (Signal::SIGINT, "INT"),
    ] {
        let script = "sleep 60 & for s in TERM HUP INT; do trap \"kill $!; echo $s; exit 3\" $s; done; \
                      echo ready; wait";
        let mut child = home
            .std_command("setsid")
            .args(["codex-launch", "--", "sh", "-c", script])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .expect("it starts");
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert_eq!(lines.next().unwrap().unwrap(), "ready");
        kill(Pid::from_raw(child.id() as i32), signal).unwrap();
        assert_eq!(lines.next().unwrap().unwrap(), said);
        assert_eq!(child.wait().unwrap().code(), Some(3), "{said}");
    }
}

#[test]
fn a_proxy_of_the_environment_is_not_asked_for_loopback() {
    let mut home = home();
    home.set("NO_PROXY", "example.com");
    let shown = home.sh("codex-launch -- sh -c 'echo $NO_PROXY $no_proxy'");
    assert_eq!(shown.stdout, "example.com,127.0.0.1 127.0.0.1\n");
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
fn a_rehearsal_leaves_the_persons_own_alone() {
    let home = home();
    let before = home.store();
    let shown = home.sh("codex-rehearse -- codex-account-pick --format id");
    assert_eq!(shown.stdout, "account-one\n", "{shown}");
    assert_eq!(home.store(), before);
    let shown = home.sh("codex-rehearse -- sh -c 'exit 9'");
    assert_eq!(
        (shown.code, shown.stdout.as_str(), shown.stderr.as_str()),
        (9, "", "")
    );
}

#[test]
fn the_demonstration_shows_the_main_job() {
    let home = Home::new();
    let shown = home.sh("codex-rehearse");
    let text = shown.stdout.as_str();
    let asked: Vec<&str> = text
        .lines()
        .filter(|line| line.contains("asked "))
        .collect();
    assert_eq!(asked.len(), 3, "{shown}");
    assert!(asked[0].contains("one@example.com: 429"), "{shown}");
    assert!(asked[1].contains("two@example.com: 200"), "{shown}");
    assert!(asked[2].contains("two@example.com: 200"), "{shown}");
    assert!(
        text.contains("one@example.com: limited until 20"),
        "{shown}"
    );
    assert!(
        text.contains("two@example.com: active, because of rate-limit"),
        "{shown}"
    );
    assert!(text.contains("codex-launch opencode"), "{shown}");
    assert_eq!(shown.code, 0);
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
    let shown = home.sh(
        "codex-launch -- sh -c 'curl -sS -H \"Authorization: Bearer $OPENAI_API_KEY\" -d {} \
         $OPENAI_BASE_URL/responses' | grep -o -m 1 'answered by one'",
    );
    assert_eq!(shown.stdout, "answered by one\n", "{shown}");
    assert_eq!(std::fs::read_to_string(path).unwrap(), auth.to_string());
    assert!(!home.store_path().exists());
    drop(pretend);
}

#[test]
fn the_first_run_on_a_terminal_offers_to_log_in() {
    let mut home = Home::new();
    home.install_browser();
    let mut script = Script::with_accounts(1);
    script.any_port = true;
    let pretend = codex_accounts::rehearse::Pretend::start(script).expect("the servers start");
    home.use_servers(&pretend);
    let shown = home.sh("printf 'n\\n' | script -qec 'codex-launch true' /dev/null");
    assert!(shown.stdout.contains("Log in now? [Y/n]: "), "{shown}");
    assert!(shown.stdout.contains("there are no accounts"), "{shown}");
    assert_eq!(shown.code, 1, "{shown}");
    assert!(!home.store_path().exists());
}
