//! The loopback server that a browser comes back to at the end of a login (PROTOCOL §1). It hands
//! over what the callback brought and shows the page that it is given for it; it asks nobody and
//! knows nothing of accounts.

mod answer;
mod ports;
mod request;
mod server;

pub use answer::{Answer, Outcome};
pub use ports::{Bound, Error, Ports};
pub use server::{Event, Guest, Server};
