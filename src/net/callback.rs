//! The loopback server that a browser comes back to at the end of a login (PROTOCOL §1). It hands
//! over what the callback brought and shows the page that it is given for it; it asks nobody and
//! knows nothing of accounts.
//!
//! A callback counts only with the state of the login that is waiting. Everything runs on the
//! caller's thread, and only while it waits.

use std::convert::Infallible;
use std::fmt;
use std::future::pending;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr as _;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::uri::Authority;
use http::{HeaderMap, Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use subtle::ConstantTimeEq as _;
use thiserror::Error;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{self, Runtime};
use tokio::sync::{mpsc, oneshot};
use url::{Url, form_urlencoded};

use super::agent::Agent;
use super::endpoint::Endpoint;
use super::page::Page;
use crate::account::secret::Secret;

/// The ports that are registered with the issuer: the second is for when the first is taken.
const REGISTERED: [u16; 2] = [1455, 1457];

/// How long another login server may take to answer that it leaves.
const LONGEST_ANSWER: Duration = Duration::from_secs(1);

/// How long, and how often, its port is tried again then.
const LEAVING: (u32, Duration) = (10, Duration::from_millis(200));

/// A request's head is here by then, or its connection is closed.
const LONGEST_HEAD: Duration = Duration::from_secs(10);

/// A browser's head is a few KiB; a callback's code and state are a few hundred bytes.
const LARGEST_HEAD: usize = 16 << 10;

/// How long the last pages may take to be sent.
const LAST_PAGES: Duration = Duration::from_secs(2);

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

/// What the issuer says at the end of a login.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer {
    /// What tells this login from others; where it was typed in, it may have been left out.
    pub state: Option<Secret>,
    /// How it ended.
    pub outcome: Outcome,
}

/// How a login ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// With a code that can be traded for tokens.
    Code(Secret),
    /// With an error.
    Error {
        /// Its code: `access_denied`.
        code: String,
        /// The same in words.
        description: Option<String>,
    },
    /// With neither.
    Nothing,
}

impl Answer {
    /// Reads the query of a callback. A blank parameter is none, and of two the first one counts.
    #[must_use]
    pub fn of_query(query: &str) -> Self {
        let parameter = |wanted: &str| {
            form_urlencoded::parse(query.as_bytes())
                .find(|(name, _)| name == wanted)
                .map(|(_, value)| value.into_owned())
                .filter(|value| !value.trim().is_empty())
        };
        let outcome = match (parameter("error"), parameter("code")) {
            (Some(code), _) => Outcome::Error {
                code,
                description: parameter("error_description"),
            },
            (None, Some(code)) => Outcome::Code(Secret::new(code)),
            (None, None) => Outcome::Nothing,
        };
        Self {
            state: parameter("state").map(Secret::new),
            outcome,
        }
    }

    /// Whether it has this state. The time it takes tells nothing of where two states differ.
    #[must_use]
    pub fn has_state(&self, expected: &str) -> bool {
        self.state
            .as_ref()
            .is_some_and(|state| state.expose().as_bytes().ct_eq(expected.as_bytes()).into())
    }
}

/// A browser that has come back and waits for its page.
#[derive(Debug)]
pub struct Guest(oneshot::Sender<Page>);

impl Guest {
    /// Shows it this page; [`Server::close`] sees it on its way.
    pub fn show(self, page: Page) {
        // A browser that has gone wants no page.
        let _ = self.0.send(page);
    }
}

/// What came while the server waited.
#[derive(Debug)]
pub enum Event<T> {
    /// The callback: how the login ended, and who brought it.
    Callback(Outcome, Guest),
    /// Another program wants the port: it asked this login to end.
    Cancelled,
    /// What was waited for besides.
    Other(T),
}

/// A port that is taken for a login that has not started.
#[derive(Debug)]
pub struct Bound {
    port: u16,
    listeners: [Option<std::net::TcpListener>; 2],
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

    /// The address that the browser is sent back to.
    #[must_use]
    pub fn redirect(&self) -> Url {
        let text = format!("http://localhost:{}/auth/callback", self.port);
        // Proof: any number of 16 bits is a port.
        Url::parse(&text).unwrap_or_else(|error| unreachable!("a URL: {error}"))
    }

    /// Serves the login with this state.
    ///
    /// # Errors
    /// When the system does not let it.
    pub fn serve(self, state: &str) -> io::Result<Server> {
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let listen = |listener: std::net::TcpListener| {
            let _inside = runtime.enter();
            listener.set_nonblocking(true)?;
            TcpListener::from_std(listener)
        };
        let [v4, v6] = self.listeners;
        let listeners = [v4.map(listen).transpose()?, v6.map(listen).transpose()?];
        let (sender, events) = mpsc::channel(1);
        Ok(Server {
            runtime,
            listeners,
            connections: GracefulShutdown::new(),
            login: Arc::new(Login {
                state: Secret::new(state),
                events: sender,
            }),
            events,
        })
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

fn listen(address: IpAddr, port: u16) -> io::Result<Option<std::net::TcpListener>> {
    match std::net::TcpListener::bind(SocketAddr::new(address, port)) {
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

/// Waits for the callback of one login.
#[derive(Debug)]
pub struct Server {
    runtime: Runtime,
    listeners: [Option<TcpListener>; 2],
    connections: GracefulShutdown,
    login: Arc<Login>,
    events: mpsc::Receiver<Event<Infallible>>,
}

/// What a connection has to know of the login.
#[derive(Debug)]
struct Login {
    state: Secret,
    events: mpsc::Sender<Event<Infallible>>,
}

impl Server {
    /// Serves until a callback comes, the login is cancelled, or the future has something.
    pub fn wait<T>(&mut self, other: impl Future<Output = T>) -> Event<T> {
        let Self {
            runtime,
            listeners: [v4, v6],
            connections,
            login,
            events,
        } = self;
        runtime.block_on(async {
            tokio::select! {
                biased;
                event = next(events) => match event {
                    Event::Callback(outcome, guest) => Event::Callback(outcome, guest),
                    Event::Cancelled => Event::Cancelled,
                    Event::Other(never) => match never {},
                },
                other = other => Event::Other(other),
                never = accept(v4.as_ref(), connections, login) => match never {},
                never = accept(v6.as_ref(), connections, login) => match never {},
            }
        })
    }

    /// Sends the pages that are under way, and ends. A callback that comes only now is told that
    /// the login is over.
    pub fn close(self) {
        drop(self.events);
        drop(self.listeners);
        self.runtime.block_on(async {
            // Who does not take the page in time goes without.
            let _ = tokio::time::timeout(LAST_PAGES, self.connections.shutdown()).await;
        });
    }
}

async fn next(events: &mut mpsc::Receiver<Event<Infallible>>) -> Event<Infallible> {
    match events.recv().await {
        Some(event) => event,
        // The server has a sender itself.
        None => pending().await,
    }
}

async fn accept(
    listener: Option<&TcpListener>,
    connections: &GracefulShutdown,
    login: &Arc<Login>,
) -> Infallible {
    let Some(listener) = listener else {
        return pending().await;
    };
    loop {
        match listener.accept().await {
            Ok((stream, _)) => serve(stream, connections, login),
            // Out of file descriptors, most likely: they come back when connections end.
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

fn serve(stream: TcpStream, connections: &GracefulShutdown, login: &Arc<Login>) {
    let login = Arc::clone(login);
    let service = service_fn(move |request| {
        let login = Arc::clone(&login);
        async move { Ok::<_, Infallible>(respond(&request, &login).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(LONGEST_HEAD)
        .max_buf_size(LARGEST_HEAD)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    // What goes wrong on a connection is its client's to see.
    tokio::spawn(connections.watcher().watch(connection));
}

async fn respond<B>(request: &Request<B>, login: &Login) -> Response<Full<Bytes>> {
    let page = match judge(request, login.state.expose()) {
        Ok(Asked::Cancel) => {
            // If the login is over already, so much the better.
            let _ = login.events.try_send(Event::Cancelled);
            cancelled()
        }
        Ok(Asked::Callback(outcome)) => {
            let (page, shown) = oneshot::channel();
            match login.events.try_send(Event::Callback(outcome, Guest(page))) {
                Ok(()) => shown.await.unwrap_or_else(|_| over()),
                Err(_) => over(),
            }
        }
        Err(page) => page,
    };
    page.into_response()
}

/// What a request is about.
#[derive(Debug, PartialEq, Eq)]
enum Asked {
    Callback(Outcome),
    Cancel,
}

/// What a request is about, or the page that refuses it. The state is looked at before anything
/// else that a callback brings.
fn judge<B>(request: &Request<B>, state: &str) -> Result<Asked, Page> {
    if !is_for_loopback(request) {
        return Err(refusal(StatusCode::FORBIDDEN, "This is not for here"));
    }
    match request.uri().path() {
        "/auth/callback" | "/cancel" if request.method() != Method::GET => {
            let status = StatusCode::METHOD_NOT_ALLOWED;
            Err(refusal(status, "This is only to be looked at"))
        }
        "/auth/callback" => {
            let answer = Answer::of_query(request.uri().query().unwrap_or_default());
            match answer.has_state(state) {
                true => Ok(Asked::Callback(answer.outcome)),
                false => Err(wrong_login()),
            }
        }
        "/cancel" if is_by_a_page(request.headers()) => {
            Err(refusal(StatusCode::FORBIDDEN, "No page may do this"))
        }
        "/cancel" => Ok(Asked::Cancel),
        _ => Err(refusal(StatusCode::NOT_FOUND, "There is nothing here")),
    }
}

/// A name that leads here by somebody else's DNS is not ours.
fn is_for_loopback<B>(request: &Request<B>) -> bool {
    let host = request.headers().get(header::HOST);
    host.and_then(|host| host.to_str().ok())
        .and_then(|host| Authority::from_str(host).ok())
        .is_some_and(|host| matches!(host.host(), "localhost" | "127.0.0.1" | "[::1]"))
}

/// Another program asks by itself; a request that a web page makes says so.
fn is_by_a_page(headers: &HeaderMap) -> bool {
    let site = headers.get("sec-fetch-site");
    headers.contains_key(header::ORIGIN) || site.is_some_and(|site| site != "none")
}

fn refusal(status: StatusCode, heading: &'static str) -> Page {
    Page::bad(status, heading, [])
}

fn wrong_login() -> Page {
    Page::bad(
        StatusCode::BAD_REQUEST,
        "This is another login",
        [
            "This page does not belong to the login that is waiting now: its state does not match."
                .to_owned(),
            "Nothing was changed. Go on in the tab that was opened last.".to_owned(),
        ],
    )
}

fn over() -> Page {
    Page::bad(
        StatusCode::CONFLICT,
        "This login is over",
        ["It has ended already; the terminal says how. You can close this page.".to_owned()],
    )
}

fn cancelled() -> Page {
    Page::good("Login cancelled", [])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(target: &str, headers: &[(&str, &str)]) -> Request<()> {
        let mut request = Request::get(target);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap()
    }

    fn status(request: &Request<()>) -> u16 {
        match judge(request, "right") {
            Ok(_) => 200,
            Err(page) => page.status.as_u16(),
        }
    }

    #[test]
    fn the_state_comes_before_all_else() {
        let host = [("host", "localhost:1455")];
        for query in [
            "",
            "?code=c",
            "?code=c&state=wrong",
            "?error=access_denied",
            "?state=righ",
        ] {
            let target = format!("/auth/callback{query}");
            assert_eq!(status(&request(&target, &host)), 400, "{query}");
        }
        let right = request("/auth/callback?code=c&state=right", &host);
        let code = Outcome::Code(Secret::new("c"));
        assert_eq!(judge(&right, "right"), Ok(Asked::Callback(code)));
    }

    #[test]
    fn an_error_goes_before_a_code_and_blank_is_nothing() {
        let answer = Answer::of_query("code=c&error=access_denied&error_description=No+way");
        let denied = Outcome::Error {
            code: "access_denied".into(),
            description: Some("No way".into()),
        };
        assert_eq!(answer.outcome, denied);
        assert_eq!(Answer::of_query("code=+&error=").outcome, Outcome::Nothing);
        let twice = Answer::of_query("code=a&code=b").outcome;
        assert_eq!(twice, Outcome::Code(Secret::new("a")));
    }

    #[test]
    fn only_a_browser_on_this_machine_is_answered() {
        let target = "/auth/callback?code=c&state=right";
        for good in [
            "localhost:1455",
            "localhost",
            "127.0.0.1:1457",
            "[::1]:1455",
        ] {
            assert_eq!(status(&request(target, &[("host", good)])), 200, "{good}");
        }
        for bad in [
            "evil.example:1455",
            "localhost.evil.example",
            "10.0.0.1",
            "",
        ] {
            assert_eq!(status(&request(target, &[("host", bad)])), 403, "{bad}");
        }
        assert_eq!(status(&request(target, &[])), 403);
    }

    #[test]
    fn a_program_may_cancel_and_a_page_may_not() {
        let host = ("host", "127.0.0.1:1455");
        assert_eq!(status(&request("/cancel", &[host])), 200);
        for by_page in [("origin", "null"), ("sec-fetch-site", "cross-site")] {
            assert_eq!(status(&request("/cancel", &[host, by_page])), 403);
        }
        assert_eq!(status(&request("/favicon.ico", &[host])), 404);
        let mut post = request("/cancel", &[host]);
        *post.method_mut() = Method::POST;
        assert_eq!(status(&post), 405);
    }
}
