//! The rotating relay: a server on loopback that stands between a coding agent and the backend and
//! sends each request as the account that can be used now. It listens on loopback only, serves only
//! who knows its key, and forwards only to the one upstream.

mod budget;
mod decode;
mod door;
mod entry;
mod exchange;
pub mod failover;
pub mod guard;
mod http;
pub mod log;
pub mod pace;
pub mod pool;
mod relay;
mod replies;
pub mod server;
mod service;
mod session;
mod silence;
pub mod socket;
mod sockets_seen;
pub mod tally;
pub mod turns;
pub mod upstream;
mod watcher;

pub use server::{Listen, Proxy, Settings};
