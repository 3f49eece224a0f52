//! What a command said and how it ended, as one text for a snapshot.

use std::fmt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Output;

use super::canary;

/// The first port that systems give out by themselves. A lower one was chosen by
/// somebody and says something, so snapshots keep it.
const FIRST_RANDOM_PORT: u16 = 32768;

/// See the module. `Display` is for snapshots; the fields are what was really printed.
pub(crate) struct Shown {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    home: PathBuf,
}

impl Shown {
    /// Fails at once if a secret is on stderr: that is forbidden to every command.
    pub(crate) fn new(output: Output, home: &Path) -> Shown {
        let stdout = String::from_utf8(output.stdout).expect("stdout is UTF-8");
        let stderr = String::from_utf8(output.stderr).expect("stderr is UTF-8");
        canary::assert_none(&stderr);
        // A shell's way to write that a signal ended it.
        let code = output.status.code();
        let code = code.unwrap_or_else(|| 128 + output.status.signal().unwrap_or(0));
        Shown {
            code,
            stdout,
            stderr,
            home: home.to_path_buf(),
        }
    }

    /// stdout as one line of words: what people read is wrapped to a width.
    pub(crate) fn unwrapped(&self) -> String {
        self.stdout.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// The only line of stdout as JSON.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error} in:\n{self}"))
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let home = self.home.to_string_lossy();
        let steady = |text: &str| hide_ports(&text.replace(&*home, "$HOME"));
        f.write_str(&with_end(steady(&self.stdout)))?;
        if !self.stderr.is_empty() {
            write!(f, "--- stderr\n{}", with_end(steady(&self.stderr)))?;
        }
        write!(f, "--- exit {}", self.code)
    }
}

/// The text with its last line ended; where a command did not end it, that shows.
fn with_end(mut text: String) -> String {
    if !text.is_empty() && !text.ends_with('\n') {
        text.push_str("[no newline]\n");
    }
    text
}

fn hide_ports(text: &str) -> String {
    let mut steady = String::new();
    let mut rest = text;
    while let Some(colon) = rest.find("127.0.0.1:").map(|at| at + "127.0.0.1".len()) {
        let (before, after) = rest.split_at(colon + 1);
        let digits = after.len() - after.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (port, after) = after.split_at(digits);
        let random = port
            .parse()
            .is_ok_and(|port: u16| port >= FIRST_RANDOM_PORT);
        steady.push_str(before);
        steady.push_str(if random { "PORT" } else { port });
        rest = after;
    }
    steady + rest
}
