//! What a service manager and a service tell each other. Without a manager it is silent.

use std::io;
use std::net::TcpListener;

use listenfd::ListenFd;
use sd_notify::NotifyState;

/// The listeners that the manager opened and passed on (sd_listen_fds(3)); one that is no TCP
/// listener is an error. To be asked before there are threads: it clears the variables that told
/// of them.
#[must_use]
pub fn passed_listeners() -> Vec<io::Result<TcpListener>> {
    let mut passed = ListenFd::from_env();
    (0..passed.len())
        .filter_map(|index| passed.take_tcp_listener(index).transpose())
        .collect()
}

/// Connections are accepted now (sd_notify(3)).
pub fn ready() {
    notify(NotifyState::Ready);
}

/// The end has begun.
pub fn stopping() {
    notify(NotifyState::Stopping);
}

fn notify(state: NotifyState<'_>) {
    // A manager that can't be reached finds out by itself.
    let _ = sd_notify::notify(&[state]);
}
