//! The inputs that fuzzing found worth keeping, and those of the other tests, go through the readers
//! each time. What must hold of them stands in `fuzz/src/lib.rs`.

use std::fs;
use std::path::{Path, PathBuf};

#[allow(unreachable_pub, reason = "it is the library of the fuzz targets too")]
#[path = "../fuzz/src/lib.rs"]
mod readers;

#[test]
fn the_token_reader() {
    replay(readers::token, "fuzz/corpus/token", 20);
}

#[test]
fn the_response_reader() {
    replay(readers::response, "fuzz/corpus/response", 20);
    replay(readers::response, "tests/fixtures/mark", 120);
}

#[test]
fn the_message_reader() {
    replay(readers::message, "fuzz/corpus/message", 10);
}

#[test]
fn the_store_reader() {
    replay(readers::store, "fuzz/corpus/store", 20);
}

#[test]
fn the_claims_reader() {
    replay(readers::claims, "fuzz/corpus/claims", 4);
}

#[test]
fn the_import_reader() {
    replay(readers::import, "fuzz/corpus/import", 10);
}

#[test]
fn the_callback_reader() {
    replay(readers::callback, "fuzz/corpus/callback", 5);
}

#[test]
fn the_stream_reader() {
    replay(readers::stream, "fuzz/corpus/stream", 10);
}

#[test]
fn the_body_reader() {
    replay(readers::body, "fuzz/corpus/body", 10);
}

#[test]
fn the_journal_reader() {
    replay(readers::journal, "fuzz/corpus/journal", 4);
}

#[test]
fn the_jsonc_reader() {
    replay(readers::jsonc, "fuzz/corpus/jsonc", 5);
}

#[test]
fn the_toml_reader() {
    replay(readers::toml, "fuzz/corpus/toml", 5);
}

#[test]
fn the_text_reader() {
    replay(readers::text, "fuzz/corpus/text", 5);
}

/// Every file of a folder, and every beginning of it: input can be cut off anywhere.
fn replay(reader: fn(&[u8]), folder: &str, at_least: usize) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let entries = fs::read_dir(&folder).expect("a corpus");
    let files: Vec<PathBuf> = entries.map(|it| it.expect("an entry").path()).collect();
    assert!(
        files.len() >= at_least,
        "{}: {}",
        folder.display(),
        files.len()
    );
    for file in files {
        let bytes = fs::read(&file).expect("an input");
        for end in 0..=bytes.len() {
            reader(&bytes[..end]);
        }
    }
}
