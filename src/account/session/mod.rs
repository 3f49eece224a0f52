//! A session that goes on as another account: what of a request only the account that made it can
//! read (PROTOCOL-SWITCH §1), how the request is written without that, and what is remembered of
//! who made what.
//!
//! Nothing here decides when a request is cut, or who is asked: that is the relay's, and a person's
//! who runs `codex-session-strip`.

mod blob;
mod body;
mod event;
mod item;
mod key;
mod makers;
#[cfg(test)]
mod properties;
mod text;

pub use blob::Blob;
pub use body::{Body, Counts, Cut, Extent};
pub use key::SessionKey;
pub use makers::Makers;
pub use text::Unclear;
