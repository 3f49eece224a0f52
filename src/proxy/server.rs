//! Accepting connections on loopback, and giving each to the relay. It looks at nothing of what
//! passes.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;

use super::budget::Budget;
use super::door::{Door, Guest};
use super::guard::{Key, PREFIX};
use super::log::{Event, Line, Log};
use super::pace::Pace;
use super::pool::Pool;
use super::pool::narrowing::Narrowing;
use super::relay::Relay;
use super::service;
use super::session::Sessions;
use super::sockets_seen::SocketsSeen;
use super::tally::Tally;
use super::turns::Turns;
use super::upstream::Upstream;
use crate::account::pick::Wishes;
use crate::clock::Clock;
use crate::net::endpoint::Endpoint;
use crate::oauth::issuer::Issuer;
use crate::store::Store;

/// How long a client may take for the head of a request.
const CLIENT_PATIENCE: Duration = Duration::from_secs(30);

/// The start waits so long for tokens that are to be renewed first.
const FIRST_LOOK_AHEAD: Duration = Duration::from_secs(5);

/// What runs on a WebSocket at the end may go on for so long.
const DRAIN: Duration = Duration::from_secs(2);

/// How a relay is to be.
#[derive(Debug)]
pub struct Settings {
    /// Where it listens.
    pub listen: Listen,
    /// What a client must show.
    pub key: Key,
    /// Where requests go.
    pub upstream: Endpoint,
    /// Where tokens are renewed.
    pub issuer: Endpoint,
    /// How the next account is chosen.
    pub wishes: Wishes,
    /// Which accounts are used at all.
    pub narrowing: Narrowing,
    /// How long a request is held when every account is limited.
    pub max_wait: Duration,
    /// How long the head of an answer may take.
    pub head_patience: Duration,
    /// Whether WebSockets are served.
    pub websocket: bool,
    /// What time it is.
    pub clock: Clock,
    /// Where it is written down.
    pub log: Log,
}

/// Where a relay listens: on loopback, always.
#[derive(Debug)]
pub enum Listen {
    /// At this address; port 0 is any free one.
    At(SocketAddr),
    /// Where somebody listened on its behalf before it was there.
    On(std::net::TcpListener),
}

impl From<SocketAddr> for Listen {
    fn from(address: SocketAddr) -> Self {
        Self::At(address)
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(address) => address.fmt(f),
            Self::On(_) => f.write_str("the socket that was passed on"),
        }
    }
}

impl Listen {
    async fn open(self) -> io::Result<TcpListener> {
        match self {
            Self::At(address) => {
                refuse_outside(address)?;
                TcpListener::bind(address).await
            }
            Self::On(listener) => {
                refuse_outside(listener.local_addr()?)?;
                listener.set_nonblocking(true)?;
                TcpListener::from_std(listener)
            }
        }
    }
}

fn refuse_outside(address: SocketAddr) -> io::Result<()> {
    if address.ip().is_loopback() {
        return Ok(());
    }
    let kind = io::ErrorKind::InvalidInput;
    Err(io::Error::new(kind, "not a loopback address"))
}

/// A relay that runs.
pub struct Proxy {
    address: SocketAddr,
    relay: Arc<Relay>,
    accepting: JoinHandle<()>,
    staying_ahead: JoinHandle<()>,
}

impl Proxy {
    /// Starts a relay for the accounts of a store. It accepts connections when this returns.
    ///
    /// # Errors
    /// When it can't listen there, or TLS can't be set up.
    pub async fn start(store: Arc<dyn Store>, settings: Settings) -> io::Result<Self> {
        let listener = settings.listen.open().await?;
        let address = listener.local_addr()?;
        let log = Arc::new(settings.log);
        let pool = Pool::new(
            store,
            Issuer::new(settings.issuer),
            settings.wishes,
            settings.narrowing,
            settings.clock,
            complaints(&log, settings.clock),
        );
        let upstream = Upstream::new(settings.upstream).map_err(io::Error::other)?;
        let prepared = upstream.clone();
        tokio::spawn(async move { prepared.prepare().await });
        let relay = Arc::new(Relay {
            key: settings.key,
            pool: Arc::clone(&pool),
            upstream,
            max_wait: settings.max_wait,
            head_patience: settings.head_patience,
            log,
            turns: Turns::default(),
            sessions: Sessions::default(),
            pace: Pace::default(),
            bodies: Budget::default(),
            websocket: settings.websocket,
            sockets: SocketsSeen::default(),
            ending: watch::Sender::new(false),
            count: AtomicU64::new(1),
        });
        // A client that starts now may find its token expired.
        let _ = timeout(FIRST_LOOK_AHEAD, pool.renew_shared()).await;
        Ok(Self {
            address,
            accepting: tokio::spawn(accept(listener, Arc::clone(&relay))),
            staying_ahead: tokio::spawn(pool.stay_ahead()),
            relay,
        })
    }

    /// The address that stands for the backend's `/codex`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}{PREFIX}", self.address)
    }

    /// Ends all connections, and tells the store what it was not told yet. What the run came to.
    pub async fn stop(self) -> Tally {
        self.staying_ahead.abort();
        self.accepting.abort();
        let _ = self.accepting.await;
        self.relay.ending.send_replace(true);
        let _ = timeout(DRAIN, self.relay.ending.closed()).await;
        self.relay.pool.settle().await;
        self.relay.log.tally()
    }
}

fn complaints(log: &Arc<Log>, clock: Clock) -> Box<dyn Fn(&str) + Send + Sync> {
    let log = Arc::clone(log);
    Box::new(move |message| {
        log.write(&Line {
            at: clock.now(),
            request: 0,
            session: None,
            event: Event::Trouble { message },
        });
    })
}

/// Accepts until this is dropped, and the connections with it.
async fn accept(listener: TcpListener, relay: Arc<Relay>) {
    /// Out of descriptors, most likely: some come back when connections end.
    const BREATH: Duration = Duration::from_millis(50);
    let door = Arc::new(Door::default());
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(serve(stream, Arc::clone(&relay), door.come()));
                }
                Err(_) => tokio::time::sleep(BREATH).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve(stream: TcpStream, relay: Arc<Relay>, guest: Guest) {
    // Small pieces of a stream must not wait for more.
    let _ = stream.set_nodelay(true);
    let guest = Arc::new(guest);
    let service = {
        let guest = Arc::clone(&guest);
        service_fn(move |request| service::serve(Arc::clone(&relay), request, Arc::clone(&guest)))
    };
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(CLIENT_PATIENCE)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    // How a connection ends, its requests know.
    tokio::select! {
        _ = serving => {}
        () = guest.sent_away() => {}
    }
}
