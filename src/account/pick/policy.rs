//! What is wished of the choice for good, as the store keeps it: of all accounts, or of one. What
//! the words mean is read in `wishes`: an account holds its policy, so nothing here knows accounts.

use serde::{Deserialize, Serialize};

use crate::account::Extra;

/// Wishes as the store keeps them. A word of a later version is kept, and is no wish to this one.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Policy {
    /// A strategy; only of all accounts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) strategy: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) reserve: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) credits: Option<String>,
    /// Fields that this program does not know.
    #[serde(flatten)]
    extra: Extra,
}

impl Policy {
    /// Whether nothing is wished.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
