//! Why a helper's store can't be used.

use thiserror::Error;

use super::wire::Kind;
use crate::store::locator::Locator;

/// See the module.
#[derive(Clone, Debug, Error)]
#[error("'{at}': {message}")]
pub struct Error {
    /// Which store.
    pub at: Locator,
    /// What kind of failure it is.
    pub kind: Kind,
    /// What the helper said, or what became of it.
    pub message: String,
    /// What to do about it, if it said that.
    pub hint: Option<String>,
}
