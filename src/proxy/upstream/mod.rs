//! The way to the upstream: a request as the client made it, with the account's credentials in the
//! place of the client's. It forwards to one server and follows no redirect.

mod answer;
mod connection;
mod error;
mod headers;
mod idle;

use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HOST};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Method, Request, Response, Uri};
use http_body_util::Full;

use crate::account::{Account, credentials};
use crate::net::dial::Dial;
use crate::net::endpoint::Endpoint;
pub use answer::Answer;
use connection::Connection;
pub use error::Error;
pub use headers::{ACCOUNT_ID, TURN_STATE, answer_headers, request_headers};
use idle::Idle;

/// What the client asked, kept so that it can be asked again.
#[derive(Clone, Debug)]
pub struct Question {
    /// The method.
    pub method: Method,
    /// The path and query, as the client wrote them.
    pub uri: Uri,
    /// The headers that go on.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

/// The server that everything goes to.
#[derive(Clone, Debug)]
pub struct Upstream {
    endpoint: Endpoint,
    /// What the server is called in a request.
    host: HeaderValue,
    dial: Dial,
    idle: Arc<Idle>,
}

impl Upstream {
    /// The upstream at this address. It uses the system's certificates, and the proxy that the
    /// environment names unless the server is on this machine.
    ///
    /// # Errors
    /// When no request can name the server.
    pub fn new(endpoint: Endpoint) -> Result<Self, http::Error> {
        let origin = endpoint.origin();
        let name = origin.authority().map_or("", |name| name.as_str());
        Ok(Self {
            host: HeaderValue::try_from(name)?,
            dial: Dial::new(&endpoint),
            idle: Arc::default(),
            endpoint,
        })
    }

    /// Makes ready what the first request would wait for.
    pub async fn prepare(&self) {
        self.dial.prepare().await;
    }

    /// Asks as an account; the answer's body follows as it comes.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn ask(
        &self,
        question: &Question,
        account: &Account,
        turn_state: bool,
    ) -> Result<Response<Answer>, Error> {
        let request = || self.request(question, account, turn_state);
        if let Some(connection) = self.idle.take() {
            match connection.ask(request()?).await {
                // The server closed it when it was about to be asked: that is no answer.
                Err(Error::Stale) => {}
                asked => return Ok(Answer::of(asked?, &self.idle)),
            }
        }
        let connection = Connection::open(self.dial.connect().await?).await?;
        Ok(Answer::of(connection.ask(request()?).await?, &self.idle))
    }

    fn request(
        &self,
        question: &Question,
        account: &Account,
        turn_state: bool,
    ) -> Result<Request<Full<Bytes>>, Error> {
        let path = question
            .uri
            .path_and_query()
            .map_or("/", PathAndQuery::as_str);
        let mut request = Request::new(Full::new(question.body.clone()));
        *request.method_mut() = question.method.clone();
        *request.uri_mut() = Uri::try_from(self.endpoint.path(path)).map_err(http::Error::from)?;
        let mut headers = question.headers.clone();
        if !turn_state {
            headers.remove(TURN_STATE);
        }
        headers.insert(HOST, self.host.clone());
        headers.extend(credentials::headers(account));
        // The library says nothing of a body that is empty; some servers then ask for its length.
        if question.body.is_empty() && has_body(&question.method) {
            headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        *request.headers_mut() = headers;
        Ok(request)
    }
}

/// Whether a request has a body by its method, if an empty one (RFC 9110 §8.6).
fn has_body(method: &Method) -> bool {
    matches!(*method, Method::POST | Method::PUT | Method::PATCH)
}
