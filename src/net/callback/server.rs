//! Serves the login that is waiting: the callback, and the page that answers it.
//!
//! A callback counts only with the state of the login that is waiting. Everything runs on the
//! caller's thread, and only while it waits.

use std::convert::Infallible;
use std::future::pending;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{self, Runtime};
use tokio::sync::{mpsc, oneshot};

use super::answer::Outcome;
use super::ports::Bound;
use super::request::{Asked, cancelled, judge, over};
use crate::account::secret::Secret;
use crate::net::page::Page;

/// A request's head is here by then, or its connection is closed.
const LONGEST_HEAD: Duration = Duration::from_secs(10);

/// A browser's head is a few KiB; a callback's code and state are a few hundred bytes.
const LARGEST_HEAD: usize = 16 << 10;

/// How long the last pages may take to be sent.
const LAST_PAGES: Duration = Duration::from_secs(2);

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
    /// Serves the login with this state.
    ///
    /// # Errors
    /// When the system does not let it.
    pub fn start(bound: Bound, state: &str) -> io::Result<Self> {
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let listen = |listener: std::net::TcpListener| {
            let _inside = runtime.enter();
            listener.set_nonblocking(true)?;
            TcpListener::from_std(listener)
        };
        let [v4, v6] = bound.into_listeners();
        let listeners = [v4.map(listen).transpose()?, v6.map(listen).transpose()?];
        let (sender, events) = mpsc::channel(1);
        Ok(Self {
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
