//! What the relay costs a WebSocket, beside a plain forwarder of TCP, nginx and HAProxy, in front of
//! a backend that sends what it is asked for.

use std::sync::{Arc, LazyLock, Mutex};
use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use http::{Request, Uri};
use serde::Deserialize;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::MissedTickBehavior;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::{WebSocketStream, accept_async, client_async};

use super::ways::{Goal, Way, memory};
use super::{Result, lock, ms};

const ROUNDS: usize = 5;
/// Of each way in each round, one by one.
const FRAMES: usize = 500;
/// Between two of them: the tact in which a fast model writes, and more.
const PAUSE: Duration = Duration::from_millis(1);
/// Of each way, as fast as they go.
const RUSH: usize = 50_000;
const IDLE: usize = 1000;

/// When frames are sent and come is counted from here: backend and client are one process.
static START: LazyLock<Instant> = LazyLock::new(Instant::now);

type Socket = WebSocketStream<TcpStream>;

pub(super) async fn measure(goal: &Goal<'_>) -> Result<()> {
    let backend = Backend::start().await?;
    let goal = Goal {
        backend: &backend.address,
        ..*goal
    };
    let upgraded = "proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade;";
    let mut ways = vec![
        goal.direct()?,
        goal.relay()?,
        goal.forwarder()?,
        goal.nginx(upgraded)?,
        goal.haproxy()?,
    ];
    ways.extend(goal.relay_before()?);
    one_by_one(&backend, &ways).await?;
    rush(&backend, &ways).await?;
    idle(&backend, &ways).await
}

async fn one_by_one(backend: &Backend, ways: &[Way]) -> Result<()> {
    backend.answer_with(FRAMES, Some(PAUSE));
    let all = FRAMES * ROUNDS;
    println!("a frame of a WebSocket, {all} of them, one each {PAUSE:?}: ms from end to end");
    let mut times = vec![Vec::with_capacity(all); ways.len()];
    for _ in 0..ROUNDS {
        for (way, times) in ways.iter().zip(&mut times) {
            times.extend(ask(&mut open(way, 0).await?).await?);
        }
    }
    let mut alone = None;
    for (way, mut times) in ways.iter().zip(times) {
        times.sort_unstable();
        let (p50, p99) = (ms(times[all / 2]), ms(times[all * 99 / 100]));
        let added = p50 - *alone.get_or_insert(p50);
        let target = target(way, "< 0.1");
        println!(
            "  {:10} p50 {p50:8.3}  p99 {p99:8.3}  p50 added {added:6.3}{target}",
            way.name
        );
    }
    Ok(())
}

async fn rush(backend: &Backend, ways: &[Way]) -> Result<()> {
    backend.answer_with(RUSH, None);
    println!("{RUSH} frames as fast as they go: frames a second");
    let mut alone = None;
    for way in ways {
        let mut socket = open(way, 0).await?;
        let started = Instant::now();
        ask(&mut socket).await?;
        let rate = RUSH as f64 / started.elapsed().as_secs_f64();
        let part = rate / *alone.get_or_insert(rate);
        println!("  {:10} {rate:8.0}  {part:.2} x direct", way.name);
    }
    Ok(())
}

/// Each of them has answered once: what an answer needed is to be given back.
async fn idle(backend: &Backend, ways: &[Way]) -> Result<()> {
    backend.answer_with(2, None);
    println!("memory with {IDLE} idle WebSockets, and before: MiB");
    for way in ways {
        let Some(process) = &way.process else {
            continue;
        };
        let before = memory(process.id())?;
        let mut open_ones = Vec::with_capacity(IDLE);
        for number in 0..IDLE {
            let mut socket = open(way, number).await?;
            ask(&mut socket).await?;
            open_ones.push(socket);
        }
        let after = memory(process.id())?;
        let target = target(way, "< 60");
        println!("  {:10} {after:8.1}  {before:8.1}{target}", way.name);
    }
    Ok(())
}

fn target(way: &Way, target: &str) -> String {
    match way.name {
        "relay" => format!(" (target: {target})"),
        _ => String::new(),
    }
}

/// A connection as Codex opens it, for a session of this number.
async fn open(way: &Way, session: usize) -> Result<Socket> {
    let uri: Uri = way.url.replace("http://", "ws://").parse()?;
    let host = uri.authority().ok_or("no host")?.to_string();
    let stream = TcpStream::connect(&host).await?;
    stream.set_nodelay(true)?;
    let request = Request::get(uri)
        .header("host", host)
        .header("connection", "Upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", generate_key())
        .header("openai-beta", "responses_websockets=2026-02-06")
        .header("authorization", format!("Bearer {}", way.bearer))
        .header("x-codex-window-id", format!("s-{session}:0"))
        .header("thread-id", format!("s-{session}"))
        .header("session-id", format!("s-{session}"))
        .body(())?;
    Ok(client_async(request, stream).await?.0)
}

const QUESTION: &str = r#"{"type":"response.create","model":"gpt-5.5","stream":true,"store":false,"instructions":"Be brief.","input":[{"role":"user","content":"hi"}]}"#;

/// What of an event is looked at here.
#[derive(Deserialize)]
struct Event {
    #[serde(rename = "type")]
    kind: String,
    /// In nanoseconds, of a piece of text.
    sent: Option<u64>,
}

/// Asks, and how long each piece of the answer's text was on its way.
async fn ask(socket: &mut Socket) -> Result<Vec<Duration>> {
    socket.send(Message::text(QUESTION)).await?;
    let mut times = Vec::new();
    loop {
        let message = socket.next().await.ok_or("closed in an answer")??;
        let came = START.elapsed();
        let Message::Text(text) = message else {
            continue;
        };
        let event: Event = serde_json::from_str(&text)?;
        match (event.kind.as_str(), event.sent) {
            ("response.output_text.delta", Some(sent)) => {
                times.push(came.saturating_sub(Duration::from_nanos(sent)));
            }
            ("response.completed", _) => return Ok(times),
            ("response.created", _) => {}
            _ => return Err(format!("answered {text}").into()),
        }
    }
}

/// Answers on WebSockets, whoever asks.
struct Backend {
    address: String,
    answer: Arc<Mutex<Answer>>,
}

#[derive(Clone, Copy, Default)]
struct Answer {
    frames: usize,
    pause: Option<Duration>,
}

impl Backend {
    async fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?.to_string();
        let answer = Arc::<Mutex<Answer>>::default();
        let shared = Arc::clone(&answer);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let answer = Arc::clone(&shared);
                // Whoever leaves ends it: that is no fault.
                tokio::spawn(async move { serve(stream, &answer).await.ok() });
            }
        });
        Ok(Self { address, answer })
    }

    fn answer_with(&self, frames: usize, pause: Option<Duration>) {
        *lock(&self.answer) = Answer { frames, pause };
    }
}

type Served = std::result::Result<(), tokio_tungstenite::tungstenite::Error>;

async fn serve(stream: TcpStream, answer: &Mutex<Answer>) -> Served {
    stream.set_nodelay(true)?;
    let mut socket = accept_async(stream).await?;
    while let Some(message) = socket.next().await {
        if let Message::Text(_) = message? {
            let answer = *lock(answer);
            say(&mut socket, answer).await?;
        }
    }
    Ok(())
}

async fn say(socket: &mut Socket, answer: Answer) -> Served {
    let whole = |kind| {
        Message::text(format!(
            r#"{{"type":"{kind}","response":{{"id":"resp_1"}}}}"#
        ))
    };
    socket.send(whole("response.created")).await?;
    let mut tact = answer.pause.map(tokio::time::interval);
    if let Some(tact) = &mut tact {
        tact.set_missed_tick_behavior(MissedTickBehavior::Delay);
    }
    let text = "x".repeat(140);
    for _ in 0..answer.frames {
        if let Some(tact) = &mut tact {
            tact.tick().await;
        }
        let sent = START.elapsed().as_nanos();
        let event =
            format!(r#"{{"type":"response.output_text.delta","delta":"{text}","sent":{sent}}}"#);
        socket.send(Message::text(event)).await?;
    }
    socket.send(whole("response.completed")).await
}
