//! A program that a command runs in its place: the terminal, the signals and the exit status are
//! the program's, as if the command was not there.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, getpgrp, tcgetpgrp};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use super::exit::{Code, Error};
use super::signals;

/// The folder of this program: the other commands of the suite are in it.
#[must_use]
pub fn folder() -> Option<PathBuf> {
    let this = std::env::current_exe().ok()?;
    this.parent().map(Path::to_owned)
}

/// Another command of the suite: the one beside this program, else the one in the `PATH`.
#[must_use]
pub fn beside(command: &str) -> PathBuf {
    folder()
        .map(|folder| folder.join(command))
        .filter(|path| path.exists())
        .unwrap_or_else(|| command.into())
}

/// Runs a program to its end, and gives the exit status that a shell would report. Signals for this
/// process go to the program meanwhile.
///
/// # Errors
/// When it can't be started.
pub fn run(runtime: &Runtime, command: &mut Command) -> Result<Code, Error> {
    Signals::take(runtime)?.run(runtime, command)
}

/// What is the child's. A signal that this process was started to ignore is not: the child is, too.
const PASSED: [Signal; 10] = [
    Signal::SIGHUP,
    Signal::SIGINT,
    Signal::SIGQUIT,
    Signal::SIGTERM,
    Signal::SIGUSR1,
    Signal::SIGUSR2,
    Signal::SIGALRM,
    Signal::SIGTSTP,
    Signal::SIGCONT,
    Signal::SIGWINCH,
];

/// The signals that are the child's. This process takes them so that it outlives them; what comes
/// before there is a child is for it all the same.
#[derive(Debug)]
pub struct Signals(Vec<signals::Taken>);

impl Signals {
    /// Takes them.
    ///
    /// # Errors
    /// When the system does not give one.
    pub fn take(runtime: &Runtime) -> Result<Self, Error> {
        signals::take(runtime, &PASSED).map(Self)
    }

    /// As [`run`].
    ///
    /// # Errors
    /// When the program can't be started.
    pub fn run(self, runtime: &Runtime, command: &mut Command) -> Result<Code, Error> {
        let child = command.spawn().map_err(|error| {
            let program = command.get_program().display();
            let message = format!("can't run '{program}': {error}");
            match error.kind() {
                std::io::ErrorKind::NotFound => {
                    Error::hinted(Code::No, message, "is it installed, and in the PATH?")
                }
                _ => Error::new(Code::Io, message),
            }
        })?;
        // Proof: the system's process ids are positive numbers of this type.
        let pid = Pid::from_raw(i32::try_from(child.id()).unwrap_or(i32::MAX));
        let mut passing = JoinSet::new();
        for (signal, mut arrivals) in self.0 {
            let pass = async move {
                while arrivals.recv().await.is_some() {
                    pass(signal, pid);
                }
            };
            passing.spawn_on(pass, runtime.handle());
        }
        Ok(wait(pid))
    }
}

fn pass(signal: Signal, child: Pid) {
    // What the terminal sends goes to all of its foreground group, the child included: passed on,
    // it would come twice.
    let is_of_terminal = matches!(
        signal,
        Signal::SIGINT | Signal::SIGQUIT | Signal::SIGTSTP | Signal::SIGWINCH
    );
    let in_foreground = || terminal().is_some_and(|tty| tcgetpgrp(&tty) == Ok(getpgrp()));
    if !(is_of_terminal && in_foreground()) {
        // A child that is gone needs none.
        let _ = kill(child, signal);
    }
}

/// The terminal of this process, if it has one.
fn terminal() -> Option<File> {
    File::open("/dev/tty").ok()
}

/// Waits for the child's end, and stops along with it, so that the shell sees the job stop.
fn wait(child: Pid) -> Code {
    loop {
        match waitpid(child, Some(WaitPidFlag::WUNTRACED)) {
            Ok(WaitStatus::Exited(_, status)) => {
                // Proof: the system keeps eight bits of it.
                return Code::OfProgram(u8::try_from(status & 0xff).unwrap_or(u8::MAX));
            }
            Ok(WaitStatus::Signaled(_, signal, _)) => {
                return Code::OfProgram(128_u8.saturating_add(signal as u8));
            }
            // Without a terminal there are no jobs, and nobody who would wake this one.
            Ok(WaitStatus::Stopped(..)) if terminal().is_some() => {
                let _ = kill(Pid::this(), Signal::SIGSTOP);
            }
            Ok(_) | Err(Errno::EINTR) => {}
            Err(_) => return Code::Io,
        }
    }
}
