//! What the doctor says of one thing that it looked at.

use serde::Serialize;

use super::fix::Fix;
use crate::cli::accounts::who::called;
use crate::cli::record;
use crate::cli::shell::Shell;
use crate::store::Document;

/// One thing that was looked at.
pub(super) struct Finding {
    pub(super) health: Health,
    /// What it is about: a word.
    pub(super) about: String,
    pub(super) what: String,
    pub(super) mend: Mend,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Health {
    /// It is as it should be.
    Well,
    /// It is good to know, and nothing is wrong.
    Note,
    /// It has to be mended.
    Wrong,
}

/// What helps.
pub(super) enum Mend {
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
    pub(super) fn well(about: &str, what: impl Into<String>) -> Self {
        Self::new(Health::Well, about, what, Mend::Nothing)
    }

    pub(super) fn note(about: &str, what: impl Into<String>, mend: Mend) -> Self {
        Self::new(Health::Note, about, what, mend)
    }

    pub(super) fn wrong(about: &str, what: impl Into<String>, mend: Mend) -> Self {
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

/// A finding for other programs.
#[derive(Serialize)]
pub(super) struct Record<'a> {
    v: u8,
    health: &'static str,
    about: &'a str,
    what: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    mend: Option<String>,
}

impl Finding {
    pub(super) fn record(&self, shell: &Shell) -> Record<'_> {
        Record {
            v: record::VERSION,
            health: match self.health {
                Health::Well => "ok",
                Health::Note => "note",
                Health::Wrong => "wrong",
            },
            about: &self.about,
            what: &self.what,
            mend: match &self.mend {
                Mend::Nothing => None,
                Mend::Advice(text) | Mend::Type(text) => Some(text.clone()),
                Mend::Fix(fix) => Some(fix.command(shell)),
            },
        }
    }
}

/// The names of accounts in one text: `0 work and 1 personal`.
pub(super) fn named(document: &Document, indices: &[usize]) -> String {
    let name = |index: &usize| called(*index, &document.accounts[*index]);
    let names: Vec<String> = indices.iter().map(name).collect();
    names.join(" and ")
}
