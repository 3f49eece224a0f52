//! Bringing a store back from the backup that each change leaves: the version before it, or itself
//! where it replaced a token, since used-up tokens help nobody. It is only done for a person who has
//! seen what the backup holds: what was noted since is lost by it.

use std::fs;
use std::path::PathBuf;
use std::time::SystemTime;

use super::lock::Patience;
use super::{Document, Error, FileStore, commit, lock_file, read_file};

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

impl FileStore {
    /// The backup of this store; `None` if there is none.
    ///
    /// # Errors
    /// When it can't be read, or is no document.
    pub fn backup(&self) -> Result<Option<Backup>, Error> {
        let path = commit::backup_path(&self.target()?);
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

    /// Puts the backup in the place of the store. What was there is kept; where, if anything was.
    ///
    /// # Errors
    /// When the backup can't be read, or the store can't be written; it is then as it was.
    pub fn restore(&self, backup: &Backup) -> Result<Option<PathBuf>, Error> {
        let target = self.target()?;
        let lock = commit::with_suffix(&target, ".lock");
        let _lock = lock_file(lock, Patience::USUAL, self.waiting)?;
        let mut kept = None;
        if target.exists() {
            let damaged = commit::with_suffix(&target, ".replaced");
            fs::copy(&target, &damaged).map_err(Error::io(&damaged))?;
            kept = Some(damaged);
        }
        let bytes = backup.document.to_bytes();
        commit::replace(&target, &bytes, None).map_err(Error::io(&target))?;
        Ok(kept)
    }
}
