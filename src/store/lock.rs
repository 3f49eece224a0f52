//! Locks between processes: the one place that names fs2. A lock lives on a file of its own that is
//! never replaced and never deleted, so that all who want it meet on the same inode; the kernel
//! gives it back when its holder dies, however it dies.
//!
//! fs2's methods are called by their full path: std's `File` has methods of the same names.

use std::fmt::Debug;
use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use fs2::FileExt;

use super::error::Error;
use crate::sys::file;

/// How long to wait for a lock, and when to say that one is waited for.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// After this long, [`Waiting`] is told.
    pub quiet: Duration,
    /// After this long it is given up.
    pub most: Duration,
}

impl Patience {
    /// That of all commands: a word after a second, and ten seconds in all.
    pub const USUAL: Self = Self {
        quiet: Duration::from_secs(1),
        most: Duration::from_secs(10),
    };
}

/// Told once when a lock takes longer than [`Patience::quiet`].
pub type Waiting = fn(&Path);

/// A lock, or a share of one, that is held until this goes.
#[derive(Debug)]
pub struct Lock {
    file: File,
}

/// A lock that is held until this goes.
pub trait Held: Debug + Send {}

impl Held for Lock {}

impl Lock {
    /// Gives the share back and tells whether nobody else has one; the lock is this one's alone
    /// then. Of several that do so at the same time, one is the last.
    #[must_use]
    pub fn is_last(&self) -> bool {
        FileExt::unlock(&self.file).is_ok() && FileExt::try_lock_exclusive(&self.file).is_ok()
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing the file gives the lock back as well, unless a child inherited it.
        let _ = FileExt::unlock(&self.file);
    }
}

/// Takes a share of the lock on a file, which is created (0600) if it is not there. Any number can
/// have one.
///
/// # Errors
/// When the file can't be opened or locked.
pub fn shared(path: &Path) -> io::Result<Lock> {
    let file = open(path)?;
    FileExt::lock_shared(&file)?;
    Ok(Lock { file })
}

/// Takes the exclusive lock on a file, which is created (0600) if it is not there. `None`: it was
/// not had in time.
///
/// # Errors
/// When the file can't be opened or locked.
pub fn exclusive(path: &Path, patience: Patience, waiting: Waiting) -> io::Result<Option<Lock>> {
    let file = open(path)?;
    match FileExt::try_lock_exclusive(&file) {
        Ok(()) => return Ok(Some(Lock { file })),
        Err(error) if error.kind() == fs2::lock_contended_error().kind() => {}
        Err(error) => return Err(error),
    }
    // The kernel serves those who wait in their order, which asking again and again would not. Its
    // wait has no end, so a thread does it; when nobody takes the lock any more, it is dropped.
    let (got, lock) = mpsc::channel();
    thread::spawn(move || {
        let locked = FileExt::lock_exclusive(&file).map(|()| Lock { file });
        let _ = got.send(locked);
    });
    if let Ok(locked) = lock.recv_timeout(patience.quiet) {
        return locked.map(Some);
    }
    waiting(path);
    match lock.recv_timeout(patience.most.saturating_sub(patience.quiet)) {
        Ok(locked) => locked.map(Some),
        Err(_) => Ok(None),
    }
}

/// Takes the lock on a file, or says why it was not had.
///
/// # Errors
/// When it can't be taken, or was not had in time.
pub fn lock_file(path: PathBuf, patience: Patience, waiting: Waiting) -> Result<Lock, Error> {
    exclusive(&path, patience, waiting)
        .map_err(Error::io(&path))?
        .ok_or(Error::Locked {
            path,
            waited: patience.most,
        })
}

fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).write(true);
    file::private(&mut options).open(path)
}
