//! Files: which one is which, and how one takes another's place. Who may read them is said by the
//! profile's folder that they are in, and nothing is to be done for a single one.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Write};
use std::os::windows::fs::MetadataExt;
use std::path::Path;
use std::thread;
use std::time::Duration;

use tempfile::NamedTempFile;
use winapi_util::file::information;

use crate::sys::rights::Rights;

/// A file that somebody has open can't always be replaced: so often it is tried again.
const TRIES: u32 = 50;
const BETWEEN_TRIES: Duration = Duration::from_millis(20);

/// Opens a file for writing; one that is created is its owner's alone: the folder sees to that.
///
/// # Errors
/// When it can't be opened.
pub fn open_private(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    options.open(path)
}

/// Opens a file to be read.
///
/// # Errors
/// When it can't be opened, or is a folder.
pub fn open_regular(path: &Path) -> io::Result<File> {
    if fs::metadata(path)?.is_dir() {
        return Err(io::Error::other("it is a folder"));
    }
    File::open(path)
}

/// Makes a folder for its owner alone: the one above sees to that.
///
/// # Errors
/// When the system refuses it.
pub fn make_private_folder(path: &Path) -> io::Result<()> {
    fs::create_dir(path)
}

/// Makes a file that was just created its owner's alone: the folder sees to that.
///
/// # Errors
/// Never.
pub fn own(_: &File) -> io::Result<()> {
    Ok(())
}

/// Writes all of it.
///
/// # Errors
/// When it can't be written.
pub fn write_all(file: &mut File, bytes: &[u8]) -> io::Result<()> {
    file.write_all(bytes)
}

/// Whether something is mounted at this path: nothing is, at a file's.
#[must_use]
pub fn is_mount(_: &Path) -> bool {
    false
}

/// Whether this is what a file system says that has no locks (`ERROR_NOT_SUPPORTED`).
#[must_use]
pub fn knows_no_locks(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(1 | 50))
}

/// Who may do what; `None` on a system that has no such thing.
#[must_use]
pub fn rights(_: &Metadata) -> Option<Rights> {
    None
}

/// Makes a file its owner's alone, and says whether it was not.
///
/// # Errors
/// When there is no such file.
pub fn make_private(path: &Path) -> io::Result<bool> {
    fs::metadata(path).map(|_| false)
}

/// Makes a file a program that its owner can run: its name does.
///
/// # Errors
/// When there is no such file.
pub fn make_runnable(path: &Path) -> io::Result<()> {
    fs::metadata(path).map(drop)
}

/// Puts a temporary file in the place of another, all at once. A reader that has that one open is
/// waited for, for a moment.
///
/// # Errors
/// When the system refuses it; what was there is there still.
pub fn put(mut temporary: NamedTempFile, path: &Path) -> io::Result<()> {
    let mut tries = 1;
    loop {
        let refused = match temporary.persist(path) {
            Ok(_) => return Ok(()),
            Err(refused) => refused,
        };
        if !is_in_use(&refused.error) || tries == TRIES {
            return Err(refused.error);
        }
        temporary = refused.file;
        thread::sleep(BETWEEN_TRIES);
        tries += 1;
    }
}

/// `ERROR_ACCESS_DENIED`, `ERROR_SHARING_VIOLATION`, `ERROR_LOCK_VIOLATION`.
fn is_in_use(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(5 | 32 | 33))
}

/// Makes sure that what was renamed in a folder stays so over a power cut: the file system does.
///
/// # Errors
/// Never.
pub fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}

/// What tells a file from the one that took its place, at the same length and time.
#[must_use]
pub fn id(metadata: &Metadata) -> u64 {
    metadata.creation_time()
}

/// Whether this is the file at that path.
///
/// # Errors
/// When the system does not tell of the open one.
pub fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    let own = information(file)?;
    let there = File::open(path).and_then(|there| information(&there));
    Ok(there.is_ok_and(|there| {
        (there.volume_serial_number(), there.file_index())
            == (own.volume_serial_number(), own.file_index())
    }))
}
