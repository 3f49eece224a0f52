//! An entry that stands in a client's own file while launches of ours run, and is taken back when
//! the last of them ends. It holds no token: it is there because the client wants to see one.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::store::lock::{self, Lock};
use crate::store::{self, commit};

/// Marks an entry as ours, for whoever finds it: `codex-accounts doctor`, and the next launch.
const MARK: (&str, &str) = ("refresh", "none");

/// An entry in a file, for as long as this is there.
#[derive(Debug)]
pub struct Placeholder {
    path: PathBuf,
    name: &'static str,
    /// Shared by all launches; who can have it alone is the last one.
    running: Lock,
}

impl Placeholder {
    /// Puts an entry into a JSON file, by rename, with the file's own permissions.
    ///
    /// # Errors
    /// When the file can't be read or written.
    pub fn put(path: PathBuf, name: &'static str, entry: Value) -> Result<Self, store::Error> {
        let running = lock::shared(&lock_path()?).map_err(store::Error::io(&path))?;
        change(&path, |entries| {
            entries.insert(name.to_owned(), entry);
        })?;
        Ok(Self {
            path,
            name,
            running,
        })
    }

    /// Where the entry stands.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Placeholder {
    fn drop(&mut self) {
        if self.running.is_last() {
            // That it stays is harmless: it opens nothing, and the next launch replaces it.
            let _ = remove(&self.path, self.name);
        }
    }
}

/// Whether an entry of ours stands in the file with no launch running that it would be for.
#[must_use]
pub fn is_left_behind(path: &Path, name: &str) -> bool {
    let text = fs::read(path).unwrap_or_default();
    let entries: Map<String, Value> = serde_json::from_slice(&text).unwrap_or_default();
    entries.get(name).is_some_and(is_ours)
        && lock_path().is_ok_and(|path| lock::shared(&path).is_ok_and(|share| share.is_last()))
}

/// Takes the entry back, if it is ours.
///
/// # Errors
/// When the file can't be read or written.
pub fn remove(path: &Path, name: &str) -> Result<(), store::Error> {
    change(path, |entries| {
        if entries.get(name).is_some_and(is_ours) {
            entries.remove(name);
        }
    })
}

/// Whether an entry is a placeholder.
#[must_use]
pub fn is_ours(entry: &Value) -> bool {
    entry[MARK.0] == MARK.1
}

fn lock_path() -> Result<PathBuf, store::Error> {
    let path = store::state_folder()?.join("placeholder.lock");
    commit::make_folder(&path).map_err(store::Error::io(&path))?;
    Ok(path)
}

fn change(path: &Path, change: impl FnOnce(&mut Map<String, Value>)) -> Result<(), store::Error> {
    let target = fs::canonicalize(path).map_err(store::Error::io(path))?;
    let text = fs::read(&target).map_err(store::Error::io(path))?;
    let permissions = fs::metadata(&target)
        .map_err(store::Error::io(path))?
        .permissions();
    let not_json = |_| store::Error::io(path)(std::io::Error::other("not a JSON object"));
    let mut entries: Map<String, Value> = serde_json::from_slice(&text).map_err(not_json)?;
    let before = entries.clone();
    change(&mut entries);
    if entries == before {
        return Ok(());
    }
    let bytes = serde_json::to_vec_pretty(&entries).map_err(not_json)?;
    commit::replace(&target, &bytes, Some(permissions)).map_err(store::Error::io(path))
}
