//! Files that are replaced whole: whoever reads sees the old bytes or the new ones, also after a
//! crash or a power cut. It knows nothing of what is in them.

use std::ffi::OsString;
use std::fs::{self, DirBuilder};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::sys::file;

/// How the names of temporary files begin. One that is left was cut off by a crash.
pub const TEMPORARY_PREFIX: &str = ".codex-accounts-";

/// Bytes on the disk that wait to take the place of a file. They are gone if nothing comes of it.
#[derive(Debug)]
pub struct Prepared<'a> {
    path: &'a Path,
    temporary: NamedTempFile,
}

/// Writes `bytes` for the place of a file: a temporary file beside it (0600 from its creation),
/// synced. With `permissions` the new file gets those.
///
/// # Errors
/// When any of these fails.
pub fn prepare<'a>(
    path: &'a Path,
    bytes: &[u8],
    permissions: Option<fs::Permissions>,
) -> io::Result<Prepared<'a>> {
    let mut temporary = tempfile::Builder::new()
        .prefix(TEMPORARY_PREFIX)
        .tempfile_in(folder(path))?;
    temporary.as_file_mut().write_all(bytes)?;
    if let Some(permissions) = permissions {
        temporary.as_file().set_permissions(permissions)?;
    }
    temporary.as_file().sync_all()?;
    Ok(Prepared { path, temporary })
}

impl Prepared<'_> {
    /// Puts them there: renamed, and the folder synced.
    ///
    /// # Errors
    /// When one of these fails; where it is the first, the file is as it was.
    pub fn put(self) -> io::Result<()> {
        file::put(self.temporary, self.path)?;
        file::sync_folder(folder(self.path))
    }
}

/// Puts `bytes` in the place of a file, as [`prepare`] and [`Prepared::put`] do.
///
/// # Errors
/// When it fails; the file is then as it was.
pub fn replace(path: &Path, bytes: &[u8], permissions: Option<fs::Permissions>) -> io::Result<()> {
    prepare(path, bytes, permissions)?.put()
}

/// Keeps the file as it is under the name of its backup. It costs no copy and no sync: the backup
/// is the very file that [`Prepared::put`] is about to displace.
///
/// # Errors
/// When neither a link nor a copy can be made.
pub fn keep_backup(path: &Path) -> io::Result<()> {
    let backup = backup_path(path);
    let fresh = with_suffix(&backup, ".new");
    let _ = fs::remove_file(&fresh);
    // File systems without hard links get a copy, which takes the permissions along.
    fs::hard_link(path, &fresh).or_else(|_| fs::copy(path, &fresh).map(drop))?;
    fs::rename(&fresh, &backup)?;
    // Renaming one link of a file over another does nothing and leaves both.
    let _ = fs::remove_file(&fresh);
    Ok(())
}

/// Makes a backup of the file as it is now: a copy of its own, since another program may write into
/// the file in place. For a change after which the version before it is of no use to anybody.
///
/// # Errors
/// When neither a copy nor a link can be made.
pub fn renew_backup(path: &Path, bytes: &[u8]) -> io::Result<()> {
    // A link needs no room on the disk.
    replace(&backup_path(path), bytes, None).or_else(|_| keep_backup(path))
}

/// Where the last good version of a file is kept.
#[must_use]
pub fn backup_path(path: &Path) -> PathBuf {
    with_suffix(path, ".bak")
}

/// Makes the folder of a file, and those above it, for its owner alone (0700).
///
/// # Errors
/// When one can't be made.
pub fn make_folder(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    file::private_folder(&mut builder).create(folder(path))
}

/// The path with something after its last part.
#[must_use]
pub fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    PathBuf::from(name)
}

fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    }
}
