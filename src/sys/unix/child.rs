//! A program that runs in the place of this one: signals that come for this process are the
//! program's, and it stops and goes on along with it.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, getpgrp, tcgetpgrp};
use tokio::runtime::Handle;
use tokio::task::JoinSet;

use super::descriptors;
use super::signals::{self, Taken};

/// A program by the name that a person types.
#[must_use]
pub fn command(program: &OsStr) -> Command {
    Command::new(program)
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
pub struct Signals(Vec<Taken>);

impl Signals {
    /// Takes them.
    ///
    /// # Errors
    /// When the system does not give one.
    pub fn take(runtime: &Handle) -> io::Result<Self> {
        let _runtime = runtime.enter();
        signals::take(&PASSED).map(Self)
    }

    /// Runs a program to its end, and gives the exit status that a shell would report.
    ///
    /// # Errors
    /// When it can't be started.
    pub fn run(self, runtime: &Handle, command: &mut Command) -> io::Result<u8> {
        let child = descriptors::lowered(|| command.spawn())?;
        // Proof: the system's process ids are positive numbers of this type.
        let pid = Pid::from_raw(i32::try_from(child.id()).unwrap_or(i32::MAX));
        let mut passing = JoinSet::new();
        for (signal, mut arrivals) in self.0 {
            let pass = async move {
                while arrivals.recv().await.is_some() {
                    pass(signal, pid);
                }
            };
            passing.spawn_on(pass, runtime);
        }
        wait(pid)
    }
}

/// Starts a program beside this one that what is typed on the terminal does not reach.
///
/// # Errors
/// When it can't be started.
pub fn spawn_apart(command: &mut Command) -> io::Result<Child> {
    descriptors::lowered(|| command.process_group(0).spawn())
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
fn wait(child: Pid) -> io::Result<u8> {
    loop {
        match waitpid(child, Some(WaitPidFlag::WUNTRACED)) {
            // Proof: the system keeps eight bits of it.
            Ok(WaitStatus::Exited(_, status)) => {
                return Ok(u8::try_from(status & 0xff).unwrap_or(u8::MAX));
            }
            Ok(WaitStatus::Signaled(_, signal, _)) => {
                return Ok(128_u8.saturating_add(signal as u8));
            }
            // Without a terminal there are no jobs, and nobody who would wake this one.
            Ok(WaitStatus::Stopped(..)) if terminal().is_some() => {
                let _ = kill(Pid::this(), Signal::SIGSTOP);
            }
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}
