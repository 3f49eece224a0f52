//! Where accounts are kept: one JSON document that many processes read and change at a time.
//! It must not know what the accounts mean, and it never asks the network: a lock is held for the
//! time of a file operation and no longer.

use std::sync::Arc;

pub mod commit;
mod error;
mod file;
pub mod format;
pub mod helper;
pub mod locator;
pub mod lock;
pub mod log;
pub mod notice;
mod places;
pub mod read;
pub mod restore;
pub mod scratch;
pub mod told;
pub mod version;

use locator::Locator;
use lock::{Held, Patience, Waiting};
use restore::Backups;
use scratch::Scratch;
use version::Version;

pub use error::Error;
pub use file::FileStore;
pub use format::Document;
pub use helper::HelperStore;
pub use lock::lock_file;
pub use places::{default_path, home, of_login, opencode_data, state_folder};
pub use read::refuse_exposed;

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

    /// Changes the document, for [`update`], which everybody calls. If there is none, `absent` says
    /// what to do. Where another process changed it at the same time, the closure may be called
    /// again, with the document as it is then; what the last call left is committed. Nothing is
    /// written where that changed nothing.
    ///
    /// # Errors
    /// When the document can't be read or written, or the lock was not had in time. The document is
    /// then as it was.
    fn transact(&self, absent: Absent, change: &mut dyn FnMut(&mut Document)) -> Result<(), Error>;

    /// Takes a lock of this store's by name, for work between processes that is longer than a
    /// change: one refresh of an account at a time. It does not keep anybody from the document.
    ///
    /// # Errors
    /// When it can't be taken, or was not had in time.
    fn hold(&self, name: &str, patience: Patience) -> Result<Box<dyn Held>, Error>;

    /// Room for what belongs to the document and is no part of it, by name.
    ///
    /// # Errors
    /// When it has no place.
    fn scratch(&self, name: &str) -> Result<Box<dyn Scratch>, Error>;

    /// Room on this machine for a copy of that, where the store is on another; `None` where it is not.
    fn scratch_here(&self, _name: &str) -> Option<Box<dyn Scratch>> {
        None
    }

    /// Whether there is a document, or what should be one.
    ///
    /// # Errors
    /// When that can't be seen.
    fn exists(&self) -> Result<bool, Error>;

    /// What tells the document from the one before and after it, at the cost of a look; `None`
    /// where it has to be read.
    fn version(&self) -> Option<Version>;

    /// What it keeps of its past; `None` where it keeps nothing that we know of.
    ///
    /// # Errors
    /// When it has no place.
    fn backups(&self) -> Result<Option<Box<dyn Backups>>, Error> {
        Ok(None)
    }

    /// Whether it keeps all that a document holds, and not just the tokens.
    fn keeps_all(&self) -> bool {
        true
    }

    /// Where a person would look, for messages.
    fn locator(&self) -> Locator;
}

/// What a change does where there is no document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Absent {
    /// It starts from an empty one: for a person's login, add or import, and nothing else.
    Create,
    /// It fails.
    Refuse,
}

/// The store at a place. `waiting` is told when its lock takes long.
#[must_use]
pub fn open(at: Locator, waiting: Waiting) -> Arc<dyn Store> {
    match at {
        Locator::File(path) => Arc::new(FileStore::new(path, waiting)),
        Locator::Helper(url) => Arc::new(HelperStore::new(url, waiting)),
    }
}

/// Where a store is that is not the usual one: a person has to name it.
#[must_use]
pub fn named(store: &dyn Store) -> Option<Locator> {
    let at = store.locator();
    let usual = || default_path().is_ok_and(|usual| at.file() == Some(&usual));
    (store.keeps_all() && !usual()).then_some(at)
}

/// Changes the document and hands out what the closure returns, which may be called more than once:
/// each time with the document as it is then. Where another account is the active one after it,
/// that is written down for `codex-accounts log`; a store that keeps no active account can't tell.
///
/// # Errors
/// As [`Store::transact`].
pub fn update<T>(
    store: &dyn Store,
    absent: Absent,
    change: impl FnMut(&mut Document) -> T,
) -> Result<T, Error> {
    update_because(store, absent, None, change)
}

/// As [`update`], with what is written down as the reason: where it is not the one that the account
/// has.
///
/// # Errors
/// As [`Store::transact`].
pub fn update_because<T>(
    store: &dyn Store,
    absent: Absent,
    why: Option<&str>,
    mut change: impl FnMut(&mut Document) -> T,
) -> Result<T, Error> {
    let mut changed = None;
    store.transact(absent, &mut |document| {
        let before = log::Active::of(document);
        let result = change(document);
        changed = Some((before.switch(document, why), result));
    })?;
    let Some((switch, result)) = changed else {
        return Err(Error::Missing {
            at: store.locator(),
        });
    };
    if let Some(switch) = switch
        && store.keeps_all()
    {
        // It is for people, and worth no failure.
        let _ = log::record(&store.locator(), switch);
    }
    Ok(result)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::Account;
    use crate::account::secret::RefreshToken;
    use std::sync::Mutex;

    /// A store whose first try of each change comes too late: another process was there before.
    struct Contended(Mutex<Document>);

    impl Store for Contended {
        fn read(&self) -> Result<Option<Document>, Error> {
            Ok(Some(self.0.lock().unwrap().clone()))
        }

        fn transact(&self, _: Absent, change: &mut dyn FnMut(&mut Document)) -> Result<(), Error> {
            change(&mut Document::default());
            change(&mut self.0.lock().unwrap());
            Ok(())
        }

        fn hold(&self, _: &str, _: Patience) -> Result<Box<dyn Held>, Error> {
            Err(Error::NoHome)
        }

        fn scratch(&self, _: &str) -> Result<Box<dyn Scratch>, Error> {
            Err(Error::NoHome)
        }

        fn exists(&self) -> Result<bool, Error> {
            Ok(true)
        }

        fn version(&self) -> Option<Version> {
            None
        }

        fn locator(&self) -> Locator {
            Locator::File("/nowhere/at/all".into())
        }
    }

    #[test]
    fn a_change_that_comes_too_late_is_made_again_on_what_is_there_then() {
        let there = Document::of(vec![Account::new(RefreshToken::new("theirs"))]);
        let store = Contended(Mutex::new(there));
        let count = update(&store, Absent::Refuse, |document| {
            let ours = Account::new(RefreshToken::new("ours"));
            document.accounts.push(ours);
            document.accounts.len()
        });
        assert_eq!(count.unwrap(), 2, "the result is that of the last try");
        assert_eq!(store.read().unwrap().unwrap().accounts.len(), 2);
    }
}
