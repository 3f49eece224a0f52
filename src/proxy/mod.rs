//! The rotating relay: a server on loopback that stands between a coding agent and the backend and
//! sends each request as the account that can be used now. It listens on loopback only, serves only
//! who knows its key, and forwards only to the one upstream.

mod answered;
mod decode;
mod entry;
pub mod failover;
pub mod guard;
mod hold;
mod intake;
pub mod log;
mod own;
pub mod pace;
mod passing;
pub mod pool;
pub mod relay;
pub mod server;
pub mod turns;
pub mod upstream;

pub use server::{Listen, Proxy, Settings};
