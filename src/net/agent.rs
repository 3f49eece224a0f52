//! Requests out that wait for their answer: to the issuer, and for usage. No redirects, no retry,
//! no status is an error here: what an answer means, the caller knows.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, Request, Response};
use thiserror::Error;
use ureq::tls::{RootCerts, TlsConfig, TlsProvider};
use ureq::unversioned::transport::DefaultConnector;

use super::endpoint::Endpoint;
use super::resolver::Lookup;

/// An answer larger than this is not read to its end: the issuer's are a few KiB.
const LARGEST_ANSWER: u64 = 4 << 20;

/// One server could not be asked, or gave no answer. Nothing is known of what it did.
#[derive(Debug, Error)]
#[error("no answer from {server}: {reason}")]
pub struct Unreachable {
    server: String,
    reason: String,
    was_sent: bool,
}

impl Unreachable {
    /// Whether the request may have reached the server.
    #[must_use]
    pub const fn was_sent(&self) -> bool {
        self.was_sent
    }
}

/// Asks servers.
#[derive(Clone, Debug)]
pub struct Agent {
    agent: ureq::Agent,
}

impl Agent {
    /// An agent that gives up on an answer after `patience`. It uses the system's certificates and
    /// the proxy that the environment names, for servers that are not on this machine.
    #[must_use]
    pub fn new(endpoint: &Endpoint, patience: Duration) -> Self {
        let tls = TlsConfig::builder()
            .provider(TlsProvider::Rustls)
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .root_certs(RootCerts::PlatformVerifier)
            .build();
        let mut config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_global(Some(patience))
            .user_agent(concat!("codex-accounts/", env!("CARGO_PKG_VERSION")))
            .tls_config(tls);
        if endpoint.is_local() {
            config = config.proxy(None);
        }
        Self {
            agent: ureq::Agent::with_parts(config.build(), DefaultConnector::new(), Lookup),
        }
    }

    /// Sends a request and reads its answer whole.
    ///
    /// # Errors
    /// When there is no answer, or not all of it.
    pub fn send(&self, request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, Unreachable> {
        let server = request.uri().host().unwrap_or_default().to_owned();
        let unreachable = |error: ureq::Error| Unreachable {
            server: server.clone(),
            reason: reason(&error),
            was_sent: was_sent(&error),
        };
        let mut answer = self.agent.run(request).map_err(unreachable)?;
        let body = answer
            .body_mut()
            .with_config()
            .limit(LARGEST_ANSWER)
            .read_to_vec()
            .map_err(unreachable)?;
        Ok(answer.map(|_| body))
    }

    /// Posts JSON.
    ///
    /// # Errors
    /// As [`Agent::send`].
    pub fn post_json(
        &self,
        url: &str,
        body: &serde_json::Value,
    ) -> Result<Response<Vec<u8>>, Unreachable> {
        self.post_json_with(url, HeaderMap::new(), body)
    }

    /// Posts JSON, with headers.
    ///
    /// # Errors
    /// As [`Agent::send`].
    pub fn post_json_with(
        &self,
        url: &str,
        headers: HeaderMap,
        body: &serde_json::Value,
    ) -> Result<Response<Vec<u8>>, Unreachable> {
        let builder = Request::post(url).header("content-type", "application/json");
        let mut request = request(builder, body.to_string().into_bytes())?;
        request.headers_mut().extend(headers);
        self.send(request)
    }

    /// Gets, with headers.
    ///
    /// # Errors
    /// As [`Agent::send`].
    pub fn get(&self, url: &str, headers: HeaderMap) -> Result<Response<Vec<u8>>, Unreachable> {
        let mut request = request(Request::get(url), Vec::new())?;
        request.headers_mut().extend(headers);
        self.send(request)
    }
}

fn request(
    builder: http::request::Builder,
    body: Vec<u8>,
) -> Result<Request<Vec<u8>>, Unreachable> {
    builder.body(body).map_err(|error| Unreachable {
        server: "the address".to_owned(),
        reason: error.to_string(),
        was_sent: false,
    })
}

/// Only of what fails before there is a connection it is certain that nothing was sent.
fn was_sent(error: &ureq::Error) -> bool {
    match error {
        ureq::Error::HostNotFound | ureq::Error::ConnectionFailed | ureq::Error::BadUri(_) => false,
        ureq::Error::Timeout(when) => {
            !matches!(when, ureq::Timeout::Resolve | ureq::Timeout::Connect)
        }
        ureq::Error::Io(error) => error.kind() != std::io::ErrorKind::ConnectionRefused,
        _ => true,
    }
}

/// In words that a person understands, and without the address, whose query may hold a code.
fn reason(error: &ureq::Error) -> String {
    match error {
        ureq::Error::Timeout(_) => "it took too long".to_owned(),
        ureq::Error::HostNotFound => "there is no such host".to_owned(),
        ureq::Error::ConnectionFailed => "the connection failed".to_owned(),
        ureq::Error::Io(error) => error.to_string(),
        ureq::Error::BodyExceedsLimit(_) => "it was too large".to_owned(),
        ureq::Error::BadUri(_) => "the address is no URL".to_owned(),
        other => other.to_string(),
    }
}
