//! What was learned of an account by asking with it: one record of one asking, from the choice of
//! the account to what is recorded of its answer.

use super::handle::Handle;
use super::limit::Reading;
use super::time::UnixMillis;

/// That an account was asked.
#[derive(Clone, Debug)]
pub struct Asking {
    /// The account, as it was when it was chosen.
    pub who: Handle,
    /// The model, if it is known.
    pub model: Option<String>,
    /// When it was chosen: its answer says nothing about what was marked after that.
    pub at: UnixMillis,
}

/// What an answer said of an account, for [`super::Account::record`].
#[derive(Clone, Debug)]
pub struct Observation {
    /// What it answers.
    pub asking: Asking,
    /// What it said.
    pub reading: Reading,
    /// When it was seen.
    pub seen_at: UnixMillis,
}
