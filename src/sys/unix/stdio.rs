//! The descriptors that a process starts with.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, RawFd};

use filedescriptor::FileDescriptor;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::stat::{SFlag, fstat};

/// Descriptor 3, if the caller opened it to be written to. It is that very descriptor, since a file
/// opened anew has a place of its own in it.
#[must_use]
pub fn descriptor_3() -> Option<File> {
    struct Three;
    impl AsRawFd for Three {
        fn as_raw_fd(&self) -> RawFd {
            3
        }
    }
    let copy = FileDescriptor::dup(&Three).ok()?;
    let file = copy.as_file().ok()?;
    let flags = OFlag::from_bits_truncate(fcntl(&file, FcntlArg::F_GETFL).ok()?);
    let mode = flags & OFlag::O_ACCMODE;
    (mode == OFlag::O_WRONLY || mode == OFlag::O_RDWR).then_some(file)
}

/// Whether standard input is a pipe: it ends with whoever holds its other end.
#[must_use]
pub fn input_is_pipe() -> bool {
    fstat(io::stdin())
        .is_ok_and(|stat| SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT == SFlag::S_IFIFO)
}

/// Whether a write failed because nobody reads any more.
#[must_use]
pub fn reader_is_gone(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::BrokenPipe
}
