//! What a service manager and a service tell each other: the listener that systemd opened before
//! there was a relay, and when the relay is ready. Without a manager it is silent.

use std::net::TcpListener;

use listenfd::ListenFd;
use sd_notify::NotifyState;

use super::exit::{Code, Error};

/// The listener that was passed on, if one was (sd_listen_fds(3)). To be asked before there are
/// threads: it clears the variables that told of it.
///
/// # Errors
/// When it is not one TCP listener on loopback.
pub fn listener() -> Result<Option<TcpListener>, Error> {
    let mut passed = ListenFd::from_env();
    match passed.len() {
        0 => return Ok(None),
        1 => {}
        count => {
            let message = format!("{count} sockets were passed on, and one is wanted");
            return Err(Error::new(Code::Config, message));
        }
    }
    let unusable = |error| {
        let message = format!("the socket that was passed on can't be used: {error}");
        Error::new(Code::Config, message)
    };
    let Some(listener) = passed.take_tcp_listener(0).map_err(unusable)? else {
        return Ok(None);
    };
    let address = listener.local_addr().map_err(unusable)?;
    if !address.ip().is_loopback() {
        return Err(Error::hinted(
            Code::Config,
            format!("the socket that was passed on listens on {address}, not on loopback"),
            "give the socket unit a loopback address, like ListenStream=127.0.0.1:8765",
        ));
    }
    Ok(Some(listener))
}

/// Connections are accepted now (sd_notify(3)).
pub fn ready() {
    tell(NotifyState::Ready);
}

/// The end has begun.
pub fn stopping() {
    tell(NotifyState::Stopping);
}

fn tell(state: NotifyState<'_>) {
    // A manager that can't be told finds out by itself.
    let _ = sd_notify::notify(&[state]);
}
