//! A change of a file: shown as a difference, made, and taken back.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use similar::TextDiff;

use crate::account::printable::printable;
use crate::cli::exit::{Code, Error};
use crate::client::for_good::Edit;
use crate::store::{self, commit};

/// A file, and what is to be there again.
#[derive(Debug)]
pub(super) struct Undone {
    pub(super) path: PathBuf,
    /// What is there now.
    pub(super) now: Option<Vec<u8>>,
    /// What is to be there; `None` for no file.
    pub(super) then: Option<Vec<u8>>,
    /// Somebody changed it since it was set up.
    pub(super) is_by_hand: bool,
}

/// The difference, with the path over it. A key is not shown.
pub(super) fn shown(edit: &Edit, secret: &Path) -> String {
    if edit.path == secret {
        return format!("+++ '{}' (a new key, not shown)\n", edit.path.display());
    }
    difference(
        &edit.path,
        edit.before.as_deref().unwrap_or_default(),
        &edit.after,
    )
}

/// The difference of what is undone; a file that goes is named only.
pub(super) fn undone(undone: &Undone) -> String {
    match (&undone.now, &undone.then) {
        (Some(now), Some(then)) => difference(&undone.path, now, then),
        (Some(_), None) => format!("--- '{}' is removed\n", undone.path.display()),
        (None, _) => String::new(),
    }
}

fn difference(path: &Path, before: &[u8], after: &[u8]) -> String {
    let (before, after) = (
        String::from_utf8_lossy(before),
        String::from_utf8_lossy(after),
    );
    let difference = TextDiff::from_lines(before.as_ref(), after.as_ref());
    let mut text = format!("+++ '{}'\n", path.display());
    for hunk in difference.unified_diff().context_radius(2).iter_hunks() {
        for change in hunk.iter_changes() {
            let line = change.to_string_lossy();
            text.push_str(&format!("{}{}\n", change.tag(), printable(&line)));
        }
    }
    text
}

/// Makes it. A symlink stays one: what it points at is replaced.
pub(super) fn write(edit: &Edit) -> Result<(), Error> {
    if fs::read(&edit.path).ok() != edit.before {
        let path = edit.path.display();
        return Err(Error::hinted(
            Code::TryLater,
            format!("'{path}' was changed by another program meanwhile"),
            "run it again; what is done is kept",
        ));
    }
    put(&edit.path, &edit.after)
}

/// Takes it back.
pub(super) fn put_back(undone: &Undone) -> Result<(), Error> {
    match &undone.then {
        Some(bytes) => put(&undone.path, bytes),
        None => match fs::remove_file(&undone.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(store::Error::io(&undone.path)(error).into())
            }
            _ => Ok(()),
        },
    }
}

fn put(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let permissions = fs::metadata(&target).ok().map(|it| it.permissions());
    commit::make_folder(&target).map_err(store::Error::io(&target))?;
    commit::replace(&target, bytes, permissions).map_err(store::Error::io(&target))?;
    Ok(())
}
