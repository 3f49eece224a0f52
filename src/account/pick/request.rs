//! What is asked for when an account is picked.

use std::collections::BTreeSet;

use super::Strategy;

/// What is asked for.
#[derive(Clone, Debug, Default)]
pub struct Request<'a> {
    /// How to choose.
    pub strategy: Strategy,
    /// The model the account is for, if it is known.
    pub model: Option<&'a str>,
    /// Only this account will do.
    pub only: Option<usize>,
    /// These accounts will not do.
    pub exclude: BTreeSet<usize>,
    /// These are in use by others, and are taken only when no free one is left.
    pub busy: BTreeSet<usize>,
    /// Accounts with this little left of a window, in percent, are taken last.
    pub reserve_percent: f64,
    /// Requests with the same key go to the same account as long as it is usable, busy or not.
    pub session: Option<&'a str>,
}
