//! What is asked for when an account is picked.

use std::collections::BTreeSet;

use super::wishes::Wishes;
use crate::account::time::UnixMillis;

/// What is asked for.
#[derive(Clone, Debug, Default)]
pub struct Request<'a> {
    /// How to choose: those of this run, and those of the store where it has none. What is wished of
    /// one account stands with it, and goes before these.
    pub wishes: Wishes,
    /// The model the account is for, if it is known.
    pub model: Option<&'a str>,
    /// Only this account will do.
    pub only: Option<usize>,
    /// These accounts will not do.
    pub exclude: BTreeSet<usize>,
    /// These are in use by others, and are taken only when no free one is left.
    pub busy: BTreeSet<usize>,
    /// Requests with the same key go to the same account as long as it is usable, busy or not.
    pub session: Option<&'a str>,
    /// The account that is to go on, as long as no other is better than by the strategy.
    pub keep: Option<Keep>,
}

/// That a session has an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keep {
    /// The account.
    pub index: usize,
    /// When it served the session last.
    pub since: UnixMillis,
}
