//! Files that are replaced whole: whoever reads sees the old bytes or the new ones, also after a
//! crash or a power cut. It knows nothing of what is in them.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::sys::file;

/// How the names of temporary files begin. One that is left was cut off by a crash.
pub const TEMPORARY_PREFIX: &str = ".codex-accounts-";

/// How many letters of chance they end with.
const RANDOM: usize = 6;

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
        .prefix(&prefix(path))
        .rand_bytes(RANDOM)
        .tempfile_in(folder(path))?;
    match permissions {
        Some(permissions) => temporary.as_file().set_permissions(permissions)?,
        None => file::own(temporary.as_file())?,
    }
    file::write_all(temporary.as_file_mut(), bytes)?;
    temporary.as_file().sync_all()?;
    Ok(Prepared { path, temporary })
}

/// A file was replaced.
#[derive(Debug)]
#[must_use]
pub struct Put {
    /// Why that may not outlive a power cut; nothing, where it does.
    pub unsynced: Option<io::Error>,
}

impl Prepared<'_> {
    /// Puts them there: renamed, and the folder synced.
    ///
    /// # Errors
    /// When it can't be renamed; the file is as it was.
    pub fn put(self) -> io::Result<Put> {
        file::put(self.temporary, self.path)?;
        let unsynced = file::sync_folder(folder(self.path)).err();
        Ok(Put { unsynced })
    }
}

/// Puts `bytes` in the place of a file, as [`prepare`] and [`Prepared::put`] do.
///
/// # Errors
/// When it fails; the file is then as it was.
pub fn replace(path: &Path, bytes: &[u8], permissions: Option<fs::Permissions>) -> io::Result<()> {
    prepare(path, bytes, permissions)?.put().map(drop)
}

/// Takes away what was left of changes of this file and its backup that were cut off. Whoever
/// changes it must have the lock of all who do: what is being written now looks the same.
pub fn sweep(path: &Path) {
    for left in leftovers(path) {
        // What can't be taken away is told by the doctor.
        let _ = fs::remove_file(left);
    }
}

/// What changes of this file and its backup left that were cut off, or are being made.
pub fn leftovers(path: &Path) -> impl Iterator<Item = PathBuf> {
    let prefixes = [prefix(path), prefix(&backup_path(path))];
    let entries = fs::read_dir(folder(path)).into_iter().flatten().flatten();
    let is_one = move |name: &str| {
        let mut random = prefixes.iter().filter_map(|it| name.strip_prefix(it));
        random.any(|random| random.len() == RANDOM && !random.contains('.'))
    };
    entries
        .filter(move |entry| entry.file_name().to_str().is_some_and(&is_one))
        .map(|entry| entry.path())
}

/// How the names of this file's temporary files begin.
fn prefix(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().display();
    format!("{TEMPORARY_PREFIX}{name}.")
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
    let kept = fs::hard_link(path, &fresh)
        .or_else(|_| fs::copy(path, &fresh).map(drop))
        .and_then(|()| fs::rename(&fresh, &backup));
    // Renaming one link of a file over another does nothing and leaves both.
    let _ = fs::remove_file(&fresh);
    kept
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
    let folder = folder(path);
    if folder.is_dir() {
        return Ok(());
    }
    make_folder(folder)?;
    match file::make_private_folder(folder) {
        // Another process may have been quicker.
        Err(error) if !folder.is_dir() => Err(error),
        _ => Ok(()),
    }
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
