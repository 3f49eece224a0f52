//! What tells one state of a document from another, without reading it.

use std::fs::Metadata;
use std::time::UNIX_EPOCH;

use crate::sys::file;

/// The state of a document: two that are equal are the same document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version([u128; 3]);

impl Version {
    /// That of a store whose changes are counted by whoever watches it.
    #[must_use]
    pub fn counted(count: u64) -> Self {
        Self([0, 0, count.into()])
    }

    /// That of a file, which is replaced with each change.
    #[must_use]
    pub fn of_file(metadata: &Metadata) -> Option<Self> {
        let modified = metadata.modified().ok()?;
        let modified = modified.duration_since(UNIX_EPOCH).ok()?;
        let (length, id) = (metadata.len().into(), file::id(metadata).into());
        Some(Self([modified.as_nanos(), length, id]))
    }
}
