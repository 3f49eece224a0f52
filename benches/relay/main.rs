//! What the relay costs, beside plain reverse proxies in front of the same pretend backend.
//!
//! `cargo bench --bench relay` prints the figures of one run, and beside those that DESIGN §6 speaks
//! of what they must reach. Nothing here fails because a figure is bad. nginx and HAProxy take part
//! where they are installed: `apt-get install nginx-light haproxy`, on Debian. Client, backend and
//! whatever is between them share the machine's processors, so only figures of one run compare.

mod socket;
mod ways;

use std::convert::Infallible;
use std::error::Error;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use codex_accounts::rehearse::{Answer, Pretend, Script, Standing, Style};
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;

use self::ways::{
    FORWARD, WORKERS, Way, direct, forward, haproxy, memory, nginx, relay, write_store,
};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Of each way, for each number of streams.
const REQUESTS: usize = 2000;
/// The ways take turns, so that what else the machine does is shared out.
const ROUNDS: usize = 5;
const STREAMS: usize = 1000;
/// Of the stream whose rate is measured.
const CHUNKS: usize = 2000;
const CHUNK: usize = 1024;
const ROTATIONS: usize = 40;
fn main() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [what, backend, ..] = arguments.as_slice()
        && what == FORWARD
    {
        return runtime.block_on(forward(backend));
    }
    let mut script = Script::with_accounts(2);
    script.remember = false;
    script.access_lifetime = Duration::from_secs(24 * 60 * 60);
    let pretend = Pretend::start(script)?;
    runtime.block_on(measure(&pretend))
}

async fn measure(pretend: &Pretend) -> Result<()> {
    // Not in the system's temporary folder, which may be in memory: a mark would cost no sync.
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let store = folder.path().join("store.json");
    write_store(&store, pretend)?;

    let backend = pretend.issuer().replace("http://", "");
    let mut ways = vec![
        direct(pretend, &backend)?,
        relay(pretend, &pretend.upstream(), &store)?,
    ];
    ways.extend(nginx(
        folder.path(),
        pretend,
        &backend,
        "proxy_set_header Connection \"\";",
    )?);
    ways.extend(haproxy(folder.path(), pretend, &backend)?);

    short_answers(pretend, &ways).await?;
    long_answers(pretend, &ways).await?;
    open_streams(pretend, &ways).await?;
    rotations(pretend, &store).await?;
    drop(ways);
    write_store(&store, pretend)?;
    socket::measure(folder.path(), pretend, &store).await
}

/// What one way needed for requests.
struct Figures {
    name: &'static str,
    p50: f64,
    p99: f64,
    rate: f64,
}

async fn short_answers(pretend: &Pretend, ways: &[Way]) -> Result<()> {
    say(pretend, short_answer());
    println!("a short answer, {REQUESTS} requests, {WORKERS} workers each: ms, requests a second");
    for at_once in [1, 10, 100] {
        println!("  {at_once} at once");
        let all = figures(ways, at_once).await?;
        for one in &all {
            compare(one, &all[0]);
        }
        let (direct, relay) = (&all[0], &all[1]);
        let nginx = all.iter().find(|one| one.name == "nginx");
        // How near the backend is to its own end: that is not what is measured.
        println!(
            "    the backend alone does {:.1} x the relay's rate",
            direct.rate / relay.rate
        );
        if let Some(nginx) = nginx {
            println!("    and {:.1} x that of nginx", direct.rate / nginx.rate);
            println!(
                "    p99 of the relay is {:.2} x that of nginx (target at 100: < 2)",
                relay.p99 / nginx.p99
            );
        }
    }
    Ok(())
}

fn compare(one: &Figures, direct: &Figures) {
    let added = one.p50 - direct.p50;
    let target = if one.name == "relay" {
        " (target: < 1)"
    } else {
        ""
    };
    println!(
        "    {:10} p50 {:8.3}  p99 {:8.3}  {:8.0}/s  p50 added {added:6.3}{target}",
        one.name, one.p50, one.p99, one.rate
    );
}

async fn figures(ways: &[Way], at_once: usize) -> Result<Vec<Figures>> {
    let mut all: Vec<_> = ways.iter().map(|_| (Vec::new(), Duration::ZERO)).collect();
    for _ in 0..ROUNDS {
        for (way, (times, took)) in ways.iter().zip(&mut all) {
            let (more, longer) = ask(way, at_once, REQUESTS / ROUNDS).await?;
            times.extend(more);
            *took += longer;
        }
    }
    let figures = |(way, (mut times, took)): (&Way, (Vec<Duration>, Duration))| {
        times.sort_unstable();
        Figures {
            name: way.name,
            p50: ms(times[times.len() / 2]),
            p99: ms(times[times.len() * 99 / 100]),
            rate: times.len() as f64 / took.as_secs_f64(),
        }
    };
    Ok(ways.iter().zip(all).map(figures).collect())
}

async fn long_answers(pretend: &Pretend, ways: &[Way]) -> Result<()> {
    say(pretend, long_answer());
    println!("a stream of {CHUNKS} events of {CHUNK} bytes: MB a second");
    for way in ways {
        let (times, took) = ask(way, 4, 40).await?;
        let megabytes = (times.len() * CHUNKS * CHUNK) as f64 / 1e6;
        println!("  {:10} {:8.0}", way.name, megabytes / took.as_secs_f64());
    }
    Ok(())
}

async fn open_streams(pretend: &Pretend, ways: &[Way]) -> Result<()> {
    say(pretend, Standing::Always(Style::Stall.into()));
    println!("memory with {STREAMS} open streams: MiB");
    for way in ways {
        let Some(process) = &way.process else {
            continue;
        };
        let client = client()?;
        let mut open = Vec::with_capacity(STREAMS);
        for _ in 0..STREAMS {
            open.push(question(&client, way).send().await?.error_for_status()?);
        }
        let target = if way.name == "relay" {
            " (target: < 100)"
        } else {
            ""
        };
        println!("  {:10} {:8.1}{target}", way.name, memory(process.id())?);
    }
    Ok(())
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

fn say(pretend: &Pretend, standing: Standing) {
    pretend.change(|script| {
        for account in &mut script.accounts {
            account.standing = standing.clone();
        }
    });
}

fn stream(events: usize, size: usize) -> Standing {
    let text = "x".repeat(size.saturating_sub(60));
    let event =
        format!("data: {{\"type\":\"response.output_text.delta\",\"delta\":\"{text}\"}}\n\n");
    Standing::Always(Answer::Raw {
        status: 200,
        headers: vec![("content-type".into(), "text/event-stream".into())],
        chunks: vec![Bytes::from(event); events],
    })
}

fn short_answer() -> Standing {
    stream(2, 200)
}

fn long_answer() -> Standing {
    stream(CHUNKS, CHUNK)
}

fn client() -> Result<reqwest::Client> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    Ok(reqwest::Client::builder().no_proxy().build()?)
}

/// As a client asks: the pretend backend takes nothing less.
const QUESTION: &str = r#"{"model":"gpt-5.5","stream":true,"store":false,"instructions":"Be brief.","input":[{"role":"user","content":"hi"}]}"#;

fn question(client: &reqwest::Client, way: &Way) -> reqwest::RequestBuilder {
    let mut request = client
        .post(&way.url)
        .bearer_auth(&way.bearer)
        .body(QUESTION);
    if let Some(account) = &way.account {
        request = request.header("chatgpt-account-id", account);
    }
    request
}

/// Asks so often, so many at once; how long each took, and all.
async fn ask(way: &Way, at_once: usize, requests: usize) -> Result<(Vec<Duration>, Duration)> {
    let client = client()?;
    // The first ones connect.
    ask_each(&client, way, at_once, 1).await?;
    let started = Instant::now();
    let times = ask_each(&client, way, at_once, requests / at_once).await?;
    Ok((times, started.elapsed()))
}

async fn ask_each(
    client: &reqwest::Client,
    way: &Way,
    at_once: usize,
    each: usize,
) -> Result<Vec<Duration>> {
    let mut asking = Vec::with_capacity(at_once);
    for _ in 0..at_once {
        let questions: Vec<_> = (0..each).map(|_| question(client, way).build()).collect();
        let client = client.clone();
        asking.push(tokio::spawn(async move {
            let mut times = Vec::with_capacity(each);
            for question in questions {
                let sent = Instant::now();
                let answer = client.execute(question?).await?.error_for_status()?;
                answer.bytes().await?;
                times.push(sent.elapsed());
            }
            Ok::<_, reqwest::Error>(times)
        }));
    }
    let mut times = Vec::with_capacity(at_once * each);
    for one in asking {
        times.extend(one.await??);
    }
    Ok(times)
}

/// A backend that can limit its first account, and knows when it did.
struct Limiting {
    url: String,
    state: Arc<Mutex<Moments>>,
}

#[derive(Default)]
struct Moments {
    limits: bool,
    /// The 429 was ready to go out.
    refused: Option<Instant>,
    /// The next account's answer was.
    answered: Option<Instant>,
}

impl Limiting {
    async fn start() -> Result<Self> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}/backend-api", listener.local_addr()?);
        let state = Arc::<Mutex<Moments>>::default();
        let shared = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let state = Arc::clone(&shared);
                let service = service_fn(move |request| {
                    let answer = answer(&request, &state);
                    async { Ok::<_, Infallible>(answer) }
                });
                let _ = stream.set_nodelay(true);
                let stream = TokioIo::new(stream);
                tokio::spawn(
                    hyper::server::conn::http1::Builder::new().serve_connection(stream, service),
                );
            }
        });
        Ok(Self { url, state })
    }

    fn moments(&self) -> MutexGuard<'_, Moments> {
        lock(&self.state)
    }
}

fn lock<T>(state: &Mutex<T>) -> MutexGuard<'_, T> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn answer(request: &Request<Incoming>, state: &Mutex<Moments>) -> Response<Full<Bytes>> {
    let mut moments = lock(state);
    let account = request.headers().get("chatgpt-account-id");
    let is_first = account.is_some_and(|account| account == "account-one");
    let limits = moments.limits && is_first;
    let (status, kind, body, moment) = if limits {
        let body = r#"{"error":{"type":"usage_limit_reached","resets_in_seconds":3600}}"#;
        let status = StatusCode::TOO_MANY_REQUESTS;
        (status, "application/json", body, &mut moments.refused)
    } else {
        let body = "data: {\"type\":\"response.output_text.delta\",\"delta\":\"hi\"}\n\n";
        let status = StatusCode::OK;
        (status, "text/event-stream", body, &mut moments.answered)
    };
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = status;
    let kind = HeaderValue::from_static(kind);
    response.headers_mut().insert(CONTENT_TYPE, kind);
    *moment = Some(Instant::now());
    response
}

/// From the 429 of one account to the first byte of the next one's answer at the client. Both clocks
/// are this process's: the backend's when it lets the 429 go, the client's when it has the byte.
async fn rotations(pretend: &Pretend, store: &Path) -> Result<()> {
    let backend = Limiting::start().await?;
    let (mut all, mut until_asked, mut plain) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROTATIONS {
        write_store(store, pretend)?;
        backend.moments().limits = false;
        let way = relay(pretend, &backend.url, store)?;
        let client = client()?;
        // The first one connects.
        first_byte(&client, &way).await?;
        let sent = Instant::now();
        plain.push(first_byte(&client, &way).await? - sent);
        backend.moments().limits = true;
        let came = first_byte(&client, &way).await?;
        let moments = backend.moments();
        let refused = moments.refused.ok_or("nobody was refused")?;
        let answered = moments.answered.ok_or("nobody was answered")?;
        all.push(came - refused);
        until_asked.push(answered - refused);
    }
    let [all, until_asked, plain] = [all, until_asked, plain].map(|mut times| {
        times.sort_unstable();
        ms(times[ROTATIONS / 2])
    });
    println!("rotation on a 429, p50 of {ROTATIONS}: ms");
    println!("  from the 429 to the first byte of the next answer {all:8.2} (target: < 10)");
    println!("  of these, until the next account is asked         {until_asked:8.2}");
    println!("  a request with nobody limited, to its first byte  {plain:8.2}");
    Ok(())
}

/// When the first byte of an answer is there.
async fn first_byte(client: &reqwest::Client, way: &Way) -> Result<Instant> {
    let mut answer = question(client, way).send().await?.error_for_status()?;
    answer.chunk().await?;
    let came = Instant::now();
    while answer.chunk().await?.is_some() {}
    Ok(came)
}
