//! The sessions that Codex CLI records: which one is to go on, and which provider it was recorded with.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use serde_json::Value;

/// The id of the session that is to go on, if one is named.
pub(super) fn named(arguments: &[OsString]) -> Option<&str> {
    let after = arguments.iter().skip_while(|it| *it != "resume").skip(1);
    after.filter_map(|it| it.to_str()).find(|it| is_uuid(it))
}

fn is_uuid(text: &str) -> bool {
    let mut groups = text.split('-');
    let lengths = [8, 4, 4, 4, 12];
    let is_hex = |group: &str, length| {
        group.len() == length && group.bytes().all(|it| it.is_ascii_hexdigit())
    };
    lengths
        .into_iter()
        .all(|length| groups.next().is_some_and(|it| is_hex(it, length)))
        && groups.next().is_none()
}

/// The provider that a session was recorded with: in the first line of its file, which is in a
/// folder for its day.
pub(super) fn recorded_provider(sessions: &Path, id: &str) -> Option<String> {
    let ending = format!("-{id}.jsonl");
    let file = below(sessions, 4)
        .into_iter()
        .find(|path| path.to_string_lossy().ends_with(&ending))?;
    let mut line = String::new();
    BufReader::new(File::open(file).ok()?)
        .read_line(&mut line)
        .ok()?;
    let line: Value = serde_json::from_str(&line).ok()?;
    Some(line["payload"]["model_provider"].as_str()?.to_owned())
}

/// The files so many levels below a folder.
fn below(folder: &Path, levels: u32) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let paths = entries.map(|entry| entry.path());
    match levels {
        0 | 1 => paths.collect(),
        _ => paths.flat_map(|path| below(&path, levels - 1)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_session_that_is_to_go_on() {
        let id = "01a20faf-6d8e-7c22-bfd4-54c43b2631e6";
        for line in ["exec resume -m x ID go", "exec -m x resume ID", "resume ID"] {
            assert_eq!(named(&words(&line.replace("ID", id))), Some(id), "{line}");
        }
        for line in [
            "exec ID",
            "exec resume --last",
            "resume 01a20faf-6d8e-7c22-bfd4-54c43b2631eg",
        ] {
            assert_eq!(named(&words(&line.replace("ID", id))), None, "{line}");
        }
    }

    fn words(line: &str) -> Vec<OsString> {
        line.split_whitespace().map(OsString::from).collect()
    }
}
