//! The store: whether it is there and whole, whether it can be locked, and which account is active.

use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use super::finding::{Finding, Mend};
use super::fix::Fix;
use super::permissions;
use crate::cli::shell::Shell;
use crate::cli::typed::quoted;
use crate::store::format;
use crate::store::lock::Patience;
use crate::store::{self, Document, commit};
use crate::sys::file::is_mount;
use crate::sys::shell;

/// What is found, and the accounts as far as they can be read.
pub(super) fn examine(shell: &Shell) -> (Vec<Finding>, Document) {
    let at = shell.store().locator();
    let document = match shell.store().read() {
        Ok(Some(document)) => document,
        Ok(None) => return without_store(shell),
        Err(error) => return (vec![unreadable(shell, &error)], Document::default()),
    };
    let count = document.accounts.len();
    let mut findings = vec![match count {
        0 => Finding::wrong("store", format!("no account in '{at}'"), log_in(shell)),
        1 => Finding::well("store", format!("1 account in '{at}'")),
        _ => Finding::well("store", format!("{count} accounts in '{at}'")),
    }];
    if let Some(path) = at.file() {
        // A symlink is followed: what is beside it is beside the file itself.
        let file = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        findings.extend(permissions::examine(&file));
        findings.push(lock(shell, &file));
        findings.extend(mounted(&file));
        findings.extend(active(&file, &document));
    }
    (findings, document)
}

/// Each program takes an index without an account as it likes.
fn active(file: &Path, document: &Document) -> Option<Finding> {
    let written: Value = serde_json::from_slice(&fs::read(file).ok()?).ok()?;
    let index = written["activeIndex"].as_u64()?;
    let is_there = usize::try_from(index).is_ok_and(|index| index < document.accounts.len());
    (!is_there && !document.accounts.is_empty()).then(|| {
        let what = format!("the active account has the index {index}, and there is none");
        Finding::wrong("store", what, Mend::Fix(Fix::Activate))
    })
}

fn log_in(shell: &Shell) -> Mend {
    Mend::Type(shell.command("codex-accounts add"))
}

fn without_store(shell: &Shell) -> (Vec<Finding>, Document) {
    let document = shell
        .accounts()
        .and_then(|store| shell.read(store.as_ref()));
    let document = document.unwrap_or_default();
    let finding = if document.accounts.is_empty() {
        Finding::wrong("store", "there are no accounts yet", log_in(shell))
    } else {
        let what = "none; the login of opencode is used, and a second one makes a store";
        Finding::note("store", what, log_in(shell))
    };
    (vec![finding], document)
}

fn unreadable(shell: &Shell, error: &store::Error) -> Finding {
    let mend = match error {
        store::Error::Exposed { path, .. } => Mend::Fix(Fix::Private(path.clone())),
        store::Error::Format {
            source: format::Error::Newer { .. },
            ..
        } => Mend::Advice("update codex-accounts".to_owned()),
        store::Error::Format { at, .. } => match at.file() {
            Some(_) if has_backup(shell) => {
                Mend::Type(shell.command("codex-accounts doctor --restore"))
            }
            Some(path) => {
                let damaged = quoted(commit::with_suffix(path, ".damaged"));
                let add = shell.command("codex-accounts add");
                Mend::Type(format!("mv {} {damaged}; {add}", quoted(path)))
            }
            None => Mend::Nothing,
        },
        store::Error::Helper(error) => error.hint.clone().map_or(Mend::Nothing, Mend::Advice),
        _ => Mend::Nothing,
    };
    Finding::wrong("store", error.to_string(), mend)
}

/// A mount can't be replaced, and a store is with each change.
fn mounted(file: &Path) -> Option<Finding> {
    is_mount(file).then(|| {
        let what = format!(
            "'{}' is mounted by itself, and can't be replaced",
            file.display()
        );
        let advice = "mount the folder that it is in, and not the file alone";
        Finding::wrong("store", what, Mend::Advice(advice.to_owned()))
    })
}

fn has_backup(shell: &Shell) -> bool {
    let backups = shell.store().backups().ok().flatten();
    backups.is_some_and(|backups| matches!(backups.latest(), Ok(Some(_))))
}

fn lock(shell: &Shell, file: &Path) -> Finding {
    let patience = Patience {
        quiet: Duration::from_secs(1),
        most: Duration::from_secs(2),
    };
    let path = commit::with_suffix(file, ".lock");
    match store::lock_file(path.clone(), patience, shell.waiting()) {
        Ok(_) => Finding::well("lock", "free"),
        Err(error @ store::Error::NoLocks { .. }) => {
            let advice = "keep the store where there are locks, on a local disk: set \
                          CODEX_ACCOUNTS_FILE";
            Finding::wrong("lock", error.to_string(), Mend::Advice(advice.to_owned()))
        }
        Err(error) => {
            let command = shell::holders(&quoted(&path));
            Finding::wrong("lock", error.to_string(), Mend::Type(command))
        }
    }
}
