//! What an answer brings, as far as blobs are in it.

use super::blob::Blob;
use super::item::Item;
use super::text::{Value, get};

impl Blob {
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
        let read = |item| Item::read(item).ok();
        item().and_then(read).map_or(Vec::new(), |item| item.blobs)
    }
}
