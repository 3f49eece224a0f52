//! `codex-accounts doctor`: what is wrong, and the command that mends it. It looks at everything
//! and changes nothing, unless it is asked to.

use super::look::{Colour, Ink, Look};
use crate::cli::exit::{Code, Error};
use crate::cli::shell::Shell;
use finding::{Finding, Health, Mend};
use fix::Fix;
use report::report;

mod accounts;
mod clients;
mod finding;
mod fix;
mod for_good;
mod leases;
mod leftovers;
mod online;
mod permissions;
mod report;
mod restore;
mod store;
mod surroundings;

/// `codex-accounts doctor`.
#[derive(Debug, clap::Args)]
#[command(override_usage = "codex-accounts doctor [--online] [--fix] [--json] | --restore [--yes]")]
pub(super) struct Doctor {
    /// Ask the servers too: one small request for each account
    #[arg(long)]
    online: bool,
    /// Mend what can be mended without harm
    #[arg(long)]
    fix: bool,
    /// Print a record for each thing that was looked at
    #[arg(long)]
    json: bool,
    /// Bring the store back from its backup, after showing what that holds
    #[arg(long, conflicts_with_all = ["online", "fix", "json"])]
    restore: bool,
    /// Do not ask
    #[arg(short, long, requires = "restore")]
    yes: bool,
}

impl Doctor {
    pub(super) fn run(&self, shell: &Shell, colour: &Colour) -> Result<Code, Error> {
        if self.restore {
            return restore::restore(shell, self.yes);
        }
        let mut findings = if self.fix {
            mend(shell)
        } else {
            examine(shell)
        };
        findings.extend(surroundings::examine(shell));
        findings.extend(for_good::examine(shell));
        if self.online {
            findings.extend(online::examine(shell));
        }
        if self.json {
            return records(shell, &findings);
        }
        let look = Look::new(colour);
        shell.print(&report(&findings, shell, look))?;
        let is_wrong = |finding: &&Finding| finding.health == Health::Wrong;
        let wrong = findings.iter().filter(is_wrong).count();
        let (ink, verdict, code) = match wrong {
            0 => (Ink::Good, "all is well".to_owned(), Code::Done),
            1 => (Ink::Bad, "one thing is wrong".to_owned(), Code::No),
            more => (Ink::Bad, format!("{more} things are wrong"), Code::No),
        };
        shell.print(&format!("{}\n", look.paint(ink, &verdict)))?;
        Ok(code)
    }
}

/// The findings for other programs: whether anything is wrong, the exit status says.
fn records(shell: &Shell, findings: &[Finding]) -> Result<Code, Error> {
    for finding in findings {
        shell.emit(&finding.record(shell))?;
    }
    let is_wrong = |finding: &Finding| finding.health == Health::Wrong;
    Ok(match findings.iter().any(is_wrong) {
        true => Code::No,
        false => Code::Done,
    })
}

/// Looks at the store and what is in it.
fn examine(shell: &Shell) -> Vec<Finding> {
    let (mut findings, document) = store::examine(shell);
    findings.extend(leftovers::examine(shell));
    findings.extend(accounts::examine(shell, &document));
    findings.extend(surroundings::left_behind(shell, &document));
    findings
}

/// Mends what does no harm, says what came of it, and looks again: what is mended may show what
/// stood behind it, as a store that could not be read does. Nothing is tried twice.
fn mend(shell: &Shell) -> Vec<Finding> {
    let mut tried: Vec<Fix> = Vec::new();
    loop {
        let findings = examine(shell);
        let before = tried.len();
        for finding in &findings {
            if let Mend::Fix(fix) = &finding.mend
                && !tried.contains(fix)
            {
                apply(shell, fix, &finding.what);
                tried.push(fix.clone());
            }
        }
        if tried.len() == before {
            return findings;
        }
    }
}

/// A failure is said where -q wants no notes, too.
fn apply(shell: &Shell, fix: &Fix, what: &str) {
    match fix.apply(shell) {
        Ok(true) => shell.note(&format!("mended: {what}")),
        Ok(false) => shell.tell(&format!("not mended: {what}: it stays as it was")),
        Err(error) => shell.tell(&format!("not mended: {what}: {error}")),
    }
}
