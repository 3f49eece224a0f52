//! `codex-accounts --watch`: the view on a terminal, which it gives back as it was.

use std::io::{Read, Write};
use std::process::{Child, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use unicode_width::UnicodeWidthStr;

use super::support::Home;
use super::support::people::{all_states, two};
use super::support::stage::wait_until;

const CTRL_C: &[u8] = b"\x03";
const CTRL_Z: &[u8] = b"\x1a";
const CTRL_BACKSLASH: &[u8] = b"\x1c";

/// What a terminal is told when it has got all of a drawing.
const WHOLE: &str = "\x1b[?2026l";

#[test]
fn watch_needs_a_terminal() {
    insta::assert_snapshot!(two().sh("codex-accounts --watch"), @"
    --- stderr
    codex-accounts: error: standard output is no terminal
    hint: leave --watch out, or use --json
    --- exit 2
    ");
}

/// What a command draws on a terminal, as it comes.
struct Drawn {
    child: Child,
    text: String,
}

impl Drawn {
    fn by(home: &Home, command: &str) -> Drawn {
        let mut script = home.std_command("script");
        let child = script
            .args(["-qfec", &format!("exec {command}"), "/dev/null"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("script starts");
        let text = String::new();
        Drawn { child, text }
    }

    /// Waits until that was drawn.
    fn wait_for(&mut self, what: &str) {
        let stdout = self.child.stdout.as_mut().expect("stdout is a pipe");
        while !self.text.contains(what) {
            let mut bytes = [0; 4096];
            let count = stdout.read(&mut bytes).expect("more is drawn");
            assert_ne!(count, 0, "it ended: {:?}", self.text);
            self.text
                .push_str(&String::from_utf8_lossy(&bytes[..count]));
        }
    }

    /// The last drawing that is whole; what came after it stays. Several may have come at once.
    fn take_last(&mut self) -> String {
        let end = self.text.rfind(WHOLE).expect("a whole one") + WHOLE.len();
        let rest = self.text.split_off(end);
        let whole = std::mem::replace(&mut self.text, rest);
        let last = whole.rsplit("\x1b[H").next();
        last.expect("one at least").to_owned()
    }

    /// Types something.
    fn type_keys(&mut self, keys: &[u8]) {
        let stdin = self.child.stdin.as_mut().expect("stdin is a pipe");
        stdin.write_all(keys).expect("it is typed");
        stdin.flush().expect("it is typed");
    }

    /// Types what ends it, and waits for the end.
    fn end_by(mut self, keys: &[u8]) -> (String, Option<i32>) {
        self.type_keys(keys);
        let mut stdout = self.child.stdout.take().expect("stdout is a pipe");
        stdout.read_to_string(&mut self.text).expect("the rest");
        let status = self.child.wait().expect("it ends");
        (self.text, status.code())
    }
}

#[test]
fn watch_redraws_in_place_and_leaves_the_terminal_clean() {
    let mut home = two();
    home.set("TERM", "xterm");
    let mut drawn = Drawn::by(&home, "codex-accounts --watch");
    drawn.wait_for("q ends");
    home.sh("codex-accounts -q label 1 renamed");
    drawn.wait_for("renamed");
    let (drawn, code) = drawn.end_by(CTRL_C);
    assert_eq!(code, Some(0), "{drawn:?}");
    assert_eq!(drawn.matches("\x1b[?1049h").count(), 1, "{drawn:?}");
    let drawings = drawn.matches("\x1b[H").count();
    assert_eq!(drawings, 2, "only a change is drawn: {drawn:?}");
    assert!(!drawn.contains("\x1b[2J"), "nothing is blanked: {drawn:?}");
    assert_clean(&drawn);
}

/// Fails unless the last that was drawn gives the cursor and the screen back.
fn assert_clean(drawn: &str) {
    let end = drawn.rsplit("\x1b[?2026l").next();
    assert_eq!(end, Some("\x1b[?25h\x1b[?1049l"), "{drawn:?}");
}

#[test]
fn whatever_ends_watch_leaves_the_terminal_clean() {
    let mut home = two();
    home.set("TERM", "xterm");
    let settings =
        "stty -a >before; codex-accounts --watch; status=$?; stty -a >after; exit $status";
    for keys in [CTRL_C, CTRL_BACKSLASH, b"q"] {
        let mut drawn = Drawn::by(&home, &format!("sh -c '{settings}'"));
        drawn.wait_for("q ends");
        // A shell that waits for it is interrupted too.
        let (drawn, _) = drawn.end_by(keys);
        assert_clean(&drawn);
    }
    let same = home.sh("cmp before after");
    assert_eq!(same.code, 0, "{same}");
}

#[test]
fn keys_use_and_turn_accounts_and_ask_for_figures() {
    let home = Home::new();
    let command = "codex-rehearse -q --usage one=43,35 -- env TERM=xterm COLUMNS=80 \
                   codex-accounts --watch";
    let mut drawn = Drawn::by(&home, command);
    drawn.wait_for("q ends");
    for (keys, said) in [
        ("1", "1 two is the active account"),
        ("e", "enable or disable which one? 0-9"),
        ("1", "1 two is disabled; 0 one is the active account"),
        ("e1", "1 two is enabled"),
        ("7", "no account is called '7'"),
        ("r", "57%"),
    ] {
        drawn.text.clear();
        drawn.type_keys(keys.as_bytes());
        drawn.wait_for(said);
    }
    let (drawn, code) = drawn.end_by(b"q");
    assert_eq!(code, Some(0), "{drawn:?}");
    assert_clean(&drawn);
}

#[test]
fn watch_asks_for_figures_where_that_is_wished() {
    let home = Home::new();
    let command = "codex-rehearse -q --usage one=43,35 -- env TERM=xterm COLUMNS=80 \
                   codex-accounts --watch --refresh";
    let mut drawn = Drawn::by(&home, command);
    drawn.wait_for("57%");
    let (drawn, code) = drawn.end_by(b"q");
    assert_eq!(code, Some(0), "{drawn:?}");
}

#[test]
fn watch_goes_on_where_it_was_stopped() {
    let mut home = two();
    home.set("TERM", "xterm");
    let mut drawn = Drawn::by(&home, "codex-accounts --watch");
    drawn.wait_for("q ends");
    drawn.type_keys(CTRL_Z);
    // `script` stops with what it runs, maybe before it has passed on what that drew last, and goes
    // on with it.
    let pid = Pid::from_raw(drawn.child.id().cast_signed());
    wait_until("it has stopped", || {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("a process");
        let state = stat.rsplit(')').next();
        state.is_some_and(|state| state.starts_with(" T"))
    });
    kill(pid, Signal::SIGCONT).expect("it goes on");
    drawn.wait_for("\x1b[?25h\x1b[?1049l\x1b[?1049h\x1b[?25l\x1b[?2026h");
    let (drawn, code) = drawn.end_by(b"q");
    assert_eq!(code, Some(0), "{drawn:?}");
    assert_clean(&drawn);
}

#[test]
fn watch_follows_the_size_of_the_terminal() {
    let mut home = all_states();
    home.set("TERM", "xterm");
    home.unset("COLUMNS");
    let mut drawn = Drawn::by(&home, "sh -c 'tty >tty; exec codex-accounts --watch'");
    // To its end, or the rest would be taken for the next one.
    drawn.wait_for(WHOLE);
    let drawings = drawn.text.matches("\x1b[H").count();
    drawn.text.clear();
    home.sh("stty -F $(cat tty) cols 30 rows 9");
    assert_eq!(drawings, 1);
    // One that was begun before may still come, and the size changes in two steps.
    let fits = |lines: &[String]| lines.len() <= 9 && lines.iter().all(|line| line.width() <= 30);
    let mut lines = Vec::new();
    for _ in 0..4 {
        drawn.wait_for(WHOLE);
        lines = plain(&drawn.take_last());
        if fits(&lines) {
            break;
        }
    }
    assert!(fits(&lines), "{lines:?}");
    assert!(lines[1].contains("work"), "{lines:?}");
    drawn.end_by(b"q");
}

/// The lines of what was drawn, without what is for the terminal.
fn plain(drawn: &str) -> Vec<String> {
    let mut text = String::new();
    let mut rest = drawn;
    while let Some(at) = rest.find("\x1b[") {
        text.push_str(&rest[..at]);
        let command = &rest[at + 2..];
        let end = command
            .find(|c: char| c.is_ascii_alphabetic())
            .expect("its end");
        rest = &command[end + 1..];
    }
    text.push_str(rest);
    // The terminal puts a carriage return before each line end, too.
    let lines = text.split('\n');
    lines
        .map(|line| line.trim_end_matches('\r').to_owned())
        .collect()
}
