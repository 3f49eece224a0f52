//! What README says is what happens: its commands are run, its pictures drawn again.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use codex_accounts::rehearse::{Pretend, Script};

use super::support::request::QUESTION;
use super::support::{Home, examples, network, picture};

const README: &str = include_str!("../README.md");

/// The pictures: a file, the command that is shown, and what is run for it.
const PICTURES: [(&str, &str, &str); 2] = [
    ("docs/demonstration.svg", "codex-rehearse", "codex-rehearse"),
    (
        "docs/status.svg",
        "codex-accounts",
        "codex-rehearse --accounts 4 --usage one=43,35 --limit two=130m --usage three=12,63 \
         --kill four -- sh -c '
             label() { codex-accounts -q label \"$1\" \"$2\"; }
             label one work && label two personal && label three team && label four spare
             codex-usage-fetch -q >/dev/null 2>&1
             codex-accounts'",
    ),
];

/// What is not run here, since it builds or is for root, and the test of packaging that shows it.
const ELSEWHERE: [(&str, &str); 21] = [
    (
        "codex-accounts --watch",
        "watch_redraws_in_place_and_leaves_the_terminal_clean",
    ),
    (
        "codex-accounts --proxy ssh://me@build.example --key-file key",
        "the_accounts_of_a_relay_can_be_looked_at_from_elsewhere",
    ),
    (
        "codex-accounts setup",
        "setup_shows_each_change_and_undo_brings_back_the_very_bytes",
    ),
    (
        "codex-accounts setup --undo",
        "setup_shows_each_change_and_undo_brings_back_the_very_bytes",
    ),
    (
        "codex-launch --proxy ssh://me@build.example --key-file key opencode",
        "a_relay_of_another_machine_is_reached_by_ssh_as_long_as_the_program_runs",
    ),
    (
        "cargo build --release --locked && target/release/codex-rehearse",
        "cargo_finds_what_is_to_be_run_and_measured",
    ),
    (
        "npm install -g codex-accounts",
        "npm_installs_every_command_and_takes_it_away",
    ),
    (
        "npm uninstall -g codex-accounts",
        "npm_installs_every_command_and_takes_it_away",
    ),
    (
        "brew install ./codex-accounts.rb",
        "what_package_managers_are_told_names_every_archive_and_command",
    ),
    (
        "brew uninstall codex-accounts",
        "what_package_managers_are_told_names_every_archive_and_command",
    ),
    (
        "cargo install --path . --locked",
        "cargo_installs_every_command",
    ),
    (
        "make && sudo make install",
        "make_installs_everything_and_takes_it_away",
    ),
    ("cargo deb", "a_debian_package_holds_everything"),
    (
        "cargo uninstall codex-accounts",
        "cargo_installs_every_command",
    ),
    (
        "sudo make uninstall",
        "make_installs_everything_and_takes_it_away",
    ),
    (
        "sudo dpkg -r codex-accounts",
        "a_debian_package_holds_everything",
    ),
    (
        "cargo bench --bench relay",
        "cargo_finds_what_is_to_be_run_and_measured",
    ),
    (
        "cargo bench --bench strategies",
        "cargo_finds_what_is_to_be_run_and_measured",
    ),
    (
        "cargo bench --bench plumbing",
        "cargo_finds_what_is_to_be_run_and_measured",
    ),
    ("tests/run", "the_scripts_can_be_run"),
    ("tests/draw", "the_scripts_can_be_run"),
];

/// A program behind `codex-launch` that has got its settings, as far as a stand-in can tell.
const OPENCODE: &str =
    "#!/bin/sh\n[ \"$1\" = --version ] && echo 1.18.33 || [ \"$OPENCODE_CONFIG_CONTENT\" ]\n";
const CODEX: &str = "#!/bin/sh\ncase \"$*\" in --version) echo codex-cli 0.169.0 ;; *model_provider*) ;; *) exit 1 ;; esac\n";
const SCRIPT_PY: &str = r#"
import os, urllib.request
body = b"""QUESTION"""
headers = {"Authorization": "Bearer " + os.environ["OPENAI_API_KEY"]}
request = urllib.request.Request(os.environ["OPENAI_BASE_URL"] + "/responses", body, headers)
assert b"answered by" in urllib.request.urlopen(request).read()
"#;

/// In the order in which they stand there, on the machine of a person who starts with nothing.
#[test]
fn every_command_runs() {
    let (elsewhere, here): (Vec<String>, Vec<String>) = commands()
        .into_iter()
        .partition(|command| is_elsewhere(command));
    let found: BTreeSet<&str> = elsewhere.iter().map(|command| bare(command)).collect();
    assert_eq!(
        found,
        ELSEWHERE.map(|(command, _)| command).into(),
        "no more, no less"
    );

    // Alone, since a login needs the port that it has.
    let differences = network::alone(|| {
        let mut script = Script::with_accounts(2);
        script.accounts[0].text = Some("answered by work".to_owned());
        let pretend = Pretend::start(script).expect("the pretend servers start");
        let mut home = Home::new();
        home.use_servers(&pretend);
        home.install_browser();
        home.install("opencode", OPENCODE);
        home.install("codex", CODEX);
        home.write("script.py", SCRIPT_PY.replace("QUESTION", QUESTION));
        home.write("script", recipe());
        examples::differences(&home, &as_examples(&here))
    });
    assert!(differences.is_empty(), "\n{}", differences.join("\n"));
}

#[test]
fn what_is_run_elsewhere_is_run_there() {
    let there = [
        include_str!("packaging.rs"),
        include_str!("accounts_refresh.rs"),
        include_str!("accounts_watch.rs"),
        include_str!("setup.rs"),
        include_str!("launch_narrowed.rs"),
    ]
    .concat();
    for (command, test) in ELSEWHERE {
        assert!(there.contains(&format!("fn {test}() {{")), "{command}");
    }
}

#[test]
fn the_script_of_readme_goes_on_with_the_next_account() {
    let home = Home::new();
    home.write("script", recipe());
    let twice = "codex-rehearse --limit one=2h -- sh -c 'sh script && sh script' 2>verdicts";
    let shown = home.sh(&format!(
        "{twice} | grep -e ^HTTP -e 'answered by' | grep -v delta"
    ));
    assert!(shown.stdout.starts_with("HTTP/1.1 429"), "{shown}");
    assert!(shown.stdout.contains("answered by two@"), "{shown}");
    let verdicts = home.sh("jq -r '[.index, .verdict] | @tsv' verdicts");
    assert_eq!(verdicts.stdout, "0\tlimited\n1\tok\n", "{verdicts}");
}

/// The pictures, as `tests/draw` writes them. The clock of a test stands still, and that of the
/// pretend servers with it, so there is nothing in them that changes by itself.
#[test]
fn the_pictures_are_what_the_commands_print() {
    let mut home = Home::new();
    home.set("CLICOLOR_FORCE", "1");
    for (file, command, script) in PICTURES {
        let shown = home.sh(script);
        assert_eq!((shown.code, shown.stderr.as_str()), (0, ""), "{shown}");
        let drawn = picture::draw(command, &shown.stdout);
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
        if std::env::var_os("DRAW").is_some() {
            fs::write(&path, &drawn).expect("a picture");
        }
        let kept = fs::read_to_string(&path).unwrap_or_default();
        assert!(kept == drawn, "{file} is out of date: run tests/draw");
    }
}

#[test]
fn every_picture_is_shown() {
    for (file, ..) in PICTURES {
        assert!(README.contains(&format!("]({file})")), "{file}");
    }
    for file in ["docs/strategies.svg", "docs/codex.svg"] {
        assert!(README.contains(&format!("]({file})")), "{file}");
    }
}

#[test]
fn every_command_is_in_readme() {
    for file in fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/bin")).unwrap() {
        let name = file.unwrap().file_name().into_string().unwrap();
        let command = name.trim_end_matches(".rs");
        assert!(README.contains(&format!("| `{command}` |")), "{command}");
    }
}

/// The commands of README in their order: each of its blocks of shell, and within the text those
/// that a person would type, which is more than a name.
fn commands() -> Vec<String> {
    let mut commands: Vec<String> = Vec::new();
    let mut block = None;
    for line in README.lines() {
        match (line.strip_prefix("```"), block) {
            (Some(_), Some(_)) => block = None,
            (Some(language), None) => block = Some(language),
            (None, Some("sh")) if line.starts_with(' ') => {
                let command = commands.last_mut().expect("a command goes on");
                command.push('\n');
                command.push_str(line);
            }
            (None, Some("sh")) if !line.is_empty() => commands.push(line.to_owned()),
            (None, Some(_)) => {}
            (None, None) => {
                let code = line.split('`').skip(1).step_by(2);
                commands.extend(code.filter(|code| is_command(code)).map(str::to_owned));
            }
        }
    }
    commands
}

fn is_command(code: &str) -> bool {
    let (first, more) = code.split_once(' ').unwrap_or((code, ""));
    match first {
        "tests/run" | "tests/draw" => true,
        "cargo" | "make" | "sudo" => !more.is_empty(),
        _ => first.starts_with("codex-") && !more.is_empty(),
    }
}

/// The command without the comment behind it.
fn bare(command: &str) -> &str {
    command.split("  #").next().unwrap_or(command).trim_end()
}

fn is_elsewhere(command: &str) -> bool {
    ELSEWHERE
        .iter()
        .any(|(elsewhere, _)| *elsewhere == bare(command))
}

/// As examples that may print anything.
fn as_examples(commands: &[String]) -> Vec<examples::Example> {
    let typed = |command: &String| {
        let lines = format!("$ {}\n...", command.replace('\n', "\n> "));
        lines.lines().map(str::to_owned).collect()
    };
    let blocks: Vec<Vec<String>> = commands.iter().map(typed).collect();
    examples::read(&blocks).expect("examples")
}

/// The block with the script in it.
fn recipe() -> &'static str {
    let blocks = README.split("```sh\n").skip(1);
    let mut blocks = blocks.filter_map(|block| block.split("```").next());
    let recipe = blocks.find(|block| block.contains("codex-ratelimit-mark"));
    recipe.expect("the script of README")
}
