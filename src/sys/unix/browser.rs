//! What `$BROWSER` says here: names or paths of programs, with a colon between them.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::Path;
use std::process::Command;

use super::file;

/// The command of a browser that the desktop's own way of opening an address would pass over: none,
/// it reads `$BROWSER` itself.
#[must_use]
pub fn named(_: &str, _: &str) -> Option<Command> {
    None
}

/// What `$BROWSER` has to say so that a program opens an address that it gets after `argument`: the
/// path of a script in `folder`, since not everybody takes more than a path.
///
/// # Errors
/// When it can't be written.
pub fn of_program(program: &Path, argument: &str, folder: &Path) -> io::Result<OsString> {
    let program = program.display().to_string().replace('\'', r"'\''");
    let script = folder.join("browser");
    fs::write(
        &script,
        format!("#!/bin/sh\nexec '{program}' {argument} \"$1\"\n"),
    )?;
    file::make_runnable(&script)?;
    Ok(script.into())
}
