//! What a service manager and a service tell each other: nothing, here.

use std::io;
use std::net::TcpListener;

/// The listeners that the manager opened and passed on: none.
#[must_use]
pub fn passed_listeners() -> Vec<io::Result<TcpListener>> {
    Vec::new()
}

/// Connections are accepted now.
pub fn ready() {}

/// The end has begun.
pub fn stopping() {}
