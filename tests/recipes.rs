//! The recipes of codex-plumbing(7) when things go wrong, in dash: none sends a request without an
//! account, none asks an account twice, and none goes on after anything but a limit. How many
//! requests were made is counted at the backend. That they work is shown by the examples of the page
//! (`manual`) and with the real opencode (`opencode`).

use std::time::Duration;

use codex_accounts::rehearse::{Answer, Pretend, Script, Standing, Style};
use serde_json::{Value, json};

use super::support::Home;
use super::support::mdoc::Page;
use super::support::pretend::Servers;
use super::support::shown::Shown;

const HOUR: Duration = Duration::from_secs(3600);

/// Nobody listens there.
const NOBODY: &str = "http://127.0.0.1:1";

fn page() -> Page {
    Page::new(include_str!("../man/codex-plumbing.7"))
}

/// The first command among the page's examples that begins so, as a person would type it.
fn command(begins: &str) -> String {
    let blocks = page().literals("EXAMPLES").concat();
    let first = blocks.iter().skip_while(|line| {
        line.strip_prefix("$ ")
            .is_none_or(|it| !it.starts_with(begins))
    });
    let mut lines = first.map(String::as_str);
    let mut text = lines.next().expect("an example")[2..].to_owned();
    for more in lines.map_while(|line| line.strip_prefix("> ")) {
        text = text + "\n" + more;
    }
    text
}

/// What the recipes that ask the backend stand on.
fn definitions() -> String {
    ["backend=", "echo ", "ask()"].map(command).join("\n")
}

fn rotate() -> String {
    [definitions(), command("rotate()"), "rotate".to_owned()].join("\n")
}

/// The loop round opencode.
fn without_a_relay() -> String {
    page().literals("WITHOUT A RELAY").concat().join("\n")
}

fn dash(home: &Home, script: &str) -> Shown {
    let mut command = home.command("dash");
    // In trouble the real opencode takes more than a minute, and more on a busy machine.
    command.timeout(Duration::from_secs(300));
    home.run(command.args(["-c", script]).env("question", "who are you"))
}

/// Which accounts asked the backend, in order.
fn asked(pretend: &Pretend) -> Vec<Option<usize>> {
    let seen = pretend.seen();
    let asked = seen
        .iter()
        .filter(|seen| seen.is("POST", "/backend-api/codex/responses"));
    asked.map(|seen| seen.account).collect()
}

/// Two accounts, each of which always answers so.
fn both(style: Style) -> (Home, Servers) {
    let mut script = Script::with_accounts(2);
    for account in &mut script.accounts {
        account.standing = Standing::Always(Answer::limit(style, HOUR));
    }
    let mut home = Home::new();
    let pretend = home.with_servers(script);
    (home, pretend)
}

#[test]
fn rotate_goes_on_after_a_limit_and_after_nothing_else() {
    let (first, each) = (vec![Some(0)], vec![Some(0), Some(1)]);
    for (style, code, requests) in [
        (Style::UsageLimit, 75, &each),
        (Style::NoHint, 75, &each),
        (Style::Throttle, 75, &each),
        (Style::ModelFamily, 75, &each),
        (Style::Limit404, 75, &each),
        (Style::FailedCreated, 75, &each),
        (Style::Overloaded, 69, &first),
        (Style::Error502, 69, &first),
        (Style::NotIncluded403, 77, &first),
        (Style::Expired, 77, &first),
        (Style::Invalidated, 77, &first),
        (Style::ModelUnsupported, 77, &first),
    ] {
        let (home, pretend) = both(style);
        let shown = dash(&home, &rotate());
        assert_eq!(
            (shown.code, &asked(&pretend)),
            (code, requests),
            "{style}: {shown}"
        );
    }
}

#[test]
fn rotate_ends_with_a_backend_that_is_dead() {
    let (mut home, pretend) = both(Style::UsageLimit);
    home.set("CODEX_ACCOUNTS_UPSTREAM", NOBODY);
    let shown = dash(&home, &rotate());
    assert_eq!(shown.code, 7, "what curl says: {shown}");
    assert_eq!(asked(&pretend), []);
}

#[test]
fn rotate_sends_nothing_without_an_account() {
    let pretend = Pretend::start(Script::with_accounts(1)).expect("a backend");
    let mut home = Home::new();
    home.use_servers(&pretend);
    let shown = dash(&home, &rotate());
    assert_eq!(shown.code, 75, "{shown}");
    assert!(shown.stderr.contains("there are no accounts"), "{shown}");
    assert_eq!(pretend.seen().len(), 0);
}

#[test]
fn a_pick_that_fails_sends_nothing_and_marks_nobody() {
    let (home, pretend) = both(Style::UsageLimit);
    let mut store = home.store();
    store["accounts"][0]["accessToken"] = json!("two\nlines");
    home.write_store(&store);
    let shown = dash(&home, &rotate());
    assert_eq!(shown.code, 65, "{shown}");
    let once = definitions() + "\naccount=0\n" + &command("ask $account");
    let shown = dash(&home, &once);
    assert!(shown.stderr.contains("the input is empty"), "{shown}");
    assert_eq!(asked(&pretend), []);
    assert_eq!(home.store()["accounts"][0].get("limits"), None);
}

/// A home without a store, whose opencode is logged in with both accounts of the servers.
fn storeless(pretend: &Pretend) -> Home {
    let mut home = Home::new();
    home.use_servers(pretend);
    let tokens = [0, 1].map(|index| pretend.issue(index).expect("an account").refresh_token);
    let [one, two] = tokens;
    let refresh = format!("{one}|account-one||{two}|account-two");
    let entry = json!({"type": "oauth", "refresh": refresh, "access": "", "expires": 0});
    home.write(
        ".local/share/opencode/auth.json",
        json!({"openai": entry}).to_string(),
    );
    home
}

#[test]
fn rotate_ends_where_no_mark_is_kept() {
    let (_, pretend) = both(Style::UsageLimit);
    let home = storeless(&pretend);
    let shown = dash(&home, &rotate());
    assert_eq!(
        (shown.code, asked(&pretend)),
        (75, vec![Some(0), Some(1)]),
        "{shown}"
    );
}

/// An opencode that is refused so, and notes that it ran; the real one takes a minute for that.
fn install_opencode(home: &mut Home, data: &Value) {
    let data =
        json!({"type": "error", "sessionID": "s", "error": {"name": "APIError", "data": data}});
    let script = format!(
        "#!/bin/sh\n[ \"$OPENCODE_AUTH_CONTENT\" ] || exit 9\necho run >>runs\necho '{data}'\n"
    );
    home.install("opencode", &script);
}

fn runs(home: &Home) -> usize {
    let text = std::fs::read_to_string(home.path().join("runs")).unwrap_or_default();
    text.lines().count()
}

#[test]
fn the_loop_round_opencode_goes_on_after_a_limit_and_after_nothing_else() {
    let family = json!({"x-codex-active-limit": "codex_bengalfox", "retry-after": "60"});
    for (data, expected) in [
        (json!({"statusCode": 429, "message": "m"}), 2),
        (
            json!({"statusCode": 429, "message": "m", "responseHeaders": family}),
            2,
        ),
        (json!({"statusCode": 503, "message": "m"}), 1),
        (json!({"statusCode": 403, "message": "m"}), 1),
        (json!({"statusCode": 401, "message": "m"}), 1),
        (
            json!({"message": "Cannot connect to API: connect ECONNREFUSED"}),
            1,
        ),
    ] {
        let (mut home, _pretend) = both(Style::UsageLimit);
        install_opencode(&mut home, &data);
        let shown = dash(&home, &without_a_relay());
        assert_eq!(runs(&home), expected, "{data}: {shown}");
    }
}

#[test]
fn the_loop_round_opencode_ends_where_there_is_none() {
    let (home, pretend) = both(Style::UsageLimit);
    let shown = dash(&home, &without_a_relay());
    assert!(shown.stderr.contains("opencode: not found"), "{shown}");
    assert_eq!(shown.stderr.lines().count(), 1, "once: {shown}");
    assert_eq!(asked(&pretend), []);
    assert_eq!(home.store()["accounts"][0].get("limits"), None);
}

#[test]
fn the_loop_round_opencode_ends_where_no_mark_is_kept() {
    let (_, pretend) = both(Style::UsageLimit);
    let mut home = storeless(&pretend);
    install_opencode(&mut home, &json!({"statusCode": 429, "message": "m"}));
    let shown = dash(&home, &without_a_relay());
    assert_eq!(runs(&home), 2, "{shown}");
}

#[test]
fn the_loop_round_opencode_never_runs_it_without_an_account() {
    let (_, pretend) = both(Style::UsageLimit);
    let mut homes = [Home::new(), storeless(&pretend)];
    // The tokens of the second have to be renewed, and can't be.
    homes[1].set("CODEX_ACCOUNTS_ISSUER", NOBODY);
    for mut home in homes {
        install_opencode(&mut home, &json!({"statusCode": 429, "message": "m"}));
        let shown = dash(&home, &without_a_relay());
        assert_eq!(runs(&home), 0, "{shown}");
    }
}

#[test]
fn the_status_line_names_an_account_without_a_label() {
    let (home, _pretend) = both(Style::UsageLimit);
    let line = command("codex-account-pick --peek | jq");
    assert_eq!(dash(&home, &line).stdout, "one@example.com\n");
    let states = dash(&home, &command("codex-accounts status --json")).stdout;
    assert_eq!(states, "one@example.com: ready\ntwo@example.com: ready\n");
    let mut store = home.store();
    store["accounts"][0]["email"] = Value::Null;
    home.write_store(&store);
    assert_eq!(dash(&home, &line).stdout, "account-one\n");
}

#[test]
fn the_line_for_cron_renews_what_was_not_used() {
    let (home, pretend) = both(Style::UsageLimit);
    let mut store = home.store();
    for account in store["accounts"].as_array_mut().expect("accounts") {
        account["refreshedAt"] = json!(1);
    }
    home.write_store(&store);
    let line = page().literals("FROM CRON").concat().concat();
    let fields: Vec<&str> = line.splitn(6, ' ').collect();
    for field in &fields[..5] {
        assert!(
            field
                .chars()
                .all(|c| c.is_ascii_digit() || "*/,-".contains(c)),
            "{line}"
        );
    }
    // In a crontab a percent sign ends the command.
    assert!(!fields[5].contains('%'), "{line}");
    let shown = home.sh(fields[5]);
    insta::assert_snapshot!(shown, @"--- exit 0");
    let seen = pretend.seen();
    let renewed = seen.iter().filter(|seen| seen.is("POST", "/oauth/token"));
    assert_eq!(renewed.count(), 2);
}

/// What the marks of the loop say after a run of the real opencode, and who was asked. It asks a
/// server in trouble nine times by itself before it gives up.
fn with_the_real_opencode(dead: bool) -> (Vec<Value>, Vec<Option<usize>>) {
    let mut script = Script::with_accounts(2);
    for account in &mut script.accounts {
        account.standing = Standing::Always(Answer::limit(Style::Overloaded, HOUR));
    }
    let mut home = Home::with_clients();
    let pretend = home.with_servers(script);
    let base = match dead {
        true => NOBODY.to_owned(),
        false => format!("{}/codex", pretend.upstream()),
    };
    let options = json!({"provider": {"openai": {"options": {"baseURL": base}}}});
    home.set("OPENCODE_CONFIG_CONTENT", options.to_string());
    dash(&home, &without_a_relay());
    let marks = std::fs::read_to_string(home.path().join("marks")).expect("marks");
    let verdict = |line: &str| -> Value {
        let record: Value = serde_json::from_str(line).expect("a record");
        record["verdict"].clone()
    };
    (marks.lines().map(verdict).collect(), asked(&pretend))
}

#[test]
fn the_real_opencode_is_run_once_in_trouble_that_is_no_accounts() {
    // Each takes a minute, in which opencode sleeps.
    let [in_trouble, dead] = std::thread::scope(|scope| {
        [false, true]
            .map(|dead| scope.spawn(move || with_the_real_opencode(dead)))
            .map(|run| run.join().expect("its end"))
    });
    let (verdicts, asked) = in_trouble;
    assert_eq!(verdicts, ["server"]);
    assert!(
        !asked.is_empty() && asked.iter().all(|who| *who == Some(0)),
        "{asked:?}"
    );
    assert_eq!(dead, (vec![json!("other")], vec![]));
}
