//! Whether others keep off the store: the file itself is refused where they could read it, so what
//! is looked at here is its folder and its backup.

use std::path::Path;

use super::Finding;

/// What is found of the file of a store, which could be read.
#[cfg(unix)]
pub(super) fn examine(file: &Path) -> Vec<Finding> {
    let mut findings: Vec<Finding> = [folder(file), backup(file)].into_iter().flatten().collect();
    if findings.is_empty() {
        let what = "nobody else can read it, or put another in its place";
        findings.push(Finding::well("permissions", what));
    }
    findings
}

#[cfg(not(unix))]
pub(super) fn examine(_: &Path) -> Vec<Finding> {
    Vec::new()
}

/// Whoever may write to the folder may put another store there.
#[cfg(unix)]
fn folder(file: &Path) -> Option<Finding> {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::Mend;
    use crate::cli::typed::quoted;

    /// Nobody may take away what is another's, as in a folder for all: no chmod is to change that.
    const STICKY: u32 = 0o1000;
    let folder = file.parent()?;
    let mode = fs::metadata(folder).ok()?.permissions().mode() & 0o7777;
    if mode & 0o022 == 0 {
        return None;
    }
    let what = format!(
        "others can write to '{}' (mode {mode:04o})",
        folder.display()
    );
    let mend = if mode & STICKY == 0 {
        Mend::Type(format!("chmod go-w {}", quoted(folder)))
    } else {
        Mend::Advice("keep the store in a folder of your own".to_owned())
    };
    Some(Finding::wrong("permissions", what, mend))
}

#[cfg(unix)]
fn backup(file: &Path) -> Option<Finding> {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::Mend;
    use super::fix::Fix;
    use crate::store::commit;

    let backup = commit::backup_path(file);
    let mode = fs::metadata(&backup).ok()?.permissions().mode() & 0o7777;
    (mode & 0o077 != 0).then(|| {
        let path = backup.display();
        let what = format!("others can read or write '{path}' (mode {mode:04o})");
        Finding::wrong("permissions", what, Mend::Fix(Fix::Private(backup)))
    })
}
