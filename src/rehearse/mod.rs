//! A pretend issuer and backend on loopback: what `codex-rehearse` runs commands against, and what the tests talk to.
//!
//! [`Pretend`] is the server, [`Script`] says how it behaves, [`Seen`] is what it was asked. One script holds any number
//! of [`PretendAccount`]s; each answers with the [`Answer`]s put down for it, in every [`Style`] that PROTOCOL §4 knows
//! of. It speaks the protocol as written there and nothing looser: what it accepts, the real servers are believed to
//! accept.
//!
//! It must not use any other module of this crate. A pretend server that reads tokens, windows or limits with the code
//! under test would agree with that code's mistakes.
//!
//! ```
//! use codex_accounts::rehearse::{Pretend, Script, Style};
//! use std::time::Duration;
//!
//! let pretend = Pretend::start(Script::with_accounts(2))?;
//! pretend.change(|script| script.accounts[0].limit(Duration::from_secs(3600), Style::UsageLimit));
//! assert!(pretend.issuer().starts_with("http://127.0.0.1:"));
//! # Ok::<(), std::io::Error>(())
//! ```

mod account;
mod answer;
mod backend;
mod blob;
mod clock;
mod entitled;
mod events;
mod frames;
mod grant;
mod headers;
mod issuer;
mod limits;
mod model;
mod outcome;
mod refused;
mod render;
mod reply;
mod request;
mod responses;
mod route;
mod scene;
mod script;
mod seen;
mod server;
mod shared;
mod socket;
mod streams;
mod strict;
mod style;
mod token;
mod usage;
mod world;

pub use account::{BankedReset, Budget, Credits, PretendAccount, Standing, Window, Windows};
pub use answer::{Answer, DEAD_TOKEN_CODES, ErrorShape, Progress, TokenAnswer};
pub use script::{
    Blobs, Consent, Delivery, Device, Foreign, Interval, Reason, Script, Socket, TokenReply,
};
pub use seen::{Refused, Seen};
pub use server::Pretend;
pub use style::{Style, UnknownStyle};
pub use token::Tokens;
pub use world::Controls;
