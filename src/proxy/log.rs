//! What the relay did: one JSON line for each request, in a file that does not grow without end.
//! Never a token, a key, or anything of a body.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;

use super::tally::Tally;
use crate::account::session::Counts;
use crate::account::time::UnixMillis;
use crate::store::commit;
use crate::store::lock::{self, Patience};
use crate::sys::file;

/// At this size the file becomes the one before, and a new one is begun.
const LARGEST: u64 = 1 << 20;

/// The lock is held for one rename. Whoever holds it longer was stopped in the middle, and a line
/// is worth more than the bound.
const PATIENCE: Patience = Patience {
    quiet: Duration::from_millis(200),
    most: Duration::from_millis(200),
};

/// Where lines go.
#[derive(Debug)]
pub struct Log {
    file: Option<Mutex<Bounded>>,
    to_stderr: bool,
    tally: Mutex<Tally>,
}

/// A file that other relays write too, and may put aside at any time.
#[derive(Debug)]
struct Bounded {
    path: PathBuf,
    file: File,
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
    /// What an account can't read was cut out of the request that it is sent.
    Stripped {
        /// The account.
        account: &'a str,
        /// How much.
        #[serde(flatten)]
        cut: Counts,
    },
    /// What was passed on is the network's fault, and no account's.
    Network {
        /// The status of the answer; none if the backend was not reached.
        #[serde(skip_serializing_if = "Option::is_none")]
        status: Option<u16>,
        /// What to look at.
        message: &'a str,
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
        /// By WebSocket: a handshake, a whole request, or an increment.
        #[serde(skip_serializing_if = "Option::is_none")]
        ws: Option<&'a str>,
        /// The code of the close by which the client was asked to begin anew.
        #[serde(skip_serializing_if = "Option::is_none")]
        close: Option<u16>,
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
    pub fn nowhere(to_stderr: bool) -> Self {
        Self {
            file: None,
            to_stderr,
            tally: Mutex::default(),
        }
    }

    /// A log in this file (0600), and on standard error if that is wanted.
    ///
    /// # Errors
    /// When the file can't be opened.
    pub fn in_file(path: &Path, to_stderr: bool) -> io::Result<Self> {
        commit::make_folder(path)?;
        Ok(Self {
            file: Some(Mutex::new(Bounded {
                path: path.to_owned(),
                file: open(path)?,
            })),
            to_stderr,
            tally: Mutex::default(),
        })
    }

    /// What its lines came to so far.
    #[must_use]
    pub fn tally(&self) -> Tally {
        let tally = self.tally.lock().unwrap_or_else(PoisonError::into_inner);
        tally.clone()
    }

    /// Writes a line. That it can't be written is nothing to stop for.
    pub fn write(&self, line: &Line<'_>) {
        let mut tally = self.tally.lock().unwrap_or_else(PoisonError::into_inner);
        count(&mut tally, line);
        drop(tally);
        if self.file.is_none() && !self.to_stderr {
            return;
        }
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

fn count(tally: &mut Tally, line: &Line<'_>) {
    match line.event {
        Event::Answer {
            account,
            verdict: "limited",
            ..
        } => tally.met_limit(account),
        // A handshake carries the requests that come after it.
        Event::Done {
            ws: Some("handshake"),
            ..
        } => {}
        Event::Done { account, .. } => tally.met_end(account, line.session),
        _ => {}
    }
}

impl Bounded {
    /// Appends a line by one write, which no other comes between.
    fn write(&mut self, text: &str) -> io::Result<()> {
        self.follow()?;
        if self.is_full()? {
            self.put_aside()?;
        }
        self.file.write_all(text.as_bytes())
    }

    /// Turns to the file at the path, if another relay put this one aside.
    fn follow(&mut self) -> io::Result<()> {
        if !file::is_at(&self.file, &self.path)? {
            self.file = open(&self.path)?;
        }
        Ok(())
    }

    fn is_full(&self) -> io::Result<bool> {
        Ok(self.file.metadata()?.len() >= LARGEST)
    }

    /// Makes this file the one before, and begins a new one.
    fn put_aside(&mut self) -> io::Result<()> {
        let lock = commit::with_suffix(&self.path, ".lock");
        let Some(_lock) = lock::exclusive(&lock, PATIENCE, |_| {})? else {
            return Ok(());
        };
        // Another relay may have done it while this one waited.
        self.follow()?;
        if self.is_full()? {
            fs::rename(&self.path, commit::with_suffix(&self.path, ".1"))?;
            self.file = open(&self.path)?;
        }
        Ok(())
    }
}

fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.create(true).append(true);
    file::open_private(&mut options, path)
}

/// Whole milliseconds, for a line.
pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_that_write_one_file_keep_it_bounded_and_its_lines_whole() {
        const WRITERS: u64 = 4;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("relay.log");
        let message = "x".repeat(2000);
        let write = |request| {
            let log = Log::in_file(&path, false).unwrap();
            for number in 0..1000 {
                log.write(&Line {
                    at: UnixMillis::from_secs(number),
                    request,
                    session: None,
                    event: Event::Trouble { message: &message },
                });
            }
        };
        std::thread::scope(|scope| {
            for writer in 0..WRITERS {
                scope.spawn(move || write(writer));
            }
        });
        let full = fs::read_to_string(commit::with_suffix(&path, ".1")).unwrap();
        let new = fs::read_to_string(&path).unwrap();
        // Each may have been about to write a last line.
        let most = LARGEST + WRITERS * 2100;
        assert!(
            (LARGEST..most).contains(&(full.len() as u64)),
            "{}",
            full.len()
        );
        assert!((new.len() as u64) < most, "{}", new.len());
        for line in full.lines().chain(new.lines()) {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            assert_eq!(line["message"], message.as_str());
        }
    }

    #[test]
    fn a_file_that_was_taken_away_is_made_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("relay.log");
        let log = Log::in_file(&path, false).unwrap();
        let line = Line {
            at: UnixMillis::from_secs(1),
            request: 1,
            session: None,
            event: Event::Trouble { message: "none" },
        };
        log.write(&line);
        fs::remove_file(&path).unwrap();
        log.write(&line);
        assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 1);
    }

    #[test]
    fn requests_are_counted_once_and_handshakes_never() {
        let log = Log::nowhere(false);
        let write = |session, event| {
            log.write(&Line {
                at: UnixMillis::from_secs(1),
                request: 1,
                session,
                event,
            });
        };
        let answer = |verdict| Event::Answer {
            account: "one",
            status: Some(429),
            verdict,
            step: "next",
            head_ms: 1,
        };
        let done = |account, ws| Event::Done {
            account,
            status: Some(200),
            verdict: None,
            head_ms: None,
            first_byte_ms: None,
            bytes: 0,
            whole: true,
            ws,
            close: None,
        };
        write(Some("s"), done(Some("one"), Some("handshake")));
        write(Some("s"), answer("ok"));
        assert_eq!(log.tally(), Tally::default());
        write(Some("s"), answer("limited"));
        write(Some("s"), answer("limited"));
        write(Some("s"), done(Some("two"), Some("request")));
        write(None, done(Some("two"), None));
        // The relay's own answer.
        write(None, done(None, None));
        let expected = Tally {
            requests: 2,
            limited: vec!["one".into()],
            last: Some("two".into()),
            session: Some("s".into()),
        };
        assert_eq!(log.tally(), expected);
    }
}
