//! What a service manager and a service tell each other: nothing, here.

use std::env;
use std::io;
use std::net::TcpListener;

/// The listeners that the manager opened and passed on: none, and who says that there are some is
/// mistaken.
#[must_use]
pub fn passed_listeners() -> Vec<io::Result<TcpListener>> {
    let said = env::var_os("LISTEN_FDS").filter(|said| !said.is_empty());
    said.map(|_| {
        Err(io::Error::other(
            "Windows passes on none, but LISTEN_FDS is set",
        ))
    })
    .into_iter()
    .collect()
}

/// Connections are accepted now.
pub fn ready() {}

/// The end has begun.
pub fn stopping() {}
