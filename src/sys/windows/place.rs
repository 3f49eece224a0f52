//! Where this kind of system differs from others in where things are kept.

use std::path::PathBuf;

/// The folder that programs keep a person's data in, where the system says so itself: `%APPDATA%`.
#[must_use]
pub fn roaming_data() -> Option<PathBuf> {
    dirs::config_dir()
}

/// Whether a terminal shows all of Unicode, whatever the locale says.
pub const UNICODE_TERMINAL: bool = true;
