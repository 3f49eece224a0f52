//! A store in a file (DESIGN §3): a lock beside it, and a document that is replaced whole.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::error::Error;
use super::format::Document;
use super::locator::Locator;
use super::lock::{Held, Patience, Waiting, lock_file};
use super::notice::Notice;
use super::read::read_file;
use super::restore::{Backups, FileBackups};
use super::scratch::{Scratch, ScratchFile};
use super::version::Version;
use super::{Absent, Store, commit, places};

/// A store in a file (DESIGN §3).
#[derive(Clone, Debug)]
pub struct FileStore {
    path: PathBuf,
    waiting: Waiting,
}

impl FileStore {
    /// The store in this file. `waiting` is told when its lock takes long.
    #[must_use]
    pub fn new(path: PathBuf, waiting: Waiting) -> Self {
        Self { path, waiting }
    }

    fn note_backup(&self, target: &Path, kept: io::Result<()>) {
        if let Err(error) = kept {
            let backup = commit::backup_path(target);
            (self.waiting)(&Notice::NoBackup(&backup, &error));
        }
    }

    /// The path of what belongs to this store.
    fn beside(&self, name: &str) -> Result<PathBuf, Error> {
        Ok(commit::with_suffix(&self.target()?, &format!(".{name}")))
    }

    /// The path of what belongs to a login in this store.
    fn of_login(&self, name: &str) -> Result<PathBuf, Error> {
        places::of_login(name).map_or_else(|| self.beside(name), Ok)
    }

    /// A symlinked store is followed, so that the target is replaced and not the link, and all who
    /// come by different links meet at one lock.
    fn target(&self) -> Result<PathBuf, Error> {
        let mut path = self.path.clone();
        // As many links as the system itself follows.
        for _ in 0..40 {
            match fs::read_link(&path) {
                Ok(link) => path = path.parent().unwrap_or(Path::new("")).join(link),
                Err(_) => return Ok(path),
            }
        }
        Err(Error::io(&self.path)(io::Error::other("too many links")))
    }
}

impl Store for FileStore {
    fn read(&self) -> Result<Option<Document>, Error> {
        read_file(&self.path)
    }

    fn transact(&self, absent: Absent, change: &mut dyn FnMut(&mut Document)) -> Result<(), Error> {
        let target = self.target()?;
        if absent == Absent::Create {
            commit::make_folder(&target).map_err(Error::io(&target))?;
        } else if !target.try_exists().map_err(Error::io(&target))? {
            return Err(Error::Missing { at: target.into() });
        }
        let lock = commit::with_suffix(&target, ".lock");
        let _lock = lock_file(lock, Patience::USUAL, self.waiting)?;
        let before = read_file(&target)?;
        let Some(mut document) = before
            .clone()
            .or_else(|| (absent == Absent::Create).then(Document::default))
        else {
            return Err(Error::Missing { at: target.into() });
        };
        change(&mut document);
        if before.as_ref() == Some(&document) {
            return Ok(());
        }
        commit::sweep(&target);
        let bytes = document.to_bytes();
        // On a full disk the backup stays as it was, too.
        let new = commit::prepare(&target, &bytes, None).map_err(Error::io(&target))?;
        let replaces_token = |before: &Document| document.replaces_token_of(before);
        let is_outdated = before.as_ref().is_some_and(replaces_token);
        if before.is_some() && !is_outdated {
            self.note_backup(&target, commit::keep_backup(&target));
        }
        let put = new.put().map_err(Error::io(&target))?;
        // It is committed: what fails from here on is a note.
        if let Some(error) = put.unsynced {
            (self.waiting)(&Notice::NotSynced(&target, &error));
        }
        if is_outdated {
            self.note_backup(&target, commit::renew_backup(&target, &bytes));
        }
        Ok(())
    }

    fn hold(&self, name: &str, patience: Patience) -> Result<Box<dyn Held>, Error> {
        let path = self.of_login(&format!("{name}.lock"))?;
        Ok(Box::new(lock_file(path, patience, self.waiting)?))
    }

    fn scratch(&self, name: &str) -> Result<Box<dyn Scratch>, Error> {
        Ok(Box::new(ScratchFile::at(self.of_login(name)?)))
    }

    fn exists(&self) -> Result<bool, Error> {
        self.path.try_exists().map_err(Error::io(&self.path))
    }

    fn version(&self) -> Option<Version> {
        Version::of_file(&fs::metadata(&self.path).ok()?)
    }

    fn backups(&self) -> Result<Option<Box<dyn Backups>>, Error> {
        let backups = FileBackups::new(self.target()?, self.waiting);
        Ok(Some(Box::new(backups)))
    }

    fn locator(&self) -> Locator {
        Locator::File(self.path.clone())
    }
}
