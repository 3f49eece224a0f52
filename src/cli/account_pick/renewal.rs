//! A token renewed by `codex-token-refresh`, a process of its own beside this one: so this command,
//! which mostly asks nobody, links nothing that asks the network.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use crate::account::Account;
use crate::cli::child;
use crate::cli::exit::{Code, Error};

/// The command that renews.
const COMMAND: &str = "codex-token-refresh";

/// What came of it.
pub(super) enum Renewal {
    /// The account has a token that is fresh; this is what was noted on the way.
    Done(Box<Account>, String),
    /// There is none, and this is why.
    Failed(Error),
    /// It goes on by itself: a token that is being renewed must not be lost.
    GoesOn,
}

/// Renews the token of the account at this index if it expires soon, and waits for that: so long, or
/// to its end.
pub(super) fn renew(store: Option<&Path>, index: usize, patience: Option<Duration>) -> Renewal {
    match run(store, index, patience) {
        Ok(renewal) => renewal,
        Err(error) => {
            let message = format!("can't run '{COMMAND}': {error}");
            Renewal::Failed(Error::new(Code::Io, message))
        }
    }
}

fn run(store: Option<&Path>, index: usize, patience: Option<Duration>) -> io::Result<Renewal> {
    // A file and no pipe: what outlives this process has somewhere to write to. Its answer it
    // writes when all is done.
    let mut said = tempfile::tempfile()?;
    let mut command = Command::new(child::beside(COMMAND));
    let child = child::with_store(&mut command, store)
        .args(["--hand-out", &index.to_string()])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(said.try_clone()?)
        .spawn()?;
    let Some(output) = wait(child, patience)? else {
        return Ok(Renewal::GoesOn);
    };
    let said = read(&mut said)?;
    if !output.status.success() {
        return Ok(Renewal::Failed(failure(output.status, &said)));
    }
    let account = serde_json::from_slice(&output.stdout)?;
    Ok(Renewal::Done(Box::new(account), said))
}

/// Waits for its end; `None` where it takes longer.
fn wait(mut child: Child, patience: Option<Duration>) -> io::Result<Option<Output>> {
    const LOOK_AGAIN: Duration = Duration::from_millis(5);
    let started = Instant::now();
    while let Some(patience) = patience
        && child.try_wait()?.is_none()
    {
        if started.elapsed() >= patience {
            return Ok(None);
        }
        std::thread::sleep(LOOK_AGAIN);
    }
    child.wait_with_output().map(Some)
}

fn read(said: &mut File) -> io::Result<String> {
    let mut text = Vec::new();
    said.rewind()?;
    said.read_to_end(&mut text)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// The error as the command told it, and as this one passes it on.
fn failure(status: ExitStatus, said: &str) -> Error {
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    let code = Code::OfProgram(code.unwrap_or(Code::Io.number()));
    let error = format!("{COMMAND}: error: ");
    let message = said.lines().find_map(|line| line.strip_prefix(&error));
    let message = match message {
        Some(message) => message.to_owned(),
        None => format!("'{COMMAND}' ended with {status}"),
    };
    match said.lines().find_map(|line| line.strip_prefix("hint: ")) {
        Some(hint) => Error::hinted(code, message, hint),
        None => Error::new(code, message),
    }
}

/// What it noted, without its name before each line.
pub(super) fn notes(said: &str) -> impl Iterator<Item = &str> {
    let without_name = |line| str::strip_prefix(line, COMMAND)?.strip_prefix(": ");
    said.lines()
        .map(move |line| without_name(line).unwrap_or(line))
}
