//! Where this kind of system differs from others in where things are kept. The variables that node's
//! programs go by come first, so that all find one home.

use std::path::PathBuf;

/// The person's home.
#[must_use]
pub fn home() -> Option<PathBuf> {
    named("USERPROFILE").or_else(dirs::home_dir)
}

/// The folder that programs keep a person's data in, where the system says so itself.
#[must_use]
pub fn roaming_data() -> Option<PathBuf> {
    named("APPDATA").or_else(dirs::config_dir)
}

/// The folder for what need not be kept.
#[must_use]
pub fn state() -> Option<PathBuf> {
    named("LOCALAPPDATA").or_else(dirs::data_local_dir)
}

fn named(variable: &str) -> Option<PathBuf> {
    let folder = std::env::var_os(variable).map(PathBuf::from);
    folder.filter(|path| path.is_absolute())
}

/// The variables that name a home and what is in it, each with its folder below that home.
pub const HOME_VARIABLES: &[(&str, &str)] = &[
    ("HOME", ""),
    ("USERPROFILE", ""),
    ("APPDATA", "AppData/Roaming"),
    ("LOCALAPPDATA", "AppData/Local"),
];

/// Whether a terminal shows all of Unicode, whatever the locale says.
pub const UNICODE_TERMINAL: bool = true;

/// The command that prints a file, which is its last argument.
pub const PRINT_FILE: (&str, &[&str]) = ("cmd", &["/d", "/c", "type"]);
