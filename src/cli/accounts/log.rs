//! `codex-accounts log`: when the active account changed, from whom to whom, and why; or what was
//! asked of whom.

use serde::Serialize;

use super::look::{Colour, Ink, Look};
use super::requests;
use super::table::{self, Cell, Flexible};
use crate::account::SwitchReason;
use crate::cli::exit::{Code, Error};
use crate::cli::record::VERSION;
use crate::cli::shell::Shell;
use crate::cli::when::Local;
use crate::store::log::{self, Switch};

/// `codex-accounts log`.
#[derive(Debug, clap::Args)]
#[command(override_usage = "codex-accounts log [-n COUNT] [--requests] [--json]")]
pub(super) struct Log {
    /// As many of the last ones; default: 20
    #[arg(
        short = 'n',
        long,
        value_name = "COUNT",
        default_value = "20",
        hide_default_value = true
    )]
    lines: usize,
    /// The requests, instead of the changes of the active account
    #[arg(long)]
    requests: bool,
    /// One record for each
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct SwitchRecord<'a> {
    v: u8,
    #[serde(flatten)]
    switch: &'a Switch,
}

/// With less there is no room for the whole date of each change.
const ROOMY: usize = 90;

impl Log {
    pub(super) fn run(&self, shell: &Shell, colour: &Colour) -> Result<Code, Error> {
        if self.requests {
            self.show_requests(shell, colour)
        } else {
            self.show_switches(shell, colour)
        }
    }

    fn show_requests(&self, shell: &Shell, colour: &Colour) -> Result<Code, Error> {
        let lines = requests::lines()?;
        if lines.is_empty() {
            shell.note("no request has gone through a relay yet");
        } else if self.json {
            for record in requests::records(&lines, self.lines) {
                shell.emit(&record)?;
            }
        } else {
            let (local, look) = (Local::new(shell.now()), Look::new(colour));
            shell.print(&requests::table(&lines, self.lines, &local, look))?;
        }
        Ok(Code::Done)
    }

    fn show_switches(&self, shell: &Shell, colour: &Colour) -> Result<Code, Error> {
        let switches = log::switches(&shell.accounts()?.locator())?;
        let last = &switches[switches.len().saturating_sub(self.lines)..];
        if switches.is_empty() {
            shell.note("the active account has not changed yet");
        } else if self.json {
            for switch in last {
                shell.emit(&SwitchRecord { v: VERSION, switch })?;
            }
        } else {
            let (local, look) = (Local::new(shell.now()), Look::new(colour));
            shell.print(&table(last, &local, look))?;
        }
        Ok(Code::Done)
    }
}

fn table(switches: &[Switch], local: &Local, look: Look) -> String {
    let mut rows: Vec<_> = switches.iter().map(|it| row(it, local, look)).collect();
    if let Some(columns) = look.width {
        let names = [1, 2].map(|column| Flexible { column, least: 8 });
        table::fit(&mut rows, &names, columns, look);
    }
    table::render(&rows, look)
}

fn row(switch: &Switch, local: &Local, look: Look) -> Vec<Cell> {
    let is_roomy = look.width.is_none_or(|columns| columns >= ROOMY);
    let at = if is_roomy {
        local.stamp(switch.at)
    } else {
        local.short_stamp(switch.at)
    };
    let (ink, why) = why(switch, local);
    vec![
        Cell::new(Ink::Faint, at),
        Cell::new(Ink::Plain, called(switch.from_index, &switch.from)),
        Cell::new(Ink::Faint, look.sign("→ ", "-> "))
            .and(Ink::Strong, called(switch.to_index, &switch.to)),
        Cell::new(ink, why),
    ]
}

/// The name after the index that the account had then.
fn called(index: Option<usize>, name: &str) -> String {
    index.map_or_else(|| name.to_owned(), |index| format!("{index} {name}"))
}

fn why(switch: &Switch, local: &Local) -> (Ink, String) {
    match (&switch.reason, switch.until) {
        (SwitchReason::RateLimit, Some(until)) => (
            Ink::Caution,
            format!("limited until {}", local.clock(until)),
        ),
        (SwitchReason::RateLimit, None) => (Ink::Caution, "limited".to_owned()),
        (SwitchReason::Rotation, _) => (Ink::Plain, "rotation".to_owned()),
        (SwitchReason::Initial, _) => (Ink::Plain, "first use".to_owned()),
        (SwitchReason::Other(word), _) => (Ink::Plain, word.clone()),
    }
}
