//! What a pick writes, and when it writes nothing.

use std::fs;

use super::{NOW, file, home_of, limit, pick, picked};
use crate::support::CLOCK;

#[test]
fn an_unchanged_pick_writes_once_a_minute() {
    let mut home = home_of(&["work", "personal"]);
    picked(&home, "");
    let first = file(&home);
    for (seconds, writes) in [
        (0, false),
        (59, false),
        (60, true),
        (119, false),
        (120, true),
    ] {
        home.set("CODEX_ACCOUNTS_CLOCK", (CLOCK + seconds).to_string());
        let before = file(&home);
        picked(&home, "");
        assert_eq!(file(&home) != before, writes, "after {seconds} s");
    }
    assert_ne!(file(&home), first);
    assert_eq!(home.store()["accounts"][0]["lastUsed"], NOW + 120_000);
}

#[test]
fn looking_writes_nothing() {
    let home = home_of(&["work", "personal"]);
    limit(&home, 0, NOW + 1);
    let before = file(&home);
    for args in [
        "--peek",
        "--peek --strategy round-robin",
        "--peek --session s",
        "--peek --format access-token",
        "--explain",
        "--at 2030-01-01T00:00:00Z",
        "--explain --at 1 --strategy least-used",
    ] {
        assert_eq!(pick(&home, args).code, 0, "{args}");
    }
    assert_eq!(file(&home), before);
    let folder = home.store_path();
    let folder = fs::read_dir(folder.parent().expect("its folder")).expect("its folder");
    assert_eq!(folder.count(), 1, "no lock was needed");
}

#[test]
fn nothing_is_written_where_there_is_no_account_to_use() {
    let home = home_of(&["work"]);
    limit(&home, 0, NOW + 1);
    let before = file(&home);
    assert_eq!(pick(&home, "").code, 75);
    assert_eq!(file(&home), before);
}
