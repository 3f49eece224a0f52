//! The settings' world: this process's environment and files.

use std::fs;
use std::path::Path;

use crate::settings::World;

/// See the module.
pub(crate) struct Here;

impl World for Here {
    fn variable(&self, name: &str) -> Option<String> {
        std::env::var(name).ok().filter(|value| !value.is_empty())
    }

    fn file(&self, path: &Path) -> Option<String> {
        fs::read_to_string(path).ok()
    }

    fn secret_file(&self, path: &Path) -> Option<String> {
        is_private(&fs::metadata(path).ok()?)
            .then(|| self.file(path))
            .flatten()
    }
}

/// Nobody else can read or write it.
#[cfg(unix)]
fn is_private(metadata: &fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    metadata.is_file() && metadata.mode() & 0o077 == 0
}

/// The profile's folder is the person's own.
#[cfg(not(unix))]
fn is_private(metadata: &fs::Metadata) -> bool {
    metadata.is_file()
}
