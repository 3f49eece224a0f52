//! Which accounts a run may use, where a person narrowed it down.

use std::collections::BTreeSet;

use crate::account::Account;
use crate::account::handle::Handle;

/// What a person wants of one run.
#[derive(Clone, Debug, Default)]
pub struct Narrowing {
    /// Nothing but this account.
    pub only: Option<Handle>,
    /// None of these.
    pub exclude: Vec<Handle>,
}

impl Narrowing {
    /// The accounts that the run keeps off, among those that there are now.
    #[must_use]
    pub fn forbidden(&self, accounts: &[Account]) -> BTreeSet<usize> {
        let only = self.only.as_ref().map(|who| who.find(accounts));
        let exclude = self.exclude.iter().filter_map(|who| who.find(accounts));
        let mut forbidden: BTreeSet<usize> = exclude.collect();
        if let Some(only) = only {
            forbidden.extend((0..accounts.len()).filter(|index| Some(*index) != only));
        }
        forbidden
    }
}
