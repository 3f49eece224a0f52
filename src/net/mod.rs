//! The way out: which servers are asked, and plain requests to them; and the way back of a browser.
//! It knows nothing of accounts or of what is asked.

pub mod agent;
pub mod browser;
pub mod callback;
pub mod dial;
pub mod endpoint;
pub mod page;
mod resolver;
