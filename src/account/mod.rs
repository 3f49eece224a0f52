//! Accounts, and everything that is decided about them: who an account is, whether it can be used
//! now, which one is next, what a response says about it.
//!
//! Nothing here reads a file, a clock, the environment or the network, and nothing knows of
//! arguments or output: all of it is functions of their arguments.

pub mod claims;
pub mod credentials;
pub mod extra;
pub mod handle;
pub mod id;
pub mod identity;
pub mod label;
pub mod limit;
pub mod mark;
pub mod merge;
pub mod observation;
pub mod pick;
pub mod printable;
mod printed;
pub mod record;
mod recording;
pub mod response;
pub mod secret;
pub mod select;
pub mod session;
pub mod stream;
pub mod time;
pub mod token;
pub mod tokens;
pub mod usage;
pub mod utf8;
mod wire;

pub use extra::Extra;
pub use id::{AccountId, Scope, UserId, filled};
pub use record::{Account, Activation, Lease, LoginRequired, State, SwitchReason};
