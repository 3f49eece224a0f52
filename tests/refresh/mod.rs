//! `codex-token-refresh`, and that a refresh token, which can be used only once, is never lost and
//! never used twice: by many processes, through signals and failures, and with the clients' files.

mod alike;
mod answers;
mod clients;
mod command;
mod made_up;
mod pending;
mod policy;
mod processes;
mod unwritable;
mod without_store;

use std::process::{Child, Output, Stdio};

use codex_accounts::rehearse::{Answer, TokenAnswer};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

use super::support::shown::Shown;
use super::support::stage::Stage;
use super::support::{CLOCK, Home};

pub(super) const COMMAND: &str = "codex-token-refresh";

pub(super) fn run(home: &Home, arguments: &[&str]) -> Shown {
    let shown = home.run(home.command(COMMAND).args(arguments));
    assert!(!shown.stderr.contains("pretend-"), "a secret got out");
    assert!(!shown.stdout.contains("pretend-"), "a secret got out");
    shown
}

/// The same so many seconds later.
pub(super) fn run_later(home: &Home, secs: u64, arguments: &[&str]) -> Shown {
    let mut command = home.command(COMMAND);
    command.env("CODEX_ACCOUNTS_CLOCK", (CLOCK + secs).to_string());
    home.run(command.args(arguments))
}

/// Notes in the store that clients have the login of account one too.
pub(super) fn share(stage: &Stage, clients: &[&str]) {
    let mut store = stage.home.store();
    store["accounts"][0]["sharedWith"] = json!(clients);
    stage.home.write_store(&store);
}

pub(super) fn records(stdout: &str) -> Vec<Value> {
    let records = stdout.lines().map(serde_json::from_str);
    records.collect::<Result<_, _>>().expect("JSON Lines")
}

pub(super) fn outcomes(shown: &Shown) -> Vec<String> {
    let outcome = |record: &Value| record["outcome"].as_str().unwrap().to_owned();
    records(&shown.stdout).iter().map(outcome).collect()
}

/// Starts the command beside the test.
pub(super) fn start(home: &Home, arguments: &[&str]) -> Child {
    let mut command = home.std_command(COMMAND);
    command.args(arguments).stdin(Stdio::null());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().expect("the command starts")
}

pub(super) fn end(child: Child) -> Output {
    child.wait_with_output().expect("the command ends")
}

pub(super) fn send(signal: Signal, child: &Child) {
    kill(Pid::from_raw(child.id().cast_signed()), signal).expect("the command runs");
}

pub(super) fn refuse(stage: &Stage, answer: Answer) {
    stage.pretend.change(|script| {
        script.token_answers.clear();
        script.token_answers.push_back(TokenAnswer::Refuse(answer));
    });
}
