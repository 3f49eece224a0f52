//! One helper that runs, and the conversation with it: a request, and its answer or none in time. A
//! thread reads and writes, so that a helper that hangs stops nobody.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::seal;
use super::wire::{Answer, Greeting, Kind, PROTOCOL, Refusal, Request};
use crate::store::locator::StoreUrl;
use crate::sys::{child, suite};

/// The environment variable that has the URL.
const URL: &str = "CODEX_STORE_URL";

/// A helper has so long for its first line.
const FIRST: Duration = Duration::from_secs(5);

/// It has so long for an answer, beyond what it was told to wait.
const GRACE: Duration = Duration::from_secs(10);

/// Its input ended so long ago that it will not end by itself.
const ENDING: Duration = Duration::from_secs(2);

/// Nothing that is said is longer, in bytes.
const LONGEST_LINE: u64 = 256 << 20;

/// A helper that runs. It ends when this goes.
pub(super) struct Connection {
    requests: Sender<Vec<u8>>,
    answers: Receiver<Heard>,
    child: Arc<Mutex<Child>>,
    can_watch: bool,
}

/// What came from the helper: a line, or that it said nothing more.
type Heard = Option<Vec<u8>>;

/// What the helper of a URL is called.
pub(super) fn helper_of(url: &StoreUrl) -> String {
    format!("codex-store-{}", url.scheme())
}

/// Why there is no answer.
pub(super) enum Fault {
    /// It ended, or could not be spoken to.
    Ended,
    /// It said nothing for so long.
    Silent(Duration),
    /// It said something else.
    Garbage,
    /// It said no.
    Refused(Refusal),
    /// What it said can't be decrypted, or what it would get not encrypted.
    Sealed(Refusal),
}

impl Connection {
    /// Starts the helper of a URL.
    pub(super) fn start(url: &StoreUrl) -> Result<Self, Refusal> {
        let name = helper_of(url);
        let (_, url) = seal::key_file(url.expose());
        let mut command = Command::new(suite::beside(&name));
        command
            .env(URL, url)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut child =
            child::spawn_apart(&mut command).map_err(|error| not_started(&name, &error))?;
        let ended = || Refusal::new(Kind::Unavailable, format!("'{name}' can't be spoken to"));
        let streams = child.stdin.take().zip(child.stdout.take());
        let (input, output) = streams.ok_or_else(ended)?;
        let (requests, to_send) = mpsc::channel();
        let (heard, answers) = mpsc::channel();
        let child = Arc::new(Mutex::new(child));
        let mut connection = Self {
            requests,
            answers,
            child: Arc::clone(&child),
            can_watch: false,
        };
        let talk = move || {
            talk(input, output, &to_send, &heard);
            reap(&child);
        };
        if thread::Builder::new().spawn(talk).is_err() {
            connection.kill();
            return Err(ended());
        }
        match connection.greet(&name) {
            Ok(()) => Ok(connection),
            Err(refusal) => {
                // It may be one that never ends.
                connection.kill();
                Err(refusal)
            }
        }
    }

    fn greet(&mut self, name: &str) -> Result<(), Refusal> {
        let line = self.hear(FIRST).map_err(|fault| fault.of(name))?;
        let greeting: Greeting =
            serde_json::from_slice(&line).map_err(|_| Fault::Garbage.of(name))?;
        if greeting.v != PROTOCOL {
            let message = format!(
                "'{name}' speaks version {} of the protocol, and this command version {PROTOCOL}",
                greeting.v
            );
            return Err(Refusal::new(Kind::Config, message));
        }
        if let Some(word) = greeting.lacks() {
            let message = format!("'{name}' does not know '{word}', which a store needs");
            return Err(Refusal::new(Kind::Config, message));
        }
        self.can_watch = greeting.can("watch");
        Ok(())
    }

    /// Whether it tells of a change by itself.
    pub(super) const fn can_watch(&self) -> bool {
        self.can_watch
    }

    /// Asks for something, and waits for the answer. `slow` is told once when a lock takes longer
    /// than `quiet`. After a fault that is no refusal the helper is of no use any more.
    pub(super) fn ask(
        &mut self,
        request: &Request<'_>,
        quiet: Duration,
        slow: impl FnOnce(),
    ) -> Result<Answer, Fault> {
        let patience = Duration::from_millis(request.wait()).saturating_add(GRACE);
        let begun = Instant::now();
        let sent = self.requests.send(request.line());
        sent.map_err(|_| Fault::Ended)?;
        let soon = match request.is_for_lock() {
            true => quiet.min(patience),
            false => patience,
        };
        let line = match self.hear(soon) {
            Err(Fault::Silent(_)) if soon < patience => {
                slow();
                self.hear(patience.saturating_sub(begun.elapsed()))
            }
            heard => heard,
        };
        let line = line.map_err(|fault| match fault {
            Fault::Silent(_) => Fault::Silent(patience),
            other => other,
        });
        let answer = line.and_then(|line| match Answer::read(&line, request) {
            Some(answer) => answer.map_err(Fault::Refused),
            None => Err(Fault::Garbage),
        });
        if let Err(Fault::Silent(_) | Fault::Garbage) = answer {
            self.kill();
        }
        answer
    }

    fn hear(&mut self, patience: Duration) -> Result<Vec<u8>, Fault> {
        match self.answers.recv_timeout(patience) {
            Ok(Some(line)) => Ok(line),
            Ok(None) | Err(RecvTimeoutError::Disconnected) => Err(Fault::Ended),
            Err(RecvTimeoutError::Timeout) => Err(Fault::Silent(patience)),
        }
    }

    fn kill(&self) {
        // One that is gone is as good.
        let _ = lock(&self.child).kill();
    }
}

impl Fault {
    /// As a helper would have told it.
    pub(super) fn of(self, name: &str) -> Refusal {
        match self {
            Self::Ended => Refusal::new(Kind::Unavailable, format!("'{name}' ended")),
            Self::Silent(patience) => {
                let seconds = patience.as_secs_f64().ceil();
                let message = format!("'{name}' did not answer within {seconds} s");
                Refusal::new(Kind::Unavailable, message)
            }
            Self::Garbage => Refusal::new(
                Kind::Failed,
                format!("'{name}' gave no answer that makes sense"),
            ),
            Self::Refused(refusal) | Self::Sealed(refusal) => refusal,
        }
    }
}

fn not_started(name: &str, error: &io::Error) -> Refusal {
    match error.kind() {
        io::ErrorKind::NotFound => Refusal {
            kind: Kind::Config,
            message: format!("there is no '{name}'"),
            hint: Some(format!(
                "install '{name}' beside this command or in the PATH; a file is named without '://'"
            )),
        },
        // For a moment there may be no room for another process.
        io::ErrorKind::WouldBlock | io::ErrorKind::OutOfMemory => {
            Refusal::new(Kind::Unavailable, format!("can't run '{name}': {error}"))
        }
        _ => Refusal::new(Kind::Config, format!("can't run '{name}': {error}")),
    }
}

/// Carries requests and answers until one side ends.
fn talk(
    mut input: ChildStdin,
    output: ChildStdout,
    requests: &Receiver<Vec<u8>>,
    heard: &Sender<Heard>,
) {
    let mut output = BufReader::new(output);
    loop {
        let line = line(&mut output);
        let is_over = line.is_none();
        if heard.send(line).is_err() || is_over {
            return;
        }
        let Ok(request) = requests.recv() else {
            return;
        };
        if input
            .write_all(&request)
            .and_then(|()| input.flush())
            .is_err()
        {
            let _ = heard.send(None);
            return;
        }
    }
}

/// The next line; `None` where there is no whole one.
fn line(output: &mut impl BufRead) -> Heard {
    let mut line = Vec::new();
    output
        .take(LONGEST_LINE)
        .read_until(b'\n', &mut line)
        .ok()?;
    (line.pop() == Some(b'\n')).then_some(line)
}

/// Waits for its end, which has to come soon.
fn reap(child: &Mutex<Child>) {
    const LOOK_AGAIN: Duration = Duration::from_millis(10);
    let begun = Instant::now();
    while let Ok(None) = lock(child).try_wait() {
        if begun.elapsed() > ENDING {
            let mut child = lock(child);
            let _ = child.kill();
            let _ = child.wait();
            return;
        }
        thread::sleep(LOOK_AGAIN);
    }
}

/// What is behind it is whole between any two statements.
fn lock(child: &Mutex<Child>) -> MutexGuard<'_, Child> {
    child.lock().unwrap_or_else(PoisonError::into_inner)
}
