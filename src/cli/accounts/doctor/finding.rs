//! What the doctor says of one thing that it looked at.

use super::fix::Fix;
use crate::cli::accounts::who::called;
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

/// The names of accounts in one text: `0 work and 1 personal`.
pub(super) fn named(document: &Document, indices: &[usize]) -> String {
    let name = |index: &usize| called(*index, &document.accounts[*index]);
    let names: Vec<String> = indices.iter().map(name).collect();
    names.join(" and ")
}
