//! `codex-accounts --watch`: the status view in its place on the terminal, drawn anew when it
//! says something else. It draws on the terminal's other screen, so that nothing is left behind
//! however it ends.

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Read as _};
use std::thread;
use std::time::Duration;

use tokio::sync::mpsc;

use super::look::{Colour, Ink, Look};
use super::table::fitted;
use super::when::Local;
use super::{read, view};
use crate::cli::exit::{Code, Error};
use crate::cli::shell::Shell;

/// How often the store is read again; a moment for a person, nothing for a machine.
const INTERVAL: Duration = Duration::from_millis(250);

/// Shows the status view until a signal or the key `q` ends it.
pub(super) fn watch(shell: &Shell, colour: &Colour) -> Result<Code, Error> {
    if !io::stdout().is_terminal() {
        return Err(Error::hinted(
            Code::Usage,
            "standard output is no terminal",
            "leave --watch out, or use --json",
        ));
    }
    // What is wrong with the store is said where it stays to be read.
    read(shell)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Error::output)?;
    runtime.block_on(show(shell, colour))
}

async fn show(shell: &Shell, colour: &Colour) -> Result<Code, Error> {
    let mut signals = signals::Signals::new().map_err(Error::output)?;
    let mut screen = Screen::enter(shell)?;
    let mut keys = keys();
    let mut shown = String::new();
    loop {
        let drawing = drawing(shell, colour)?;
        if drawing != shown {
            shell.print(&drawing)?;
            shown = drawing;
        }
        tokio::select! {
            signal = signals.next() => match signal {
                signals::Signal::End => return Ok(Code::Done),
                signals::Signal::Resize => shown.clear(),
                signals::Signal::Stop => {
                    drop(screen);
                    signals::stop();
                    screen = Screen::enter(shell)?;
                    shown.clear();
                }
            },
            Some(key) = keys.recv() => if key == b'q' {
                return Ok(Code::Done);
            },
            () = tokio::time::sleep(INTERVAL) => {}
        }
    }
}

/// The view as it overwrites the one before: each line to its end, then all below. In between the
/// terminal shows the old one, if it knows how to (mode 2026).
fn drawing(shell: &Shell, colour: &Colour) -> Result<String, Error> {
    let look = Look::new(colour);
    let local = Local::new(shell.now());
    let mut view = view::render(&read(shell)?, &local, look, shell);
    view.push('\n');
    let way_out = fitted("q ends", look.columns(), look);
    view.push_str(&look.paint(Ink::Faint, &way_out));
    let mut drawing = String::from("\x1b[?2026h\x1b[H");
    // A line more than the screen has would scroll it.
    let lines: Vec<&str> = view.lines().take(height()).collect();
    for (index, line) in lines.iter().enumerate() {
        let end = if index + 1 < lines.len() { "\r\n" } else { "" };
        // Writing to a text does not fail.
        let _ = write!(drawing, "{line}\x1b[K{end}");
    }
    drawing.push_str("\x1b[J\x1b[?2026l");
    Ok(drawing)
}

fn height() -> usize {
    terminal_size::terminal_size().map_or(usize::MAX, |(_, height)| height.0.into())
}

/// The terminal's other screen, without a cursor and without what is typed, until this goes.
struct Screen<'a> {
    shell: &'a Shell,
    #[cfg(unix)]
    before: Option<nix::sys::termios::Termios>,
}

impl<'a> Screen<'a> {
    fn enter(shell: &'a Shell) -> Result<Self, Error> {
        let screen = Self {
            shell,
            #[cfg(unix)]
            before: hide_input(),
        };
        shell.print("\x1b[?1049h\x1b[?25l")?;
        Ok(screen)
    }
}

impl Drop for Screen<'_> {
    fn drop(&mut self) {
        // A terminal that is gone needs no cleaning.
        let _ = self.shell.print("\x1b[?25h\x1b[?1049l");
        #[cfg(unix)]
        if let Some(before) = &self.before {
            use nix::sys::termios::{SetArg, tcsetattr};
            let _ = tcsetattr(io::stdout(), SetArg::TCSANOW, before);
        }
    }
}

/// The keys that are typed. A thread reads them, which ends with the process; from anything but a
/// terminal none come.
fn keys() -> mpsc::Receiver<u8> {
    let (typed, keys) = mpsc::channel(1);
    if io::stdin().is_terminal() {
        thread::spawn(move || {
            for key in io::stdin().lock().bytes().map_while(Result::ok) {
                if typed.blocking_send(key).is_err() {
                    break;
                }
            }
        });
    }
    keys
}

/// Stops the echo of keys, and lets them come without a line end. The settings before, if there are
/// any.
#[cfg(unix)]
fn hide_input() -> Option<nix::sys::termios::Termios> {
    use nix::sys::termios::{LocalFlags, SetArg, tcgetattr, tcsetattr};
    let before = tcgetattr(io::stdout()).ok()?;
    let mut hidden = before.clone();
    hidden
        .local_flags
        .remove(LocalFlags::ECHO | LocalFlags::ICANON);
    tcsetattr(io::stdout(), SetArg::TCSANOW, &hidden).ok()?;
    Some(before)
}

/// The signals that a view on a terminal has to heed.
#[cfg(unix)]
mod signals {
    use std::io;

    use nix::libc::SIGTSTP;
    use tokio::signal::unix::{self, SignalKind, signal};

    pub(super) enum Signal {
        End,
        Resize,
        Stop,
    }

    pub(super) struct Signals {
        interrupt: unix::Signal,
        terminate: unix::Signal,
        hangup: unix::Signal,
        quit: unix::Signal,
        resize: unix::Signal,
        stop: unix::Signal,
    }

    impl Signals {
        pub(super) fn new() -> io::Result<Self> {
            Ok(Self {
                interrupt: signal(SignalKind::interrupt())?,
                terminate: signal(SignalKind::terminate())?,
                hangup: signal(SignalKind::hangup())?,
                quit: signal(SignalKind::quit())?,
                resize: signal(SignalKind::window_change())?,
                stop: signal(SignalKind::from_raw(SIGTSTP))?,
            })
        }

        pub(super) async fn next(&mut self) -> Signal {
            tokio::select! {
                _ = self.interrupt.recv() => Signal::End,
                _ = self.terminate.recv() => Signal::End,
                _ = self.hangup.recv() => Signal::End,
                _ = self.quit.recv() => Signal::End,
                _ = self.resize.recv() => Signal::Resize,
                _ = self.stop.recv() => Signal::Stop,
            }
        }
    }

    /// Stops until the person goes on.
    pub(super) fn stop() {
        // It fails for a signal that does not exist only.
        let _ = nix::sys::signal::raise(nix::sys::signal::Signal::SIGSTOP);
    }
}

/// The signals that a view on a terminal has to heed.
#[cfg(not(unix))]
mod signals {
    use std::io;

    #[allow(dead_code, reason = "only the end comes as a signal there")]
    pub(super) enum Signal {
        End,
        Resize,
        Stop,
    }

    pub(super) struct Signals;

    impl Signals {
        pub(super) fn new() -> io::Result<Self> {
            Ok(Self)
        }

        pub(super) async fn next(&mut self) -> Signal {
            // Without a way to wait for it, it ends at once.
            let _ = tokio::signal::ctrl_c().await;
            Signal::End
        }
    }

    pub(super) fn stop() {}
}
