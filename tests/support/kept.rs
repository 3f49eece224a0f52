//! A store that a helper keeps: the one of `tests/helper`, which keeps it in a folder.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::Home;

/// Where the helper is, and the cases of all helpers.
pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/helper")
}

/// A store that a helper keeps in a folder, and machines that have it.
pub(crate) struct Kept {
    folder: PathBuf,
}

impl Kept {
    /// The store of this machine is kept by the helper from now on; it begins as the file was.
    pub(crate) fn of(home: &mut Home) -> Kept {
        let kept = Kept {
            folder: home.path().join("kept"),
        };
        kept.serve(home);
        if home.store_path().exists() {
            kept.write(&home.store());
            fs::remove_file(home.store_path()).expect("the file goes");
        }
        kept
    }

    /// Lets another machine have it, too.
    pub(crate) fn serve(&self, home: &mut Home) {
        home.prefix_path(&folder());
        home.set("CODEX_ACCOUNTS_FILE", self.url());
        home.set("CODEX_STORE_DOWN", home.path().join("down"));
        home.set("CODEX_STORE_LOG", home.path().join("requests"));
    }

    pub(crate) fn url(&self) -> String {
        format!("file://{}", self.folder.display())
    }

    /// What it says now.
    pub(crate) fn store(&self) -> Value {
        let text = fs::read_to_string(self.folder.join("document")).expect("a document");
        let (_, document) = text.split_once('\n').expect("a version");
        serde_json::from_str(document).expect("a document of JSON")
    }

    /// The bytes that are kept of it.
    pub(crate) fn bytes(&self) -> Option<Vec<u8>> {
        fs::read(self.folder.join("document")).ok()
    }

    /// Puts a document there, as a helper would.
    pub(crate) fn write(&self, document: &Value) {
        fs::create_dir_all(&self.folder).expect("a folder");
        let text = format!("begun\n{document:#}\n");
        fs::write(self.folder.join("document"), text).expect("a document");
    }

    /// The texts beside the document, by their names.
    pub(crate) fn scratches(&self) -> Vec<(String, String)> {
        let entries = fs::read_dir(&self.folder).expect("a folder");
        let entries = entries.map(|entry| entry.expect("an entry"));
        let mut found: Vec<_> = entries
            .filter_map(|entry| {
                let name = entry.file_name().into_string().ok()?;
                let name = name.strip_prefix("scratch-")?.to_owned();
                Some((name, fs::read_to_string(entry.path()).ok()?))
            })
            .collect();
        found.sort();
        found
    }

    /// Takes the way from a machine to the store away, or gives it back.
    pub(crate) fn cut(home: &Home, is_cut: bool) {
        let down = home.path().join("down");
        match is_cut {
            true => fs::write(down, "").expect("a file"),
            false => fs::remove_file(down).expect("the file goes"),
        }
    }

    /// How often each thing was asked by a machine.
    pub(crate) fn asked(home: &Home) -> Vec<String> {
        let log = fs::read_to_string(home.path().join("requests")).unwrap_or_default();
        log.lines().map(str::to_owned).collect()
    }
}
