//! Encrypted content, told by a hash. A blob is of some kilobytes and means something to the
//! backend only: to know one again is all that is done with it here.

use std::hash::{DefaultHasher, Hash, Hasher};

use super::text::Value;

/// What a blob is told by: a hash of its text. It is no secret, and does not outlive the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Blob(u64);

impl Blob {
    /// The blob with this text.
    #[must_use]
    pub fn of(text: &str) -> Self {
        let mut hasher = DefaultHasher::new();
        text.hash(&mut hasher);
        Self(hasher.finish())
    }

    pub(super) fn of_value(value: Value<'_>) -> Option<Self> {
        value.string().map(|text| Self::of(&text))
    }
}
