//! Where accounts are kept: one JSON document that many processes read and change at a time.
//! It must not know what the accounts mean, and it never asks the network: a lock is held for the
//! time of a file operation and no longer.

use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use thiserror::Error;

pub mod commit;
pub mod format;
pub mod lock;
pub mod log;
pub mod restore;

pub use format::Document;
use lock::{Lock, Patience, Waiting};

use crate::sys::rights::Rights;
use crate::sys::{file, place};

/// A place that keeps a document.
///
/// Readers see the last committed document and take no lock. A change is a closure over the
/// document as it is then; what it changes is committed whole, or not at all.
pub trait Store: Send + Sync {
    /// The document; `None` if there is none yet.
    ///
    /// # Errors
    /// When it can't be read, or is no document.
    fn read(&self) -> Result<Option<Document>, Error>;

    /// Changes the document. If there is none, `absent` says what to do. Nothing is written where
    /// the closure changed nothing.
    ///
    /// # Errors
    /// When the document can't be read or written, or the lock was not had in time. The document is
    /// then as it was.
    fn transact(&self, absent: Absent, change: &mut dyn FnMut(&mut Document)) -> Result<(), Error>;

    /// The file of a lock of this store's. Beside it is room for what belongs to it.
    ///
    /// # Errors
    /// When it has no place.
    fn lock_path(&self, name: &str) -> Result<PathBuf, Error>;

    /// Takes a lock of this store's by name, for work between processes that is longer than a
    /// change: one refresh of an account at a time. It does not keep anybody from the document.
    ///
    /// # Errors
    /// When it can't be taken, or was not had in time.
    fn hold(&self, name: &str, patience: Patience) -> Result<Lock, Error>;

    /// Whether it keeps all that a document holds, and not just the tokens.
    fn keeps_all(&self) -> bool {
        true
    }

    /// The file a person would look at, for messages.
    fn path(&self) -> &Path;
}

/// What a change does where there is no document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Absent {
    /// It starts from an empty one: for a person's login, add or import, and nothing else.
    Create,
    /// It fails.
    Refuse,
}

/// Changes the document and hands out what the closure returns.
///
/// # Errors
/// As [`Store::transact`].
pub fn update<T>(
    store: &dyn Store,
    absent: Absent,
    change: impl FnOnce(&mut Document) -> T,
) -> Result<T, Error> {
    let mut change = Some(change);
    let mut result = None;
    store.transact(absent, &mut |document| {
        if let Some(change) = change.take() {
            result = Some(change(document));
        }
    })?;
    result.ok_or_else(|| Error::Missing {
        path: store.path().to_owned(),
    })
}

/// Why the store can't be used.
#[derive(Debug, Error)]
pub enum Error {
    /// There is none, and this command does not create one.
    #[error("there is no account store at '{}'", path.display())]
    Missing {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// It is no document.
    #[error("'{}' is left as it is: {source}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: format::Error,
    },
    /// Others could read or write the secrets in it.
    #[error("'{}' can be read or written by others (mode {rights})", path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Who may do what with it.
        rights: Rights,
    },
    /// Another process held the lock all the time.
    #[error("the lock '{}' was not had within {} s", path.display(), waited.as_secs())]
    Locked {
        /// The lock file.
        path: PathBuf,
        /// How long was waited.
        waited: std::time::Duration,
    },
    /// No place for it is known.
    #[error("there is no home directory, and no store was named")]
    NoHome,
    /// The system said no.
    #[error("'{}': {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl Error {
    /// What the system said of a file.
    pub fn io(path: &Path) -> impl FnOnce(io::Error) -> Self + '_ {
        move |source| Self::Io {
            path: path.to_owned(),
            source,
        }
    }
}

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

/// Takes the lock on a file, or says why it was not had.
///
/// # Errors
/// When it can't be taken, or was not had in time.
pub fn lock_file(path: PathBuf, patience: Patience, waiting: Waiting) -> Result<Lock, Error> {
    lock::exclusive(&path, patience, waiting)
        .map_err(Error::io(&path))?
        .ok_or(Error::Locked {
            path,
            waited: patience.most,
        })
}

impl Store for FileStore {
    fn read(&self) -> Result<Option<Document>, Error> {
        read_file(&self.path)
    }

    fn transact(&self, absent: Absent, change: &mut dyn FnMut(&mut Document)) -> Result<(), Error> {
        let target = self.target()?;
        if absent == Absent::Create {
            commit::make_folder(&target).map_err(Error::io(&target))?;
        } else if !target.exists() {
            return Err(Error::Missing { path: target });
        }
        let lock = commit::with_suffix(&target, ".lock");
        let _lock = lock_file(lock, Patience::USUAL, self.waiting)?;
        let before = read_file(&target)?;
        let Some(mut document) = before
            .clone()
            .or_else(|| (absent == Absent::Create).then(Document::default))
        else {
            return Err(Error::Missing { path: target });
        };
        change(&mut document);
        if before.as_ref() == Some(&document) {
            return Ok(());
        }
        // On a full disk the backup stays as it was, too.
        let new =
            commit::prepare(&target, &document.to_bytes(), None).map_err(Error::io(&target))?;
        match before {
            Some(before) if document.replaces_token_of(&before) => {
                new.put().map_err(Error::io(&target))?;
                commit::renew_backup(&target, &document.to_bytes()).map_err(Error::io(&target))
            }
            Some(_) => {
                commit::keep_backup(&target).map_err(Error::io(&target))?;
                new.put().map_err(Error::io(&target))
            }
            None => new.put().map_err(Error::io(&target)),
        }
    }

    fn lock_path(&self, name: &str) -> Result<PathBuf, Error> {
        Ok(commit::with_suffix(
            &self.target()?,
            &format!(".{name}.lock"),
        ))
    }

    fn hold(&self, name: &str, patience: Patience) -> Result<Lock, Error> {
        lock_file(self.lock_path(name)?, patience, self.waiting)
    }

    fn path(&self) -> &Path {
        &self.path
    }
}

fn read_file(path: &Path) -> Result<Option<Document>, Error> {
    refuse_irregular(path)?;
    let mut file = match fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::io(path)(error)),
    };
    refuse_exposed(path, &file)?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).map_err(Error::io(path))?;
    Document::parse(&bytes)
        .map(Some)
        .map_err(|source| Error::Format {
            path: path.to_owned(),
            source,
        })
}

/// A folder has nothing to read, and a pipe would be waited for.
fn refuse_irregular(path: &Path) -> Result<(), Error> {
    let what = match fs::metadata(path).map(|it| it.file_type()) {
        Ok(kind) if kind.is_dir() => "it is a folder",
        Ok(kind) if !kind.is_file() => "it is no regular file",
        // What is wrong with it shows when it is opened.
        _ => return Ok(()),
    };
    Err(Error::io(path)(io::Error::other(what)))
}

/// Refuses a file with a secret in it that others could read or write.
///
/// # Errors
/// When it is such a file, or the system doesn't say.
pub fn refuse_exposed(path: &Path, file: &fs::File) -> Result<(), Error> {
    let metadata = file.metadata().map_err(Error::io(path))?;
    match file::rights(&metadata).filter(|rights| rights.let_others_in()) {
        Some(rights) => Err(Error::Exposed {
            path: path.to_owned(),
            rights,
        }),
        None => Ok(()),
    }
}

/// The folder that opencode keeps its data in: `$XDG_DATA_HOME/opencode`, which is
/// `~/.local/share/opencode` on macOS too (PROTOCOL §5).
///
/// # Errors
/// When there is no home directory.
pub fn opencode_data() -> Result<PathBuf, Error> {
    let named = std::env::var_os("XDG_DATA_HOME")
        .map(PathBuf::from)
        .filter(|path| path.is_absolute());
    let data = named.or_else(|| Some(dirs::home_dir()?.join(".local").join("share")));
    Ok(data.ok_or(Error::NoHome)?.join("opencode"))
}

/// The folder for what need not be kept: logs, and locks of files that are not ours.
///
/// # Errors
/// When there is no home directory.
pub fn state_folder() -> Result<PathBuf, Error> {
    let state = dirs::state_dir().or_else(dirs::data_local_dir);
    Ok(state.ok_or(Error::NoHome)?.join("codex-accounts"))
}

/// The file of a store that is not the usual one: a person has to name it.
#[must_use]
pub fn named(store: &dyn Store) -> Option<PathBuf> {
    let path = store.path();
    let usual = !store.keeps_all() || default_path().is_ok_and(|usual| usual == path);
    (!usual).then(|| path.to_owned())
}

/// The store of a person who named none.
///
/// # Errors
/// When there is no home directory.
pub fn default_path() -> Result<PathBuf, Error> {
    const NAME: &str = "openai-codex-accounts.json";
    match place::roaming_data() {
        Some(data) => Ok(data.join("opencode").join(NAME)),
        None => Ok(opencode_data()?.join(NAME)),
    }
}
