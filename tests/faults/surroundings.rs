//! Surroundings that no command expects: descriptors that are closed, clocks that are wrong, and
//! what is no file where one should be.

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::Path;

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use super::super::support::CLOCK;
use super::super::support::faults::is_soak;
use super::refresh::{Login, REFRESH};
use super::temporary;

const MARK: &str = "codex-ratelimit-mark --retry-after 1h one";
const STORE: &str = ".local/share/opencode/openai-codex-accounts.json";

/// A file that is opened in the place of a closed descriptor would get what is printed.
#[test]
fn with_closed_descriptors_nothing_is_printed_into_a_file() {
    let login = Login::new();
    for closed in [
        "<&-",
        ">&-",
        "2>&-",
        "<&- >&-",
        "<&- 2>&-",
        ">&- 2>&-",
        "<&- >&- 2>&-",
    ] {
        for command in [MARK, REFRESH, "codex-accounts list", "codex-usage-fetch"] {
            login.reset();
            let shown = login.stage.home.sh(&format!("{command} {closed}"));
            let told = format!("{command} {closed}: {shown}");
            assert!([0, 69, 74].contains(&shown.code), "{told}");
            assert!(login.survives(&told), "the login is lost: {told}");
        }
    }
}

/// A clock that is wrong by days or years, when a token is renewed: afterwards, at the right time,
/// the login is alive and is renewed when it is due.
#[test]
fn a_refresh_by_a_wrong_clock_loses_nothing_and_keeps_nobody_waiting() {
    let login = Login::new();
    let home = &login.stage.home;
    let day = 24 * 60 * 60;
    for clock in [
        1,
        CLOCK - 3650 * day,
        CLOCK - day,
        CLOCK + 40 * day,
        CLOCK + 3650 * day,
    ] {
        login.reset();
        let shown = home.sh(&format!("CODEX_ACCOUNTS_CLOCK={clock} {REFRESH}"));
        let told = format!("the clock at {clock}: {shown}");
        assert_eq!(shown.code, 0, "{told}");
        let expires = home.store()["accounts"][0]["expiresAt"].as_u64();
        // The token says itself how long it is good.
        let longest = (CLOCK.max(now()) + 2 * 60 * 60) * 1000;
        assert!(
            expires.is_some_and(|at| at <= longest),
            "{expires:?}: {told}"
        );
        assert!(login.survives(&told), "the login is lost: {told}");
        let mark = format!("CODEX_ACCOUNTS_CLOCK={clock} {MARK}");
        assert_eq!(home.sh(&mark).code, 0, "{told}");
        let later = CLOCK + 2 * 60 * 60;
        let picked = home.sh(&format!("CODEX_ACCOUNTS_CLOCK={later} codex-account-pick"));
        assert_eq!(picked.code, 0, "{told}: {picked}");
    }
}

fn now() -> u64 {
    let now = std::time::SystemTime::now();
    let since = now.duration_since(std::time::UNIX_EPOCH);
    since.expect("a clock after 1970").as_secs()
}

/// Something that is no file.
const KINDS: [&str; 6] = [
    "folder",
    "pipe",
    "socket",
    "link to itself",
    "link to nowhere",
    "device",
];

fn put(kind: &str, path: &Path) {
    if fs::symlink_metadata(path).is_ok_and(|it| it.is_dir()) {
        fs::remove_dir_all(path).expect("a folder goes");
    } else {
        let _ = fs::remove_file(path);
    }
    fs::create_dir_all(path.parent().expect("a folder")).expect("folders");
    match kind {
        "folder" => fs::create_dir(path).expect("a folder"),
        "pipe" => mkfifo(path, Mode::from_bits_truncate(0o600)).expect("a pipe"),
        // A path that is too long for one is none.
        "socket" => drop(UnixListener::bind(path)),
        "link to itself" => symlink(path, path).expect("a link"),
        "link to nowhere" => symlink("nowhere/at-all", path).expect("a link"),
        _ => symlink("/dev/zero", path).expect("a link"),
    }
}

/// Each command ends, says what is wrong, and leaves the login alive.
#[test]
fn what_is_no_file_in_the_place_of_one_is_told_and_loses_nothing() {
    let login = Login::new();
    let home = &login.stage.home;
    let places = [
        format!("{STORE}.lock"),
        format!("{STORE}.bak"),
        ".local/state/codex-accounts".to_owned(),
        ".local/share/opencode/auth.json".to_owned(),
        ".codex/auth.json".to_owned(),
        ".codex/auth.lock".to_owned(),
    ];
    let step = if is_soak() { 1 } else { 5 };
    let all = KINDS
        .iter()
        .flat_map(|kind| places.iter().map(move |place| (kind, place)));
    for (kind, place) in all.step_by(step) {
        for command in [MARK, REFRESH] {
            login.reset();
            let path = home.path().join(place);
            put(kind, &path);
            let shown = home.sh(&format!("exec timeout 30 {command}"));
            let told = format!("a {kind} at {place}: {command}: {shown}");
            assert!([0, 1, 69, 74, 75, 78].contains(&shown.code), "{told}");
            if fs::symlink_metadata(&path).is_ok_and(|it| it.is_dir()) {
                fs::remove_dir_all(&path).expect("it goes");
            } else {
                let _ = fs::remove_file(&path);
            }
            let again = home.sh(&format!("CODEX_ACCOUNTS_CLOCK={} {REFRESH}", CLOCK + 3600));
            assert_eq!(again.code, 0, "after {told}: {again}");
            let current = login.stage.current(0).refresh_token;
            assert_eq!(login.stage.stored(0, "refreshToken"), current, "{told}");
            assert_eq!(temporary(home.path()), [""; 0], "{told}");
        }
    }
}
