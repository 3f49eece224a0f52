//! A store that a helper keeps: the commands do with it what they do with a file, and a helper that
//! is not as it should be costs an exit code and one line, and nothing else.

use std::process::Command;

use codex_accounts::rehearse::Script;
use serde_json::Value;

use super::support::Home;
use super::support::accounts::{account, store};
use super::support::canary::CANARY;
use super::support::kept::{self, Kept};
use super::support::stage::{Stage, wait_until};

/// A home with the accounts `work` and `personal`.
fn home() -> Home {
    let home = Home::new();
    home.write_store(&store([account("work"), account("personal")]));
    home
}

#[test]
fn the_helper_of_these_tests_keeps_the_contract() {
    let folder = tempfile::tempdir().expect("a folder");
    let suite = kept::folder().with_file_name("store-helper");
    let url = format!("file://{}/NAME", folder.path().display());
    let helper = kept::folder().join("codex-store-file");
    // Other tests run beside it.
    let run = Command::new(suite)
        .env("SLOW", "20")
        .arg(url)
        .arg(helper)
        .output();
    let run = run.expect("the suite starts");
    let text = String::from_utf8_lossy(&run.stdout);
    assert!(run.status.success(), "{text}");
    assert!(text.lines().count() > 30, "{text}");
}

/// What is typed at a store in a file and at one that a helper keeps, in this order.
const TYPED: &str = include_str!("helper/typed");

#[test]
fn every_command_does_with_a_helper_what_it_does_with_a_file() {
    let in_file = home();
    let mut by_helper = home();
    let kept = Kept::of(&mut by_helper);
    let lines = TYPED.lines().filter(|line| !line.starts_with('#'));
    for line in lines {
        let (expected, shown) = (in_file.sh(line), by_helper.sh(line));
        assert_eq!(shown.to_string(), expected.to_string(), "{line}");
        let holder = |mut document: Value| {
            // Each has its own shell.
            for account in document["accounts"].as_array_mut().expect("accounts") {
                if let Some(lease) = account.get_mut("lease") {
                    lease["pid"] = 0.into();
                    lease["processStart"] = 0.into();
                }
            }
            document
        };
        let stored = holder(in_file.store());
        assert_eq!(holder(kept.store()), stored, "{line}");
    }
    assert!(!by_helper.store_path().exists());
}

#[test]
fn what_the_issuer_gives_is_kept_by_a_helper_as_in_a_file() {
    let mut stage = Stage::new(1);
    stage.pretend.change(|script| {
        let more = Script::with_accounts(2).accounts;
        script.accounts = more;
        script.any_port = true;
    });
    stage.home.install_browser();
    let kept = Kept::of(&mut stage.home);
    for line in [
        "codex-oauth-login --port 0",
        "codex-oauth-login --port 0",
        "codex-token-refresh --force --all",
        "codex-usage-fetch --all",
        "codex-account-pick --format access-token >token",
    ] {
        let shown = stage.home.sh(line);
        assert_eq!(shown.code, 0, "{line}: {shown}");
    }
    let accounts = kept.store()["accounts"].clone();
    assert_eq!(accounts.as_array().expect("accounts").len(), 2);
    for (index, account) in accounts.as_array().expect("accounts").iter().enumerate() {
        let token = account["refreshToken"].as_str().expect("a token");
        assert_eq!(token, stage.current(index).refresh_token);
        assert!(account["usage"]["windows"].is_array(), "{account}");
    }
    let shown = stage.home.sh("codex-accounts remove --yes 1");
    assert_eq!(shown.code, 0, "{shown}");
    assert_eq!(kept.store()["accounts"].as_array().map(Vec::len), Some(1));
}

#[test]
fn accounts_move_from_a_file_to_a_helper_and_back() {
    let mut home = home();
    let shown = home.sh("codex-ratelimit-mark --retry-after 1h work");
    assert_eq!(shown.code, 0, "{shown}");
    let before = home.store();
    let file = home.write("moved.json", format!("{before:#}\n"));
    std::fs::remove_file(home.store_path()).expect("the store goes");
    let kept = Kept::of(&mut home);
    let shown = home.sh("codex-accounts import moved.json");
    assert_eq!(shown.code, 0, "{shown}");
    assert_eq!(kept.store()["accounts"], before["accounts"]);
    std::fs::remove_file(file).expect("the file goes");
    let back = "umask 077; codex-accounts export --with-secrets >back.json; \
                CODEX_ACCOUNTS_FILE=$HOME/file.json codex-accounts import back.json";
    let shown = home.sh(back);
    assert_eq!(shown.code, 0, "{shown}");
    let text = std::fs::read(home.path().join("file.json")).expect("a store");
    let back: Value = serde_json::from_slice(&text).expect("a store of JSON");
    assert_eq!(back["accounts"], before["accounts"]);
}

#[test]
fn the_doctor_examines_a_store_that_a_helper_keeps() {
    let mut home = home();
    let kept = Kept::of(&mut home);
    let shown = home.sh("codex-accounts doctor");
    let found = format!("2 accounts in '{}'", kept.url());
    assert!(shown.unwrapped().contains(&found), "{shown}");
    Kept::cut(&home, true);
    let shown = home.sh("codex-accounts doctor");
    assert!(shown.unwrapped().contains("it was told to fail"), "{shown}");
    assert_ne!(shown.code, 0, "{shown}");
}

/// What goes wrong, how a mark ends then, what is said, and whether the mark is there.
const BAD: &[(&str, i32, &str, bool)] = &[
    ("greet:die", 69, "'codex-store-file' ended", false),
    (
        "greet:hang",
        69,
        "'codex-store-file' did not answer within 5 s",
        false,
    ),
    (
        "greet:garbage",
        74,
        "'codex-store-file' gave no answer that makes sense",
        false,
    ),
    (
        "greet:other",
        78,
        "'codex-store-file' speaks version 2 of the protocol, and this command version 1",
        false,
    ),
    (
        "greet:lacks",
        78,
        "'codex-store-file' does not know 'begin', which a store needs",
        false,
    ),
    ("begin:die", 69, "'codex-store-file' ended", false),
    (
        "begin:hang",
        69,
        "'codex-store-file' did not answer within 20 s",
        false,
    ),
    (
        "begin:garbage",
        74,
        "'codex-store-file' gave no answer that makes sense",
        false,
    ),
    ("begin:unavailable", 69, "it was told to fail", false),
    ("begin:locked", 75, "it was told to fail", false),
    ("begin:denied", 77, "it was told to fail", false),
    ("begin:config", 78, "it was told to fail", false),
    ("begin:full", 74, "it was told to fail", false),
    ("begin:failed", 74, "it was told to fail", false),
    ("begin:unknown", 78, "it was told to fail", false),
    ("begin:invented", 74, "it was told to fail", false),
    ("commit:conflict", 75, "it was told to fail", false),
    ("commit:full", 74, "it was told to fail", false),
    ("commit:unavailable", 69, "it was told to fail", false),
    ("commit:unclear", 69, "it was told to fail", false),
    (
        "commit:garbage",
        74,
        "'codex-store-file' gave no answer that makes sense",
        true,
    ),
    ("commit:die", 69, "'codex-store-file' ended", false),
    // What goes wrong and comes right again is nobody's concern.
    ("commit:conflict:3", 0, "", true),
    ("commit:unclear:3", 0, "", true),
    ("commit:die:3", 0, "", true),
    ("commit:die-done:1", 0, "", true),
    ("commit:hang:1", 0, "", true),
    ("abort:die", 0, "", true),
];

#[test]
fn a_bad_helper_costs_a_line_and_nothing_else() {
    let ends: Vec<_> = std::thread::scope(|scope| {
        let tries = BAD
            .iter()
            .map(|bad| scope.spawn(move || with_bad_helper(*bad)));
        let tries: Vec<_> = tries.collect();
        tries
            .into_iter()
            .filter_map(|it| it.join().expect("an end"))
            .collect()
    });
    assert!(ends.is_empty(), "{}", ends.join("\n"));
}

/// What is wrong with what becomes of a mark.
fn with_bad_helper((fault, code, said, is_marked): (&str, i32, &str, bool)) -> Option<String> {
    let mut home = home();
    let kept = Kept::of(&mut home);
    let before = kept.bytes();
    home.set("CODEX_STORE_FAULT", fault);
    let shown = home.sh("codex-ratelimit-mark -q --retry-after 1h work");
    let line = match said {
        "" => String::new(),
        said => format!("codex-ratelimit-mark: error: '{}': {said}\n", kept.url()),
    };
    let marked = kept.store()["accounts"][0]["limits"]["default"]["until"].is_u64();
    let mut is_right = (shown.code, marked) == (code, is_marked) && shown.stderr == line;
    is_right &= is_marked || kept.bytes() == before;
    is_right &= (code == 0) == shown.stdout.contains("limited");
    // No helper stays, not even one that hangs.
    let here = format!(
        "grep -lxzs 'CODEX_STORE_URL={}' /proc/[0-9]*/environ",
        kept.url()
    );
    wait_until("the helpers are gone", || home.sh(&here).stdout.is_empty());
    // The lock is free, and everything works again.
    home.unset("CODEX_STORE_FAULT");
    let again = home.sh("codex-ratelimit-mark --retry-after 1h personal");
    is_right &= again.code == 0 && kept.store()["accounts"][1]["limits"]["default"].is_object();
    (!is_right).then(|| format!("{fault}: marked {marked}\n{shown}\n{again}"))
}

#[test]
fn a_helper_that_is_not_there_is_named() {
    let mut home = home();
    home.set("CODEX_ACCOUNTS_FILE", "nowhere://me:secret-word@host/place");
    let shown = home.sh("codex-account-pick");
    assert_eq!(shown.code, 78, "{shown}");
    let error = "codex-account-pick: error: 'nowhere://me@host/place': there is no 'codex-store-nowhere'\n\
                 hint: install 'codex-store-nowhere' beside this command or in the PATH; a file is named \
                 without '://'\n";
    assert_eq!(shown.stderr, error);
}

#[test]
fn a_document_that_is_none_is_left_as_it_is() {
    let mut home = home();
    let kept = Kept::of(&mut home);
    let document = home.path().join("kept/document");
    for (text, said) in [
        (
            format!("1\n{{\"version\":1,\"{CANARY}"),
            "not valid JSON at byte",
        ),
        (
            "1\n{\"version\":9,\"accounts\":[]}".to_owned(),
            "version 9 is newer than this program",
        ),
    ] {
        std::fs::write(&document, text).expect("a document");
        let before = kept.bytes();
        for line in [
            "codex-account-pick",
            "codex-ratelimit-mark --retry-after 1h 0",
        ] {
            let shown = home.sh(line);
            assert_eq!(shown.code, 78, "{line}: {shown}");
            assert!(shown.stderr.contains(said), "{line}: {shown}");
            assert_eq!(kept.bytes(), before, "{line}");
        }
    }
}

#[test]
fn a_password_in_the_url_is_shown_to_nobody() {
    let mut home = home();
    let kept = Kept::of(&mut home);
    // The URL goes to another command that this one runs, and neither has it in its arguments.
    let spy = "#!/bin/sh\ntr '\\0' ' ' </proc/$$/cmdline >>$HOME/arguments\n\
               tr '\\0' ' ' </proc/$PPID/cmdline >>$HOME/arguments\n\
               exec \"${0%/*}/real\" \"$@\"\n";
    home.install("codex-store-file", spy);
    let real = format!(
        "#!/bin/sh\nCODEX_STORE_URL=${{CODEX_STORE_URL#*@}}; CODEX_STORE_URL=file://${{CODEX_STORE_URL%\\?*}}\n\
         export CODEX_STORE_URL\nexec {}/codex-store-file\n",
        kept::folder().display()
    );
    home.install("real", &real);
    let url = format!(
        "file://me:{CANARY}@{}?password={CANARY}",
        kept.url().trim_start_matches("file://")
    );
    home.set("CODEX_ACCOUNTS_FILE", url);
    home.set("CODEX_ACCOUNTS_ISSUER", "http://127.0.0.1:1");
    let mut document = kept.store();
    document["accounts"][0]["expiresAt"] = 1.into();
    kept.write(&document);
    for line in [
        "codex-accounts path",
        "codex-accounts status",
        "codex-accounts doctor",
        "codex-account-pick --format access-token >token",
        "codex-accounts label 7 x",
        "codex-accounts log",
    ] {
        let shown = home.sh(line);
        assert!(!shown.to_string().contains(CANARY), "{line}: {shown}");
    }
    let arguments = std::fs::read_to_string(home.path().join("arguments")).expect("arguments");
    assert!(arguments.contains("codex-token-refresh"), "{arguments}");
    assert!(!arguments.contains(CANARY), "{arguments}");
    let state = home.path().join(".local/state");
    let files = Command::new("grep")
        .args(["-rl", CANARY])
        .arg(state)
        .output();
    assert_eq!(String::from_utf8_lossy(&files.expect("grep").stdout), "");
}

#[test]
fn a_lease_of_another_machine_ends_by_its_time() {
    let mut home = home();
    let kept = Kept::of(&mut home);
    let mut document = kept.store();
    let now = super::support::CLOCK * 1000;
    // The number of a process that is here, and of one that is not: neither says anything.
    for (pid, host, boot, until, picked) in [
        (1, "elsewhere", None, now + 1000, 1),
        (999_999_999, "elsewhere", None, now + 1000, 1),
        (999_999_999, "elsewhere", Some("another"), now - 1, 0),
        (999_999_999, "", None, now + 1000, 0),
    ] {
        let mut lease = serde_json::json!({"until": until, "pid": pid});
        if !host.is_empty() {
            lease["host"] = host.into();
        }
        if let Some(boot) = boot {
            lease["boot"] = boot.into();
        }
        document["accounts"][0]["lease"] = lease;
        kept.write(&document);
        let shown = home.sh("codex-account-pick --peek");
        assert_eq!(shown.json()["index"], picked, "{shown}");
    }
    let shown = home.sh("codex-account-pick --lease 1h --account work");
    assert_eq!(shown.code, 0, "{shown}");
    let lease = kept.store()["accounts"][0]["lease"].clone();
    for name in ["host", "boot"] {
        assert!(lease[name].is_string(), "{lease}");
    }
}

/// A key of 32 bytes in base64, another one, and one that is too short.
const KEYS: [&str; 3] = [
    "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
    "BBECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
    "AAEC",
];

#[test]
fn with_a_key_of_the_machines_nobody_else_can_read_the_store() {
    let mut home = home();
    let before = home.store();
    let file = home.write("before.json", format!("{before:#}\n"));
    for (index, key) in KEYS.iter().enumerate() {
        home.write(format!("key{index}"), format!("{key}\n"));
    }
    std::fs::remove_file(home.store_path()).expect("the store goes");
    let kept = Kept::of(&mut home);
    let with_key = |home: &mut Home, name: &str| {
        let path = home.path().join(name);
        let url = format!("{}?key-file={}", kept.url(), path.display());
        home.set("CODEX_ACCOUNTS_FILE", url);
    };
    with_key(&mut home, "key0");
    for line in [
        &format!("codex-accounts import {}", file.display()),
        "codex-ratelimit-mark --retry-after 1h work",
        "codex-account-pick",
    ] {
        let shown = home.sh(line);
        assert_eq!(shown.code, 0, "{line}: {shown}");
    }
    let bytes = kept.bytes().expect("a document");
    let text = String::from_utf8_lossy(&bytes);
    for word in [CANARY, "work", "accounts\""] {
        assert!(!text.contains(word), "{word} is in it");
    }
    let shown = home.sh("codex-accounts export --with-secrets");
    assert!(shown.stdout.contains(CANARY), "{shown}");

    let sealed = text.into_owned();
    let document = home.path().join("kept/document");
    let changed = sealed.replacen("sealed 1 A", "sealed 1 B", 1);
    let changed = if changed == sealed {
        sealed.replacen("sealed 1 ", "sealed 1 A", 1)
    } else {
        changed
    };
    let open = format!("1\n{before:#}\n");
    for (key, text, code, said) in [
        (
            "key1",
            &sealed,
            78,
            "it was encrypted with another key, or changed since",
        ),
        (
            "key0",
            &changed,
            78,
            "it was encrypted with another key, or changed since",
        ),
        (
            "key0",
            &open,
            78,
            "it is not encrypted, and the URL names a key file",
        ),
        ("key2", &sealed, 78, "it does not hold 32 bytes in base64"),
        ("key3", &sealed, 78, "No such file or directory"),
        (
            "",
            &sealed,
            78,
            "it is encrypted, and the URL names no key file",
        ),
    ] {
        std::fs::write(&document, text).expect("a document");
        match key {
            "" => home.set("CODEX_ACCOUNTS_FILE", kept.url()),
            name => with_key(&mut home, name),
        }
        for line in [
            "codex-account-pick",
            "codex-ratelimit-mark --retry-after 1h 1",
        ] {
            let shown = home.sh(line);
            assert_eq!(shown.code, code, "{key} {line}: {shown}");
            assert!(shown.stderr.contains(said), "{key} {line}: {shown}");
        }
        assert_eq!(
            std::fs::read_to_string(&document).expect("a document"),
            *text
        );
    }
    std::fs::write(&document, &sealed).expect("a document");
    with_key(&mut home, "key0");
    let shown = home.sh("chmod 644 key0; codex-account-pick");
    assert_eq!(shown.code, 77, "{shown}");
    let shown = home.sh("chmod 600 key0; codex-account-pick");
    assert_eq!(shown.code, 0, "{shown}");
}

#[test]
fn a_service_is_given_the_url_of_a_store_and_never_a_secret() {
    let mut home = home();
    let kept = Kept::of(&mut home);
    home.install("systemctl", "#!/bin/sh\nexit 1\n");
    home.install("opencode", "#!/bin/sh\n");
    let units = "cat $XDG_CONFIG_HOME/systemd/user/* 2>/dev/null; true";
    let with_secret = kept.url().replacen("://", &format!("://me:{CANARY}@"), 1);
    for url in [with_secret, format!("{}?token={CANARY}", kept.url())] {
        let line = format!("CODEX_ACCOUNTS_FILE='{url}' codex-accounts setup --yes opencode");
        let shown = home.sh(&line);
        assert_eq!(shown.code, 78, "{shown}");
        assert!(shown.stderr.contains("URL has a secret in it"), "{shown}");
        assert_eq!(home.sh(units).stdout, "", "nothing is written");
    }
    // Without a systemd that runs, it says what is left to do.
    home.sh("codex-accounts setup --yes opencode");
    let written = home.sh(units).stdout;
    assert!(
        written.contains(&format!("\"--store\" \"{}\"", kept.url())),
        "{written}"
    );
}
