//! The document of a helper's store as it was seen last: what need not be sent again, and what the
//! relay goes by between two changes.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::store::format::Document;
use crate::store::version::Version;

/// See the module.
#[derive(Default)]
pub(super) struct Known(Mutex<Seen>);

#[derive(Default)]
struct Seen {
    /// The helper's word for what was seen last; `None` where there was no document.
    version: Option<String>,
    /// The document that has a version, which need not be the last.
    document: Option<(String, Document)>,
    /// How often it was another one than before.
    count: u64,
    /// Changes are watched for, and told here.
    watched: bool,
}

impl Known {
    /// This version is there now.
    pub(super) fn saw(&self, version: Option<&str>) {
        let mut seen = self.lock();
        if seen.version.as_deref() != version {
            seen.version = version.map(str::to_owned);
            seen.count += 1;
        }
    }

    /// As [`Known::saw`], by whoever will tell of the next one too.
    pub(super) fn watched(&self, version: Option<&str>) {
        self.saw(version);
        self.lock().watched = true;
    }

    /// This document is there now.
    pub(super) fn read(&self, version: String, document: Document) {
        self.saw(Some(&version));
        self.lock().document = Some((version, document));
    }

    /// The version that was seen last.
    pub(super) fn version(&self) -> Option<String> {
        self.lock().version.clone()
    }

    /// The document that is known, and its version.
    pub(super) fn document(&self) -> Option<(String, Document)> {
        self.lock().document.clone()
    }

    /// What tells the document from others, if somebody watches for them.
    pub(super) fn counted(&self) -> Option<Version> {
        let seen = self.lock();
        seen.watched.then(|| Version::counted(seen.count))
    }

    /// What is behind it is whole between any two statements.
    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
