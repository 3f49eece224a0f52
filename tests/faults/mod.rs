//! A kill, and each failure that a file system knows, at each system call of what changes a store:
//! the old document or the new one, no token lost but where nothing could help, nothing left behind
//! after the next command, and an end. And surroundings that no command expects.
//!
//! A part of the points here; all of them by `tests/soak`.

use std::fs;
use std::path::Path;

use super::support::Home;
use super::support::faults::Point;

mod login;
mod redeem;
mod refresh;
mod store;
mod surroundings;

/// What can go wrong at a call on a file.
const ERRORS: [&str; 6] = ["ENOSPC", "EIO", "EINTR", "EMFILE", "EROFS", "EDQUOT"];

fn clear(home: &Home) {
    for folder in [".local/share/opencode", ".local/state/codex-accounts"] {
        let _ = fs::remove_dir_all(home.path().join(folder));
    }
}

/// Temporary files anywhere in the home.
fn temporary(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut found = Vec::new();
    for entry in entries {
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.path().is_dir() {
            found.extend(temporary(&entry.path()));
        } else if name.starts_with(".codex-accounts-") || name.ends_with(".new") {
            found.push(name);
        }
    }
    found
}

/// Each call with each way in which it can fail. To close something does not fail in a way that
/// anybody could heed, nor does a process that wakes itself.
fn failures(points: Vec<Point>) -> Vec<(Point, &'static str)> {
    let is_heeded = |point: &Point| point.name != "close" && !point.line.contains("<anon_inode:");
    let heeded = points.into_iter().filter(is_heeded);
    heeded
        .flat_map(|point| ERRORS.map(|error| (point.clone(), error)))
        .collect()
}
