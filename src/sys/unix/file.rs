//! Files: who may read them, which one is which, and how one takes another's place.

use std::fs::{self, DirBuilder, File, Metadata, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::signal::{SigSet, SigmaskHow, Signal};
use tempfile::NamedTempFile;

use crate::sys::rights::Rights;

/// Opens a file for writing; one that is created is its owner's alone, and theirs to read and
/// write, whatever the umask is (0600). What is no regular file is refused, and not waited for.
///
/// # Errors
/// When it can't be opened, or is no regular file.
pub fn open_private(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    let options = options.mode(0o600).custom_flags(OFlag::O_NONBLOCK.bits());
    let file = options
        .open(path)
        .map_err(|error| match error.raw_os_error() {
            // A pipe that nobody reads.
            Some(code) if code == Errno::ENXIO as i32 => irregular(),
            _ => error,
        })?;
    let metadata = refuse_irregular(&file)?;
    if metadata.permissions().mode() & 0o600 != 0o600 {
        file.set_permissions(Permissions::from_mode(0o600))?;
    }
    Ok(file)
}

/// Opens a file to be read. What is no regular file is refused, and not waited for.
///
/// # Errors
/// When it can't be opened, or is no regular file.
pub fn open_regular(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    let options = options.read(true).custom_flags(OFlag::O_NONBLOCK.bits());
    let file = options.open(path)?;
    refuse_irregular(&file)?;
    Ok(file)
}

fn refuse_irregular(file: &File) -> io::Result<Metadata> {
    let metadata = file.metadata()?;
    match metadata.file_type() {
        kind if kind.is_file() => Ok(metadata),
        kind if kind.is_dir() => Err(io::Error::other("it is a folder")),
        _ => Err(irregular()),
    }
}

fn irregular() -> io::Error {
    io::Error::other("it is no regular file")
}

/// Makes a folder for its owner alone, who can use it whatever the umask is (0700).
///
/// # Errors
/// When the system refuses it.
pub fn make_private_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().mode(0o700).create(path)?;
    fs::set_permissions(path, Permissions::from_mode(0o700))
}

/// Makes a file that was just created its owner's alone (0600), whatever the umask is.
///
/// # Errors
/// When the system refuses it.
pub fn own(file: &File) -> io::Result<()> {
    file.set_permissions(Permissions::from_mode(0o600))
}

/// Writes all of it. A limit on the size of files is an error, and does not end the process.
///
/// # Errors
/// When it can't be written.
pub fn write_all(file: &mut File, bytes: &[u8]) -> io::Result<()> {
    let signal = SigSet::from_iter([Signal::SIGXFSZ]);
    let before = signal.thread_swap_mask(SigmaskHow::SIG_BLOCK);
    let written = file.write_all(bytes);
    if let Err(error) = &written
        && error.raw_os_error() == Some(Errno::EFBIG as i32)
    {
        // It came for this thread, and is not to come when it is let through again.
        let _ = signal.wait();
    }
    if let Ok(before) = before {
        let _ = before.thread_set_mask();
    }
    written
}

/// Whether something is mounted at this path, which has no links in it. Where the system does not
/// tell, nothing is.
#[must_use]
pub fn is_mount(path: &Path) -> bool {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    // proc_pid_mountinfo(5): the fifth field, with white space and backslashes in octal.
    let points = mounts.lines().filter_map(|line| line.split(' ').nth(4));
    let path = path.display().to_string();
    let written = path
        .replace('\\', r"\134")
        .replace(' ', r"\040")
        .replace('\t', r"\011")
        .replace('\n', r"\012");
    points.into_iter().any(|point| point == written)
}

/// Whether this is what a file system says that has no locks.
#[must_use]
pub fn knows_no_locks(error: &io::Error) -> bool {
    let codes = [Errno::ENOLCK, Errno::EOPNOTSUPP, Errno::ENOSYS];
    let is = |code: &Errno| error.raw_os_error() == Some(*code as i32);
    codes.iter().any(is)
}

/// Who may do what; `None` on a system that has no such thing.
#[must_use]
pub fn rights(metadata: &Metadata) -> Option<Rights> {
    Some(Rights(metadata.permissions().mode() & 0o7777))
}

/// Makes a file its owner's alone, and says whether it was not.
///
/// # Errors
/// When the system refuses it.
pub fn make_private(path: &Path) -> io::Result<bool> {
    let before = rights(&fs::metadata(path)?);
    fs::set_permissions(path, Permissions::from_mode(0o600))?;
    Ok(rights(&fs::metadata(path)?) != before)
}

/// Makes a file a program that its owner can run.
///
/// # Errors
/// When the system refuses it.
pub fn make_runnable(path: &Path) -> io::Result<()> {
    fs::set_permissions(path, Permissions::from_mode(0o700))
}

/// Puts a temporary file in the place of another, all at once.
///
/// # Errors
/// When the system refuses it; what was there is there still.
pub fn put(temporary: NamedTempFile, path: &Path) -> io::Result<()> {
    temporary.persist(path).map_err(|error| error.error)?;
    Ok(())
}

/// Makes sure that what was renamed in a folder stays so over a power cut.
///
/// # Errors
/// When the folder can't be opened, or its file system knows no such thing.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// What tells a file from the one that took its place, at the same length and time.
#[must_use]
pub fn id(metadata: &Metadata) -> u64 {
    metadata.ino()
}

/// Whether this is the file at that path.
///
/// # Errors
/// When the system does not tell of the open one.
pub fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    let own = file.metadata()?;
    let there = fs::metadata(path);
    Ok(there.is_ok_and(|there| (there.dev(), there.ino()) == (own.dev(), own.ino())))
}
