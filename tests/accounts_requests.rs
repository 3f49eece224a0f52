//! `codex-accounts log --requests`: what was asked of whom, for people.

use super::support::Home;

/// Lines as a relay writes them: one account, then a limit on the way, all limited, a handshake, and
/// trouble.
const LINES: &str = r#"{"at":1777922696000,"request":1,"session":"0199-abc","event":"answer","account":"one","status":200,"verdict":"ok","step":"pass-on","headMs":25}
{"at":1777922696000,"request":1,"session":"0199-abc","event":"done","account":"one","status":200,"verdict":"ok","headMs":27,"firstByteMs":27,"bytes":3125,"whole":true}
{"at":1777922697000,"request":2,"session":"0199-abc","event":"answer","account":"one","status":429,"verdict":"limited","step":"next","headMs":2}
{"at":1777922697000,"request":2,"session":"0199-abc","event":"answer","account":"two","status":200,"verdict":"ok","step":"pass-on","headMs":2}
{"at":1777922698000,"request":2,"session":"0199-abc","event":"done","account":"two","status":200,"verdict":"ok","headMs":34,"firstByteMs":1234,"bytes":312500,"whole":false}
{"at":1777922698000,"request":3,"session":"0199-abc","event":"done","account":"two","status":101,"headMs":3,"bytes":0,"whole":true,"ws":"handshake"}
{"at":1777922699000,"request":4,"event":"answer","account":"two","status":429,"verdict":"limited","step":"next","headMs":2}
{"at":1777922699000,"request":4,"event":"done","status":429,"bytes":190,"whole":true}
{"at":1777922699000,"request":5,"event":"trouble","message":"the store can't be read"}
torn
"#;

fn home() -> Home {
    let home = Home::new();
    home.write(".local/state/codex-accounts/relay.log", LINES);
    home
}

#[test]
fn a_row_for_each_request_says_who_was_asked_and_what_came_of_it() {
    let mut home = home();
    home.set("COLUMNS", "80");
    insta::assert_snapshot!(home.sh("codex-accounts log --requests"), @"
    05-04 19:24  one                      ok           27 ms  3 kB
    05-04 19:24  one limited → two        ok, cut off  1.2 s  312 kB
    05-04 19:24  two limited              429                 190 B
    05-04 19:24  the store can't be read
    --- exit 0
    ");
    home.set("COLUMNS", "120");
    insta::assert_snapshot!(home.sh("codex-accounts log --requests -n 3"), @"
    05-04 19:24  one limited → two        ok, cut off  1.2 s  312 kB  0199-abc
    05-04 19:24  two limited              429                 190 B
    05-04 19:24  the store can't be read
    --- exit 0
    ");
}

#[test]
fn the_records_are_the_lines_of_the_relay() {
    let shown = home().sh("codex-accounts log --requests --json -n 2 | cut -c 1-60");
    insta::assert_snapshot!(shown, @r#"
    {"v":1,"at":1777922699000,"request":4,"event":"done","status
    {"v":1,"at":1777922699000,"request":5,"event":"trouble","mes
    --- exit 0
    "#);
}

#[test]
fn requests_that_were_put_aside_come_first() {
    let home = home();
    home.write(
        ".local/state/codex-accounts/relay.log.1",
        LINES.lines().next().expect("a line"),
    );
    let shown = home.sh("codex-accounts log --requests --json -n 99 | wc -l");
    assert_eq!(shown.stdout.trim(), "10", "{shown}");
}

#[test]
fn where_nothing_was_asked_that_is_said() {
    insta::assert_snapshot!(Home::new().sh("codex-accounts log --requests"), @"
    --- stderr
    codex-accounts: no request has gone through a relay yet
    --- exit 0
    ");
}

#[test]
fn a_launch_can_be_read_from_it() {
    let home = Home::new();
    let question = super::support::request::QUESTION;
    home.write("question", question);
    let ask = "curl -sS -H \\\"Authorization: Bearer \\$OPENAI_API_KEY\\\" -d @question \\
               \\$OPENAI_BASE_URL/responses >/dev/null";
    let shown = home.sh(&format!(
        "codex-rehearse -q --limit one=2h -- sh -c '
            codex-launch -- sh -c \"{ask}\" && codex-accounts log --requests | cut -d \" \" -f 3-'"
    ));
    assert!(shown.stdout.contains("one limited → two  ok"), "{shown}");
}
