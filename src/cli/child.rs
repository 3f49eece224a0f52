//! A program that a command runs in its place: the terminal, the signals and the exit status are
//! the program's, as if the command was not there.

use std::path::{Path, PathBuf};
use std::process::Command;

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, getpgrp, tcgetpgrp};
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};

use super::exit::{Code, Error};

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
    // In place before there is a child that they are for.
    let signals = runtime.block_on(async { Signals::take() })?;
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
    let passing = runtime.spawn(signals.pass_to(pid));
    let status = wait(pid);
    passing.abort();
    Ok(status)
}

/// The signals that are the child's. This process takes them so that it outlives them.
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    quit: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
    hangup: tokio::signal::unix::Signal,
}

impl Signals {
    fn take() -> Result<Self, Error> {
        let take = |kind| {
            signal(kind).map_err(|error| Error::new(Code::Io, format!("no signals: {error}")))
        };
        Ok(Self {
            interrupt: take(SignalKind::interrupt())?,
            quit: take(SignalKind::quit())?,
            terminate: take(SignalKind::terminate())?,
            hangup: take(SignalKind::hangup())?,
        })
    }

    async fn pass_to(mut self, child: Pid) {
        loop {
            let signal = tokio::select! {
                _ = self.interrupt.recv() => from_keyboard(Signal::SIGINT),
                _ = self.quit.recv() => from_keyboard(Signal::SIGQUIT),
                _ = self.terminate.recv() => Some(Signal::SIGTERM),
                _ = self.hangup.recv() => Some(Signal::SIGHUP),
            };
            if let Some(signal) = signal {
                // A child that is gone needs none.
                let _ = kill(child, signal);
            }
        }
    }
}

/// What is typed at a terminal goes to all of its foreground group, the child included: passed on,
/// it would come twice.
fn from_keyboard(signal: Signal) -> Option<Signal> {
    let terminal = std::fs::File::open("/dev/tty");
    let in_foreground = terminal.is_ok_and(|tty| tcgetpgrp(&tty) == Ok(getpgrp()));
    (!in_foreground).then_some(signal)
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
            Ok(WaitStatus::Stopped(..)) => {
                let _ = kill(Pid::this(), Signal::SIGSTOP);
            }
            Ok(_) | Err(Errno::EINTR) => {}
            Err(_) => return Code::Io,
        }
    }
}
