//! Whether opencode and Codex CLI are there and run.

use std::ffi::OsStr;
use std::io::{self, Read};
use std::process::{Child, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::finding::{Finding, Mend};
use crate::sys::child;

/// A client that does not tell its version by then is left alone.
const PATIENCE: Duration = Duration::from_secs(8);

/// What came of `NAME --version`.
enum Answer {
    /// It is not in PATH.
    Missing,
    /// It can't be started.
    Broken(io::Error),
    /// It ended so.
    Failed(ExitStatus),
    /// It did not end.
    Hangs,
    /// It said no version.
    Silent,
    Version(String),
}

/// Asks both at the same time.
pub(super) fn examine() -> Vec<Finding> {
    let asked = ["opencode", "codex"].map(|name| (name, thread::spawn(move || ask(name))));
    let answers = asked.into_iter().map(|(name, answer)| {
        let answer = answer.join().unwrap_or(Answer::Silent);
        finding(name, answer)
    });
    answers.collect()
}

fn finding(name: &str, answer: Answer) -> Finding {
    let wrong = |what: String| {
        let mend = Mend::Type(format!("{name} --version"));
        Finding::wrong(name, what, mend)
    };
    match answer {
        Answer::Version(version) => Finding::well(name, format!("version {version}")),
        Answer::Missing => Finding::note(name, "not found in PATH", Mend::Nothing),
        Answer::Broken(error) => wrong(format!("it is in PATH and can't be started: {error}")),
        Answer::Failed(status) => wrong(format!("it fails to tell its version ({status})")),
        Answer::Silent => wrong("it does not tell its version".to_owned()),
        Answer::Hangs => {
            let secs = PATIENCE.as_secs();
            wrong(format!("it does not tell its version within {secs} s"))
        }
    }
}

/// It gets no terminal, and no longer than it deserves.
fn ask(name: &str) -> Answer {
    let started = child::command(OsStr::new(name))
        .arg("--version")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    let mut child = match started {
        Ok(child) => child,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Answer::Missing,
        Err(error) => return Answer::Broken(error),
    };
    match end(&mut child) {
        None => Answer::Hangs,
        Some(status) if !status.success() => Answer::Failed(status),
        Some(_) => version(&mut child).map_or(Answer::Silent, Answer::Version),
    }
}

/// How it ended; it is ended where it does not by itself.
fn end(child: &mut Child) -> Option<ExitStatus> {
    let started = Instant::now();
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Some(status),
            Ok(None) if started.elapsed() < PATIENCE => thread::sleep(Duration::from_millis(20)),
            _ => break,
        }
    }
    let _ = child.kill();
    let _ = child.wait();
    None
}

/// The last word of the first line, which has a digit in it.
fn version(child: &mut Child) -> Option<String> {
    let mut text = [0; 4096];
    // It has ended, and what it wrote is in the pipe.
    let length = child.stdout.as_mut()?.read(&mut text).ok()?;
    let text = String::from_utf8_lossy(&text[..length]);
    let word = text.lines().next()?.split_whitespace().next_back()?;
    word.contains(|c: char| c.is_ascii_digit())
        .then(|| word.to_owned())
}
