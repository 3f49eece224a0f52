//! How soon the next account is asked after a 429 of one: without anything else to do, and beside
//! other requests.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;

use super::backend::Kind;
use super::client::{self, Client};
use super::ways::{Goal, write_store};
use super::{Result, lock, ms};

const ROTATIONS: usize = 40;

/// So many others ask meanwhile, where there is a load.
const OTHERS: usize = 10;

/// A backend that can limit its first account, and knows when it did.
struct Limiting {
    address: String,
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
        let address = listener.local_addr()?.to_string();
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
        Ok(Self { address, state })
    }

    fn moments(&self) -> MutexGuard<'_, Moments> {
        lock(&self.state)
    }
}

fn answer(request: &Request<Incoming>, state: &Mutex<Moments>) -> Response<Full<Bytes>> {
    let mut moments = lock(state);
    let account = request.headers().get("chatgpt-account-id");
    let is_first = account.is_some_and(|account| account == "account-one");
    let limits = moments.limits && is_first;
    let (status, kind, body) = if limits {
        let body = r#"{"error":{"type":"usage_limit_reached","resets_in_seconds":3600}}"#;
        (StatusCode::TOO_MANY_REQUESTS, "application/json", body)
    } else {
        let body = "data: {\"type\":\"response.output_text.delta\",\"delta\":\"hi\"}\n\n\
                    data: {\"type\":\"response.completed\",\"response\":{}}\n\n";
        (StatusCode::OK, "text/event-stream", body)
    };
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = status;
    let kind = HeaderValue::from_static(kind);
    response.headers_mut().insert(CONTENT_TYPE, kind);
    // The first of each counts, where there are others.
    let moment = match limits {
        true => &mut moments.refused,
        false => &mut moments.answered,
    };
    moment.get_or_insert_with(Instant::now);
    response
}

/// Both clocks are this process's: the backend's when it lets the 429 go, and when it is asked again.
pub(super) async fn measure(goal: &Goal<'_>) -> Result<()> {
    println!("from a 429 until the next account is asked, of {ROTATIONS}: ms (target: 1)");
    for (name, others) in [("quiet", 0), ("under load", OTHERS)] {
        let mut times = rotations(goal, others).await?;
        times.sort_unstable_by(f64::total_cmp);
        let (p50, p90) = (times[ROTATIONS / 2], times[ROTATIONS * 9 / 10]);
        println!("    {name:10} p50 {p50:8.2}  p90 {p90:8.2}");
    }
    Ok(())
}

async fn rotations(goal: &Goal<'_>, others: usize) -> Result<Vec<f64>> {
    let backend = Limiting::start().await?;
    let mut times = Vec::with_capacity(ROTATIONS);
    for _ in 0..ROTATIONS {
        write_store(goal.store, goal.pretend)?;
        *backend.moments() = Moments::default();
        let way = Goal {
            backend: &backend.address,
            ..*goal
        }
        .relay()?;
        let question = client::question(&way, Kind::Short);
        let mut client = Client::connect(&way).await?;
        // The first one connects.
        client.begin(&question).await?;
        let mut asking = Vec::with_capacity(others);
        for _ in 0..others {
            let mut other = Client::connect(&way).await?;
            let question = Arc::clone(&question);
            asking.push(tokio::spawn(async move {
                while other.begin(&question).await.is_ok() {}
            }));
        }
        if others > 0 {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        *backend.moments() = Moments {
            limits: true,
            ..Moments::default()
        };
        client.begin(&question).await?;
        let moments = backend.moments();
        let refused = moments.refused.ok_or("nobody was refused")?;
        let answered = moments.answered.ok_or("nobody was answered")?;
        times.push(ms(answered.saturating_duration_since(refused)));
        drop(moments);
        asking.iter().for_each(tokio::task::JoinHandle::abort);
    }
    Ok(times)
}
