//! The listener that a service manager opened before there was a relay.

use std::net::TcpListener;

use super::exit::{Code, Error};
use crate::sys::service::passed_listeners;

/// The listener that was passed on, if one was (sd_listen_fds(3)). To be asked before there are
/// threads: it clears the variables that told of it.
///
/// # Errors
/// When it is not one TCP listener on loopback.
pub fn listener() -> Result<Option<TcpListener>, Error> {
    let mut passed = passed_listeners();
    if passed.len() > 1 {
        let message = format!("{} sockets were passed on, and one is wanted", passed.len());
        return Err(Error::new(Code::Config, message));
    }
    let unusable = |error| {
        let message = format!("the socket that was passed on can't be used: {error}");
        Error::new(Code::Config, message)
    };
    let Some(listener) = passed.pop().transpose().map_err(unusable)? else {
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
