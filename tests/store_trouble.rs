//! The store on file systems and in surroundings that are not as they should be: what is committed
//! is committed, nothing hangs, and what is said helps.
//!
//! What a file system refuses is made up by strace, one system call at a time.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::support::Home;
use super::support::accounts::{account, store};
use super::support::stage::Stage;

const MARK: &str = "codex-ratelimit-mark --retry-after 1h work";

/// A home with the accounts `work` and `personal`. Nobody is there to be asked.
fn home() -> Home {
    let mut home = Home::new();
    for server in ["CODEX_ACCOUNTS_ISSUER", "CODEX_ACCOUNTS_UPSTREAM"] {
        home.set(server, "http://127.0.0.1:1");
    }
    home.write_store(&store([account("work"), account("personal")]));
    home
}

/// A script in which a system call fails: `fsync:error=EINVAL:when=2`.
fn failing(inject: &str, script: &str) -> String {
    let (call, _) = inject.split_once(':').expect("what is done to it");
    format!("exec strace -qq -f -o trace -e trace={call} -e inject={inject} {script}")
}

fn beside(home: &Home, suffix: &str) -> PathBuf {
    PathBuf::from(format!("{}{suffix}", home.store_path().display()))
}

fn is_marked(home: &Home) -> bool {
    home.store()["accounts"][0]["limits"].is_object()
}

fn mode(path: impl AsRef<Path>) -> u32 {
    fs::metadata(path).expect("a file").permissions().mode() & 0o777
}

fn pipe(path: &Path) {
    let made = std::process::Command::new("mkfifo").arg(path).status();
    assert!(made.expect("mkfifo").success());
}

#[test]
fn a_folder_that_cannot_be_synced_is_a_note() {
    let home = home();
    // The first is the new file, the second its folder.
    let shown = home.sh(&failing(
        "fsync:error=EINVAL:when=2",
        &format!("{MARK} >/dev/null"),
    ));
    insta::assert_snapshot!(shown, @"
    --- stderr
    codex-ratelimit-mark: '$HOME/.local/share/opencode/openai-codex-accounts.json' is written, but a power cut may undo it: its folder can't be synced: Invalid argument (os error 22)
    --- exit 0
    ");
    assert!(is_marked(&home));
}

#[test]
fn a_folder_that_cannot_be_synced_stops_no_refresh() {
    let stage = Stage::new(1);
    let before = stage.stored(0, "refreshToken");
    let folder = stage
        .home
        .store_path()
        .parent()
        .expect("a folder")
        .to_owned();
    let inject = format!("fsync:error=EINVAL -P {}", folder.display());
    let refresh = "codex-token-refresh --force >record";
    let shown = stage.home.sh(&failing(&inject, refresh));
    assert_eq!(shown.code, 0, "{shown}");
    assert_ne!(stage.stored(0, "refreshToken"), before);
}

#[test]
fn a_folder_in_the_place_of_the_backup_is_a_note() {
    let home = home();
    fs::create_dir(beside(&home, ".bak")).expect("a folder");
    fs::write(beside(&home, ".bak").join("theirs"), "").expect("a file");
    let shown = home.sh(&format!("{MARK} >/dev/null"));
    insta::assert_snapshot!(shown, @"
    --- stderr
    codex-ratelimit-mark: no backup is kept in '$HOME/.local/share/opencode/openai-codex-accounts.json.bak': Is a directory (os error 21)
    --- exit 0
    ");
    assert!(is_marked(&home));
    let left = fs::read_dir(home.store_path().parent().expect("a folder")).expect("a folder");
    assert_eq!(left.count(), 3, "the store, its lock and that folder");
}

#[test]
fn a_pipe_in_the_place_of_a_lock_or_a_login_is_told_and_not_waited_for() {
    let home = home();
    let opencode = home.path().join(".local/share/opencode/auth.json");
    let codex = home.path().join(".codex/auth.json");
    fs::create_dir_all(codex.parent().expect("a folder")).expect("a folder");
    for path in [&beside(&home, ".lock"), &opencode, &codex] {
        pipe(path);
    }
    insta::assert_snapshot!(home.sh(MARK), @"
    --- stderr
    codex-ratelimit-mark: error: '$HOME/.local/share/opencode/openai-codex-accounts.json.lock': it is no regular file
    --- exit 74
    ");
    fs::remove_file(beside(&home, ".lock")).expect("the pipe");
    for (command, code) in [
        ("codex-accounts doctor", 0),
        ("codex-accounts import opencode", 74),
        ("codex-accounts import codex", 74),
        ("codex-account-pick --format id", 0),
        ("codex-token-refresh --force", 69),
    ] {
        let shown = home.sh(&format!("timeout 20 {command} >/dev/null 2>&1"));
        assert_eq!(shown.code, code, "{command}");
    }
}

#[test]
fn whatever_the_umask_is_files_are_their_owners_to_read_and_write() {
    for umask in ["0277", "0777", "0000"] {
        let home = Home::new();
        let folder = home.path().join("new/folder");
        let path = folder.join("store.json");
        let records = r#"{"refreshToken":"rt","chatgptAccountId":"acc"}"#;
        fs::write(home.path().join("login.json"), records).expect("a login");
        let shown = home.sh(&format!(
            "umask {umask}; export CODEX_ACCOUNTS_FILE={0}
            codex-accounts import login.json && {MARK}; codex-ratelimit-mark --retry-after 1h 0",
            path.display()
        ));
        assert_eq!(shown.code, 0, "{shown}");
        for file in [".lock", ".bak", ""] {
            let file = format!("{}{file}", path.display());
            assert_eq!(mode(&file), 0o600, "{file} with {umask}");
        }
        for folder in [folder.as_path(), folder.parent().expect("a folder")] {
            assert_eq!(mode(folder), 0o700, "{} with {umask}", folder.display());
        }
    }
}

#[test]
fn a_limit_on_the_size_of_files_is_an_error_and_leaves_nothing() {
    let home = home();
    let before = fs::read(home.store_path()).expect("a store");
    let shown = home.sh(&format!("ulimit -f 0; {MARK}; echo $? >&2"));
    insta::assert_snapshot!(shown, @"
    --- stderr
    codex-ratelimit-mark: error: '$HOME/.local/share/opencode/openai-codex-accounts.json': File too large (os error 27)
    74
    --- exit 0
    ");
    assert!(fs::read(home.store_path()).expect("a store") == before);
    let left = fs::read_dir(home.store_path().parent().expect("a folder")).expect("a folder");
    assert_eq!(left.count(), 2, "the store and its lock");
}

#[test]
fn a_temporary_file_that_a_killed_writer_left_is_gone_with_the_next_change() {
    let home = home();
    let folder = home.store_path().parent().expect("a folder").to_owned();
    let shown = home.sh(&failing("renameat:signal=KILL:when=1", MARK));
    assert_eq!(shown.code, 137, "{shown}");
    let temporary = || {
        let entries = fs::read_dir(&folder).expect("a folder").flatten();
        let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
        names
            .filter(|name| name.starts_with('.'))
            .collect::<Vec<_>>()
    };
    assert_eq!(temporary().len(), 1, "there is one to be swept");
    // Another file's is not ours to sweep.
    let theirs = folder.join(".codex-accounts-other.json.abcdef");
    fs::write(&theirs, "").expect("a file");
    assert_eq!(home.sh(MARK).code, 0);
    assert_eq!(temporary(), [".codex-accounts-other.json.abcdef"]);
}

#[test]
fn a_home_that_is_relative_is_none() {
    let mut home = home();
    for name in ["XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_CONFIG_HOME"] {
        home.set(name, "");
    }
    home.set("HOME", "somewhere");
    insta::assert_snapshot!(home.sh("codex-account-pick; echo $?; find . -name somewhere"), @"
    78
    --- stderr
    codex-account-pick: error: there is no home directory, and no store was named
    hint: set HOME, or name the store with --store
    --- exit 0
    ");
}

#[test]
fn a_server_that_is_set_to_nothing_moves_nothing() {
    for (name, command) in [
        ("CODEX_ACCOUNTS_ISSUER", "codex-token-refresh --force"),
        ("CODEX_ACCOUNTS_UPSTREAM", "codex-usage-fetch"),
    ] {
        let mut home = home();
        home.set(name, "");
        let shown = home.sh(command);
        assert_eq!(shown.code, 78, "{shown}");
        assert!(
            shown.stderr.contains(&format!("{name}: '' is no URL")),
            "{shown}"
        );
    }
}

#[test]
fn what_cannot_be_looked_at_is_not_taken_for_absent() {
    let home = home();
    let path = home.store_path().display().to_string();
    for command in [MARK, "codex-account-pick"] {
        let script = format!(
            "exec strace -qq -f -o trace -P {path} -e trace=statx -e inject=statx:error=EIO {command}"
        );
        let shown = home.sh(&script);
        assert_eq!(shown.code, 74, "{shown}");
        assert!(shown.stderr.contains("Input/output error"), "{shown}");
    }
}

#[test]
fn a_store_that_is_mounted_alone_is_told_with_what_helps() {
    let home = home();
    let path = home.store_path().display().to_string();
    let script =
        format!("mount --bind {path} {path} && {MARK}; code=$?; umount {path}; exit $code");
    let shown = home.sh(&format!("exec unshare -m sh -c '{script}'"));
    insta::assert_snapshot!(shown, @"
    --- stderr
    codex-ratelimit-mark: error: '$HOME/.local/share/opencode/openai-codex-accounts.json': Device or resource busy (os error 16)
    hint: mount the folder that it is in, and not the file alone
    --- exit 74
    ");
    let script = format!(
        "mount --bind {path} {path} && codex-accounts doctor | tr -s \" \" | grep -A1 mounted"
    );
    insta::assert_snapshot!(home.sh(&format!("exec unshare -m sh -c '{script}'")), @"
     mounted by itself, and can't be replaced
     mount the folder that it is in, and not the file alone
    --- exit 0
    ");
}

#[test]
fn where_there_are_no_locks_it_is_said_what_helps() {
    let home = home();
    insta::assert_snapshot!(home.sh(&failing("flock:error=ENOLCK", MARK)), @"
    --- stderr
    codex-ratelimit-mark: error: '$HOME/.local/share/opencode/openai-codex-accounts.json.lock' can't be locked: No locks available (os error 37)
    hint: keep the store where there are locks, on a local disk: set CODEX_ACCOUNTS_FILE
    --- exit 74
    ");
    let doctor = failing("flock:error=ENOLCK", "codex-accounts doctor");
    let shown = home.sh(&doctor);
    assert!(!shown.stdout.contains("fuser"), "{shown}");
    assert!(shown.stdout.contains("CODEX_ACCOUNTS_FILE"), "{shown}");
}

#[test]
fn where_nothing_can_be_written_a_pick_hints_at_one_that_does_not() {
    let home = home();
    let folder = home.store_path().parent().expect("a folder").to_owned();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o500)).expect("a mode");
    let pick = "codex-account-pick --strategy round-robin";
    // The superuser may write everywhere, until that is taken away too.
    let shown = home.sh(&format!(
        "[ $(id -u) != 0 ] || exec setpriv --bounding-set=-dac_override {pick}; exec {pick}"
    ));
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).expect("a mode");
    insta::assert_snapshot!(shown, @"
    --- stderr
    codex-account-pick: error: '$HOME/.local/share/opencode/openai-codex-accounts.json.lock': Permission denied (os error 13)
    hint: --peek picks without writing
    --- exit 74
    ");
}
