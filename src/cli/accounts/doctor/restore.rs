//! `codex-accounts doctor --restore`: the store as it was before its last change.

use crate::account::printable::printable;
use crate::account::time::UnixMillis;
use crate::cli::accounts::{called, confirm};
use crate::cli::exit::{Code, Error};
use crate::cli::shell::Shell;
use crate::cli::when::Local;
use crate::store::restore::Backup;

/// Shows what the backup holds, asks, and brings it back.
pub(super) fn restore(shell: &Shell, yes: bool) -> Result<Code, Error> {
    let at = shell.store().locator();
    let none = || Error::new(Code::No, format!("there is no backup of '{at}'"));
    let backups = shell.store().backups()?.ok_or_else(none)?;
    let backup = backups.latest()?.ok_or_else(none)?;
    shell.print(&described(shell, &backup))?;
    if !yes {
        let what = match shell.store().read() {
            Ok(_) => "the store can be read; logins that were renewed since the backup are lost",
            Err(_) => "logins that were renewed since the backup are lost",
        };
        confirm(shell, &format!("{what}; bring it back?"))?;
    }
    if let Some(kept) = backups.restore(&backup)? {
        shell.note(&format!("what was there is now '{}'", kept.display()));
    }
    shell.note(&format!("restored '{at}'"));
    Ok(Code::Done)
}

fn described(shell: &Shell, backup: &Backup) -> String {
    let when = backup.written.map_or_else(String::new, |at| {
        let local = Local::new(shell.now());
        format!(" of {}", local.stamp(UnixMillis::from(at)))
    });
    let head = format!("'{}'{when} holds", backup.path.display());
    let mut text = printable(&head) + "\n";
    for (index, account) in backup.document.accounts.iter().enumerate() {
        let name = printable(&called(index, account));
        text.push_str(&format!("  {name}\n"));
    }
    text
}
