//! How a command ends: the one table of exit codes (DESIGN §2), the one place that maps errors to
//! them, and the one place that prints an error.

use super::saying::say;

mod code;
mod error;
mod hint;
mod map;

pub use code::Code;
pub use error::Error;

/// Prints an error and gives its exit code.
#[must_use]
pub fn report(name: &str, error: &Error) -> Code {
    if !matches!(error, Error::ClosedPipe) {
        complain(name, &error.to_string(), error.hint().as_deref());
    }
    error.code()
}

/// Prints a message for people: to standard error, where a failure to do so has nowhere to go.
pub fn complain(name: &str, message: &str, hint: Option<&str>) {
    say(&format!("{name}: error: {message}"));
    if let Some(hint) = hint {
        say(&format!("hint: {hint}"));
    }
}
