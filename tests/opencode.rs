//! The main job, with the real opencode: its account is limited in the middle, and it never notices.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use codex_accounts::rehearse::{Pretend, Script, Style};
use codex_accounts::store::lock;
use serde_json::{Value, json};

use super::support::Home;
use super::support::accounts::{account, store};
use super::support::mdoc::Page;
use super::support::pretend::now_millis;
use super::support::stage::wait_until;

/// Where opencode keeps its logins.
const AUTH: &str = ".local/share/opencode/auth.json";

const RUN: &str = "codex-launch opencode run -m openai/gpt-5.5 'say who you are' </dev/null";

/// A home with the real opencode, and two accounts that logged in with the browser; the first of
/// them has used up its five hours.
fn first_limited() -> (Home, Pretend) {
    let mut script = Script::with_accounts(2);
    script.accounts[0].limit(Duration::from_secs(3600), Style::UsageLimit);
    logged_in(script)
}

/// Two accounts that logged in.
fn logged_in(mut script: Script) -> (Home, Pretend) {
    let mut home = Home::with_clients();
    home.install_browser();
    script.any_port = true;
    let pretend = Pretend::start(script).expect("the pretend servers start");
    home.use_servers(&pretend);
    for _ in 0..2 {
        let shown = home.sh("codex-oauth-login --port 0");
        assert_eq!(shown.code, 0, "{shown}");
    }
    (home, pretend)
}

/// Which accounts were asked, in order.
fn asked(pretend: &Pretend) -> Vec<usize> {
    let seen = pretend.seen();
    seen.iter()
        .filter(|seen| seen.is("POST", "/backend-api/codex/responses"))
        .filter_map(|seen| seen.account)
        .collect()
}

/// Every file below a folder that holds the text.
fn files_with(folder: &Path, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let entry = entry.expect("an entry");
        let kind = entry.file_type().expect("a kind");
        if kind.is_dir() {
            found.extend(files_with(&entry.path(), text));
        } else if kind.is_file() {
            let bytes = fs::read(entry.path()).expect("a file");
            if bytes
                .windows(text.len())
                .any(|window| window == text.as_bytes())
            {
                found.push(entry.file_name().to_string_lossy().into_owned());
            }
        }
    }
    found.sort();
    found
}

#[test]
fn opencode_survives_a_429_of_the_active_account() {
    let (mut home, pretend) = first_limited();
    let auth = br#"{"anthropic":{"type":"api","key":"k"}}"#;
    let config = br#"{"$schema":"https://opencode.ai/config.json","username":"me"}"#;
    let auth_path = home.write(".local/share/opencode/auth.json", auth);
    let config_path = home.write(".config/opencode/opencode.json", config);
    // The real opencode, by way of a script that shows what it was given.
    let script = "#!/bin/sh\nenv >\"$HOME/given\"; echo \"$@\" >>\"$HOME/given\"\n\
                  PATH=${PATH#*:} exec opencode \"$@\"\n";
    home.install("opencode", script);

    let shown = home.sh(RUN);
    assert_eq!(shown.code, 0, "{shown}");
    assert!(
        shown.stdout.contains("answered by two@example.com"),
        "{shown}"
    );
    assert!(asked(&pretend).contains(&0));

    let store = home.store();
    let until = store["accounts"][0]["rateLimitResetTime"].as_u64();
    assert!(
        until.is_some_and(|until| until > now_millis() + 3_000_000),
        "{store}"
    );
    assert_eq!(store["activeIndex"], 1);
    assert_eq!(store["accounts"][1]["lastSwitchReason"], "rate-limit");

    assert_eq!(fs::read(auth_path).unwrap(), auth);
    assert_eq!(fs::read(config_path).unwrap(), config);
    let given = fs::read_to_string(home.path().join("given")).unwrap();
    assert!(given.contains("OPENCODE_CONFIG_CONTENT"), "{given}");
    for account in store["accounts"].as_array().unwrap() {
        for token in ["refreshToken", "accessToken", "idToken"] {
            let token = account[token].as_str().expect("a token");
            let store = [
                "openai-codex-accounts.json",
                "openai-codex-accounts.json.bak",
            ];
            let found = files_with(home.path(), token);
            assert!(
                found.iter().all(|name| store.contains(&name.as_str())),
                "{found:?}"
            );
        }
    }

    let before = asked(&pretend).len();
    let shown = home.sh(RUN);
    assert_eq!(shown.code, 0, "{shown}");
    assert!(
        asked(&pretend)[before..]
            .iter()
            .all(|account| *account == 1)
    );
}

#[test]
fn a_login_of_opencode_itself_is_left_alone_and_its_token_goes_nowhere() {
    let (home, pretend) = first_limited();
    let auth = json!({"openai": {"type": "oauth", "refresh": "theirs", "access": "their-access",
        "expires": now_millis() + 3_600_000, "accountId": "their-account"}})
    .to_string();
    let path = home.write(".local/share/opencode/auth.json", &auth);
    let shown = home.sh(RUN);
    assert!(
        shown.stdout.contains("answered by two@example.com"),
        "{shown}"
    );
    assert_eq!(fs::read_to_string(path).unwrap(), auth);
    for seen in pretend.seen() {
        assert_ne!(seen.header("authorization"), Some("Bearer their-access"));
        assert_ne!(seen.header("chatgpt-account-id"), Some("their-account"));
    }
}

/// A file in which another provider logs in by oauth, and this is the entry for openai; written as
/// nobody but its owner would.
fn beside_oauth(openai: &str) -> String {
    format!(
        "{{ \"openai\" : {openai} ,\n\t\"other\":{{\"type\":\"oauth\",\"refresh\":\"r\", \
         \"access\":\"a\",\"expires\":9999999999999}}}}\n"
    )
}

const API_KEY: &str = r#"{"type":"api",  "key":"sk-of-the-person"}"#;

/// A home whose opencode shows its `auth.json`, and then waits for the end of its stdin.
fn with_opencode_that_shows_its_logins() -> Home {
    let mut home = Home::new();
    home.write_store(&store([account("work")]));
    let script = "#!/bin/sh\ntr -d '\\n' <\"$XDG_DATA_HOME/opencode/auth.json\"; echo\ncat\n";
    home.install("opencode", script);
    home
}

#[test]
fn beside_another_oauth_login_a_placeholder_stands_in_the_file_while_it_runs() {
    let home = with_opencode_that_shows_its_logins();
    let auth = "{\"other\":{\"type\":\"oauth\" }\n}";
    let path = home.write(AUTH, auth);
    let shown = home.sh("codex-launch");
    let during: Value = shown.json();
    assert_eq!(during["openai"]["refresh"], "none", "{shown}");
    assert_eq!(during["other"], json!({"type": "oauth"}));
    insta::assert_snapshot!(shown.stderr.replace(&*home.path().to_string_lossy(), "$HOME"), @"codex-launch: an entry for openai stands in '$HOME/.local/share/opencode/auth.json' while this runs");
    assert_eq!(fs::read_to_string(path).unwrap(), auth);
    assert_eq!(home.sh("codex-launch -q").stderr, "");
}

#[test]
fn an_api_key_for_openai_was_lost_under_the_placeholder() {
    let home = with_opencode_that_shows_its_logins();
    let auth = beside_oauth(API_KEY);
    let path = home.write(AUTH, &auth);
    let shown = home.sh("codex-launch && ls -l $XDG_STATE_HOME/codex-accounts");
    assert!(shown.stdout.contains(r#""refresh":"none""#), "{shown}");
    assert!(!shown.stdout.contains("sk-of-the-person"), "{shown}");
    assert!(!shown.stdout.contains("displaced"), "{shown}");
    assert_eq!(fs::read_to_string(path).unwrap(), auth);

    let shown = home.sh("codex-launch no-such-program; codex-launch opencode </dev/null");
    assert_eq!(shown.code, 0, "{shown}");
    assert_eq!(fs::read_to_string(home.path().join(AUTH)).unwrap(), auth);
}

#[test]
fn the_last_of_several_launches_takes_the_placeholder_back() {
    let home = with_opencode_that_shows_its_logins();
    let auth = beside_oauth(API_KEY);
    let path = home.write(AUTH, &auth);
    let first = home.serve("codex-launch", &[]);
    let second = home.serve("codex-launch", &[]);
    assert_ne!(
        first.ready["openai"]["access"],
        second.ready["openai"]["access"]
    );
    assert!(first.end().success());
    let during: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    assert_eq!(during["openai"], second.ready["openai"]);
    assert!(second.end().success());
    assert_eq!(fs::read_to_string(path).unwrap(), auth);
}

#[test]
fn what_the_person_logs_in_with_while_it_runs_stays() {
    let home = with_opencode_that_shows_its_logins();
    let path = home.write(AUTH, beside_oauth(API_KEY));
    let launch = home.serve("codex-launch", &[]);
    let newer = beside_oauth(r#"{"type":"api","key":"sk-newer"}"#);
    fs::write(&path, &newer).unwrap();
    assert!(launch.end().success());
    assert_eq!(fs::read_to_string(&path).unwrap(), newer);
    assert_eq!(displaced(&home), Vec::<PathBuf>::new());
}

/// What is kept for files with a placeholder in them.
fn displaced(home: &Home) -> Vec<PathBuf> {
    let folder = home.path().join(".local/state/codex-accounts");
    let entries = fs::read_dir(folder).expect("a state folder");
    entries
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension() == Some("displaced".as_ref()))
        .collect()
}

#[test]
fn what_a_killed_launch_left_in_the_file_the_doctor_takes_back() {
    let home = with_opencode_that_shows_its_logins();
    for auth in [beside_oauth(API_KEY), "{\"o\":{\"type\":\"oauth\"}}".into()] {
        let path = home.write(AUTH, &auth);
        let launch = home.serve("codex-launch", &[]);
        let shown = home.sh("codex-accounts doctor");
        assert!(!shown.stdout.contains("a launch left"), "{shown}");
        for kept in displaced(&home) {
            let mode = fs::metadata(&kept).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{}", kept.display());
            assert_eq!(fs::read_to_string(kept).unwrap(), API_KEY);
        }
        drop(launch); // by SIGKILL
        assert_ne!(fs::read_to_string(&path).unwrap(), auth);

        let shown = home.sh("codex-accounts doctor");
        assert!(shown.stdout.contains("a launch left its entry"), "{shown}");
        home.sh("codex-accounts doctor --fix");
        assert_eq!(fs::read_to_string(&path).unwrap(), auth);
        assert_eq!(displaced(&home), Vec::<PathBuf>::new());
        let shown = home.sh("codex-accounts doctor");
        assert!(!shown.stdout.contains("a launch left"), "{shown}");
    }
}

#[test]
fn after_a_killed_launch_the_next_one_puts_back_what_stood_there() {
    let home = with_opencode_that_shows_its_logins();
    let auth = beside_oauth(API_KEY);
    let path = home.write(AUTH, &auth);
    drop(home.serve("codex-launch", &[])); // by SIGKILL
    assert_eq!(home.sh("codex-launch").code, 0);
    assert_eq!(fs::read_to_string(path).unwrap(), auth);
}

#[test]
fn a_token_that_is_renewed_meanwhile_and_the_placeholder_wait_for_each_other() {
    let home = with_opencode_that_shows_its_logins();
    let path = home.write(AUTH, beside_oauth(API_KEY));
    let lock = home.write(".local/state/codex-accounts/opencode-auth.write.lock", "");
    let held = lock::shared(&lock).unwrap();
    let log = home.path().join("launch.stderr");
    let mut launch = home
        .std_command("codex-launch")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(fs::File::create(&log).unwrap())
        .spawn()
        .unwrap();
    wait_until("it waits for the lock", || {
        fs::read_to_string(&log)
            .unwrap()
            .contains("opencode-auth.write.lock")
    });
    // Written by whoever has the lock: not to be undone.
    let renewed = beside_oauth(API_KEY).replace("\"r\"", "\"r2\"");
    fs::write(&path, &renewed).unwrap();
    drop(held);
    assert!(launch.wait().unwrap().success());
    assert_eq!(fs::read_to_string(path).unwrap(), renewed);
}

#[test]
fn the_persons_own_configuration_reaches_opencode() {
    let (mut home, _pretend) = first_limited();
    home.set("OPENCODE_CONFIG_CONTENT", r#"{"username":"somebody"}"#);
    let shown = home.sh("codex-launch opencode debug config </dev/null");
    assert_eq!(shown.code, 0, "{shown}");
    let config: Value = shown.json();
    assert_eq!(config["username"], "somebody");
    let url = config["provider"]["openai"]["options"]["baseURL"].as_str();
    assert!(
        url.is_some_and(|url| url.starts_with("http://127.0.0.1:")),
        "{config}"
    );

    home.set("OPENCODE_CONFIG_CONTENT", "{oops");
    let shown = home.sh("codex-launch opencode debug config");
    assert_eq!(shown.code, 78, "{shown}");
}

#[test]
fn a_configuration_with_comments_and_trailing_commas_reaches_opencode() {
    let (mut home, _pretend) = first_limited();
    let setting = "{ // mine\n \"username\": \"somebody\", /* and more */ }";
    home.set("OPENCODE_CONFIG_CONTENT", setting);
    let shown = home.sh("codex-launch opencode debug config </dev/null");
    assert_eq!(shown.code, 0, "{shown}");
    assert_eq!(shown.json()["username"], "somebody");
}

#[test]
fn opencode_that_wants_a_websocket_starts_at_once_all_the_same() {
    let (mut home, _pretend) = first_limited();
    home.set("OPENCODE_EXPERIMENTAL_WEBSOCKETS", "true");
    let started = Instant::now();
    let shown = home.sh(RUN);
    assert_eq!(shown.code, 0, "{shown}");
    // The refusal of a WebSocket costs it 64 s.
    assert!(started.elapsed() < Duration::from_secs(60), "{shown}");
}

#[test]
fn opencode_rotates_without_a_relay_as_the_manual_shows() {
    let (home, pretend) = first_limited();
    let verdicts = rotate_as_the_manual_shows(home, &pretend, "who are you");
    assert_eq!(verdicts, ["limited", "ok"]);
}

#[test]
fn a_session_goes_on_as_another_account_without_a_relay_as_the_manual_shows() {
    let mut script = Script::with_accounts(2);
    // The question and its title; the output of the tool meets the limit, in a style that opencode
    // does not wait for.
    script.accounts[0].limit_after(2, Duration::from_secs(3600), Style::Limit404);
    let (home, pretend) = logged_in(script);
    let verdicts = rotate_as_the_manual_shows(home, &pretend, "[run echo hi]");
    assert_eq!(verdicts, ["limited", "foreign-content", "ok"]);
}

/// What the answers were, until account two had the last.
fn rotate_as_the_manual_shows(mut home: Home, pretend: &Pretend, question: &str) -> Vec<Value> {
    let page = Page::new(include_str!("../man/codex-plumbing.7"));
    let recipe = page.literals("WITHOUT A RELAY").concat().join("\n");
    let base = format!("{}/codex", pretend.upstream());
    home.set(
        "OPENCODE_CONFIG_CONTENT",
        json!({"provider": {"openai": {"options": {"baseURL": base}}}}).to_string(),
    );
    let shown = home.run(
        home.command("dash")
            // In trouble the real opencode takes more than a minute, and more on a busy machine.
            .timeout(Duration::from_secs(300))
            .args(["-c", &recipe])
            .env("question", question),
    );
    assert_eq!(shown.code, 0, "{shown}");
    let events = fs::read_to_string(home.path().join("events")).unwrap();
    assert!(events.contains("answered by two@example.com"), "{events}");
    let marks = fs::read_to_string(home.path().join("marks")).unwrap();
    assert_eq!(home.store()["activeIndex"], 1);
    marks
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .map(|mark| mark["verdict"].clone())
        .collect()
}
