//! `codex-accounts doctor`: what is wrong, and the command that mends it. It looks at everything
//! and changes nothing, unless it is asked to.

use unicode_width::UnicodeWidthStr;

use super::look::{Colour, Ink, Look};
use super::table;
use super::who::called;
use crate::account::printable::printable;
use crate::cli::exit::{Code, Error};
use crate::cli::shell::Shell;
use crate::store::Document;
use crate::sys::place;
use fix::Fix;

mod accounts;
mod clients;
mod fix;
mod online;
mod permissions;
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
    /// What the person does, in words.
    Advice(String),
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
        if self.online {
            findings.extend(online::examine(shell));
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

/// Looks at the store and what is in it.
fn examine(shell: &Shell) -> Vec<Finding> {
    let (mut findings, document) = store::examine(shell);
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

/// The findings in three columns, and what mends a thing on a line of its own.
fn report(findings: &[Finding], shell: &Shell, look: Look) -> String {
    let widest = findings.iter().map(|finding| finding.about.width()).max();
    let about = widest.unwrap_or(0);
    let indent = "wrong  ".len() + about + "  ".len();
    let columns = look.width.unwrap_or(usize::MAX);
    let mut text = String::new();
    for finding in findings {
        let (ink, word) = match finding.health {
            Health::Well => (Ink::Good, "ok"),
            Health::Note => (Ink::Caution, "note"),
            Health::Wrong => (Ink::Bad, "wrong"),
        };
        text.push_str(&look.paint(ink, word));
        text.push_str(&" ".repeat("wrong  ".len() - word.len()));
        text.push_str(&look.paint(Ink::Strong, &finding.about));
        let padding = " ".repeat(indent - "wrong  ".len() - finding.about.width());
        let what = at_home(&finding.what, "'~/");
        let what = table::wrapped(&what, columns.saturating_sub(indent).max(1));
        let between = format!("\n{}", " ".repeat(indent));
        text.push_str(&format!("{padding}{}\n", what.join(&between)));
        text.push_str(&finding.mend.lines(shell, look, indent));
    }
    text
}

impl Mend {
    /// What helps, indented. A command is to be copied: it is not broken, but begins further left
    /// where it is long.
    fn lines(&self, shell: &Shell, look: Look, indent: usize) -> String {
        let command = match self {
            Self::Nothing => return String::new(),
            Self::Advice(advice) => {
                let columns = look.width.unwrap_or(usize::MAX).saturating_sub(indent);
                let line = |line: &String| format!("{:indent$}{line}\n", "");
                return table::wrapped(advice, columns.max(1))
                    .iter()
                    .map(line)
                    .collect();
            }
            Self::Type(command) => command.clone(),
            Self::Fix(fix) => fix.command(shell),
        };
        let command = printable(&at_home(&command, "~/'"));
        let fits = look
            .width
            .is_none_or(|columns| indent + 2 + command.width() <= columns);
        let indent = if fits { indent } else { 2 };
        let command = look.paint(Ink::Strong, &command);
        let sign = look.paint(Ink::Faint, "$");
        format!("{:indent$}{sign} {command}\n", "")
    }
}

/// The text with the short name of the home folder where a path in quotes begins.
fn at_home(text: &str, short: &str) -> String {
    let Some(home) = place::home() else {
        return text.to_owned();
    };
    text.replace(&format!("'{}/", home.display()), short)
}

/// The names of accounts in one text: `0 work and 1 personal`.
fn named(document: &Document, indices: &[usize]) -> String {
    let name = |index: &usize| called(*index, &document.accounts[*index]);
    let names: Vec<String> = indices.iter().map(name).collect();
    names.join(" and ")
}
