//! `codex-ratelimit-mark`: what responses mean, one file a case, and what a sequence of them
//! comes to.
//!
//! A case is `tests/fixtures/mark/NAME.in`, the bytes on stdin, or nothing if there is no such file;
//! `NAME.args`, if it takes flags; and `NAME.out`: the record from its verdict on, or `exit CODE:
//! MESSAGE`; below it what of the account's other fields changed, `null` for one that is gone. Every
//! case begins with a fresh store at the second of [`CLOCK`].

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Stdio;

use codex_accounts::account::limit::{codes, longest};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use serde_json::{Map, Value, json};

use super::support::accounts::{account, store};
use super::support::shown::Shown;
use super::support::stage::wait_until;
use super::support::{CLOCK, Home};

/// The moment of every test, as the store counts.
const NOW: u64 = CLOCK * 1000;

const MINUTE: u64 = 60 * 1000;

#[test]
fn every_response_gives_its_record() {
    let home = Home::new();
    let mut found = Vec::new();
    for (name, case) in &cases() {
        let told = case.outcome(&home);
        if told != case.expected {
            let expected = case.expected.trim_end();
            found.push(format!("{name}:\n-{expected}\n+{}", told.trim_end()));
        }
    }
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

#[test]
fn there_are_cases_enough() {
    assert!(cases().len() >= 120, "{}", cases().len());
}

#[test]
fn tee_passes_every_input_on_and_judges_it_the_same() {
    let home = Home::new();
    for (name, case) in &cases() {
        let (Some(input), true) = (&case.input, case.args.is_empty()) else {
            continue;
        };
        let plain = case.run(&home);
        home.write_store(&stage());
        let script = "codex-ratelimit-mark --tee work 3>record";
        let mut teed = home.command("sh");
        let teed = teed.args(["-c", script]).write_stdin(input.clone());
        let teed = teed.output().expect("sh starts");
        assert!(teed.stdout == *input, "{name}: stdout is not the input");
        assert_eq!(teed.status.code(), Some(plain.code), "{name}");
        let record = fs::read_to_string(home.path().join("record")).expect("a record");
        assert_eq!(record, plain.stdout, "{name}");
    }
}

#[test]
fn the_page_lists_the_table_of_codes() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("man/codex-ratelimit-mark.1");
    let page = fs::read_to_string(page).expect("the page");
    let listed: Vec<&str> = page.lines().filter(|line| line.contains(" Ta ")).collect();
    let line = |code: &codes::Code| {
        let verdict = code.at_backend.verdict();
        format!(".It Cm {} Ta {verdict}", code.name)
    };
    let table: Vec<String> = codes::TABLE.iter().map(line).collect();
    assert_eq!(listed, table);
}

/// A response, and what is expected of it.
struct Case {
    input: Option<Vec<u8>>,
    args: Vec<String>,
    expected: String,
}

fn cases() -> BTreeMap<String, Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/mark");
    let files = fs::read_dir(&folder).expect("the cases");
    let files = files.map(|entry| entry.expect("an entry").path());
    let outs = files.filter(|path| path.extension().is_some_and(|end| end == "out"));
    let mut cases = BTreeMap::new();
    for out in outs {
        let name = out.file_stem().expect("a name").to_string_lossy();
        cases.insert(name.into_owned(), Case::read(&out));
    }
    cases
}

impl Case {
    fn read(out: &Path) -> Case {
        let args = fs::read_to_string(out.with_extension("args")).unwrap_or_default();
        Case {
            input: fs::read(out.with_extension("in")).ok(),
            args: args.split_whitespace().map(String::from).collect(),
            expected: fs::read_to_string(out).expect("what is expected"),
        }
    }

    fn run(&self, home: &Home) -> Shown {
        home.write_store(&stage());
        let mut command = home.command("codex-ratelimit-mark");
        command.args(&self.args).arg("work");
        home.run(command.write_stdin(self.input.clone().unwrap_or_default()))
    }

    /// What came of it, as the `.out` file writes it. What no case may do fails at once.
    fn outcome(&self, home: &Home) -> String {
        let shown = self.run(home);
        let after = home.store();
        assert_eq!(after["accounts"][1], account("personal"));
        if shown.code != 0 {
            assert_eq!(after, stage(), "something was marked:\n{shown}");
            assert_eq!(shown.stdout, "", "a failure prints nothing:\n{shown}");
            let error = shown.stderr.lines().next().unwrap_or_default();
            let message = error.strip_prefix("codex-ratelimit-mark: error: ");
            return format!("exit {}: {}\n", shown.code, message.unwrap_or(error));
        }
        assert_eq!(shown.stderr, "");
        let record = record_of(&shown);
        if let Some(until) = record.get("until").and_then(Value::as_u64) {
            let minutes = record.get("windowMinutes").and_then(Value::as_u64);
            let minutes = minutes.map(|minutes| u32::try_from(minutes).expect("a length"));
            let source = serde_json::from_value(record["source"].clone()).expect("a source");
            let longest = u64::try_from(longest(minutes, &source).as_millis());
            let longest = NOW + longest.expect("a month or so");
            assert!(NOW < until && until <= longest, "{shown}");
        }
        let mut told = Value::Object(record).to_string() + "\n";
        let changed = changes(&after["accounts"][0]);
        if !changed.is_empty() {
            writeln!(told, "{}", Value::Object(changed)).expect("memory");
        }
        told
    }
}

/// The record from its verdict on; before that it says who.
fn record_of(shown: &Shown) -> Map<String, Value> {
    let record = shown.json();
    let keys = record.as_object().expect("an object").iter();
    let keys: Vec<_> = keys.collect();
    let who: Vec<&str> = keys.iter().take(6).map(|(key, _)| key.as_str()).collect();
    let expected = [
        "v",
        "index",
        "chatgptAccountId",
        "chatgptUserId",
        "email",
        "label",
    ];
    assert_eq!(who, expected);
    let rest = keys.into_iter().skip(6);
    rest.map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}

/// The fields of `work` that are not as they were. A mark is in the record.
fn changes(after: &Value) -> Map<String, Value> {
    let before = account("work");
    let (before, after) = (
        before.as_object().expect("an account"),
        after.as_object().expect("an account"),
    );
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let changed = names
        .into_iter()
        .filter(|name| !["limits", "rateLimitResetTime"].contains(&name.as_str()))
        .filter(|name| before.get(*name) != after.get(*name));
    changed
        .map(|name| {
            (
                name.clone(),
                after.get(name).cloned().unwrap_or(Value::Null),
            )
        })
        .collect()
}

fn stage() -> Value {
    store([account("work"), account("personal")])
}

/// A home in which `work` gets one response after the other.
struct Story {
    home: Home,
}

impl Story {
    fn new() -> Story {
        let home = Home::new();
        home.write_store(&stage());
        Story { home }
    }

    /// Lets time pass: this long after [`CLOCK`].
    fn at(&mut self, seconds: u64) -> &mut Story {
        let clock = (CLOCK + seconds).to_string();
        self.home.set("CODEX_ACCOUNTS_CLOCK", clock);
        self
    }

    fn mark(&self, args: &[&str], response: &str) -> Map<String, Value> {
        let mut command = self.home.command("codex-ratelimit-mark");
        command.args(args).arg("work");
        record_of(&self.home.run(command.write_stdin(response)))
    }

    /// When the mark of a scope ends, in seconds after [`CLOCK`].
    fn until(&self, scope: &str) -> Option<u64> {
        let store = self.home.store();
        let until = store["accounts"][0]["limits"][scope]["until"].as_u64()?;
        Some(until / 1000 - CLOCK)
    }

    fn pick(&self, args: &[&str]) -> String {
        let mut command = self.home.command("codex-account-pick");
        let shown = self
            .home
            .run(command.args(args).args(["--peek", "--format", "json"]));
        match shown.code {
            0 => shown.json()["label"].as_str().expect("a label").to_owned(),
            code => format!("exit {code}"),
        }
    }
}

fn limited_for(seconds: u64) -> String {
    format!("HTTP/1.1 429 Too Many Requests\nRetry-After: {seconds}\n\n")
}

/// A 429 that does not say when it ends.
const UNHINTED: &str = "HTTP/1.1 429 Too Many Requests\n\n";

const SERVED: &str = "HTTP/1.1 200 OK\n\n";

/// Headers of one window of the default scope.
fn window(minutes: u64, used: f64) -> String {
    format!(
        "x-codex-primary-used-percent: {used}\nx-codex-primary-window-minutes: {minutes}\n\
         x-codex-primary-reset-at: {}\n",
        CLOCK + 5000
    )
}

#[test]
fn a_mark_is_never_made_shorter() {
    let mut story = Story::new();
    story.mark(&[], &limited_for(600));
    let record = story.at(1).mark(&[], &limited_for(60));
    assert_eq!(story.until("default"), Some(600));
    assert_eq!(record["until"], NOW + 10 * MINUTE);
    story.mark(&[], UNHINTED);
    assert_eq!(story.until("default"), Some(600));
    story.mark(&[], &limited_for(900));
    assert_eq!(story.until("default"), Some(901));
}

#[test]
fn a_mark_that_is_over_gives_way() {
    let mut story = Story::new();
    story.mark(&[], &limited_for(600));
    story.at(601).mark(&[], &limited_for(5));
    assert_eq!(story.until("default"), Some(606));
}

#[test]
fn the_mirror_is_the_default_mark() {
    let story = Story::new();
    let mirror = || story.home.store()["accounts"][0]["rateLimitResetTime"].clone();
    story.mark(&["--scope", "other", "--retry-after", "7d"], "");
    story.mark(&[], &limited_for(600));
    assert_eq!(mirror(), NOW + 10 * MINUTE);
    story.mark(&["--clear"], "");
    assert_eq!(mirror(), Value::Null);
}

#[test]
fn without_a_hint_each_repeat_waits_twice_as_long_up_to_half_an_hour() {
    let mut story = Story::new();
    let mut now = 0;
    let mut waits = Vec::new();
    for _ in 0..8 {
        story.at(now).mark(&[], UNHINTED);
        let until = story.until("default").expect("a mark");
        waits.push((until - now) / 60);
        now = until;
    }
    assert_eq!(waits, [1, 2, 4, 8, 16, 30, 30, 30]);
    // Half a day later it is another story.
    now += 12 * 60 * 60;
    story.at(now).mark(&[], UNHINTED);
    assert_eq!(story.until("default"), Some(now + 60));
}

#[test]
fn parallel_limits_without_a_hint_are_one_event() {
    let home = Home::new();
    home.write_store(&stage());
    let shown = home.sh("for n in 1 2 3 4 5 6 7; do \
         codex-ratelimit-mark --status 429 work >/dev/null & done; wait");
    assert_eq!(shown.code, 0, "{shown}");
    let mark = &home.store()["accounts"][0]["limits"]["default"];
    assert_eq!(mark["until"], NOW + MINUTE);
    assert_eq!(mark["repeats"], Value::Null);
}

#[test]
fn a_hint_ends_the_doubling() {
    let mut story = Story::new();
    story.mark(&[], UNHINTED);
    story.at(60).mark(&[], &limited_for(120));
    story.at(180).mark(&[], UNHINTED);
    assert_eq!(story.until("default"), Some(240));
}

#[test]
fn a_success_lifts_a_guess_and_ends_the_doubling() {
    let mut story = Story::new();
    story.mark(&[], UNHINTED);
    story.at(10).mark(&[], SERVED);
    assert_eq!(story.until("default"), None);
    story.at(20).mark(&[], UNHINTED);
    assert_eq!(story.until("default"), Some(80));
}

#[test]
fn recovery_is_seen_in_the_window_that_was_used_up() {
    let story = Story::new();
    let response = |status: &str, minutes, used| {
        story.mark(
            &[],
            &format!("HTTP/1.1 {status}\n{}\n", window(minutes, used)),
        );
        story.until("default")
    };
    assert_eq!(response("429", 300, 100.0), Some(5000));
    assert_eq!(response("200", 10_080, 7.0), Some(5000), "another window");
    assert_eq!(response("200", 300, 100.0), Some(5000), "nothing is left");
    assert_eq!(response("500", 300, 3.0), Some(5000), "no success");
    assert_eq!(response("200", 300, 3.0), None);
}

#[test]
fn a_success_that_says_nothing_of_usage_lifts_no_mark_with_a_source() {
    let story = Story::new();
    story.mark(&[], &limited_for(600));
    story.mark(&[], SERVED);
    assert_eq!(story.until("default"), Some(600));
}

#[test]
fn an_older_success_lifts_no_newer_mark() {
    let mut story = Story::new();
    let limited = format!("HTTP/1.1 429\nRetry-After: 3600\n{}\n", window(300, 100.0));
    let success = format!("HTTP/1.1 200 OK\n{}\n", window(300, 5.0));
    let asked = CLOCK.to_string();
    story.at(10).mark(&[], &limited);
    story.at(20).mark(&["--asked-at", &asked], &success);
    assert!(
        story.until("default").is_some(),
        "it went out before the mark"
    );
    story.mark(&[], &success);
    assert_eq!(story.until("default"), None);
}

#[test]
fn a_response_is_asked_for_when_the_command_starts_and_not_when_it_ends() {
    let mut story = Story::new();
    story.home.unset("CODEX_ACCOUNTS_CLOCK");
    let mut command = story.home.std_command("codex-ratelimit-mark");
    command.args(["--tee", "work"]).stderr(Stdio::null());
    let pipes = command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut running = pipes.spawn().expect("it starts");
    let mut input = running.stdin.take().expect("a pipe");
    let mut output = running.stdout.take().expect("a pipe");
    let head = b"HTTP/1.1 200 OK\r\n";
    input.write_all(head).expect("it reads");
    output.read_exact(&mut [0; 17]).expect("it copies");
    // What is marked while the success is under way is newer than it.
    story.mark(&[], UNHINTED);
    input.write_all(b"\r\n").expect("it reads");
    drop((input, output));
    assert!(running.wait().expect("it ends").success());
    let store = story.home.store();
    assert!(store["accounts"][0]["limits"]["default"].is_object());
}

#[test]
fn an_account_without_the_model_is_passed_over_for_that_model() {
    let story = Story::new();
    let lacks = "HTTP/1.1 400\n\n{\"detail\":\"The 'gpt-5.3-codex' model is not supported when \
                 using Codex with a ChatGPT account.\"}";
    story.mark(&["--model", "gpt-5.3-codex"], lacks);
    assert_eq!(story.pick(&["--model", "gpt-5.3-codex"]), "personal");
    assert_eq!(story.pick(&["--model", "gpt-5.5"]), "work");
    let mut command = story.home.command("codex-account-pick");
    let reasons = story
        .home
        .run(command.args(["--explain", "--model", "gpt-5.3-codex"]));
    assert!(
        reasons
            .stdout
            .contains(r#""reason":"model-not-included","until":"#),
        "{reasons}"
    );
    assert_eq!(
        story.pick(&["--account", "work", "--model", "gpt-5.3-codex"]),
        "exit 77"
    );
}

#[test]
fn usage_is_kept_by_length_when_the_windows_change_places() {
    let story = Story::new();
    let both = |first, second| {
        format!(
            "HTTP/1.1 200 OK\n{}{}\n",
            window(first, 10.0),
            window(second, 20.0).replace("primary", "secondary")
        )
    };
    let used = || -> Vec<(u64, f64)> {
        let store = story.home.store();
        let windows = &store["accounts"][0]["usage"]["windows"];
        let windows = windows.as_array().expect("windows").iter();
        let number = |window: &Value, name: &str| window[name].as_f64().expect("a number");
        windows
            .map(|it| {
                (
                    it["minutes"].as_u64().expect("minutes"),
                    number(it, "usedPercent"),
                )
            })
            .collect()
    };
    story.mark(&[], &both(300, 10_080));
    assert_eq!(used(), [(300, 10.0), (10_080, 20.0)]);
    story.mark(&[], &both(10_080, 300));
    assert_eq!(used(), [(300, 20.0), (10_080, 10.0)]);
}

/// A 429 for the family `codex_bengalfox`, which names no model.
const FAMILY: &str = "HTTP/1.1 429 Too Many Requests\nx-codex-active-limit: codex_bengalfox\n\
    x-codex-bengalfox-primary-used-percent: 100\nx-codex-bengalfox-primary-window-minutes: 300\n\
    x-codex-bengalfox-primary-reset-after-seconds: 600\n\n";

#[test]
fn a_limit_of_a_family_blocks_no_other_model() {
    let story = Story::new();
    story.mark(&["--model", "gpt-spark"], FAMILY);
    assert_eq!(story.until("codex_bengalfox"), Some(600));
    assert_eq!(story.until("default"), None);
    assert_eq!(story.pick(&[]), "work");
    assert_eq!(story.pick(&["--model", "gpt-5.5"]), "work");
    assert_eq!(story.pick(&["--model", "gpt-spark"]), "personal");
    assert_eq!(story.pick(&["--model", "openai/GPT-spark"]), "personal");
}

#[test]
fn a_scope_learns_its_models_one_by_one_and_forgets_none() {
    let story = Story::new();
    let named = FAMILY.replace("\n\n", "\nx-codex-bengalfox-limit-name: gpt-named\n\n");
    story.mark(&[], &named);
    story.mark(&["--model", "gpt-asked"], FAMILY);
    story.mark(&["--model", "openai/gpt-asked"], FAMILY);
    let by_hand = ["--scope", "codex_bengalfox", "--model", "gpt-told"];
    story.mark(&[&by_hand[..], &["--retry-after", "1"]].concat(), "");
    let store = story.home.store();
    let mark = &store["accounts"][0]["limits"]["codex_bengalfox"];
    assert_eq!(
        mark["models"],
        json!(["gpt-named", "gpt-asked", "gpt-told"])
    );
    assert_eq!(story.until("codex_bengalfox"), Some(600));
    for model in ["gpt-named", "gpt-asked", "gpt-told"] {
        assert_eq!(story.pick(&["--model", model]), "personal");
    }
}

#[test]
fn the_models_of_a_family_stay_known_when_its_limit_is_lifted() {
    for lifted in ["by hand", "by a success"] {
        let story = Story::new();
        story.mark(&["--model", "gpt-spark"], FAMILY);
        match lifted {
            "by hand" => story.mark(&["--clear", "--scope", "codex_bengalfox"], ""),
            _ => {
                let windows = FAMILY.replace("429 Too Many Requests", "200 OK");
                story.mark(&[], &windows.replace(": 100", ": 3"))
            }
        };
        assert_eq!(story.until("codex_bengalfox"), None, "{lifted}");
        assert_eq!(story.pick(&["--model", "gpt-spark"]), "work", "{lifted}");
        let nameless = "HTTP/1.1 429\nx-codex-active-limit: codex_bengalfox\nRetry-After: 60\n\n";
        story.mark(&[], nameless);
        assert_eq!(story.until("codex_bengalfox"), Some(60), "{lifted}");
        assert_eq!(story.pick(&["--model", "gpt-spark"]), "personal");
        assert_eq!(story.pick(&["--model", "gpt-5.5"]), "work", "{lifted}");
    }
}

#[test]
fn a_scope_has_a_name() {
    let home = Home::new();
    home.write_store(&stage());
    for scope in ["", " "] {
        let shown = home.sh(&format!(
            "codex-ratelimit-mark --clear --scope '{scope}' work"
        ));
        assert_eq!((shown.code, shown.stdout.as_str()), (2, ""), "{shown}");
    }
}

#[test]
fn a_limit_of_all_models_is_one_of_each_model() {
    let story = Story::new();
    story.mark(&["--model", "gpt-5.5"], &limited_for(600));
    assert_eq!(story.pick(&["--model", "gpt-spark"]), "personal");
}

#[test]
fn recovery_of_a_family_is_seen_whatever_model_was_asked() {
    let story = Story::new();
    story.mark(&["--model", "gpt-spark"], FAMILY);
    story.mark(&[], &limited_for(900));
    let windows = FAMILY.replace("429 Too Many Requests", "200 OK");
    story.mark(&["--model", "gpt-5.5"], &windows.replace(": 100", ": 3"));
    assert_eq!(story.until("codex_bengalfox"), None);
    assert_eq!(
        story.until("default"),
        Some(900),
        "of which it says nothing"
    );
}

#[test]
fn a_success_with_another_model_lifts_no_guess_of_a_family() {
    let story = Story::new();
    let guess = "HTTP/1.1 429\nx-codex-active-limit: codex_bengalfox\n\
                 x-codex-bengalfox-limit-name: gpt-spark\n\n";
    story.mark(&[], guess);
    story.mark(&["--model", "gpt-5.5"], SERVED);
    assert_eq!(story.until("codex_bengalfox"), Some(60));
    story.mark(&["--model", "gpt-spark"], SERVED);
    assert_eq!(story.until("codex_bengalfox"), None);
}

#[test]
fn what_a_hand_set_only_a_hand_or_time_ends() {
    let mut story = Story::new();
    story.mark(&["--retry-after", "10m"], "");
    let room = format!("HTTP/1.1 200 OK\n{}\n", window(300, 1.0));
    story.mark(&[], &room);
    story.mark(&[], &limited_for(9000));
    assert_eq!(story.until("default"), Some(600));
    story.mark(&["--until", &(CLOCK + 900).to_string()], "");
    assert_eq!(story.until("default"), Some(900));
    story.mark(&["--clear"], "");
    assert_eq!(story.until("default"), None);
    story.mark(&["--retry-after", "10m"], "");
    story.at(601).mark(&[], &limited_for(60));
    assert_eq!(story.until("default"), Some(661));
}

#[test]
fn clearing_lifts_one_scope() {
    let story = Story::new();
    story.mark(&["--model", "gpt-spark"], FAMILY);
    story.mark(&[], &limited_for(600));
    story.mark(&["--clear", "--scope", "codex_bengalfox"], "");
    assert_eq!(story.until("codex_bengalfox"), None);
    assert_eq!(story.until("default"), Some(600));
    story.mark(&["--clear", "--scope", "never-heard-of"], "");
}

#[test]
fn the_verdict_can_be_the_exit_code() {
    let home = Home::new();
    home.write_store(&stage());
    for (status, code) in [
        (200, 0),
        (404, 0),
        (429, 75),
        (500, 69),
        (401, 77),
        (402, 0),
        (403, 0),
    ] {
        let script = format!("codex-ratelimit-mark --exit-code --status {status} work");
        let shown = home.sh(&script);
        assert_eq!(shown.code, code, "{status}");
        assert!(shown.json()["verdict"].is_string(), "{shown}");
    }
    let shown = home.sh("codex-ratelimit-mark --exit-code work </dev/null");
    assert_eq!((shown.code, shown.stdout.as_str()), (1, ""));
}

#[test]
fn a_wrong_name_is_told_and_marks_nothing() {
    let home = Home::new();
    home.write_store(&stage());
    insta::assert_snapshot!(home.sh("codex-ratelimit-mark --status 429 wrok"), @"
    --- stderr
    codex-ratelimit-mark: error: no account is called 'wrok'
    hint: did you mean 'work'? there is 0 work, 1 personal
    --- exit 1
    ");
    // Its pipeline goes on all the same.
    insta::assert_snapshot!(home.sh("echo hello | codex-ratelimit-mark --tee wrok"), @"
    hello
    --- stderr
    codex-ratelimit-mark: error: no account is called 'wrok'
    hint: did you mean 'work'? there is 0 work, 1 personal
    --- exit 1
    ");
    assert_eq!(home.store(), stage());
}

#[test]
fn tee_passes_on_what_comes_before_the_rest_is_there() {
    let home = Home::new();
    home.write_store(&stage());
    // The rest is sent only when the first line has come through.
    let shown = home.sh("mkfifo in out
        codex-ratelimit-mark --tee work <in >out 2>record & exec 4>in 5<out
        printf 'HTTP/1.1 429 Slow\\n' >&4; read first <&5
        printf 'Retry-After: 60\\n\\n' >&4; exec 4>&-
        echo \"first: $first\"; cat <&5; wait; jq -r .until record");
    insta::assert_snapshot!(shown, @"
    first: HTTP/1.1 429 Slow
    Retry-After: 60

    1777922756000
    --- exit 0
    ");
}

/// A 429 as a file `limited`, whose second word tells until when.
const LIMITED_FILE: &str = "printf 'HTTP/1.1 429\\nRetry-After: 60\\n\\n' >limited";

#[test]
fn tee_does_not_write_to_a_descriptor_3_that_is_read_from() {
    let home = Home::new();
    home.write_store(&stage());
    let shown = home.sh(&format!(
        "{LIMITED_FILE}; printf 'one\\ntwo\\n' >list
        while read -r name <&3; do
            echo $name; codex-ratelimit-mark --tee work <limited >/dev/null 2>>marks
        done 3<list
        cat list; jq -r .verdict marks"
    ));
    insta::assert_snapshot!(shown, @"
    one
    two
    one
    two
    limited
    limited
    --- exit 0
    ");
}

#[test]
fn tee_writes_where_descriptor_3_stands() {
    let home = Home::new();
    home.write_store(&stage());
    let shown = home.sh(&format!(
        "{LIMITED_FILE}; mark='codex-ratelimit-mark --tee work'
        {{ echo begin >&3; $mark <limited; echo middle >&3; $mark <limited; echo end >&3; }} \
            3>records >/dev/null
        sed 's/^{{.*/record/' records"
    ));
    insta::assert_snapshot!(shown, @"
    begin
    record
    middle
    record
    end
    --- exit 0
    ");
}

#[test]
fn tee_marks_what_it_cannot_copy() {
    let home = Home::new();
    home.write_store(&stage());
    let shown = home.sh(&format!(
        "{LIMITED_FILE}; codex-ratelimit-mark --tee work <limited 3>record >/dev/full
        echo $?; jq -r .verdict record"
    ));
    insta::assert_snapshot!(shown, @"
    74
    limited
    --- stderr
    codex-ratelimit-mark: error: standard output: No space left on device (os error 28)
    --- exit 0
    ");
}

#[test]
fn ctrl_c_does_not_keep_what_was_read_from_being_recorded() {
    let home = Home::new();
    home.write_store(&stage());
    let script = "{ printf 'HTTP/1.1 429\\nRetry-After: 60\\n\\nhalf'; exec sleep 600; } |
        codex-ratelimit-mark --tee work >copy 3>record";
    let mut pipeline = home.std_command("sh");
    let mut pipeline = pipeline
        .args(["-c", script])
        .process_group(0)
        .spawn()
        .expect("sh starts");
    let copied =
        || fs::read_to_string(home.path().join("copy")).is_ok_and(|it| it.contains("half"));
    wait_until("the head was read", copied);
    let group = Pid::from_raw(pipeline.id().cast_signed());
    killpg(group, Signal::SIGINT).expect("a group");
    pipeline.wait().expect("its end");
    let recorded = || home.store()["accounts"][0]["limits"]["default"]["until"] == NOW + MINUTE;
    wait_until("the limit is recorded", recorded);
}

#[test]
fn an_endless_input_is_refused() {
    let home = Home::new();
    home.write_store(&stage());
    let shown = home.sh("{ echo 'HTTP/1.1 429'; echo; yes; } | codex-ratelimit-mark work");
    insta::assert_snapshot!(shown, @"
    --- stderr
    codex-ratelimit-mark: error: the input is larger than 64 MiB
    --- exit 65
    ");
    assert_eq!(home.store(), stage());
}

#[test]
fn a_head_of_more_lines_than_fit_is_no_head() {
    let home = Home::new();
    home.write_store(&stage());
    let shown =
        home.sh("{ echo 'HTTP/1.1 429'; seq -f 'x-%.0f: b' 40000; } | codex-ratelimit-mark work");
    assert_eq!(shown.code, 65, "{shown}");
}

#[test]
fn tee_judges_the_rest_when_its_reader_is_gone() {
    let home = Home::new();
    home.write_store(&stage());
    let shown = home.sh(
        "{ echo 'HTTP/1.1 429'; echo 'Retry-After: 60'; echo; yes | head -c 1000000; } |
        codex-ratelimit-mark --tee work 3>record | true; jq -r .source record",
    );
    insta::assert_snapshot!(shown, @"
    headers.retry-after
    --- exit 0
    ");
}

#[test]
fn without_a_store_the_record_is_printed_and_nothing_kept() {
    let home = Home::new();
    let auth = r#"{"openai":{"type":"oauth","refresh":"r1|a1||r2|a2","access":"","expires":0}}"#;
    let path = home.write(".local/share/opencode/auth.json", auth);
    let shown = home.sh("codex-ratelimit-mark --retry-after 60 a2");
    insta::assert_snapshot!(shown, @r#"
    {"v":1,"index":1,"chatgptAccountId":"a2","verdict":"limited","scope":"default","until":1777922756000,"source":"hand","class":"quota"}
    --- exit 0
    "#);
    assert_eq!(fs::read_to_string(path).expect("auth.json"), auth);
    assert!(!home.store_path().exists());
}

#[test]
fn nothing_at_all_to_mark_is_a_clear_no() {
    let home = Home::new();
    insta::assert_snapshot!(home.sh("codex-ratelimit-mark --status 429 0"), @"
    --- stderr
    codex-ratelimit-mark: error: no account is called '0'
    --- exit 1
    ");
}

#[test]
fn a_store_that_others_can_read_is_refused() {
    let home = Home::new();
    home.write_store(&stage());
    let open = fs::Permissions::from_mode(0o644);
    fs::set_permissions(home.store_path(), open).expect("mode");
    assert_eq!(home.sh("codex-ratelimit-mark --status 429 0").code, 77);
}

#[test]
fn many_at_once_lose_no_mark() {
    let home = Home::new();
    let labels: Vec<String> = (0..12).map(|n| format!("account-{n}")).collect();
    home.write_store(&store(labels.iter().map(|label| account(label))));
    let shown = home.sh("for n in 0 1 2 3 4 5 6 7 8 9 10 11; do \
         codex-ratelimit-mark --retry-after 60 account-$n >/dev/null & done; wait");
    assert_eq!(shown.code, 0, "{shown}");
    let after = home.store();
    for index in 0..labels.len() {
        let until = &after["accounts"][index]["limits"]["default"]["until"];
        assert_eq!(*until, NOW + MINUTE, "{index}");
    }
}
