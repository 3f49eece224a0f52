//! Which account is next. A function of the accounts, the request and the time: there is no chance
//! in it, so that the same input gives the same answer, now and whenever it is replayed.
//!
//! - [`request`]: what is asked for. [`decide`]: the choice, and what it is called.
//! - `order`: who may be chosen, and who comes last. [`strategy`]: who of the rest.
//! - [`wishes`]: what is wished of the choice, for a run or for good. [`policy`]: as it is kept.
//! - `session`: which account a session has. [`explain`]: why an account was passed over.
//! - [`activation`]: what a choice changes in the accounts.
//!
//! It does not know what an answer of the backend means: that stands in the accounts by then.

pub mod activation;
pub mod decide;
pub mod explain;
mod order;
pub mod policy;
#[cfg(test)]
mod properties;
pub mod request;
mod session;
pub mod strategy;
pub mod wishes;

pub use activation::{activate, active_before, apply, is_news};
pub use decide::{Decision, Nothing, pick};
pub use explain::{Reason, explain};
pub use policy::Policy;
pub use request::{Keep, Request};
pub use strategy::Strategy;
pub use wishes::{Credits, Wishes};
