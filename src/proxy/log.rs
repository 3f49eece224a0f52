//! What the relay did: one JSON line for each request, in a file that does not grow without end.
//! Never a token, a key, or anything of a body.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;

use crate::account::time::UnixMillis;
use crate::store::commit;

/// At this size the file becomes the one before, and a new one is begun.
const LARGEST: u64 = 1 << 20;

/// Where lines go.
#[derive(Debug)]
pub struct Log {
    file: Option<Mutex<Bounded>>,
    to_stderr: bool,
}

#[derive(Debug)]
struct Bounded {
    path: PathBuf,
    file: File,
    length: u64,
}

/// One line.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Line<'a> {
    /// When it was written.
    pub at: UnixMillis,
    /// The number of the request in this run.
    pub request: u64,
    /// The session that the client named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<&'a str>,
    /// What happened.
    #[serde(flatten)]
    pub event: Event<'a>,
}

/// What happened.
#[derive(Debug, Serialize)]
#[serde(
    tag = "event",
    rename_all = "kebab-case",
    rename_all_fields = "camelCase"
)]
pub enum Event<'a> {
    /// The upstream answered, or did not.
    Answer {
        /// The account that was asked, by its name for people.
        account: &'a str,
        /// Its status; none if there was no answer.
        #[serde(skip_serializing_if = "Option::is_none")]
        status: Option<u16>,
        /// What it means.
        verdict: &'a str,
        /// What is done with it.
        step: &'a str,
        /// From the request to the head of the answer.
        head_ms: u64,
    },
    /// The request is over.
    Done {
        /// The account that answered.
        #[serde(skip_serializing_if = "Option::is_none")]
        account: Option<&'a str>,
        /// The status that the client got; none if it went away before.
        #[serde(skip_serializing_if = "Option::is_none")]
        status: Option<u16>,
        /// What the answer means; none if it is the relay's own.
        #[serde(skip_serializing_if = "Option::is_none")]
        verdict: Option<&'a str>,
        /// From the client's request to the head of its answer.
        #[serde(skip_serializing_if = "Option::is_none")]
        head_ms: Option<u64>,
        /// From the client's request to the first byte of content.
        #[serde(skip_serializing_if = "Option::is_none")]
        first_byte_ms: Option<u64>,
        /// How many bytes of content it got.
        bytes: u64,
        /// Whether the answer was passed on to its end.
        whole: bool,
    },
    /// Something is wrong on this side; the relay goes on.
    Trouble {
        /// What.
        message: &'a str,
    },
}

impl Log {
    /// A log that goes nowhere but to standard error, if that is wanted.
    #[must_use]
    pub const fn nowhere(to_stderr: bool) -> Self {
        Self {
            file: None,
            to_stderr,
        }
    }

    /// A log in this file (0600), and on standard error if that is wanted.
    ///
    /// # Errors
    /// When the file can't be opened.
    pub fn in_file(path: &Path, to_stderr: bool) -> io::Result<Self> {
        commit::make_folder(path)?;
        let file = open(path)?;
        let length = file.metadata()?.len();
        Ok(Self {
            file: Some(Mutex::new(Bounded {
                path: path.to_owned(),
                file,
                length,
            })),
            to_stderr,
        })
    }

    /// Writes a line. That it can't be written is nothing to stop for.
    pub fn write(&self, line: &Line<'_>) {
        let Ok(mut text) = serde_json::to_string(line) else {
            return;
        };
        text.push('\n');
        if self.to_stderr {
            let _ = io::stderr().lock().write_all(text.as_bytes());
        }
        if let Some(bounded) = &self.file {
            let mut bounded = bounded.lock().unwrap_or_else(PoisonError::into_inner);
            let _ = bounded.write(&text);
        }
    }
}

impl Bounded {
    fn write(&mut self, text: &str) -> io::Result<()> {
        if self.length >= LARGEST {
            fs::rename(&self.path, commit::with_suffix(&self.path, ".1"))?;
            self.file = open(&self.path)?;
            self.length = 0;
        }
        self.file.write_all(text.as_bytes())?;
        self.length += text.len() as u64;
        Ok(())
    }
}

fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}
/// Whole milliseconds, for a line.
pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
