//! `codex-rehearse` at the command line: what a command finds on the stage, what the options do to
//! the accounts there, and what is played without a command.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::support::accounts::{account, store};
use super::support::request::QUESTION;
use super::support::shown::Shown;
use super::support::{CLOCK, Home, clients};

/// Asks the pretend backend as the account one, and shows the whole answer.
const ASK_AS_ONE: &str = "codex-account-pick --account one --format headers |
    curl -sSi -H @- -d @question $CODEX_ACCOUNTS_UPSTREAM/codex/responses";

/// A request behind `codex-launch`, and who answered it.
const ASK: &str = r#"codex-launch -- sh -c '
    curl -sS -H "Authorization: Bearer $OPENAI_API_KEY" -d @question $OPENAI_BASE_URL/responses
' | grep -o -m 1 "answered by [a-z]*""#;

/// Runs a script on a stage that is set with these options.
fn rehearse(home: &Home, options: &str, script: &str) -> Shown {
    home.write("question", QUESTION);
    let options = options.split_whitespace();
    let mut command = home.command("codex-rehearse");
    home.run(command.args(options).args(["--", "sh", "-c", script]))
}

// --- The command on the stage

#[test]
fn the_exit_status_is_the_commands_and_nothing_is_added() {
    let shown = rehearse(&Home::new(), "", "cat; echo err >&2; exit 9");
    insta::assert_snapshot!(shown, @r"
    --- stderr
    err
    --- exit 9
    ");
    let shown = rehearse(&Home::new(), "", "kill -KILL $$");
    assert_eq!((shown.code, shown.stderr.as_str()), (137, ""));
    let shown = Home::new().sh("codex-rehearse -- nothing-of-this-name");
    insta::assert_snapshot!(shown, @r"
    --- stderr
    codex-rehearse: error: can't run 'nothing-of-this-name': No such file or directory (os error 2)
    hint: is it installed, and in the PATH?
    --- exit 1
    ");
}

#[test]
fn a_signal_is_the_commands() {
    for signal in [Signal::SIGTERM, Signal::SIGHUP] {
        let home = Home::new();
        let script = "trap 'echo told; exit 3' TERM HUP; echo ready; while :; do sleep 0.01; done";
        let mut child = home
            .std_command("codex-rehearse")
            .args(["--", "sh", "-c", script])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert_eq!(lines.next().unwrap().unwrap(), "ready");
        kill(Pid::from_raw(child.id().cast_signed()), signal).unwrap();
        assert_eq!(lines.next().unwrap().unwrap(), "told");
        assert_eq!(child.wait().unwrap().code(), Some(3), "{signal}");
        assert_nothing_left(&home);
    }
}

fn assert_nothing_left(home: &Home) {
    let left = fs::read_dir(home.path().join("tmp")).unwrap();
    let left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn the_persons_own_is_not_found_on_the_stage() {
    let mut home = Home::new();
    home.set("CODEX_HOME", home.path().join(".codex"));
    home.set("CODEX_ACCOUNTS_FILE", home.path().join("accounts.json"));
    for name in [
        "OPENCODE_AUTH_CONTENT",
        "OPENCODE_CONFIG",
        "OPENCODE_CONFIG_CONTENT",
        "OPENCODE_CONFIG_DIR",
        "OPENAI_API_KEY",
        "OPENAI_BASE_URL",
        "CODEX_API_KEY",
        "CODEX_ACCESS_TOKEN",
    ] {
        home.set(name, "theirs");
    }
    let inside = rehearse(
        &home,
        "",
        "env | sed \"s|$HOME|STAGE|g\" | sort |
         grep -e STAGE -e theirs -e ^CODEX -e ^OPEN | grep -v ^_=; codex-accounts path |
         sed \"s|$HOME|STAGE|\"; ls -A; ls -A ~",
    );
    insta::assert_snapshot!(inside, @"
    BROWSER=STAGE/browser
    CODEX_ACCOUNTS_CLOCK=1777922696
    CODEX_ACCOUNTS_FILE=STAGE/.local/share/opencode/openai-codex-accounts.json
    CODEX_ACCOUNTS_ISSUER=http://127.0.0.1:PORT
    CODEX_ACCOUNTS_UPSTREAM=http://127.0.0.1:PORT/backend-api
    CODEX_HOME=STAGE/.codex
    CODEX_REHEARSAL=http://127.0.0.1:PORT/rehearsal
    HOME=STAGE
    XDG_CACHE_HOME=STAGE/.cache
    XDG_CONFIG_HOME=STAGE/.config
    XDG_DATA_HOME=STAGE/.local/share
    XDG_STATE_HOME=STAGE/.local/state
    STAGE/.local/share/opencode/openai-codex-accounts.json
    .cache
    .config
    .local
    question
    tmp
    .cache
    .codex
    .config
    .local
    browser
    --- exit 0
    ");
    assert_nothing_left(&home);
}

#[test]
fn a_rehearsal_leaves_the_persons_store_alone() {
    let home = Home::new();
    home.write_store(&store([account("work")]));
    let before = home.store();
    let script = "codex-account-pick --format id; codex-accounts remove --yes one";
    let shown = rehearse(&home, "", script);
    assert_eq!(shown.stdout, "account-one\n", "{shown}");
    assert_eq!(home.store(), before);
}

#[test]
fn a_rehearsal_asked_the_proxy_of_the_person() {
    let mut home = Home::new();
    for name in ["http_proxy", "HTTP_PROXY", "all_proxy"] {
        home.set(name, "http://127.0.0.1:9");
    }
    home.set("no_proxy", "example.com");
    let script = format!("{ASK_AS_ONE} | head -1; echo $NO_PROXY $no_proxy; {ASK}");
    insta::assert_snapshot!(rehearse(&home, "", &script), @"
    HTTP/1.1 200 OK
    127.0.0.1,localhost,::1 example.com,127.0.0.1,localhost,::1
    answered by one
    --- stderr
    codex-rehearse: one: 2 requests: 2 × 200
    --- exit 0
    ");
}

#[test]
fn a_login_goes_through_the_pretend_browser() {
    let script = "export CODEX_ACCOUNTS_FILE=$HOME/new.json
                  codex-oauth-login --port 0 2>/dev/null | jq -r .email
                  codex-accounts add --port 0 2>/dev/null
                  codex-accounts list --json | jq -r .email";
    insta::assert_snapshot!(rehearse(&Home::new(), "--accounts 2", script), @"
    one@example.com
    one@example.com
    two@example.com
    --- exit 0
    ");
}

#[test]
fn the_real_clients_are_found_and_answered() {
    let home = Home::with_clients();
    // What keeps codex from the network is in a file, and the stage has a home of its own.
    home.write("codex.toml", clients::CODEX_OFFLINE);
    let script = "cp codex.toml $CODEX_HOME/config.toml
        codex-launch codex exec --skip-git-repo-check 'who are you' </dev/null 2>/dev/null
        codex-launch opencode run -m openai/gpt-5.5 'who are you' </dev/null 2>/dev/null";
    let shown = rehearse(&home, "--limit one=2h", script);
    let answers: Vec<&str> = shown.stdout.lines().map(str::trim).collect();
    assert_eq!(answers, ["answered by two@example.com"; 2], "{shown}");
}

// --- The options

#[test]
fn accounts_are_as_many_as_were_asked_for() {
    let script = "codex-accounts list --json | jq -r '[.index, .label, .email] | @tsv'";
    insta::assert_snapshot!(rehearse(&Home::new(), "--accounts 3", script), @"
    0	one	one@example.com
    1	two	two@example.com
    2	three	three@example.com
    --- exit 0
    ");
    let shown = rehearse(&Home::new(), "--accounts 50", "codex-accounts list --json");
    assert_eq!(shown.stdout.lines().count(), 50, "{shown}");
    for wrong in ["0", "51", "many"] {
        let shown = rehearse(&Home::new(), &format!("--accounts {wrong}"), "true");
        assert_eq!(shown.code, 2, "{shown}");
    }
}

#[test]
fn a_limit_is_told_in_its_style() {
    let mark = format!(
        "{ASK_AS_ONE} | codex-ratelimit-mark one |
         jq -r '[.verdict, .class, .source, if .until then .until / 1000 - {CLOCK} else null end] | @tsv'"
    );
    let mut told = String::new();
    for style in [
        "usage-limit",
        "resets-in",
        "windows-only",
        "retry-after",
        "retry-after-ms",
        "no-hint",
        "throttle",
        "limit-404",
        "workspace-gone-402",
        "error-502",
        "failed-first",
    ] {
        let shown = rehearse(&Home::new(), &format!("--limit one=2h:{style}"), &mark);
        assert_eq!(shown.code, 0, "{style}: {shown}");
        told += &format!("{style:<18} {}", shown.stdout);
    }
    insta::assert_snapshot!(told, @"
    usage-limit        limited	quota	body.resets_at	7200
    resets-in          limited	quota	body.resets_in_seconds	7200
    windows-only       limited	quota	headers.window	7200
    retry-after        limited	quota	headers.retry-after	7200
    retry-after-ms     limited	quota	headers.retry-after-ms	7200
    no-hint            limited	quota	backoff	60
    throttle           limited	quota	body.message	7200
    limit-404          limited	quota	body.resets_at	7200
    workspace-gone-402 workspace-gone			
    error-502          server			
    failed-first       limited	quota	body.resets_at	7200
    ");
}

#[test]
fn a_limited_account_is_passed_over() {
    let script = format!("{ASK}; codex-account-pick --peek | jq -r .label");
    insta::assert_snapshot!(rehearse(&Home::new(), "--limit one=2h", &script), @"
    answered by two
    two
    --- stderr
    codex-rehearse: one: 1 request: 429
    codex-rehearse: two: 1 request: 200
    --- exit 0
    ");
    let options = "--limit one=2h --limit two=1h";
    insta::assert_snapshot!(rehearse(&Home::new(), options, &format!("{ASK}; codex-account-pick")), @"
    --- stderr
    codex-account-pick: error: every account is limited; account 1 'two' comes back first, at 2026-05-04T20:24:56Z
    hint: that is in 1 h; --wait waits for it
    codex-rehearse: one: 1 request: 429
    codex-rehearse: two: 1 request: 429
    --- exit 75
    ");
}

#[test]
fn a_limit_can_come_in_the_middle() {
    let script = format!("{ASK}; {ASK}; {ASK}; {ASK}");
    let shown = rehearse(&Home::new(), "--limit one=2h@3", &script);
    insta::assert_snapshot!(shown, @"
    answered by one
    answered by one
    answered by two
    answered by two
    --- stderr
    codex-rehearse: one: 3 requests: 2 × 200, 429
    codex-rehearse: two: 2 requests: 2 × 200
    --- exit 0
    ");
    let quiet = rehearse(&Home::new(), "-q", ASK);
    assert_eq!(quiet.stderr, "", "{quiet}");
    for wrong in ["one=2h@0", "one=2h@", "one=2h@x", "one@3"] {
        let shown = rehearse(&Home::new(), &format!("--limit {wrong}"), "true");
        assert_eq!(shown.code, 2, "{wrong}: {shown}");
    }
}

#[test]
fn a_rehearsal_is_changed_while_it_runs() {
    let change = |options: &str| format!("codex-rehearse --change {options}");
    let script = [
        ASK,
        &change("--limit one=2h:no-hint"),
        ASK,
        &change("--limit one=0 --kill two"),
        "codex-ratelimit-mark --clear one >/dev/null",
        "codex-account-pick --account one >/dev/null",
        ASK,
        "codex-token-refresh --force two 2>&1 | grep -o 'needs a new login'",
        // What is wrong changes nothing.
        &change("--limit one=2h --limit nobody=2h 2>&1"),
        ASK,
    ];
    let shown = rehearse(&Home::new(), "", &script.join("\n"));
    insta::assert_snapshot!(shown, @"
    answered by one
    answered by two
    answered by one
    needs a new login
    codex-rehearse: error: there is no pretend account 'nobody'
    answered by one
    --- stderr
    codex-rehearse: one: 4 requests: 200, 429, 2 × 200
    codex-rehearse: two: 1 request: 200
    --- exit 0
    ");
    insta::assert_snapshot!(Home::new().sh("codex-rehearse --change --limit one=2h"), @"
    --- stderr
    codex-rehearse: error: --change has nothing to change: this is no rehearsal
    hint: it is for a command that codex-rehearse runs
    --- exit 2
    ");
}

#[test]
fn what_another_account_sealed_can_be_read_where_that_is_asked_for() {
    let script = r#"
        ask() {
            codex-account-pick --account $1 --format headers |
                curl -sS -H @- -d @$2 $CODEX_ACCOUNTS_UPSTREAM/codex/responses
        }
        jq '.include = ["reasoning.encrypted_content"] | .reasoning.effort = "low"' question >first
        ask one first | sed -n 's/^data: //p' |
            jq -c 'select(.type == "response.output_item.done").item | del(.id)' >items
        jq --slurpfile items items '.input += $items' first >second
        ask two second | grep -o -m 1 -e 'answered by [a-z]*' -e invalid_encrypted_content"#;
    let strict = rehearse(&Home::new(), "", script);
    assert_eq!(strict.stdout, "invalid_encrypted_content\n", "{strict}");
    let portable = rehearse(&Home::new(), "--portable", script);
    assert_eq!(portable.stdout, "answered by two\n", "{portable}");
}

#[test]
fn usage_is_what_was_asked_for() {
    let script = "codex-usage-fetch | jq -c '[.label, [.windows[].usedPercent]]'";
    let options = "--usage one=42,7 --usage account-two=99.5";
    insta::assert_snapshot!(rehearse(&Home::new(), options, script), @r#"
    ["one",[42,7]]
    ["two",[99.5,31]]
    --- exit 0
    "#);
}

#[test]
fn a_slow_answer_comes_in_pieces() {
    let script = format!(
        "({ASK_AS_ONE} -N) >answer & until grep -q response.created answer; do :; done
         kill $!; grep -c response.completed answer"
    );
    let shown = rehearse(&Home::new(), "--slow 1h", &script);
    assert_eq!((shown.code, shown.stdout.as_str()), (1, "0\n"), "{shown}");
}

#[test]
fn a_dead_login_is_dead_by_every_name_of_its_account() {
    for name in ["0", "one", "one@example.com", "account-one"] {
        let script = "codex-token-refresh --force one 2>&1; codex-account-pick --format id";
        let shown = rehearse(&Home::new(), &format!("--kill {name}"), script);
        assert!(
            shown.stdout.contains("needs a new login"),
            "{name}: {shown}"
        );
        assert!(shown.stdout.ends_with("account-two\n"), "{name}: {shown}");
    }
}

#[test]
fn an_account_that_is_not_there_is_a_usage_error_with_and_without_a_command() {
    for option in ["--kill three", "--limit three=1h", "--usage 2=5"] {
        for command in ["", "-- true"] {
            let shown = Home::new().sh(&format!("codex-rehearse {option} {command}"));
            assert_eq!((shown.code, shown.stdout.as_str()), (2, ""), "{shown}");
            assert!(shown.stderr.contains("no pretend account '"), "{shown}");
        }
    }
}

#[test]
fn a_store_is_refused_since_a_rehearsal_has_its_own() {
    let shown = Home::new().sh("codex-rehearse --store mine.json -- true");
    insta::assert_snapshot!(shown, @"
    --- stderr
    codex-rehearse: error: --store has no use here: a rehearsal has a store of its own
    hint: name the store in the command, after '--'
    --- exit 2
    ");
}

// --- Without a command

#[test]
fn the_demonstration_shows_the_main_job() {
    let home = Home::new();
    let shown = home.sh("codex-rehearse");
    assert_eq!((shown.code, shown.stderr.as_str()), (0, ""), "{shown}");
    let (before, accounts) = shown.stdout.split_once("$ codex-accounts\n").unwrap();
    insta::assert_snapshot!(before, @"
    A rehearsal with pretend accounts: nothing leaves this machine.

    $ codex-accounts add one
    codex-accounts: logged in as one, account 0
    $ codex-accounts add two
    codex-accounts: logged in as two, account 1

    $ codex-launch agent
    request 1  one      200 OK
               the agent is told: answered by one@example.com
    request 2  one      429 Too Many Requests
               two      200 OK
               the agent is told: answered by two@example.com
    request 3  two      200 OK
               the agent is told: answered by two@example.com
    ");
    // The rest is the real view, at the time of the test.
    let view = |label: &str| {
        let row = accounts.lines().find(|line| line.contains(label));
        row.unwrap_or_default().to_owned()
    };
    assert!(view(" one ").contains("back 23:16"), "{shown}");
    assert!(accounts.contains("one is back at 23:16"), "{shown}");
    assert!(view(" two ").contains("ready"), "{shown}");
    assert!(
        accounts.ends_with("then codex-launch opencode\n"),
        "{shown}"
    );
    assert_nothing_left(&home);
}

#[test]
fn the_demonstration_ignored_a_dead_login() {
    let shown = Home::new().sh("codex-rehearse --kill one | sed -n '/agent/,/^$/p'");
    insta::assert_snapshot!(shown, @"
    $ codex-launch agent
    request 1  one      401 Unauthorized
               issuer   401 Unauthorized
               two      200 OK
               the agent is told: answered by two@example.com
    request 2  two      200 OK
               the agent is told: answered by two@example.com
    request 3  two      200 OK
               the agent is told: answered by two@example.com

    --- exit 0
    ");
}

#[test]
fn the_demonstration_plays_what_was_asked_for() {
    let options = "--accounts 3 --limit one=1h --limit two=2h:retry-after";
    let shown = Home::new().sh(&format!(
        "codex-rehearse {options} | sed -n '/agent/,/^$/p'"
    ));
    insta::assert_snapshot!(shown, @"
    $ codex-launch agent
    request 1  one      429 Too Many Requests
               two      429 Too Many Requests
               three    200 OK
               the agent is told: answered by three@example.com
    request 2  three    200 OK
               the agent is told: answered by three@example.com
    request 3  three    200 OK
               the agent is told: answered by three@example.com

    --- exit 0
    ");
}

#[test]
fn the_demonstration_is_in_colour_where_that_is_wanted() {
    let mut home = Home::new();
    assert!(!home.sh("codex-rehearse").stdout.contains('\u{1b}'));
    home.set("CLICOLOR_FORCE", "1");
    assert!(
        home.sh("codex-rehearse")
            .stdout
            .contains("\u{1b}[32m200 OK")
    );
    home.set("NO_COLOR", "1");
    assert!(!home.sh("codex-rehearse").stdout.contains('\u{1b}'));
}
