//! What the doctor found, for a person to read.

use std::path::MAIN_SEPARATOR;

use unicode_width::UnicodeWidthStr;

use super::finding::{Finding, Health, Mend};
use crate::account::printable::printable;
use crate::cli::accounts::look::{Ink, Look};
use crate::cli::accounts::table;
use crate::cli::shell::Shell;
use crate::sys::place;

/// The findings in three columns, and what mends a thing on a line of its own.
pub(super) fn report(findings: &[Finding], shell: &Shell, look: Look) -> String {
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
        text.push_str(&helping(&finding.mend, shell, look, indent));
    }
    text
}

/// What helps, indented. A command is to be copied: it is not broken, but begins further left
/// where it is long.
fn helping(mend: &Mend, shell: &Shell, look: Look, indent: usize) -> String {
    let command = match mend {
        Mend::Nothing => return String::new(),
        Mend::Advice(advice) => {
            let columns = look.width.unwrap_or(usize::MAX).saturating_sub(indent);
            let line = |line: &String| format!("{:indent$}{line}\n", "");
            return table::wrapped(advice, columns.max(1))
                .iter()
                .map(line)
                .collect();
        }
        Mend::Type(command) => command.clone(),
        Mend::Fix(fix) => fix.command(shell),
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

/// The text with the short name of the home folder where a path in quotes begins.
fn at_home(text: &str, short: &str) -> String {
    let Some(home) = place::home() else {
        return text.to_owned();
    };
    text.replace(&format!("'{}{MAIN_SEPARATOR}", home.display()), short)
}
