//! `codex-accounts log`: when the active account changed, from whom to whom, and why.

use serde::Serialize;

use super::look::{self, Ink, Look};
use super::table::{self, Cell, printable};
use super::when::Local;
use crate::account::SwitchReason;
use crate::cli::exit::{Code, Error};
use crate::cli::record::VERSION;
use crate::cli::shell::Shell;
use crate::store::log::{self, Switch};

/// `codex-accounts log`.
#[derive(Debug, clap::Args)]
#[command(override_usage = "codex-accounts log [-n COUNT] [--json] [--color WHEN]")]
pub(super) struct Log {
    /// As many of the last changes; default: 20
    #[arg(
        short = 'n',
        long,
        value_name = "COUNT",
        default_value = "20",
        hide_default_value = true
    )]
    lines: usize,
    /// One record for each change
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    colour: look::Colour,
}

#[derive(Serialize)]
struct SwitchRecord<'a> {
    v: u8,
    #[serde(flatten)]
    switch: &'a Switch,
}

impl Log {
    pub(super) fn run(&self, shell: &Shell) -> Result<Code, Error> {
        let switches = log::switches(shell.accounts()?.path())?;
        let last = &switches[switches.len().saturating_sub(self.lines)..];
        if last.is_empty() {
            shell.note("the active account has not changed yet");
        } else if self.json {
            for switch in last {
                shell.emit(&SwitchRecord { v: VERSION, switch })?;
            }
        } else {
            let (local, look) = (Local::new(shell.now()), Look::new(&self.colour));
            let rows: Vec<_> = last.iter().map(|it| row(it, &local, look)).collect();
            shell.print(&table::render(&rows, look))?;
        }
        Ok(Code::Done)
    }
}

fn row(switch: &Switch, local: &Local, look: Look) -> Vec<Cell> {
    let arrow = format!(" {} ", look.sign("→", "->"));
    let (ink, why) = why(switch, local);
    vec![
        Cell::new(Ink::Faint, local.stamp(switch.at)),
        Cell::new(Ink::Plain, printable(&switch.from))
            .and(Ink::Faint, arrow)
            .and(Ink::Strong, printable(&switch.to)),
        Cell::new(ink, why),
    ]
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
        (SwitchReason::Other(word), _) => (Ink::Plain, printable(word)),
    }
}
