//! `codex-accounts doctor`: what is wrong, and the command that mends it. It looks at everything
//! and changes nothing, unless it is asked to.

use super::look::{self, Ink, Look};
use super::table::{self, Cell, printable};
use crate::cli::exit::{Code, Error};
use crate::cli::shell::Shell;
use crate::store::Document;
use fix::Fix;

mod accounts;
mod fix;
mod online;
mod restore;
mod store;
mod surroundings;

/// `codex-accounts doctor`.
#[derive(Debug, clap::Args)]
#[command(override_usage = "codex-accounts doctor [--online] [--fix] | --restore [--yes]")]
pub(super) struct Doctor {
    /// Ask the servers too: one small request for each account
    #[arg(long)]
    online: bool,
    /// Mend what can be mended without harm
    #[arg(long)]
    fix: bool,
    /// Bring the store back from its backup, after showing what that holds
    #[arg(long, conflicts_with_all = ["online", "fix"])]
    restore: bool,
    /// Do not ask
    #[arg(short, long, requires = "restore")]
    yes: bool,
    #[command(flatten)]
    colour: look::Colour,
}

/// One thing that was looked at.
struct Finding {
    health: Health,
    /// What it is about: a word.
    about: String,
    what: String,
    mend: Mend,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Health {
    /// It is as it should be.
    Well,
    /// It is good to know, and nothing is wrong.
    Note,
    /// It has to be mended.
    Wrong,
}

/// What helps.
enum Mend {
    /// Nothing has to be done.
    Nothing,
    /// A command that the person types.
    Type(String),
    /// Something that does no harm.
    Fix(Fix),
}

impl Finding {
    fn well(about: &str, what: impl Into<String>) -> Self {
        Self::new(Health::Well, about, what, Mend::Nothing)
    }

    fn note(about: &str, what: impl Into<String>, mend: Mend) -> Self {
        Self::new(Health::Note, about, what, mend)
    }

    fn wrong(about: &str, what: impl Into<String>, mend: Mend) -> Self {
        Self::new(Health::Wrong, about, what, mend)
    }

    fn new(health: Health, about: &str, what: impl Into<String>, mend: Mend) -> Self {
        Self {
            health,
            about: about.to_owned(),
            what: what.into(),
            mend,
        }
    }

    fn row(&self) -> Vec<Cell> {
        let (ink, word) = match self.health {
            Health::Well => (Ink::Good, "ok"),
            Health::Note => (Ink::Caution, "note"),
            Health::Wrong => (Ink::Bad, "wrong"),
        };
        let what = Cell::new(Ink::Plain, printable(&self.what));
        let mend = match &self.mend {
            Mend::Nothing => None,
            Mend::Type(command) => Some(command.clone()),
            Mend::Fix(fix) => Some(fix.command()),
        };
        vec![
            Cell::new(ink, word),
            Cell::new(Ink::Strong, printable(&self.about)),
            match mend {
                None => what,
                Some(command) => what.and(Ink::Plain, ": ").and(Ink::Strong, command),
            },
        ]
    }
}

impl Doctor {
    pub(super) fn run(&self, shell: &Shell) -> Result<Code, Error> {
        if self.restore {
            return restore::restore(shell, self.yes);
        }
        let mut findings = examine(shell);
        // What is mended may show what stood behind it: a store that could not be read.
        while self.fix && mend(shell, &findings)? {
            findings = examine(shell);
        }
        if self.online {
            findings.extend(online::examine(shell));
        }
        let look = Look::new(&self.colour);
        let rows: Vec<_> = findings.iter().map(Finding::row).collect();
        shell.print(&table::render(&rows, look))?;
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

/// Looks at all that can be seen on this machine.
fn examine(shell: &Shell) -> Vec<Finding> {
    let (mut findings, document) = store::examine(shell);
    findings.extend(accounts::examine(shell, &document));
    findings.extend(surroundings::examine(&document));
    findings
}

/// Mends what does no harm, and says so. Whether there was anything.
fn mend(shell: &Shell, findings: &[Finding]) -> Result<bool, Error> {
    let mut mended = false;
    for finding in findings {
        if let Mend::Fix(fix) = &finding.mend {
            mended |= fix.apply(shell)?;
            shell.note(&format!("mended: {}", finding.what));
        }
    }
    Ok(mended)
}

/// The names of accounts in one text: `0 work and 1 personal`.
fn named(document: &Document, indices: &[usize]) -> String {
    let name = |index: &usize| super::called(*index, &document.accounts[*index]);
    let names: Vec<String> = indices.iter().map(name).collect();
    names.join(" and ")
}
