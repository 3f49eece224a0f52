//! What stands before a backend here: nothing, the relay, nginx, HAProxy, a plain forwarder of TCP.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use codex_accounts::rehearse::Pretend;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tokio::io::copy_bidirectional;
use tokio::net::TcpStream;

use super::Result;

/// Threads or processes that nginx and HAProxy work with: as many as codex-proxy has.
pub(super) const WORKERS: usize = 2;

/// Something that answers at an address.
pub(super) struct Way {
    pub(super) name: &'static str,
    pub(super) url: String,
    pub(super) bearer: String,
    pub(super) account: Option<String>,
    pub(super) process: Option<Child>,
}

impl Drop for Way {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            // Not by force: nginx has processes of its own to end.
            let _ = kill(Pid::from_raw(process.id().cast_signed()), Signal::SIGTERM);
            let _ = process.wait();
        }
    }
}

pub(super) fn write_store(path: &Path, pretend: &Pretend) -> Result<()> {
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

pub(super) fn direct(pretend: &Pretend, backend: &str) -> Result<Way> {
    let (bearer, account) = credentials(pretend)?;
    Ok(Way {
        name: "direct",
        url: format!("http://{backend}/backend-api/codex/responses"),
        bearer,
        account: Some(account),
        process: None,
    })
}

pub(super) fn relay(pretend: &Pretend, upstream: &str, store: &Path) -> Result<Way> {
    let mut process = Command::new(env!("CARGO_BIN_EXE_codex-proxy"))
        .env("CODEX_ACCOUNTS_FILE", store)
        .env("CODEX_ACCOUNTS_ISSUER", pretend.issuer())
        .env("CODEX_ACCOUNTS_UPSTREAM", upstream)
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

pub(super) fn nginx(
    folder: &Path,
    pretend: &Pretend,
    backend: &str,
    headers: &str,
) -> Result<Option<Way>> {
    let Some(program) = installed("nginx") else {
        return Ok(None);
    };
    let port = free_port()?;
    let config = folder.join(format!("nginx-{port}.conf"));
    let folder = folder.display();
    fs::write(
        &config,
        format!(
            "daemon off; worker_processes {WORKERS}; pid {folder}/nginx-{port}.pid; error_log stderr crit;\n\
             events {{ worker_connections 4096; }}\n\
             http {{ access_log off; client_body_temp_path {folder}; proxy_temp_path {folder};\n\
             upstream backend {{ server {backend}; keepalive 256; }}\n\
             server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://backend;\n\
             proxy_http_version 1.1; {headers} proxy_buffering off; }} }} }}\n"
        ),
    )?;
    let process = Command::new(program).arg("-c").arg(&config).spawn()?;
    other("nginx", pretend, port, process)
}

pub(super) fn haproxy(folder: &Path, pretend: &Pretend, backend: &str) -> Result<Option<Way>> {
    let Some(program) = installed("haproxy") else {
        return Ok(None);
    };
    let port = free_port()?;
    let config = folder.join(format!("haproxy-{port}.cfg"));
    fs::write(
        &config,
        format!(
            "global\n  maxconn 4096\n  nbthread {WORKERS}\ndefaults\n  mode http\n  timeout connect 5s\n  \
             timeout client 60s\n  timeout server 60s\n  timeout tunnel 1h\nlisten relay\n  \
             bind 127.0.0.1:{port}\n  http-reuse always\n  server backend {backend}\n"
        ),
    )?;
    let process = Command::new(program).arg("-f").arg(&config).spawn()?;
    other("haproxy", pretend, port, process)
}

/// What a bench is told to do, to be [`forward`] alone: before the backend's address.
pub(super) const FORWARD: &str = "forward-to";

/// This program once more, which only carries bytes.
pub(super) fn forwarder(pretend: &Pretend, backend: &str) -> Result<Way> {
    let mut process = Command::new(std::env::current_exe()?)
        .args([FORWARD, backend])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut address = String::new();
    let stdout = process.stdout.take().ok_or("no output")?;
    BufReader::new(stdout).read_line(&mut address)?;
    let mut way = direct(pretend, address.trim())?;
    (way.name, way.process) = ("forwarder", Some(process));
    Ok(way)
}

/// Prints where it listens, and carries what comes to this address and back.
pub(super) async fn forward(backend: &str) -> Result<()> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    loop {
        let (mut near, _) = listener.accept().await?;
        let mut far = TcpStream::connect(backend).await?;
        near.set_nodelay(true)?;
        far.set_nodelay(true)?;
        tokio::spawn(async move { copy_bidirectional(&mut near, &mut far).await.ok() });
    }
}

/// What a process and its children have in memory, in MiB; what they share counts for each.
pub(super) fn memory(pid: u32) -> Result<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kib: f64 = line
        .and_then(|line| line.split_whitespace().nth(1))
        .ok_or("no figure")?
        .parse()?;
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))?;
    let children = children
        .split_whitespace()
        .map(|child| memory(child.parse()?));
    Ok(kib / 1024.0 + children.sum::<Result<f64>>()?)
}
