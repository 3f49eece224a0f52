//! Commands as data: each file under `tests/cmd` is a home with some files in it, a line for the shell
//! and what that shows. A case more is a file more.
//!
//! ```text
//! What the case is about.
//! --- file PATH            (any number; a \u{feff} in the text is written out as <BOM>)
//! TEXT
//! --- run
//! A LINE FOR THE SHELL
//! --- shows
//! WHAT IT PRINTS, AS `Shown` HAS IT
//! ```
//!
//! `INSTA_UPDATE=always` writes what is shown now.

use std::fs;
use std::path::{Path, PathBuf};

use super::support::Home;

#[test]
fn every_case_shows_what_its_file_says() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cmd");
    let is_rewritten = std::env::var_os("INSTA_UPDATE").is_some_and(|it| it == "always");
    let cases = cases(&root);
    assert!(!cases.is_empty());
    let mut wrong = Vec::new();
    for path in cases {
        let text = fs::read_to_string(&path).expect("a case");
        let (setting, expected) = text.split_once("--- shows\n").expect("what it shows");
        let shown = format!("{}\n", run(setting));
        if is_rewritten {
            fs::write(&path, format!("{setting}--- shows\n{shown}")).expect("the case is kept");
        } else if shown != expected {
            wrong.push(format!("{}\n{shown}", path.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn cases(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder of cases");
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| entry.expect("an entry").path())
        .collect();
    paths.sort();
    let (folders, files): (Vec<_>, Vec<_>) = paths.into_iter().partition(|path| path.is_dir());
    let below = folders.iter().flat_map(|folder| cases(folder));
    below.chain(files).collect()
}

fn run(setting: &str) -> String {
    let (files, script) = setting.split_once("--- run\n").expect("what to run");
    let home = Home::new();
    for file in files.split("--- file ").skip(1) {
        let (path, text) = file.split_once('\n').expect("a path and a text");
        home.write(path, text.replace("<BOM>", "\u{feff}"));
    }
    home.sh(script).to_string()
}
