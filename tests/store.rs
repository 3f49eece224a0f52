//! The store keeps what DESIGN §3 and §6 promise, with the real commands and many of them at once:
//! nothing lost, nothing torn, nothing shown to others, and never a write to what it can't read.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::Duration;

use codex_accounts::store::lock::{self, Patience};
use serde_json::{Value, json};

use super::support::accounts::{account, store};
use super::support::shown::Shown;
use super::support::stage::Stage;
use super::support::{CLOCK, Home};

/// One of each kind of command that writes.
const WRITERS: [&str; 4] = [
    "codex-ratelimit-mark --retry-after 1h work",
    "codex-account-pick --strategy round-robin",
    "codex-token-refresh --force",
    "codex-usage-fetch",
];

/// One of each kind that only reads.
const READERS: [&str; 3] = [
    "codex-account-pick --peek",
    "codex-account-pick --explain",
    "codex-token-encode --from-store",
];

/// A home with the accounts `work` and `personal`. Nobody is there to be asked.
fn home() -> Home {
    let mut home = Home::new();
    for server in ["CODEX_ACCOUNTS_ISSUER", "CODEX_ACCOUNTS_UPSTREAM"] {
        // The port of nobody: no service has it.
        home.set(server, "http://127.0.0.1:1");
    }
    home.write_store(&store([account("work"), account("personal")]));
    home
}

fn bytes(path: impl AsRef<Path>) -> Vec<u8> {
    fs::read(path).expect("a file")
}

fn mode(path: impl AsRef<Path>) -> u32 {
    fs::metadata(path).expect("a file").permissions().mode() & 0o777
}

fn chmod(path: impl AsRef<Path>, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("a mode");
}

fn beside(home: &Home, suffix: &str) -> PathBuf {
    PathBuf::from(format!("{}{suffix}", home.store_path().display()))
}

/// The names of the files in the store's folder.
fn files(home: &Home) -> BTreeSet<String> {
    let folder = home.store_path().parent().expect("a folder").to_owned();
    let entries = fs::read_dir(folder).expect("a folder");
    let names = entries.map(|entry| entry.expect("an entry").file_name());
    names
        .map(|name| name.to_string_lossy().into_owned())
        .collect()
}

fn start(home: &Home, script: &str) -> Child {
    let mut shell = home.std_command("sh");
    shell.args(["-c", script]).stdin(Stdio::null());
    shell.stdout(Stdio::piped()).stderr(Stdio::piped());
    shell.spawn().expect("sh starts")
}

/// The ends of many processes: what each printed.
fn ends(children: Vec<Child>) -> Vec<String> {
    let mut printed = Vec::new();
    for child in children {
        let output = child.wait_with_output().expect("an end");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{stderr}");
        printed.push(String::from_utf8(output.stdout).expect("UTF-8"));
    }
    printed
}

fn scopes(home: &Home, index: usize) -> BTreeSet<String> {
    let limits = &home.store()["accounts"][index]["limits"];
    let limits = limits.as_object().into_iter().flatten();
    limits.map(|(scope, _)| scope.clone()).collect()
}

// --- Many at once.

#[test]
fn fifty_processes_lose_no_mark_and_no_pick() {
    let home = home();
    let names = ["a", "b", "c", "d", "e"];
    home.write_store(&store(names.map(account)));
    let children = (0..50).map(|process| {
        let script = format!(
            "for n in 1 2 3; do \
             codex-ratelimit-mark --retry-after 1h --scope p{process}-$n a >/dev/null || exit; \
             codex-account-pick --strategy round-robin --format id || exit; \
             done"
        );
        start(&home, &script)
    });
    let children: Vec<Child> = children.collect();

    // Whoever reads meanwhile sees a whole document, always.
    let mut reads = 0;
    let printed = std::thread::scope(|scope| {
        let writing = scope.spawn(|| ends(children));
        while !writing.is_finished() {
            home.store();
            reads += 1;
        }
        writing.join().expect("all of them write")
    });
    assert!(reads > 0);

    let expected = (0..50).flat_map(|process| (1..=3).map(move |n| format!("p{process}-{n}")));
    assert_eq!(scopes(&home, 0), expected.collect());
    // Each pick moved on from the one before it: a pick that was lost would be made twice.
    let mut picks: BTreeMap<&str, usize> = BTreeMap::new();
    for id in printed.iter().flat_map(|text| text.lines()) {
        *picks.entry(id).or_default() += 1;
    }
    assert_eq!(picks.into_values().collect::<Vec<_>>(), [30; 5]);
    assert_eq!(files(&home).len(), 3, "the store, its lock, its backup");
}

#[test]
fn killed_at_any_point_a_writer_leaves_the_old_document_or_the_new_one() {
    let home = home();
    let mut document = store([account("work")]);
    // Some weight, so that a commit takes its time.
    document["ballast"] = "x".repeat(1 << 20).into();
    home.write_store(&document);
    let mark =
        |scope: &str| format!("exec codex-ratelimit-mark --retry-after 1h --scope {scope} 0");
    ends(vec![start(&home, &mark("first"))]);
    let mut before = scopes(&home, 0);
    let (mut old, mut new) = (0, 0);
    let mut patience = Duration::from_millis(1);
    for point in 0..40 {
        let scope = format!("p{point}");
        let mut child = start(&home, &mark(&scope));
        // Not to wait for anything: the kill is to come about when the commit does, before it or
        // after it, and feels its way there.
        std::thread::sleep(patience);
        child.kill().expect("it was started");
        child.wait().expect("it ends");
        let after = scopes(&home, 0);
        if after == before {
            old += 1;
            patience = patience * 5 / 4;
        } else {
            new += 1;
            patience = patience * 3 / 4;
            before.insert(scope);
            assert_eq!(after, before);
        }
        let backup: Value = serde_json::from_slice(&bytes(beside(&home, ".bak"))).expect("JSON");
        assert_eq!(backup["ballast"], document["ballast"]);
    }
    assert!(old > 0 && new > 0, "old {old}, new {new}");
    for name in files(&home) {
        let path = home.store_path().with_file_name(&name);
        assert_eq!(mode(path), 0o600, "{name}");
    }
    ends(vec![start(&home, &mark("last"))]);
    assert!(scopes(&home, 0).contains("last"), "nobody is locked out");
}

// --- The lock.

#[test]
fn a_writer_that_waits_for_the_lock_says_so_and_goes_on() {
    let home = home();
    let lock = beside(&home, ".lock");
    let held = lock::exclusive(&lock, Patience::USUAL, |_| ()).expect("a lock");
    let mut child = start(&home, WRITERS[0]);
    let mut note = String::new();
    let stderr = child.stderr.take().expect("a pipe");
    BufReader::new(stderr).read_line(&mut note).expect("a line");
    let expected = format!(
        "codex-ratelimit-mark: waiting for the lock '{}'\n",
        lock.display()
    );
    assert_eq!(note, expected);
    assert!(scopes(&home, 0).is_empty());
    drop(held);
    assert!(child.wait().expect("an end").success());
    assert_eq!(scopes(&home, 0), BTreeSet::from(["default".to_owned()]));
}

#[test]
fn readers_do_not_wait_for_the_lock() {
    let home = home();
    let lock = beside(&home, ".lock");
    let _held = lock::exclusive(&lock, Patience::USUAL, |_| ()).expect("a lock");
    for reader in READERS {
        let shown = home.sh(reader);
        assert_eq!((shown.code, &*shown.stderr), (0, ""), "{reader}");
    }
}

#[test]
fn a_lock_that_is_never_given_back_is_given_up() {
    let home = home();
    let lock = beside(&home, ".lock");
    let _held = lock::exclusive(&lock, Patience::USUAL, |_| ()).expect("a lock");
    let before = bytes(home.store_path());
    let quiet = start(&home, "codex-ratelimit-mark -q --retry-after 1h work");
    insta::assert_snapshot!(home.sh(WRITERS[0]), @"
    --- stderr
    codex-ratelimit-mark: waiting for the lock '$HOME/.local/share/opencode/openai-codex-accounts.json.lock'
    codex-ratelimit-mark: error: timed out after 10 s waiting for the lock '$HOME/.local/share/opencode/openai-codex-accounts.json.lock'
    --- exit 75
    ");
    let quiet = quiet.wait_with_output().expect("an end");
    insta::assert_snapshot!(Shown::new(quiet, home.path()), @"
    --- stderr
    codex-ratelimit-mark: error: timed out after 10 s waiting for the lock '$HOME/.local/share/opencode/openai-codex-accounts.json.lock'
    --- exit 75
    ");
    assert!(bytes(home.store_path()) == before);
}

#[test]
fn a_lock_file_is_never_replaced() {
    let home = home();
    let inode = || fs::metadata(beside(&home, ".lock")).expect("a lock").ino();
    home.sh(WRITERS[0]);
    let before = inode();
    home.sh(WRITERS[1]);
    assert_eq!(inode(), before);
}

// --- Permissions.

#[test]
fn what_is_written_is_its_owners_alone() {
    let home = home();
    for writer in &WRITERS[..2] {
        let shown = home.sh(&format!("umask 000; {writer}"));
        assert_eq!(shown.code, 0, "{shown}");
    }
    for suffix in ["", ".lock", ".bak"] {
        assert_eq!(mode(beside(&home, suffix)), 0o600, "{suffix}");
    }
}

#[test]
fn a_new_store_is_its_owners_alone_and_so_is_its_folder() {
    let home = Home::new();
    let login = r#"{"openai":{"type":"oauth","refresh":"CANARY"}}"#;
    home.write("auth.json", login);
    let import = "codex-accounts --store some/where/accounts.json import auth.json";
    let shown = home.sh(&format!("umask 000; {import}"));
    assert_eq!(shown.code, 0, "{shown}");
    let modes = ["some", "some/where", "some/where/accounts.json"];
    let modes = modes.map(|path| mode(home.path().join(path)));
    assert_eq!(modes, [0o700, 0o700, 0o600]);
}

#[test]
fn a_store_that_others_can_read_or_write_is_refused() {
    let home = home();
    let before = bytes(home.store_path());
    for exposed in [0o644, 0o640, 0o604, 0o620, 0o602] {
        chmod(home.store_path(), exposed);
        for command in WRITERS.iter().chain(&READERS) {
            let shown = home.sh(command);
            let name = command.split(' ').next().expect("a name");
            let path = home.store_path();
            let path = path.display();
            let expected = format!(
                "{name}: error: '{path}' can be read or written by others (mode {exposed:04o})\n\
                 hint: chmod 600 '{path}'\n"
            );
            assert_eq!((shown.code, shown.stderr), (77, expected), "{command}");
            assert_eq!(shown.stdout, "");
        }
        assert_eq!(mode(home.store_path()), exposed);
        assert!(bytes(home.store_path()) == before);
    }
    assert_eq!(files(&home).len(), 1);
    // The hint mends it.
    home.sh(&format!("chmod 600 '{}'", home.store_path().display()));
    assert_eq!(home.sh(READERS[0]).code, 0);
}

// --- What can't be read is never written.

#[test]
fn a_broken_store_is_left_exactly_as_it_is() {
    let home = home();
    ends(vec![start(&home, WRITERS[0])]);
    let good = bytes(home.store_path());
    let backup = bytes(beside(&home, ".bak"));
    let with = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = good.clone();
        change(&mut bytes);
        bytes
    };
    let end = good.len();
    let broken = [
        ("a stray byte at its end", with(&|it| it.push(b'x')), end),
        ("a stray byte", with(&|it| it.insert(30, b'\0')), 30),
        ("truncated", with(&|it| it.truncate(end / 2)), end / 2 - 1),
        ("one byte short", with(&|it| it.truncate(end - 2)), end - 3),
        ("empty", Vec::new(), 0),
        ("zeros, as after a power cut", vec![0; 4096], 0),
        ("binary", vec![0x7f, b'E', b'L', b'F', 0xff, 0xfe], 0),
        ("another kind of JSON", b"[]".to_vec(), 0),
        ("no accounts", b"{\"version\":1}".to_vec(), 12),
        (
            "a version of another type",
            b"{\"version\":\"1\",\"accounts\":[]}".to_vec(),
            13,
        ),
    ];
    for (what, bytes_before, at) in broken {
        home.write(home.store_path(), &bytes_before);
        let names = files(&home);
        for command in WRITERS.iter().chain(&READERS) {
            let shown = home.sh(command);
            assert_eq!((shown.code, &*shown.stdout), (78, ""), "{what}: {shown}");
            let told = shown.stderr.split("byte ").nth(1).expect("a position");
            let told: usize = told
                .split(' ')
                .next()
                .expect("a word")
                .parse()
                .expect("a number");
            assert!(told.abs_diff(at) <= 1, "{what}, {at}: {shown}");
            assert!(
                bytes(home.store_path()) == bytes_before,
                "{what}: {command}"
            );
        }
        assert!(bytes(beside(&home, ".bak")) == backup, "{what}");
        assert_eq!(files(&home), names, "{what}");
    }
}

#[test]
fn a_broken_store_is_told_with_the_way_out() {
    let home = home();
    ends(vec![start(&home, WRITERS[0])]);
    home.write(home.store_path(), "{\"version\":1,\n \"accounts\":[{]}\n");
    insta::assert_snapshot!(home.sh(WRITERS[0]), @"
    --- stderr
    codex-ratelimit-mark: error: '$HOME/.local/share/opencode/openai-codex-accounts.json' is left as it is: not valid JSON at byte 28 (line 2, column 15)
    hint: codex-accounts doctor --restore
    --- exit 78
    ");
}

#[test]
fn a_store_of_a_newer_version_is_left_to_a_newer_program() {
    let home = home();
    let newer = b"{\"version\":2,\"accounts\":{\"not\":\"what we know\"}}";
    home.write(home.store_path(), newer);
    insta::assert_snapshot!(home.sh(WRITERS[0]), @"
    --- stderr
    codex-ratelimit-mark: error: '$HOME/.local/share/opencode/openai-codex-accounts.json' is left as it is: version 2 is newer than this program, which knows version 1
    hint: update codex-accounts
    --- exit 78
    ");
    for command in WRITERS.iter().chain(&READERS) {
        assert_eq!(home.sh(command).code, 78, "{command}");
    }
    assert_eq!(bytes(home.store_path()), newer);
    assert_eq!(
        files(&home)
            .iter()
            .filter(|name| name.ends_with(".bak"))
            .count(),
        0
    );
}

#[test]
fn a_folder_in_its_place_is_told() {
    let home = Home::new();
    fs::create_dir_all(home.store_path()).expect("a folder");
    chmod(home.store_path(), 0o700);
    insta::assert_snapshot!(home.sh(WRITERS[0]), @"
    --- stderr
    codex-ratelimit-mark: error: '$HOME/.local/share/opencode/openai-codex-accounts.json': it is a folder
    --- exit 74
    ");
}

#[test]
fn a_folder_that_others_can_read_is_told_as_a_folder_too() {
    let home = Home::new();
    fs::create_dir_all(home.store_path()).expect("a folder");
    chmod(home.store_path(), 0o755);
    for command in WRITERS.iter().chain(&READERS) {
        let shown = home.sh(command);
        assert_eq!(shown.code, 74, "{shown}");
        assert!(shown.stderr.ends_with("': it is a folder\n"), "{shown}");
    }
}

#[test]
fn a_pipe_in_its_place_is_told_and_not_waited_for() {
    let home = Home::new();
    let made = home.sh(
        "mkdir -p $XDG_DATA_HOME/opencode; cd $XDG_DATA_HOME/opencode; \
                        mkfifo -m 600 openai-codex-accounts.json",
    );
    assert_eq!(made.code, 0, "{made}");
    for command in WRITERS.iter().chain(&READERS) {
        let shown = home.sh(command);
        assert_eq!(shown.code, 74, "{shown}");
        assert!(
            shown.stderr.ends_with("': it is no regular file\n"),
            "{shown}"
        );
    }
}

#[test]
fn what_another_program_wrote_in_its_own_way_is_read_and_written() {
    let home = home();
    let mut written = home.store();
    written["activeIndex"] = json!(-1);
    written["accounts"][0]["enabled"] = Value::Null;
    written["accounts"][0]["usage"] =
        json!({"windows": [{"minutes": 300.0, "usedPercent": 1, "resetsAt": 0}], "observedAt": 0});
    home.write_store(&written);
    for command in [READERS[0], WRITERS[0]] {
        let shown = home.sh(command);
        assert_eq!(shown.code, 0, "{shown}");
    }
    assert_eq!(home.store()["activeIndex"], 0);
    assert_eq!(
        home.store()["accounts"][0]["usage"]["windows"][0]["minutes"],
        300
    );
}

#[test]
fn a_broken_store_that_was_named_is_told_with_its_name() {
    let home = home();
    home.write("other/it's.json", "{");
    home.write("other/it's.json.bak", "{}");
    insta::assert_snapshot!(home.sh("codex-account-pick --store \"other/it's.json\""), @r"
    --- stderr
    codex-account-pick: error: 'other/it's.json' is left as it is: not valid JSON at byte 0 (line 1, column 1)
    hint: codex-accounts --store 'other/it'\''s.json' doctor --restore
    --- exit 78
    ");
}

// --- A commit that fails.

#[test]
fn on_a_full_disk_nothing_is_lost() {
    let home = home();
    ends(vec![start(&home, WRITERS[0])]);
    let before = (bytes(home.store_path()), bytes(beside(&home, ".bak")));
    let names = files(&home);
    // No file may grow.
    let shown = home.sh(&format!("ulimit -f 0; exec {}", WRITERS[1]));
    insta::assert_snapshot!(shown, @"
    --- stderr
    codex-account-pick: error: '$HOME/.local/share/opencode/openai-codex-accounts.json': File too large (os error 27)
    --- exit 74
    ");
    assert!((bytes(home.store_path()), bytes(beside(&home, ".bak"))) == before);
    assert_eq!(files(&home), names);
}

#[test]
fn in_a_folder_that_is_read_only_nothing_is_lost() {
    let home = home();
    let before = bytes(home.store_path());
    let folder = home.store_path().parent().expect("a folder").to_owned();
    chmod(&folder, 0o500);
    // The superuser may write everywhere, until that is taken away too.
    let script = format!(
        "if [ $(id -u) = 0 ]; then exec setpriv --bounding-set=-dac_override {0}; else exec {0}; fi",
        WRITERS[0]
    );
    let shown = home.sh(&script);
    let reader = home.sh(READERS[0]);
    chmod(&folder, 0o700);
    insta::assert_snapshot!(shown, @"
    --- stderr
    codex-ratelimit-mark: error: '$HOME/.local/share/opencode/openai-codex-accounts.json.lock': Permission denied (os error 13)
    --- exit 74
    ");
    assert!(bytes(home.store_path()) == before);
    assert_eq!(files(&home).len(), 1);
    assert_eq!(reader.code, 0, "reading is still allowed");
}

#[test]
fn the_last_version_is_kept_beside_the_store() {
    let home = home();
    let backup = beside(&home, ".bak");
    for scope in ["one", "two", "three"] {
        let before = bytes(home.store_path());
        let mark = format!("codex-ratelimit-mark --retry-after 1h --scope {scope} work");
        ends(vec![start(&home, &mark)]);
        assert!(bytes(&backup) == before, "{scope}");
        assert!(bytes(home.store_path()) != before, "{scope}");
    }
}

#[test]
fn a_backup_never_holds_a_token_that_was_used_up() {
    let stage = Stage::new(2);
    let backup = beside(&stage.home, ".bak");
    for _ in 0..2 {
        let shown = stage.home.sh("codex-token-refresh --force two");
        assert_eq!(shown.code, 0, "{shown}");
        assert!(bytes(&backup) == stage.store_bytes());
        assert_eq!(mode(&backup), 0o600);
    }
    // A copy of its own: whoever writes in place writes into one of them.
    let inode = |path: &Path| fs::metadata(path).expect("a file").ino();
    assert_ne!(inode(&backup), inode(&stage.home.store_path()));
    // What changes no token keeps the version before, as ever.
    let before = stage.store_bytes();
    let shown = stage.home.sh(WRITERS[0].replace("work", "one").as_str());
    assert_eq!(shown.code, 0, "{shown}");
    assert!(bytes(&backup) == before);
}

#[test]
fn where_nothing_changes_nothing_is_written() {
    let home = home();
    let inode = || fs::metadata(home.store_path()).expect("a store").ino();
    ends(vec![start(&home, "codex-account-pick")]);
    let before = (inode(), bytes(beside(&home, ".bak")));
    for command in ["codex-account-pick", "codex-ratelimit-mark --clear work"] {
        ends(vec![start(&home, command)]);
        assert!(
            (inode(), bytes(beside(&home, ".bak"))) == before,
            "{command}"
        );
    }
}

// --- Symlinks.

#[test]
fn a_symlinked_store_is_followed_and_the_link_kept() {
    let home = home();
    let target = home.path().join("dotfiles/real.json");
    home.write(&target, bytes(home.store_path()));
    fs::remove_file(home.store_path()).expect("a file");
    // By a relative link to an absolute one.
    let middle = home.path().join(".local/share/middle.json");
    symlink(&target, &middle).expect("a link");
    symlink("../middle.json", home.store_path()).expect("a link");
    ends(vec![start(&home, WRITERS[0])]);
    assert!(
        fs::symlink_metadata(home.store_path())
            .expect("a link")
            .is_symlink()
    );
    assert!(fs::symlink_metadata(&middle).expect("a link").is_symlink());
    assert_eq!(scopes(&home, 0).len(), 1);
    assert_eq!(
        files(&home).len(),
        1,
        "lock and backup are beside the target"
    );
    let folder = fs::read_dir(target.parent().expect("a folder")).expect("a folder");
    assert_eq!(folder.count(), 3);
}

#[test]
fn all_who_come_by_different_links_meet_at_one_lock() {
    let home = home();
    for link in ["one.json", "two.json"] {
        symlink(home.store_path(), home.path().join(link)).expect("a link");
    }
    let writer = |n: usize| {
        let link = ["one.json", "two.json"][n % 2];
        format!("codex-ratelimit-mark --store {link} --retry-after 1h --scope s{n} work")
    };
    ends((0..30).map(|n| start(&home, &writer(n))).collect());
    assert_eq!(scopes(&home, 0).len(), 30);
}

#[test]
fn a_link_to_nowhere_is_no_store() {
    let home = Home::new();
    let folder = home.store_path().parent().expect("a folder").to_owned();
    fs::create_dir_all(&folder).expect("a folder");
    symlink("nowhere.json", home.store_path()).expect("a link");
    let shown = home.sh(WRITERS[0]);
    assert_eq!(shown.code, 1, "{shown}");
    assert!(!folder.join("nowhere.json").exists());
}

// --- Other programs.

#[test]
fn fields_that_are_not_known_survive_a_write() {
    let home = home();
    let mut document = store([account("work")]);
    document["futureTop"] = json!({"a": [1, {"b": null}]});
    document["accounts"][0]["futureAccount"] = json!("x");
    document["accounts"][0]["limits"] = json!({"other": {"until": 5, "futureMark": 1.5}});
    document["accounts"][0]["usage"] = json!({"windows": [{"minutes": 300, "usedPercent": 1.5, "resetsAt": 0, "futureWindow": []}],
               "observedAt": 0, "futureUsage": true});
    document["accounts"][0]["lease"] = json!({"until": 1, "pid": 1, "futureLease": {}});
    home.write_store(&document);
    ends(vec![start(&home, WRITERS[0])]);
    let mut after = home.store();
    assert_eq!(after["futureTop"], document["futureTop"]);
    let account = &mut after["accounts"][0];
    assert_eq!(account["futureAccount"], "x");
    assert_eq!(account["limits"]["other"]["futureMark"], 1.5);
    assert_eq!(account["usage"], document["accounts"][0]["usage"]);
    assert_eq!(account["lease"], document["accounts"][0]["lease"]);
}

/// A file as the plugin proposal writes it: version 1, without any field of ours.
const PROPOSAL: &str = r#"{
  "version": 1,
  "accounts": [
    {
      "refreshToken": "CANARY-1",
      "chatgptAccountId": "acc-1",
      "email": "one@example.com",
      "addedAt": 1700000000000,
      "lastUsed": 1700000001000,
      "lastSwitchReason": "initial"
    },
    {
      "refreshToken": "CANARY-2",
      "addedAt": 1700000002000,
      "lastUsed": 0,
      "rateLimitResetTime": 1777930000000
    }
  ],
  "activeIndex": 0
}
"#;

#[test]
fn a_file_of_the_plugin_proposal_is_read_and_written_so_that_it_can_read_it() {
    let home = home();
    home.write(home.store_path(), PROPOSAL);
    insta::assert_snapshot!(home.sh("codex-account-pick --explain"), @r#"
    {"v":1,"index":0,"chatgptAccountId":"acc-1","email":"one@example.com","chosen":true,"reason":"chosen"}
    {"v":1,"index":1,"chosen":false,"reason":"limited","until":1777930000000}
    --- exit 0
    "#);
    let shown = home.sh("codex-ratelimit-mark --until 1777940000 0 && codex-account-pick");
    assert_eq!(shown.code, 75, "{shown}");
    let after = String::from_utf8(bytes(home.store_path())).expect("UTF-8");
    insta::assert_snapshot!(after, @r#"
    {
      "version": 1,
      "accounts": [
        {
          "refreshToken": "CANARY-1",
          "chatgptAccountId": "acc-1",
          "email": "one@example.com",
          "addedAt": 1700000000000,
          "lastUsed": 1700000001000,
          "lastSwitchReason": "initial",
          "rateLimitResetTime": 1777940000000,
          "limits": {
            "default": {
              "until": 1777940000000,
              "class": "quota",
              "source": "hand",
              "markedAt": 1777922696000
            }
          }
        },
        {
          "refreshToken": "CANARY-2",
          "addedAt": 1700000002000,
          "lastUsed": 0,
          "rateLimitResetTime": 1777930000000,
          "limits": {
            "default": {
              "until": 1777930000000,
              "class": "quota",
              "source": "rateLimitResetTime",
              "markedAt": 0
            }
          }
        }
      ],
      "activeIndex": 0
    }
    "#);
}

#[test]
fn what_a_program_writes_that_knows_only_the_reset_time_counts() {
    let home = home();
    home.write(home.store_path(), PROPOSAL);
    let pick = || home.sh("codex-account-pick --peek --account 1");
    assert_eq!(pick().code, 75);
    // It lifts the limit.
    home.write(home.store_path(), PROPOSAL.replace("1777930000000", "0"));
    assert_eq!(pick().code, 0);
    // Our mark stands; then it shortens that.
    ends(vec![start(
        &home,
        "codex-ratelimit-mark --retry-after 1h 1",
    )]);
    assert_eq!(pick().code, 75);
    let mut document = home.store();
    let reset = &mut document["accounts"][1]["rateLimitResetTime"];
    assert_eq!(*reset, (CLOCK + 3600) * 1000);
    *reset = json!((CLOCK - 1) * 1000);
    home.write_store(&document);
    assert_eq!(pick().code, 0);
}

// --- Where it is.

#[test]
fn a_flag_goes_before_the_environment_and_that_before_the_usual_place() {
    let mut home = Home::new();
    home.write_store(&store([account("usual")]));
    for name in ["flag", "variable"] {
        let text = store([account(name)]).to_string();
        home.write(format!("{name}.json"), text);
    }
    let id = |home: &Home, arguments: &str| {
        home.sh(&format!("codex-account-pick --format id {arguments}"))
            .stdout
    };
    assert_eq!(id(&home, ""), "acc-usual\n");
    home.set("CODEX_ACCOUNTS_FILE", home.path().join("variable.json"));
    assert_eq!(id(&home, ""), "acc-variable\n");
    assert_eq!(id(&home, "--store flag.json"), "acc-flag\n");
    home.set("CODEX_ACCOUNTS_FILE", "");
    assert_eq!(
        id(&home, ""),
        "acc-usual\n",
        "an empty variable names nothing"
    );
    home.unset("XDG_DATA_HOME");
    assert_eq!(id(&home, ""), "acc-usual\n", "~/.local/share");
    home.set("XDG_DATA_HOME", home.path().join("elsewhere"));
    assert_eq!(id(&home, ""), "");
    home.set("XDG_DATA_HOME", "relative/is/not/valid");
    assert_eq!(
        id(&home, ""),
        "acc-usual\n",
        "as the XDG specification says"
    );
}

#[test]
fn a_store_that_was_named_and_is_not_there_is_not_made() {
    let home = home();
    for command in WRITERS {
        let shown = home.sh(&format!("{command} --store no/such.json"));
        assert_eq!(shown.code, 1, "{shown}");
    }
    assert!(!home.path().join("no").exists());
}
