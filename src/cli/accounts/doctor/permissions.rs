//! Whether others keep off the store: the file itself is refused where they could read it, so what
//! is looked at here is its folder and its backup.

use std::fs;
use std::path::Path;

use super::finding::{Finding, Mend};
use super::fix::Fix;
use crate::cli::typed::quoted;
use crate::store::commit;
use crate::sys::file;
use crate::sys::rights::Rights;

/// What is found of the file of a store, which could be read.
pub(super) fn examine(file: &Path) -> Vec<Finding> {
    if rights(file).is_none() {
        return Vec::new(); // a system without such rights
    }
    let mut findings: Vec<Finding> = [folder(file), backup(file)].into_iter().flatten().collect();
    if findings.is_empty() {
        let what = "nobody else can read it, or put another in its place";
        findings.push(Finding::well("permissions", what));
    }
    findings
}

/// Whoever may write to the folder may put another store there.
fn folder(file: &Path) -> Option<Finding> {
    let folder = file.parent()?;
    let rights = rights(folder).filter(|rights| rights.let_others_write())?;
    let what = format!("others can write to '{}' (mode {rights})", folder.display());
    // No chmod is to change a folder that is for all.
    let mend = if rights.are_sticky() {
        Mend::Advice("keep the store in a folder of your own".to_owned())
    } else {
        Mend::Type(format!("chmod go-w {}", quoted(folder)))
    };
    Some(Finding::wrong("permissions", what, mend))
}

fn backup(file: &Path) -> Option<Finding> {
    let backup = commit::backup_path(file);
    let rights = rights(&backup).filter(|rights| rights.let_others_in())?;
    let path = backup.display();
    let what = format!("others can read or write '{path}' (mode {rights})");
    Some(Finding::wrong(
        "permissions",
        what,
        Mend::Fix(Fix::Private(backup)),
    ))
}

fn rights(path: &Path) -> Option<Rights> {
    file::rights(&fs::metadata(path).ok()?)
}
