//! The handles that a process starts with.

use std::fs::File;
use std::io;

use winapi_util::HandleRef;
use winapi_util::file::typ;

/// Descriptor 3: there is none, a program has its three standard handles.
#[must_use]
pub fn descriptor_3() -> Option<File> {
    None
}

/// Whether standard input is a pipe: it ends with whoever holds its other end.
#[must_use]
pub fn input_is_pipe() -> bool {
    typ(HandleRef::stdin()).is_ok_and(|kind| kind.is_pipe())
}

/// Whether a write failed because nobody reads any more. Windows has three words for it, of which
/// the standard library knows two.
#[must_use]
pub fn reader_is_gone(error: &io::Error) -> bool {
    const PIPE_NOT_CONNECTED: i32 = 233;
    error.kind() == io::ErrorKind::BrokenPipe || error.raw_os_error() == Some(PIPE_NOT_CONNECTED)
}
