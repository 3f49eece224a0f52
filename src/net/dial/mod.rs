//! Connections out that are kept and streamed on: TCP, through the proxy that the environment names,
//! with TLS. What is said on them is not known here.

mod error;
mod stream;
mod tls;

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use http::uri::{Authority, Scheme};
use http::{HeaderValue, Uri};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::proxy::{SocksV4, SocksV5, Tunnel};
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use hyper_util::rt::TokioIo;
use tokio::time::timeout;
use tower_service::Service;

use super::endpoint::Endpoint;
pub use error::Error;
pub use stream::Stream;
use tls::Tls;

/// How long it may take until there is a connection.
const PATIENCE: Duration = Duration::from_secs(15);

/// A connection on which nothing is said for so long is asked by the system whether it is there.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Where a SOCKS proxy is whose address names no port (RFC 1928 §3).
const SOCKS_PORT: u16 = 1080;

/// Opens connections to one server.
#[derive(Clone, Debug)]
pub struct Dial {
    server: Uri,
    by: Option<Intercept>,
    tls: Tls,
}

impl Dial {
    /// Connections to a server: by the proxy that the environment or the system names, unless the
    /// server is on this machine.
    #[must_use]
    pub fn new(endpoint: &Endpoint) -> Self {
        let server = endpoint.origin();
        let by = match endpoint.is_local() {
            true => None,
            false => Matcher::from_system().intercept(&server),
        };
        Self {
            server,
            by,
            tls: Tls::default(),
        }
    }

    /// Makes ready what the first connection would wait for: the system's certificates are many.
    pub async fn prepare(&self) {
        if self.server.scheme() == Some(&Scheme::HTTPS) {
            // What is wrong with it, whoever connects is told.
            let _ = self.tls.config().await;
        }
    }

    /// A new connection.
    ///
    /// # Errors
    /// When there is none to be had.
    pub async fn connect(&self) -> Result<Stream, Error> {
        let connecting = async {
            let stream = self.reach().await?;
            self.secure(stream, &self.server).await
        };
        timeout(PATIENCE, connecting)
            .await
            .map_err(|_| Error::TooLong)?
    }

    /// Bytes that go to the server and come from it, as they are.
    async fn reach(&self) -> Result<Stream, Error> {
        let mut to_proxy = ToProxy(self.clone());
        let Some(by) = &self.by else {
            return tcp(&self.server).await;
        };
        let stream = match by.uri().scheme_str() {
            Some(scheme @ ("socks4" | "socks4a" | "socks5" | "socks5h")) => {
                let proxy = with_port(by.uri(), SOCKS_PORT)?;
                // The letter at the end says that the proxy knows the names.
                let server = match scheme {
                    "socks4" | "socks5" => looked_up(&self.server).await?,
                    _ => self.server.clone(),
                };
                if scheme.starts_with("socks4") {
                    let mut socks = SocksV4::new(proxy, to_proxy);
                    socks.call(server).await.map_err(|it| Error::of(&it))
                } else {
                    let mut socks = SocksV5::new(proxy, to_proxy);
                    if let Some((name, password)) = by.raw_auth() {
                        socks = socks.with_auth(name.to_owned(), password.to_owned());
                    }
                    socks.call(server).await.map_err(|it| Error::of(&it))
                }
            }
            _ if self.server.scheme() == Some(&Scheme::HTTPS) => {
                let mut tunnel = Tunnel::new(by.uri().clone(), to_proxy);
                if let Some(auth) = by.basic_auth() {
                    tunnel = tunnel.with_auth(HeaderValue::clone(auth));
                }
                tunnel
                    .call(self.server.clone())
                    .await
                    .map_err(|it| Error::of(&it))
            }
            // Without TLS a server is on this machine only, and then there is no proxy.
            _ => to_proxy.call(self.server.clone()).await,
        };
        Ok(stream?.into_inner())
    }

    /// With TLS where the address asks for it.
    async fn secure(&self, stream: Stream, to: &Uri) -> Result<Stream, Error> {
        match to.scheme() == Some(&Scheme::HTTPS) {
            true => self.tls.over(stream, to.host().unwrap_or_default()).await,
            false => Ok(stream),
        }
    }
}

/// Connects to a proxy, on which the way to the server is then asked for.
#[derive(Clone, Debug)]
struct ToProxy(Dial);

impl Service<Uri> for ToProxy {
    type Response = TokioIo<Stream>;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<TokioIo<Stream>, Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, proxy: Uri) -> Self::Future {
        let dial = self.0.clone();
        Box::pin(async move {
            let stream = tcp(&proxy).await?;
            Ok(TokioIo::new(dial.secure(stream, &proxy).await?))
        })
    }
}

async fn tcp(to: &Uri) -> Result<Stream, Error> {
    let mut connector = HttpConnector::new();
    connector.enforce_http(false);
    // Small pieces of a request must not wait for more.
    connector.set_nodelay(true);
    connector.set_keepalive(Some(KEEP_ALIVE));
    let stream = connector.call(to.clone()).await;
    Ok(Stream::Tcp(
        stream.map_err(|it| Error::of(&it))?.into_inner(),
    ))
}

/// The address of a server with a number in the place of its name.
async fn looked_up(server: &Uri) -> Result<Uri, Error> {
    let (host, port) = (server.host().unwrap_or_default(), port_of(server));
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let found = tokio::net::lookup_host((host, port)).await;
    let first = found.map_err(|it| Error::of(&it))?.next();
    let first = first.ok_or_else(|| Error::Failed(format!("there is no host '{host}'")))?;
    at(server, first.to_string())
}

fn with_port(address: &Uri, port: u16) -> Result<Uri, Error> {
    match (address.port(), address.host()) {
        (None, Some(host)) => at(address, format!("{host}:{port}")),
        _ => Ok(address.clone()),
    }
}

fn at(address: &Uri, authority: String) -> Result<Uri, Error> {
    let mut parts = address.clone().into_parts();
    parts.authority = Some(Authority::try_from(authority).map_err(|it| Error::of(&it))?);
    Uri::from_parts(parts).map_err(|it| Error::of(&it))
}

fn port_of(server: &Uri) -> u16 {
    let usual = match server.scheme() == Some(&Scheme::HTTPS) {
        true => 443,
        false => 80,
    };
    server.port_u16().unwrap_or(usual)
}
