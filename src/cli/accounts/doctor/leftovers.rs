//! Files with tokens in them that nobody will look at again: beside the store, beside the clients'
//! login files, and where the journals are.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::finding::{Finding, Mend};
use super::fix::Fix;
use crate::cli::shell::Shell;
use crate::cli::typed::quoted;
use crate::client::registry;
use crate::store::{self, commit};

/// A write takes no longer than this; what is older was cut off.
const LONGEST_WRITE: Duration = Duration::from_secs(10 * 60);

pub(super) fn examine(shell: &Shell) -> Vec<Finding> {
    let folders = folders(shell).into_iter();
    let files = folders.flat_map(|folder| files(&folder));
    files.filter_map(|path| finding(shell, path)).collect()
}

/// The folders in which something may have been left. A symlink is followed: what lies about lies
/// beside the file itself.
fn folders(shell: &Shell) -> BTreeSet<PathBuf> {
    let store = shell.store().locator().file().map(Path::to_owned);
    let clients = registry::login_files(shell.waiting()).unwrap_or_default();
    let clients = clients.iter().map(|file| file.path().to_owned());
    let files = store.into_iter().chain(clients);
    let files = files.filter_map(|file| {
        let file = fs::canonicalize(&file).unwrap_or(file);
        file.parent().map(Path::to_owned)
    });
    files.chain(store::state_folder().ok()).collect()
}

fn files(folder: &Path) -> BTreeSet<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).collect()
}

fn finding(shell: &Shell, path: PathBuf) -> Option<Finding> {
    let name = path.file_name()?.to_str()?;
    if name.starts_with(commit::TEMPORARY_PREFIX) && is_old(&path) {
        let what = format!("a write that was cut off left '{}'", path.display());
        return Some(Finding::wrong("store", what, Mend::Fix(Fix::Remove(path))));
    }
    if !name.ends_with(".rescued") {
        return None;
    }
    let text = fs::read(&path).ok()?;
    if text.trim_ascii().is_empty() {
        let what = format!(
            "an earlier version left '{}', and nothing is in it",
            path.display()
        );
        return Some(Finding::wrong("store", what, Mend::Fix(Fix::Remove(path))));
    }
    let what = format!(
        "tokens that an earlier version could not keep wait in '{}'",
        path.display()
    );
    let path = quoted(&path);
    let import = shell.command(&format!("codex-accounts import {path}"));
    let mend = Mend::Type(format!("{import} && rm {path}"));
    Some(Finding::wrong("store", what, mend))
}

fn is_old(path: &Path) -> bool {
    let written = fs::metadata(path).and_then(|metadata| metadata.modified());
    let age = written
        .ok()
        .and_then(|at| SystemTime::now().duration_since(at).ok());
    age.is_some_and(|age| age > LONGEST_WRITE)
}
