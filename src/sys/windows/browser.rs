//! What `$BROWSER` says here: a program, in quotes where its path has blanks, and words of which
//! `%s` stands for the address. Windows itself does not know the variable.

use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::process::Command;

/// The command of the browser that is named, if one is.
#[must_use]
pub fn named(named: &str, url: &str) -> Option<Command> {
    let named = named.trim();
    let (program, words) = match named.strip_prefix('"') {
        Some(quoted) => quoted.split_once('"')?,
        None => named.split_once(' ').unwrap_or((named, "")),
    };
    if program.is_empty() {
        return None;
    }
    let mut command = Command::new(program);
    let words: Vec<&str> = words.split_ascii_whitespace().collect();
    command.args(words.iter().map(|word| word.replace("%s", url)));
    if !words.iter().any(|word| word.contains("%s")) {
        command.arg(url);
    }
    Some(command)
}

/// What `$BROWSER` has to say so that a program opens an address that it gets after `argument`.
///
/// # Errors
/// Never.
pub fn of_program(program: &Path, argument: &str, _: &Path) -> io::Result<OsString> {
    Ok(format!("\"{}\" {argument} %s", program.display()).into())
}
