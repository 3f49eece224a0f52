//! What `codex-rehearse` plays by itself: logins, a limit, who answers, and how it stands afterwards.
//! Everything is done by the real commands, as a person would type them.

use std::io::{self, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::process::{Command, Stdio};
use std::time::Duration;

use anstream::AutoStream;
use clap::builder::styling::{AnsiColor, Style};
use http::StatusCode;

use super::stage::{self, Stage};
use crate::cli::child;
use crate::cli::exit::{Code, Error};
use crate::rehearse::{Script, Seen, Style as LimitStyle};

/// How long the first account is limited: as in the captured 429 (PROTOCOL §4).
const LIMIT: Duration = Duration::from_secs(13_872);

const FAINT: Style = Style::new().dimmed();
const STRONG: Style = Style::new().bold();

/// Plays it. `killed` are the accounts whose login ends before the first request.
pub(super) fn play(stage: &Stage, killed: &[usize]) -> Result<Code, Error> {
    let names = stage.pretend.change(|script| stage::names(script));
    say("A rehearsal with pretend accounts: nothing leaves this machine.\n\n")?;
    for name in &names {
        log_in(stage, name)?;
    }
    for index in killed {
        stage.pretend.kill(*index);
    }
    if killed.is_empty() {
        stage.pretend.change(limit_one);
    }
    say("\n")?;
    typed("codex-launch agent")?;
    for number in 1..=3 {
        request(stage, &names, number)?;
    }
    say("\n")?;
    typed("codex-accounts")?;
    look(stage)?;
    say(&format!(
        "\nFor real: {STRONG}codex-accounts add{STRONG:#}, once for each account; \
         then {STRONG}codex-launch opencode{STRONG:#}\n"
    ))?;
    Ok(Code::Done)
}

/// Something is to happen: where no account is limited, the first one is from its second request on.
fn limit_one(script: &mut Script) {
    if !script.accounts.iter().any(|account| account.is_limited()) {
        script.accounts[0].limit_after(1, LIMIT, LimitStyle::UsageLimit);
    }
}

/// A login in the pretend browser.
fn log_in(stage: &Stage, name: &str) -> Result<(), Error> {
    typed(&format!("codex-accounts add {name}"))?;
    let port = free_port()?.to_string();
    let arguments = ["add", name, "--port", &port];
    let said = run(stage, "codex-accounts", &arguments)?.stderr;
    // Before it stands what a person would need who has to open the browser.
    let last = said.lines().last().unwrap_or_default();
    say(&format!("{last}\n"))
}

fn free_port() -> Result<u16, Error> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .map(|address| address.port())
        .map_err(|error| Error::new(Code::Io, format!("no port: {error}")))
}

/// A request of the pretend agent: what became of it on the way, and what the agent is told.
fn request(stage: &Stage, names: &[String], number: usize) -> Result<(), Error> {
    let before = stage.pretend.seen().len();
    let agent = child::beside("codex-rehearse").display().to_string();
    let arguments = ["--", &agent, "--ask", "Who are you?"];
    let told = run(stage, "codex-launch", &arguments)?.stdout;
    let mut title = format!("request {number}");
    for seen in &stage.pretend.seen()[before..] {
        let (who, answer) = (asked(names, seen), answered(seen));
        say(&format!("{FAINT}{title:<11}{FAINT:#}{who:<9}{answer}\n"))?;
        title.clear();
    }
    say(&format!("{:<11}the agent is told: {}\n", "", told))
}

fn asked<'a>(names: &'a [String], seen: &Seen) -> &'a str {
    let name = seen.account.and_then(|index| names.get(index));
    name.map_or("issuer", String::as_str)
}

fn answered(seen: &Seen) -> String {
    let status = seen.status.and_then(|code| StatusCode::from_u16(code).ok());
    let Some(status) = status else {
        return "no answer".to_owned();
    };
    let colour = if status.is_success() {
        AnsiColor::Green
    } else {
        AnsiColor::Yellow
    };
    let style = colour.on_default();
    format!("{style}{status}{style:#}")
}

/// The accounts, as a person sees them.
fn look(stage: &Stage) -> Result<(), Error> {
    let command = "codex-accounts";
    stage
        .set(&mut Command::new(child::beside(command)))
        .stdin(Stdio::null())
        .status()
        .map_err(|error| Error::new(Code::Io, format!("can't run {command}: {error}")))?;
    Ok(())
}

/// What a command printed.
struct Printed {
    stdout: String,
    stderr: String,
}

/// Runs a command of the suite to its end.
fn run(stage: &Stage, command: &str, arguments: &[&str]) -> Result<Printed, Error> {
    let output = stage
        .set(&mut Command::new(child::beside(command)))
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| Error::new(Code::Io, format!("can't run {command}: {error}")))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    let printed = Printed {
        stdout: text(&output.stdout),
        stderr: text(&output.stderr),
    };
    if output.status.success() {
        return Ok(printed);
    }
    let message = format!("{command} did not succeed: {}", printed.stderr);
    Err(Error::new(Code::Io, message))
}

/// Shows a command that is run.
fn typed(command: &str) -> Result<(), Error> {
    say(&format!("{FAINT}${FAINT:#} {STRONG}{command}{STRONG:#}\n"))
}

/// Prints text, in colour where it is wanted.
fn say(text: &str) -> Result<(), Error> {
    let mut out = AutoStream::auto(io::stdout().lock());
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .map_err(Error::output)
}
