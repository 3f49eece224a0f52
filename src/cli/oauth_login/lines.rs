//! What a person types at a login, line by line.

use std::io::{self, BufRead as _, Read as _, Write as _};
use std::thread;

use tokio::sync::mpsc::{self, Receiver, Sender};

use crate::account::printable::printable;
use crate::sys::signals::Shield;

/// A longer line is no answer to anything; it is read in pieces.
const LONGEST_LINE: u64 = 64 << 10;

/// What no answer counts as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Yes,
    No,
}

/// The lines of standard input. A thread reads them from when one is first wanted, since a login
/// can end while a line is awaited; the line goes to whoever wants the next one.
#[derive(Default)]
pub(super) struct Lines(Option<Receiver<String>>);

impl Lines {
    /// The next line; `None` at the end of input.
    pub(super) async fn next(&mut self) -> Option<String> {
        self.receiver().recv().await
    }

    /// Asks on standard error. The end of input is a no.
    pub(super) fn confirm(&mut self, question: &str, usual: Answer) -> bool {
        let line = self.ask(question);
        line.is_some_and(|line| match line.trim().to_lowercase().as_str() {
            "" => usual == Answer::Yes,
            answer => matches!(answer, "y" | "yes"),
        })
    }

    /// Asks on standard error; nothing at the end of input.
    pub(super) fn ask(&mut self, question: &str) -> Option<String> {
        let mut out = io::stderr().lock();
        // Who can't see the question does not answer it.
        let _ = write!(out, "{}", printable(question)).and_then(|()| out.flush());
        let line = self.receiver().blocking_recv();
        if line.is_none() {
            let _ = writeln!(out);
        }
        line
    }

    fn receiver(&mut self) -> &mut Receiver<String> {
        self.0.get_or_insert_with(|| {
            let (lines, receiver) = mpsc::channel(1);
            // Signals are the main thread's, which holds them back while it must.
            let _shield = Shield::raise();
            // Without one there are no lines, as at the end of input.
            let _ = thread::Builder::new().spawn(move || read_lines(&lines));
            receiver
        })
    }
}

/// Reads until the input ends or fails, which is the same to whoever waits for a line.
fn read_lines(lines: &Sender<String>) {
    let mut input = io::stdin().lock();
    loop {
        let mut line = Vec::new();
        match (&mut input).take(LONGEST_LINE).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        let line = String::from_utf8_lossy(&line).into_owned();
        if lines.blocking_send(line).is_err() {
            return;
        }
    }
}
