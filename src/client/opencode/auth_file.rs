//! opencode's `auth.json` (PROTOCOL §5), which is the account list of a person who has no store. It is
//! never created, and what is no token in it never changes.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::entry::{self, in_their_places};
use crate::account::Account;
use crate::account::secret::RefreshToken;
use crate::client::contract::LoginFile;
use crate::client::json_file::{JsonFile, Text};
use crate::store::locator::Locator;
use crate::store::lock::{Held, Lock, Patience, Waiting};
use crate::store::scratch::{Scratch, ScratchFile};
use crate::store::version::Version;
use crate::store::{self, Absent, Document, Store, commit};

/// The accounts in opencode's `auth.json`, for a person who has no store of ours. It is never
/// created, and nothing in it changes but tokens that were renewed: what else is learned of the
/// accounts has no place there.
#[derive(Clone, Debug)]
pub struct AuthFile {
    file: JsonFile,
    waiting: Waiting,
}

impl AuthFile {
    /// That of the person who runs this.
    ///
    /// # Errors
    /// When there is no home directory.
    pub fn of_person(waiting: Waiting) -> Result<Self, store::Error> {
        let path = store::opencode_data()?.join("auth.json");
        Ok(Self::at(path, waiting))
    }

    /// The one at this path.
    #[must_use]
    pub(super) fn at(path: PathBuf, waiting: Waiting) -> Self {
        let file = JsonFile::new(path);
        Self { file, waiting }
    }

    /// Whether it holds a login for us.
    #[must_use]
    pub fn has_login(&self) -> bool {
        matches!(self.read(), Ok(Some(_)))
    }

    fn missing(&self) -> store::Error {
        store::Error::Missing { at: self.locator() }
    }

    fn lock(&self, name: &str, patience: Patience) -> Result<Lock, store::Error> {
        let path = place(&format!("{name}.lock"))?;
        commit::make_folder(&path).map_err(|source| self.file.error(source))?;
        store::lock_file(path, patience, self.waiting)
    }

    /// Its text as it is now; `None` if there is no file.
    pub(super) fn text(&self) -> Result<Option<Text>, store::Error> {
        self.file.read()
    }

    /// Changes its text, as [`JsonFile::change`], under the lock that all of ours take who do.
    pub(super) fn change<T>(
        &self,
        change: impl FnOnce(&mut Text) -> Result<T, store::Error>,
    ) -> Result<T, store::Error> {
        let _lock = self.lock("write", Patience::USUAL)?;
        self.file.change(change)?.ok_or_else(|| self.missing())
    }

    /// All its entries; none where there is no file.
    ///
    /// # Errors
    /// When it can't be read.
    pub(super) fn entries(&self) -> Result<Map<String, Value>, store::Error> {
        let value = self.file.read()?.map(|text| text.value());
        Ok(match value {
            Some(Value::Object(entries)) => entries,
            _ => Map::new(),
        })
    }

    fn put_in_place(
        &self,
        text: &mut Text,
        consumed: &RefreshToken,
        renewed: &Account,
    ) -> Result<(), store::Error> {
        entry::renew(text, consumed, renewed)
            .map_err(|error| self.file.error(io::Error::other(error)))
    }
}

/// Where what belongs to a login in it is.
fn of_login(name: &str) -> Result<PathBuf, store::Error> {
    store::of_login(name).ok_or(store::Error::NoHome)
}

/// Where what belongs to the file is. Its folder is opencode's: nothing of ours is left lying there.
fn place(name: &str) -> Result<PathBuf, store::Error> {
    Ok(store::state_folder()?.join(format!("opencode-auth.{name}")))
}

impl Store for AuthFile {
    fn read(&self) -> Result<Option<Document>, store::Error> {
        let text = self.file.read()?;
        Ok(text
            .and_then(|text| in_their_places(&text.value()).ok())
            .map(Document::of))
    }

    fn transact(
        &self,
        _: Absent,
        change: &mut dyn FnMut(&mut Document),
    ) -> Result<(), store::Error> {
        self.change(|text| {
            let known = in_their_places(&text.value()).map_err(|_| self.missing())?;
            let mut document = Document::of(known.clone());
            change(&mut document);
            for (was, is) in known.iter().zip(&document.accounts) {
                if was.tokens.are_replaced_by(&is.tokens) {
                    self.put_in_place(text, &was.tokens.refresh, is)?;
                }
            }
            Ok(())
        })
    }

    fn hold(&self, name: &str, patience: Patience) -> Result<Box<dyn Held>, store::Error> {
        let path = of_login(&format!("{name}.lock"))?;
        Ok(Box::new(store::lock_file(path, patience, self.waiting)?))
    }

    fn scratch(&self, name: &str) -> Result<Box<dyn Scratch>, store::Error> {
        Ok(Box::new(ScratchFile::at(of_login(name)?)))
    }

    fn exists(&self) -> Result<bool, store::Error> {
        Ok(self.file.read()?.is_some())
    }

    fn version(&self) -> Option<Version> {
        Version::of_file(&fs::metadata(self.file.path()).ok()?)
    }

    fn keeps_all(&self) -> bool {
        false
    }

    fn locator(&self) -> Locator {
        Locator::File(self.file.path().to_owned())
    }
}

impl LoginFile for AuthFile {
    fn client(&self) -> &'static str {
        "opencode"
    }

    fn path(&self) -> &Path {
        self.file.path()
    }

    fn logins(&self) -> Result<Vec<Account>, store::Error> {
        let text = self.file.read()?;
        Ok(text
            .and_then(|text| entry::accounts(&text.value()).ok())
            .unwrap_or_default())
    }

    fn refuse_unwritable(&self) -> Result<(), store::Error> {
        self.file.refuse_unwritable()
    }

    fn renew(&self, consumed: &RefreshToken, renewed: &Account) -> Result<(), store::Error> {
        let holds_it = |login: &Account| login.tokens.refresh == *consumed;
        if !self.logins()?.iter().any(holds_it) {
            self.file.sweep(|| self.lock("write", Patience::USUAL));
            return Ok(());
        }
        self.change(|text| self.put_in_place(text, consumed, renewed))
    }
}
