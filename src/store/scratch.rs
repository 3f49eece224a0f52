//! Room beside a document for what belongs to it and is no part of it: the journal of a refresh,
//! for one. It knows nothing of what is in there. It is used with a lock of its user's held, or to
//! see whether there is anything.

use std::fmt::Debug;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek};
use std::path::PathBuf;

use super::locator::Locator;
use super::{commit, read};
use crate::sys::file;

/// Some bytes under a name.
pub trait Scratch: Debug + Send + Sync {
    /// What is there; `None` if there is nothing.
    ///
    /// # Errors
    /// When it can't be read.
    fn read(&self) -> io::Result<Option<Vec<u8>>>;

    /// Puts these bytes there, all at once.
    ///
    /// # Errors
    /// When it fails; it is then as it was.
    fn put(&self, bytes: &[u8]) -> io::Result<()>;

    /// Puts these bytes there, and keeps the place open: as many others can take theirs without
    /// any more room.
    ///
    /// # Errors
    /// When it fails; it is then as it was.
    fn reserve(&self, bytes: &[u8]) -> io::Result<Box<dyn Reserved>>;

    /// Leaves nothing there.
    ///
    /// # Errors
    /// When it fails; it is then as it was.
    fn clear(&self) -> io::Result<()>;

    /// Where it is.
    fn locator(&self) -> Locator;
}

/// A place that is ready to be filled.
pub trait Reserved: Debug + Send {
    /// Overwrites what is there, from its beginning; it is safe on the disk then.
    ///
    /// # Errors
    /// When even that fails.
    fn fill(&mut self, bytes: &[u8]) -> io::Result<()>;
}

/// A file (0600).
#[derive(Debug)]
pub struct ScratchFile {
    path: PathBuf,
}

impl ScratchFile {
    /// The one at this path, whether it is there or not.
    #[must_use]
    pub fn at(path: PathBuf) -> Self {
        Self { path }
    }
}

impl Scratch for ScratchFile {
    fn read(&self) -> io::Result<Option<Vec<u8>>> {
        read::regular(&self.path)
    }

    fn put(&self, bytes: &[u8]) -> io::Result<()> {
        commit::make_folder(&self.path)?;
        commit::sweep(&self.path);
        commit::replace(&self.path, bytes, None)
    }

    fn reserve(&self, bytes: &[u8]) -> io::Result<Box<dyn Reserved>> {
        self.put(bytes)?;
        let file = file::open_private(OpenOptions::new().write(true), &self.path)?;
        Ok(Box::new(ReservedFile(file)))
    }

    fn clear(&self) -> io::Result<()> {
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    fn locator(&self) -> Locator {
        Locator::File(self.path.clone())
    }
}

#[derive(Debug)]
struct ReservedFile(File);

impl Reserved for ReservedFile {
    fn fill(&mut self, bytes: &[u8]) -> io::Result<()> {
        // Nothing else comes first: whoever fills it has something to lose.
        file::write_all(&mut self.0, bytes)?;
        self.0.sync_data()?;
        self.0.rewind()
    }
}
