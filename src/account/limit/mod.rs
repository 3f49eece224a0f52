//! What a response says about the account that got it (PROTOCOL §4): limited and until when, login
//! dead, or fine, and where it is not the account's fault, whose (DESIGN §2). Every header, every
//! code and every field of a body that means something is named here and nowhere else. It judges
//! one response by itself; what the account's history makes of it is [`super::mark`]'s.
//!
//! - [`codes`]: the one table of codes.
//! - `headers`, `body`, `windows`, `spoken`: what a part of a response says.
//! - `foreign`, `model`: refusals that a session or a model meets.
//! - `reset`, `limited`, [`verdict`]: what that comes to.
//! - `reading`, `event`, `usage`: a whole response, an event of its stream, the usage endpoint.

pub mod banked;
mod body;
pub mod codes;
mod event;
mod foreign;
mod headers;
mod limited;
mod model;
mod reading;
mod reset;
mod spoken;
mod usage;
pub mod verdict;
mod windows;

pub use body::error_codes;
pub use event::{header_map, read_event, status_code};
pub use foreign::{Foreign, Unreadable};
pub use limited::{Class, Limit};
pub use model::{ModelNotIncluded, Offer};
pub use reading::{Origin, Reading, Response};
pub use reset::{LONGEST, LONGEST_WINDOW, Reset, Source, longest};
pub use usage::read_usage;
pub use verdict::Verdict;
