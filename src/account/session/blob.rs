//! Encrypted content, told by a hash. A blob is of some kilobytes and means something to the
//! backend only: to know one again is all that is done with it here.

use std::hash::{DefaultHasher, Hash, Hasher};

use super::text::{Value, get};

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

    /// The blobs of the item that an event of an answer brings: of `response.output_item.done`, as
    /// JSON. None where it is another event, or can't be read.
    #[must_use]
    pub fn of_event(event: &str) -> Vec<Self> {
        let item = || {
            let members = Value::whole(event).ok()?.members().ok()?;
            let kind = get(&members, "type")?.value.string()?;
            let item = get(&members, "item")?.value;
            (kind == "response.output_item.done").then_some(item)
        };
        let read = |item| super::item::Item::read(item).ok();
        item().and_then(read).map_or(Vec::new(), |item| item.blobs)
    }
}
