//! What a command says of itself: `--version` for people, and `--version --json` for programs.

use clap::error::ErrorKind;
use serde::Serialize;

use super::exit::{Code, Error};
use super::{console, record};
use crate::sys;

/// What `--version` shows: the version, and the commit where it is known.
pub const VERSION: &str = env!("CODEX_ACCOUNTS_VERSION");

#[derive(Serialize)]
struct Version {
    v: u8,
    name: &'static str,
    version: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    commit: Option<&'static str>,
    system: &'static str,
    features: Vec<&'static str>,
}

/// Whether that is what the command line asks for, of which clap says so.
#[must_use]
pub(super) fn is_record_wanted(error: &clap::Error) -> bool {
    error.kind() == ErrorKind::DisplayVersion && std::env::args_os().any(|word| word == "--json")
}

/// Prints the record of the command `name`.
///
/// # Errors
/// When it can't be written.
pub(super) fn print(name: &'static str) -> Result<Code, Error> {
    let linked = cfg!(target_feature = "crt-static").then_some("static");
    let version = Version {
        v: record::VERSION,
        name,
        version: env!("CARGO_PKG_VERSION"),
        commit: option_env!("CODEX_ACCOUNTS_COMMIT"),
        system: env!("CODEX_ACCOUNTS_SYSTEM"),
        features: sys::FEATURES.iter().copied().chain(linked).collect(),
    };
    let line = console::json_line(&version)? + "\n";
    console::print(line.as_bytes())?;
    Ok(Code::Done)
}
