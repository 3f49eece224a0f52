//! The server: a listener on loopback with a runtime and a thread of its own, gone when it is dropped.
//!
//! Reads requests whole, has them carried out, and sends what came of it. Knows no endpoint.

use super::clock::unix_millis;
use super::frames::{self, Opened};
use super::outcome::Outcome;
use super::reply::{Chunks, Reply};
use super::route;
use super::script::Script;
use super::seen::Seen;
use super::shared::Shared;
use super::token::Tokens;
use super::world::{Controls, World};
use bytes::{Bytes, BytesMut};
use http::{Request, Response};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::error::Error;
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{self, Runtime};
use tokio::sync::oneshot;

/// How much of a body is kept for [`Seen::body`].
const KEPT_BODY: usize = 1 << 20;

/// A pretend issuer and backend, serving until it is dropped.
pub struct Pretend {
    shared: Arc<Shared>,
    origin: String,
    /// Dropping it ends the server.
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Pretend {
    /// Serves this script on a free port of 127.0.0.1. Connections are accepted from when this returns.
    ///
    /// # Errors
    ///
    /// What binding the port, making the runtime or starting the thread failed with.
    pub fn start(script: Script) -> io::Result<Self> {
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let listener = runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))?;
        let origin = format!("http://{}", listener.local_addr()?);
        let shared = Arc::new(Shared::new(World::new(script, origin.clone())));
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::Builder::new().name("pretend".into()).spawn({
            let shared = Arc::clone(&shared);
            move || serve(&runtime, &listener, stopped, &shared)
        })?;
        Ok(Self {
            shared,
            origin,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// The issuer's address, `http://127.0.0.1:PORT`: what `$CODEX_ACCOUNTS_ISSUER` takes.
    pub fn issuer(&self) -> String {
        self.origin.clone()
    }

    /// The backend's address, `http://127.0.0.1:PORT/backend-api`: what `$CODEX_ACCOUNTS_UPSTREAM` takes.
    pub fn upstream(&self) -> String {
        format!("{}/backend-api", self.origin)
    }

    /// The address that [`on_control`](Self::on_control) is about.
    pub fn control(&self) -> String {
        format!("{}{}", self.origin, route::CONTROL)
    }

    /// Lets whoever posts to the address of control change the servers: `control` is given what was posted.
    pub fn on_control(
        &self,
        control: impl Fn(&mut Controls<'_>, &[u8]) -> Result<(), String> + Send + 'static,
    ) {
        self.shared.world().control = Some(Box::new(control));
    }

    /// Alters the script, or looks at it; the next request meets it so.
    pub fn change<T>(&self, change: impl FnOnce(&mut Script) -> T) -> T {
        change(&mut self.shared.world().script)
    }

    /// Every request so far, in order.
    pub fn seen(&self) -> Vec<Seen> {
        self.shared.log.all()
    }

    /// Waits until `enough` holds of the requests so far, and says whether it does; `false` once `timeout` is over.
    #[must_use]
    pub fn wait_for(&self, timeout: Duration, enough: impl FnMut(&[Seen]) -> bool) -> bool {
        self.shared.log.wait_for(timeout, enough)
    }

    /// The most requests that were made for one and the same thing of which an account could not read something.
    pub fn most_for_one_refusal(&self) -> usize {
        self.shared.log.most_for_one_refusal()
    }

    /// Logs an account in without the way through the browser. `None` if the script has no account with this index.
    pub fn issue(&self, account: usize) -> Option<Tokens> {
        let world = &mut *self.shared.world();
        let now = world.script.now();
        let person = world.script.accounts.get(account)?;
        let lifetime = world.script.access_lifetime;
        Some(world.grants.log_in(account, person, lifetime, now))
    }

    /// The latest tokens of an account that are still good to refresh with: what a store should hold by now.
    pub fn current(&self, account: usize) -> Option<Tokens> {
        self.shared.world().grants.current(account).cloned()
    }

    /// Invalidates every token of an account, as when its owner signs out everywhere.
    pub fn kill(&self, account: usize) {
        self.shared.world().grants.kill(account);
    }
}

impl fmt::Debug for Pretend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pretend")
            .field("origin", &self.origin)
            .finish_non_exhaustive()
    }
}

impl Drop for Pretend {
    /// Closes the port and every connection, and returns when that is done.
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // It panics only if the runtime does; there is nobody left to tell.
            let _ = thread.join();
        }
    }
}

fn serve(
    runtime: &Runtime,
    listener: &TcpListener,
    stopped: oneshot::Receiver<()>,
    shared: &Arc<Shared>,
) {
    runtime.block_on(async {
        tokio::select! {
            _ = stopped => {}
            () = accept(listener, shared) => {}
        }
    });
}

async fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                tokio::spawn(connection(stream, Arc::clone(shared)));
            }
            // Out of file descriptors, most likely: they come back when connections end.
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
}

async fn connection(stream: TcpStream, shared: Arc<Shared>) {
    // Only a matter of speed, so a failure is no reason to refuse the connection.
    let _ = stream.set_nodelay(true);
    let opened = Arc::new(Mutex::new(None));
    let service =
        service_fn(|request| Box::pin(answer(Arc::clone(&shared), Arc::clone(&opened), request)));
    let mut connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    let end = poll_fn(|context| connection.poll_without_shutdown(context)).await;
    let parts = connection.into_parts();
    let mut stream = parts.io.into_inner();
    if let Some(opened) = take(&opened) {
        return frames::serve(stream, parts.read_buf.to_vec(), opened, Arc::clone(&shared)).await;
    }
    let end = end.as_ref().err().and_then(|error| error.source());
    // The client may be gone already.
    match end.and_then(|error| error.downcast_ref()) {
        Some(Hangup::After(bytes)) => {
            let _ = stream.write_all(bytes).await;
        }
        Some(Hangup::Never(chunk)) => {
            let mut written = stream.write_all(b"HTTP/1.1 200 OK\r\n").await;
            while written.is_ok() {
                written = stream.write_all(chunk).await;
            }
        }
        None => {}
    }
    let _ = stream.shutdown().await;
}

/// Where a request that opens a WebSocket leaves it for its connection.
type Slot = Mutex<Option<Opened>>;

fn take(slot: &Slot) -> Option<Opened> {
    slot.lock().unwrap_or_else(PoisonError::into_inner).take()
}

async fn answer(
    shared: Arc<Shared>,
    slot: Arc<Slot>,
    request: Request<Incoming>,
) -> Result<Response<Chunks>, Hangup> {
    let (head, body) = request.into_parts();
    let body = read(body).await?;
    let mut seen = Seen {
        at: unix_millis(SystemTime::now()),
        path: head.uri.path().to_owned(),
        query: head.uri.query().unwrap_or_default().to_owned(),
        method: head.method,
        headers: head.headers,
        body_length: body.len(),
        body,
        account: None,
        session: None,
        asks_for: None,
        refused: None,
        socket: None,
        status: None,
    };
    // Carried out before it is seen, so that who waits for a request finds its effects.
    let act = route::act(&mut shared.world(), &mut seen);
    if seen.body.len() > KEPT_BODY {
        // A copy, so that the rest is let go.
        seen.body = Bytes::copy_from_slice(&seen.body[..KEPT_BODY]);
    }
    let opens = matches!(act.outcome, Outcome::Upgrade(_));
    let kept = opens.then(|| seen.clone());
    let place = act.remember.then(|| shared.log.push(seen));
    if !act.delay.is_zero() {
        tokio::time::sleep(act.delay).await;
    }
    let reply = match act.outcome {
        Outcome::Reply(reply) => reply,
        Outcome::Events(stream) => stream.into_reply().ok_or(Hangup::After(Bytes::new()))?,
        Outcome::Upgrade(headers) => {
            if let Some(request) = kept
                && let Some(account) = request.account
            {
                let number = shared.count_socket();
                *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(Opened {
                    account,
                    request,
                    number,
                });
            }
            Reply::upgrade(headers)
        }
        Outcome::Hangup(bytes) => return Err(Hangup::After(bytes)),
        Outcome::EndlessHead(chunk) => return Err(Hangup::Never(chunk)),
        Outcome::Silence => return std::future::pending().await,
    };
    if let Some(place) = place {
        shared.log.answered(place, reply.status.as_u16());
    }
    Ok(reply.into_response(act.pace))
}

/// The whole of a body.
async fn read(mut body: Incoming) -> Result<Bytes, Hangup> {
    let mut kept = BytesMut::new();
    while let Some(frame) = body.frame().await {
        // A body that breaks off gets no answer.
        let frame = frame.map_err(|_| Hangup::After(Bytes::new()))?;
        if let Ok(data) = frame.into_data() {
            kept.extend_from_slice(&data);
        }
    }
    Ok(kept.freeze())
}

/// The connection is no longer one of HTTP.
#[derive(Debug)]
enum Hangup {
    /// It is closed after these bytes.
    After(Bytes),
    /// It gets a head that is these bytes again and again.
    Never(Bytes),
}

impl fmt::Display for Hangup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the script hangs up here")
    }
}

impl Error for Hangup {}
