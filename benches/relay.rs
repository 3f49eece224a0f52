//! What the relay costs, beside plain reverse proxies in front of the same pretend backend.
//!
//! `cargo bench --bench relay` prints the figures of one run and their ratios to asking the backend
//! itself. nginx and HAProxy, from Debian's packages of these names, take part where they are
//! installed. Nothing here fails because a figure is bad.

use std::error::Error;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use codex_accounts::rehearse::{Answer, Pretend, Script, Standing, Style};
use serde_json::{Value, json};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const REQUESTS: usize = 2000;
const STREAMS: usize = 1000;
/// Of the stream whose rate is measured.
const CHUNKS: usize = 2000;
const CHUNK: usize = 1024;

fn main() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let mut script = Script::with_accounts(2);
    script.remember = false;
    script.access_lifetime = Duration::from_secs(24 * 60 * 60);
    let pretend = Pretend::start(script)?;
    runtime.block_on(measure(&pretend))
}

/// Something that answers at an address.
struct Way {
    name: &'static str,
    url: String,
    bearer: String,
    account: Option<String>,
    process: Option<Child>,
}

impl Drop for Way {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

async fn measure(pretend: &Pretend) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let store = folder.path().join("store.json");
    write_store(&store, pretend)?;

    let mut ways = vec![direct(pretend)?, relay(pretend, &store)?];
    ways.extend(nginx(folder.path(), pretend)?);
    ways.extend(haproxy(folder.path(), pretend)?);

    say(pretend, short_answer());
    println!("a short answer, {REQUESTS} requests: p50 and p99 in ms, requests a second");
    for streams in [1, 10, 100] {
        let mut base = None;
        for way in &ways {
            let (mut times, took) = ask(way, streams, REQUESTS).await?;
            times.sort_unstable();
            let p50 = times[times.len() / 2];
            let p99 = times[times.len() * 99 / 100];
            let base = base.get_or_insert((p50, p99));
            println!(
                "  {streams:4} at once  {:10} p50 {:8.3} (+{:.3})  p99 {:8.3} ({:.2} x direct)  {:8.0}/s",
                way.name,
                ms(p50),
                ms(p50) - ms(base.0),
                ms(p99),
                ms(p99) / ms(base.1),
                REQUESTS as f64 / took.as_secs_f64(),
            );
        }
    }

    say(pretend, long_answer());
    println!("a stream of {CHUNKS} events of {CHUNK} bytes: MB a second");
    for way in &ways {
        let (_, took) = ask(way, 4, 40).await?;
        let megabytes = (40 * CHUNKS * CHUNK) as f64 / 1e6;
        println!("  {:10} {:8.0}", way.name, megabytes / took.as_secs_f64());
    }

    say(pretend, Standing::Always(Style::Stall.into()));
    println!("memory with {STREAMS} open streams: MiB");
    for way in ways.iter().filter(|way| way.process.is_some()) {
        let open = open_streams(way).await?;
        println!("  {:10} {:8.1}", way.name, memory(way)?);
        drop(open);
    }

    failover(pretend, &store).await?;
    start_up(&store)?;
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

fn write_store(path: &Path, pretend: &Pretend) -> Result<()> {
    let now = u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis())?;
    let account = |index: usize| -> Option<Value> {
        let tokens = pretend.issue(index)?;
        Some(json!({
            "refreshToken": tokens.refresh_token,
            "chatgptAccountId": pretend.change(|script| script.accounts[index].account_id.clone()),
            "chatgptUserId": format!("user-{index}"),
            "addedAt": now,
            "accessToken": tokens.access_token,
            "expiresAt": now + 20 * 60 * 60 * 1000,
            "refreshedAt": now,
        }))
    };
    let accounts: Vec<Value> = (0..2).filter_map(account).collect();
    let store = json!({"version": 1, "accounts": accounts, "activeIndex": 0});
    fs::write(path, store.to_string())?;
    #[cfg(unix)]
    fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    Ok(())
}

fn credentials(pretend: &Pretend) -> Result<(String, String)> {
    let tokens = pretend.current(0).ok_or("no tokens")?;
    let account = pretend.change(|script| script.accounts[0].account_id.clone());
    Ok((tokens.access_token, account))
}

fn direct(pretend: &Pretend) -> Result<Way> {
    let (bearer, account) = credentials(pretend)?;
    Ok(Way {
        name: "direct",
        url: format!("{}/codex/responses", pretend.upstream()),
        bearer,
        account: Some(account),
        process: None,
    })
}

/// A command of the suite that knows these servers and this store.
fn command(program: &str, pretend: &Pretend, store: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .env("CODEX_ACCOUNTS_FILE", store)
        .env("CODEX_ACCOUNTS_ISSUER", pretend.issuer())
        .env("CODEX_ACCOUNTS_UPSTREAM", pretend.upstream());
    command
}

fn relay(pretend: &Pretend, store: &Path) -> Result<Way> {
    let mut process = command(env!("CARGO_BIN_EXE_codex-proxy"), pretend, store)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut line = String::new();
    let stdout = process.stdout.take().ok_or("no output")?;
    BufReader::new(stdout).read_line(&mut line)?;
    let ready: Value = serde_json::from_str(&line)?;
    Ok(Way {
        name: "relay",
        url: format!("{}/responses", ready["url"].as_str().unwrap_or_default()),
        bearer: ready["key"].as_str().unwrap_or_default().to_owned(),
        account: None,
        process: Some(process),
    })
}

fn installed(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let found = std::env::split_paths(&path)
        .chain(["/usr/sbin".into()])
        .map(|folder| folder.join(program))
        .find(|path| path.is_file());
    if found.is_none() {
        println!("{program} is not installed, and takes no part");
    }
    found
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

fn other(name: &'static str, pretend: &Pretend, port: u16, process: Child) -> Result<Option<Way>> {
    let give_up = Instant::now() + Duration::from_secs(5);
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
        if Instant::now() > give_up {
            return Err(format!("{name} does not answer").into());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let (bearer, account) = credentials(pretend)?;
    Ok(Some(Way {
        name,
        url: format!("http://127.0.0.1:{port}/backend-api/codex/responses"),
        bearer,
        account: Some(account),
        process: Some(process),
    }))
}

fn nginx(folder: &Path, pretend: &Pretend) -> Result<Option<Way>> {
    let Some(program) = installed("nginx") else {
        return Ok(None);
    };
    let port = free_port()?;
    let config = folder.join("nginx.conf");
    let (folder, upstream) = (folder.display(), pretend.issuer().replace("http://", ""));
    fs::write(
        &config,
        format!(
            "daemon off; master_process off; pid {folder}/nginx.pid; error_log stderr crit;\n\
             events {{ worker_connections 4096; }}\n\
             http {{ access_log off; client_body_temp_path {folder}; proxy_temp_path {folder};\n\
             upstream backend {{ server {upstream}; keepalive 256; }}\n\
             server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://backend;\n\
             proxy_http_version 1.1; proxy_set_header Connection \"\"; proxy_buffering off; }} }} }}\n"
        ),
    )?;
    let process = Command::new(program).arg("-c").arg(&config).spawn()?;
    other("nginx", pretend, port, process)
}

fn haproxy(folder: &Path, pretend: &Pretend) -> Result<Option<Way>> {
    let Some(program) = installed("haproxy") else {
        return Ok(None);
    };
    let port = free_port()?;
    let config = folder.join("haproxy.cfg");
    let upstream = pretend.issuer().replace("http://", "");
    fs::write(
        &config,
        format!(
            "global\n  maxconn 4096\n  nbthread 1\ndefaults\n  mode http\n  timeout connect 5s\n  \
             timeout client 60s\n  timeout server 60s\nlisten relay\n  \
             bind 127.0.0.1:{port}\n  http-reuse always\n  server backend {upstream}\n"
        ),
    )?;
    let process = Command::new(program).arg("-f").arg(&config).spawn()?;
    other("haproxy", pretend, port, process)
}

fn client() -> Result<reqwest::Client> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    Ok(reqwest::Client::builder().no_proxy().build()?)
}

fn question(client: &reqwest::Client, way: &Way) -> reqwest::RequestBuilder {
    let mut request = client
        .post(&way.url)
        .bearer_auth(&way.bearer)
        .body(r#"{"model":"gpt-5.5","stream":true,"input":"hi"}"#);
    if let Some(account) = &way.account {
        request = request.header("chatgpt-account-id", account);
    }
    request
}

/// Asks so often, so many at once; how long each took, and all.
async fn ask(way: &Way, at_once: usize, requests: usize) -> Result<(Vec<Duration>, Duration)> {
    let client = client()?;
    let started = Instant::now();
    let asking: Vec<_> = (0..at_once)
        .map(|_| {
            let (client, question) = (client.clone(), question(&client, way).build());
            let each = requests / at_once;
            tokio::spawn(async move {
                let mut times = Vec::with_capacity(each);
                let question = question?;
                // The first one connects.
                for warm in 0..=each {
                    let Some(question) = question.try_clone() else {
                        break;
                    };
                    let sent = Instant::now();
                    let answer = client.execute(question).await?.error_for_status()?;
                    answer.bytes().await?;
                    if warm > 0 {
                        times.push(sent.elapsed());
                    }
                }
                Ok::<_, reqwest::Error>(times)
            })
        })
        .collect();
    let mut times = Vec::with_capacity(requests);
    for one in asking {
        times.extend(one.await??);
    }
    Ok((times, started.elapsed()))
}

async fn open_streams(way: &Way) -> Result<Vec<reqwest::Response>> {
    let client = client()?;
    let mut open = Vec::with_capacity(STREAMS);
    for _ in 0..STREAMS {
        open.push(question(&client, way).send().await?.error_for_status()?);
    }
    Ok(open)
}

/// What a process has in memory that is its own or shared, in MiB.
fn memory(way: &Way) -> Result<f64> {
    let pid = way.process.as_ref().ok_or("no process")?.id();
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kib: f64 = line
        .and_then(|line| line.split_whitespace().nth(1))
        .ok_or("no figure")?
        .parse()?;
    Ok(kib / 1024.0)
}

/// From the question of an account that is limited to the first byte of the next one's answer,
/// beside the same with nobody limited.
async fn failover(pretend: &Pretend, store: &Path) -> Result<()> {
    say(pretend, short_answer());
    let mut rotated = Vec::new();
    let mut plain = Vec::new();
    for _ in 0..20 {
        write_store(store, pretend)?;
        let way = relay(pretend, store)?;
        let client = client()?;
        for times in [&mut plain, &mut rotated] {
            let sent = Instant::now();
            let mut answer = question(&client, &way).send().await?.error_for_status()?;
            answer.chunk().await?;
            times.push(sent.elapsed());
            while answer.chunk().await?.is_some() {}
            pretend.change(|script| {
                script.accounts[0].limit(Duration::from_secs(3600), Style::UsageLimit);
            });
        }
        say(pretend, short_answer());
    }
    rotated.sort_unstable();
    plain.sort_unstable();
    let (rotated, plain) = (ms(rotated[10]), ms(plain[10]));
    println!("first byte: {plain:.2} ms; after a 429 of the first account {rotated:.2} ms");
    Ok(())
}

fn start_up(store: &Path) -> Result<()> {
    let time = |program: &str, arguments: &[&str]| -> Result<Duration> {
        let mut times = Vec::new();
        for _ in 0..20 {
            let started = Instant::now();
            Command::new(program)
                .args(arguments)
                .env("CODEX_ACCOUNTS_FILE", store)
                .env("XDG_STATE_HOME", store.with_extension("state"))
                .status()?;
            times.push(started.elapsed());
        }
        times.sort_unstable();
        Ok(times[10])
    };
    let launch = time(env!("CARGO_BIN_EXE_codex-launch"), &["true"])?;
    let alone = time("true", &[])?;
    println!(
        "start-up: codex-launch true {:.2} ms, true {:.2} ms ({:.1} x)",
        ms(launch),
        ms(alone),
        ms(launch) / ms(alone)
    );
    Ok(())
}
