//! Files: who may read them, which one is which, and how one takes another's place.

use std::fs::{self, DirBuilder, File, Metadata, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use tempfile::NamedTempFile;

use crate::sys::rights::Rights;

/// Files that are created so are their owner's alone (0600).
pub fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    options.mode(0o600)
}

/// Folders that are made so are their owner's alone (0700).
pub fn private_folder(builder: &mut DirBuilder) -> &mut DirBuilder {
    builder.mode(0o700)
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
