//! What answers are written with, whatever they say.

use super::account::{Credits, Windows};
use std::time::SystemTime;

/// What an answer is written with.
pub(super) struct Scene {
    pub(super) plan: String,
    pub(super) windows: Windows,
    pub(super) credits: Credits,
    pub(super) model: String,
    /// Tells this request's ids from those of others.
    pub(super) serial: u64,
    pub(super) now: SystemTime,
}
