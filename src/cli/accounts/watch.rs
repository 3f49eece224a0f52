//! `codex-accounts --watch`: the status view in its place on the terminal, drawn anew when it
//! says something else. It draws on the terminal's other screen, so that nothing is left behind
//! however it ends. Keys change what is shown; what they do is what the subcommands do.

use std::fmt::Write as _;
use std::io::{self, IsTerminal};
use std::time::Duration;

use tokio::time::{Interval, interval};

use super::change::{self, Use};
use super::keys::{Keys, Meaning};
use super::look::{Colour, Ink, Look};
use super::refreshing::Refreshing;
use super::table::fitted;
use super::{read, view};
use crate::account::printable::printable;
use crate::cli::exit::{Code, Error};
use crate::cli::shell::Shell;
use crate::cli::when::Local;
use crate::sys::signals::{self, Wishes};
use crate::sys::terminal::Hidden;
use crate::sys::wish::Wish;

/// How often the store is read again; a moment for a person, nothing for a machine.
const INTERVAL: Duration = Duration::from_millis(250);

/// How often figures are asked for while somebody looks, where that is wished.
const OFTEN: Duration = Duration::from_secs(5 * 60);

/// Younger figures are not asked for again, however often the key is pressed.
const YOUNG: Duration = Duration::from_secs(30);

/// What the keys do.
const KEYS: &str = "0-9 use  e 0-9 enable or disable  r refresh  q ends";

/// Shows the status view until a signal or the key `q` ends it; `asks` for figures all the while.
pub(super) fn watch(shell: &Shell, colour: &Colour, asks: bool) -> Result<Code, Error> {
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
    let mut refreshing = Refreshing::new(shell)?;
    // What is not part of the view would be drawn into it.
    let ended = runtime.block_on(show(&shell.silent(), colour, asks, &mut refreshing));
    refreshing.finish();
    ended
}

async fn show(
    shell: &Shell,
    colour: &Colour,
    asks: bool,
    refreshing: &mut Refreshing,
) -> Result<Code, Error> {
    let mut wishes = Wishes::watch().map_err(Error::output)?;
    let mut screen = Screen::enter(shell)?;
    let mut keys = Keys::of_terminal();
    let mut often = asks.then(|| interval(OFTEN));
    let (mut shown, mut said) = (String::new(), String::new());
    loop {
        let drawing = drawing(shell, colour, &said)?;
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
            Some(key) = keys.next() => match key {
                Meaning::End => return Ok(Code::Done),
                Meaning::Refresh => refreshing.order(YOUNG),
                Meaning::Use(index) => said = told(Use::of(&index).carry_out(shell)),
                Meaning::Turn(index) => {
                    said = told(change::turn(shell, &index).map(|notes| notes.join("; ")));
                }
                Meaning::Which => "enable or disable which one? 0-9".clone_into(&mut said),
                Meaning::Nothing => said.clear(),
            },
            Some(news) = refreshing.news() => said = news,
            () = tick(&mut often) => refreshing.order(OFTEN),
            () = tokio::time::sleep(INTERVAL) => {}
        }
    }
}

/// What became of a key's wish.
fn told(done: Result<String, Error>) -> String {
    done.unwrap_or_else(|error| error.to_string())
}

/// The next time; never, where nothing is to be done at times.
async fn tick(often: &mut Option<Interval>) {
    match often {
        Some(often) => drop(often.tick().await),
        None => std::future::pending().await,
    }
}

/// The view as it overwrites the one before: each line to its end, then all below. In between the
/// terminal shows the old one, if it knows how to (mode 2026).
fn drawing(shell: &Shell, colour: &Colour, said: &str) -> Result<String, Error> {
    let look = Look::new(colour);
    let local = Local::new(shell.now());
    let mut view = view::render(&read(shell)?, &local, look, shell);
    view.push('\n');
    let line = |ink: Ink, text: &str| look.paint(ink, &fitted(text, look.columns(), look));
    if !said.is_empty() {
        view.push_str(&line(Ink::Plain, &printable(said)));
        view.push('\n');
    }
    view.push_str(&line(Ink::Faint, KEYS));
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
