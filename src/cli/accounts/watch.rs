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
use crate::sys::signals::{self, Wishes};
use crate::sys::terminal::Hidden;
use crate::sys::wish::Wish;

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
    let mut wishes = Wishes::watch().map_err(Error::output)?;
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
            wish = wishes.next() => match wish {
                Wish::End => return Ok(Code::Done),
                Wish::Resize => shown.clear(),
                Wish::Stop => {
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
    /// Goes after the screen is left.
    _hidden: Option<Hidden>,
}

impl<'a> Screen<'a> {
    fn enter(shell: &'a Shell) -> Result<Self, Error> {
        let screen = Self {
            shell,
            _hidden: Hidden::input(),
        };
        shell.print("\x1b[?1049h\x1b[?25l")?;
        Ok(screen)
    }
}

impl Drop for Screen<'_> {
    fn drop(&mut self) {
        // A terminal that is gone needs no cleaning.
        let _ = self.shell.print("\x1b[?25h\x1b[?1049l");
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
