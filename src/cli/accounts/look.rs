//! What the terminal of the person can show: how wide it is, whether it wants colour, and whether
//! it knows more than ASCII.

use std::env;
use std::io::{self, IsTerminal};

use clap::ColorChoice;
use clap::builder::styling::{AnsiColor, Color, Style};

use crate::sys::place::UNICODE_TERMINAL;

/// Columns, where nobody says how many there are.
const USUAL_WIDTH: usize = 80;

/// The flag for colour.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Colour {
    /// auto, always or never
    #[arg(
        long,
        value_name = "WHEN",
        default_value = "auto",
        hide_default_value = true,
        hide_possible_values = true,
        hide_short_help = true,
        global = true
    )]
    color: ColorChoice,
}

/// How things are shown.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    /// Columns, where the terminal or the person says how many there are: nothing is wider then.
    pub(super) width: Option<usize>,
    /// Whether colour and weight are used.
    pub(super) colour: bool,
    /// Whether signs other than ASCII are used.
    pub(super) unicode: bool,
}

/// What a text is, for the eye. All of it can be read without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ink {
    Plain,
    Strong,
    Faint,
    Good,
    Caution,
    Bad,
}

impl Look {
    /// That of standard output.
    pub(super) fn new(colour: &Colour) -> Self {
        let is_terminal = io::stdout().is_terminal();
        Self {
            width: width(is_terminal),
            colour: match colour.color {
                ColorChoice::Always => true,
                ColorChoice::Never => false,
                ColorChoice::Auto => wants_colour(is_terminal),
            },
            unicode: knows_unicode(),
        }
    }

    /// The columns to lay out for.
    pub(super) fn columns(self) -> usize {
        self.width.unwrap_or(USUAL_WIDTH)
    }

    /// The text in its colour.
    pub(super) fn paint(self, ink: Ink, text: &str) -> String {
        let style = match ink {
            Ink::Strong => Style::new().bold(),
            Ink::Faint => Style::new().dimmed(),
            Ink::Good => coloured(AnsiColor::Green),
            Ink::Caution => coloured(AnsiColor::Yellow),
            Ink::Bad => coloured(AnsiColor::Red),
            Ink::Plain => return text.to_owned(),
        };
        if self.colour && !text.trim().is_empty() {
            format!("{style}{text}{style:#}")
        } else {
            text.to_owned()
        }
    }

    /// One of two signs.
    pub(super) fn sign(self, unicode: &'static str, ascii: &'static str) -> &'static str {
        if self.unicode { unicode } else { ascii }
    }
}

const fn coloured(colour: AnsiColor) -> Style {
    Style::new().fg_color(Some(Color::Ansi(colour)))
}

/// A person who set `COLUMNS` means it; else the terminal is asked.
fn width(is_terminal: bool) -> Option<usize> {
    let set = env::var("COLUMNS").ok();
    let set = set.and_then(|columns| columns.parse().ok());
    let asked = || terminal_size::terminal_size().filter(|_| is_terminal);
    let is_some = |columns: &usize| *columns > 0;
    set.filter(is_some)
        .or_else(|| asked().map(|(width, _)| width.0.into()))
        .filter(is_some)
}

/// The conventions of no-color.org and bixense.com/clicolors.
fn wants_colour(is_terminal: bool) -> bool {
    let set = |name: &str| env::var_os(name).is_some_and(|value| !value.is_empty());
    let is = |name: &str, value: &str| env::var_os(name).is_some_and(|set| set == value);
    if set("NO_COLOR") {
        false
    } else if set("CLICOLOR_FORCE") && !is("CLICOLOR_FORCE", "0") {
        true
    } else {
        is_terminal && !is("TERM", "dumb") && !is("CLICOLOR", "0")
    }
}

/// As the C library finds the character set; Windows terminals have it anyway.
fn knows_unicode() -> bool {
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"]
        .into_iter()
        .find_map(|name| env::var(name).ok().filter(|value| !value.is_empty()))
        .unwrap_or_default()
        .to_ascii_lowercase();
    UNICODE_TERMINAL || locale.contains("utf-8") || locale.contains("utf8")
}
