//! Where this kind of system differs from others in where things are kept.

use std::path::PathBuf;

/// The person's home.
#[must_use]
pub fn home() -> Option<PathBuf> {
    dirs::home_dir()
}

/// The folder that programs keep a person's data in, where the system says so itself.
#[must_use]
pub fn roaming_data() -> Option<PathBuf> {
    None
}

/// The folder for what need not be kept.
#[must_use]
pub fn state() -> Option<PathBuf> {
    dirs::state_dir().or_else(dirs::data_local_dir)
}

/// The variables that name a home and what is in it, each with its folder below that home.
pub const HOME_VARIABLES: &[(&str, &str)] = &[("HOME", "")];

/// Whether a terminal shows all of Unicode, whatever the locale says.
pub const UNICODE_TERMINAL: bool = false;

/// The command that prints a file, which is its last argument.
pub const PRINT_FILE: (&str, &[&str]) = ("cat", &[]);
