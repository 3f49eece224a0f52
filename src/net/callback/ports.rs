//! The port that a browser comes back to: the registered ones, or the one that was asked for, on both
//! addresses of `localhost`; and the login server of another program that is asked to leave it.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::time::Duration;

use http::HeaderMap;
use thiserror::Error;
use url::Url;

use crate::net::agent::Agent;
use crate::net::endpoint::Endpoint;

/// The ports that are registered with the issuer: the second is for when the first is taken.
const REGISTERED: [u16; 2] = [1455, 1457];

/// How long another login server may take to answer that it leaves.
const LONGEST_ANSWER: Duration = Duration::from_secs(1);

/// How long, and how often, its port is tried again then.
const LEAVING: (u32, Duration) = (10, Duration::from_millis(200));

/// Which ports a callback may come in at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ports {
    /// 1455, and if that is taken 1457.
    Registered,
    /// This one; 0 stands for any that is free.
    Only(u16),
}

impl fmt::Display for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Registered => f.write_str("the ports 1455 and 1457 are"),
            Self::Only(port) => write!(f, "the port {port} is"),
        }
    }
}

/// Why nobody can come back.
#[derive(Debug, Error)]
pub enum Error {
    /// Other programs listen there.
    #[error("{0} taken by another program")]
    Taken(Ports),
    /// The system said no.
    #[error("the login callback can't be served: {0}")]
    Io(#[from] io::Error),
}

/// A port that is taken for a login that has not started.
#[derive(Debug)]
pub struct Bound {
    port: u16,
    listeners: [Option<TcpListener>; 2],
}

impl Bound {
    /// Takes a port, the same for IPv4 and, if the machine has it, for IPv6: `localhost` is either.
    /// Another login server on the first registered port is asked to leave, once.
    ///
    /// # Errors
    /// When other programs have them all.
    pub fn new(ports: Ports) -> Result<Self, Error> {
        let bound = match ports {
            Ports::Only(port) => bind(port)?,
            Ports::Registered => bind_registered()?,
        };
        bound.ok_or(Error::Taken(ports))
    }

    /// No port: nobody comes back by himself, the person brings the answer.
    #[must_use]
    pub fn nowhere(ports: Ports) -> Self {
        let port = match ports {
            Ports::Registered => REGISTERED[0],
            Ports::Only(port) => port,
        };
        Self {
            port,
            listeners: [None, None],
        }
    }

    /// Whether a browser can come back.
    #[must_use]
    pub fn is_somewhere(&self) -> bool {
        self.listeners.iter().any(Option::is_some)
    }

    /// The listeners, for IPv4 and for IPv6.
    pub(super) fn into_listeners(self) -> [Option<TcpListener>; 2] {
        self.listeners
    }

    /// The address that the browser is sent back to.
    #[must_use]
    pub fn redirect(&self) -> Url {
        let text = format!("http://localhost:{}/auth/callback", self.port);
        // Proof: any number of 16 bits is a port.
        Url::parse(&text).unwrap_or_else(|error| unreachable!("a URL: {error}"))
    }
}

/// Takes the first registered port, else the second.
fn bind_registered() -> io::Result<Option<Bound>> {
    let [first, second] = REGISTERED;
    if let Some(bound) = bind(first)? {
        return Ok(Some(bound));
    }
    if leaves(first) {
        let (tries, pause) = LEAVING;
        for _ in 0..tries {
            if let Some(bound) = bind(first)? {
                return Ok(Some(bound));
            }
            std::thread::sleep(pause);
        }
    }
    bind(second)
}

/// `None` if it is taken. A program that has it for one of the two addresses has it: it could get
/// what is meant for us.
fn bind(port: u16) -> io::Result<Option<Bound>> {
    let Some(v4) = listen(Ipv4Addr::LOCALHOST.into(), port)? else {
        return Ok(None);
    };
    let port = v4.local_addr()?.port();
    let v6 = match listen(Ipv6Addr::LOCALHOST.into(), port) {
        Ok(Some(v6)) => Some(v6),
        Ok(None) => return Ok(None),
        // No IPv6 here.
        Err(_) => None,
    };
    Ok(Some(Bound {
        port,
        listeners: [Some(v4), v6],
    }))
}

fn listen(address: IpAddr, port: u16) -> io::Result<Option<TcpListener>> {
    match TcpListener::bind(SocketAddr::new(address, port)) {
        Ok(listener) => Ok(Some(listener)),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => Ok(None),
        Err(error) => Err(error),
    }
}

/// Asks the login server on this port to leave, as it would ask us. Whether it says that it does.
fn leaves(port: u16) -> bool {
    let address = format!("http://127.0.0.1:{port}");
    Endpoint::parse("callback", &address).is_ok_and(|endpoint| {
        Agent::new(&endpoint, LONGEST_ANSWER)
            .get(&endpoint.at("/cancel"), HeaderMap::new())
            .is_ok_and(|answer| answer.status().is_success())
    })
}
