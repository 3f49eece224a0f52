//! Bringing a store back from the backup that each change leaves: the version before it, or itself
//! where it replaced a token, since used-up tokens help nobody. It is only done for a person who has
//! seen what the backup holds: what was noted since is lost by it.

use std::fs;
use std::path::PathBuf;
use std::time::SystemTime;

use super::commit;
use super::error::Error;
use super::format::Document;
use super::lock::{Patience, Waiting, lock_file};
use super::read::read_file;

/// What was kept of a store.
#[derive(Debug)]
pub struct Backup {
    /// Where.
    pub path: PathBuf,
    /// When it was the store.
    pub written: Option<SystemTime>,
    /// What it holds.
    pub document: Document,
}

/// What a store keeps of its past.
pub trait Backups {
    /// The last version that is kept; `None` if there is none.
    ///
    /// # Errors
    /// When it can't be read, or is no document.
    fn latest(&self) -> Result<Option<Backup>, Error>;

    /// Puts a backup in the place of the store. What was there is kept; where, if anything was.
    ///
    /// # Errors
    /// When the store can't be written; it is then as it was.
    fn restore(&self, backup: &Backup) -> Result<Option<PathBuf>, Error>;
}

/// The backup beside a file.
#[derive(Debug)]
pub(super) struct FileBackups {
    target: PathBuf,
    waiting: Waiting,
}

impl FileBackups {
    pub(super) fn new(target: PathBuf, waiting: Waiting) -> Self {
        Self { target, waiting }
    }
}

impl Backups for FileBackups {
    fn latest(&self) -> Result<Option<Backup>, Error> {
        let path = commit::backup_path(&self.target);
        let Some(document) = read_file(&path)? else {
            return Ok(None);
        };
        let written = fs::metadata(&path).and_then(|it| it.modified()).ok();
        Ok(Some(Backup {
            path,
            written,
            document,
        }))
    }

    fn restore(&self, backup: &Backup) -> Result<Option<PathBuf>, Error> {
        let target = &self.target;
        let lock = commit::with_suffix(target, ".lock");
        let _lock = lock_file(lock, Patience::USUAL, self.waiting)?;
        let mut kept = None;
        if target.exists() {
            let damaged = commit::with_suffix(target, ".replaced");
            fs::copy(target, &damaged).map_err(Error::io(&damaged))?;
            kept = Some(damaged);
        }
        let bytes = backup.document.to_bytes();
        commit::replace(target, &bytes, None).map_err(Error::io(target))?;
        Ok(kept)
    }
}
