//! The addresses of a server. A name is looked up by a thread that may be left behind when it takes
//! too long; an address needs none, and a system that has no thread to give is an error and no
//! panic, as it is in the client's own resolver.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::vec::IntoIter;

use http::Uri;
use ureq::Error;
use ureq::config::Config;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

/// As many addresses of one server as the client has room for.
const MOST: usize = 16;

/// See the module.
#[derive(Debug)]
pub(super) struct Lookup;

impl Resolver for Lookup {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, Error> {
        let unknown = || Error::BadUri("it names no server".to_owned());
        let scheme = uri.scheme().ok_or_else(unknown)?;
        let authority = uri.authority().ok_or_else(unknown)?;
        let server = DefaultResolver::host_and_port(scheme, authority).ok_or_else(unknown)?;
        let found = match address(&server) {
            Some(address) => vec![address].into_iter(),
            None => look_up(server, timeout)?,
        };
        let mut addresses = self.empty();
        for address in config.ip_family().keep_wanted(found).take(MOST) {
            addresses.push(address);
        }
        match addresses.is_empty() {
            true => Err(Error::HostNotFound),
            false => Ok(addresses),
        }
    }
}

/// The address that is written there, if it is one.
fn address(server: &str) -> Option<SocketAddr> {
    let (host, port) = server.rsplit_once(':')?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    Some(SocketAddr::new(
        host.parse::<IpAddr>().ok()?,
        port.parse().ok()?,
    ))
}

fn look_up(server: String, timeout: NextTimeout) -> Result<IntoIter<SocketAddr>, Error> {
    let (found, result) = mpsc::sync_channel(1);
    let look_up = move || {
        // Whoever asked may have gone.
        let _ = found.send(server.to_socket_addrs());
    };
    thread::Builder::new().spawn(look_up).map_err(Error::Io)?;
    match result.recv_timeout(*timeout.after) {
        Ok(found) => Ok(found?),
        Err(RecvTimeoutError::Timeout) => Err(Error::Timeout(timeout.reason)),
        Err(RecvTimeoutError::Disconnected) => Err(io::Error::other("the lookup failed").into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_not_looked_up() {
        for (server, found) in [
            ("127.0.0.1:80", Some("127.0.0.1:80")),
            ("[::1]:1455", Some("[::1]:1455")),
            ("localhost:80", None),
            ("127.0.0.1.example.com:80", None),
        ] {
            let found = found.map(|it| it.parse().unwrap());
            assert_eq!(address(server), found, "{server}");
        }
    }
}
