//! What stands before a backend here: nothing, the relay, nginx, HAProxy, a plain forwarder of TCP.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use codex_accounts::rehearse::Pretend;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, SysconfVar, sysconf};
use serde_json::{Value, json};
use tokio::io::copy_bidirectional;
use tokio::net::TcpStream;

use super::Result;

/// Threads or processes that nginx and HAProxy work with: as many as codex-proxy has.
pub(super) const WORKERS: usize = 2;

/// The environment variable that names another codex-proxy to take part.
const BEFORE: &str = "BEFORE";

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

impl Way {
    /// What it used of the processors so far, its children with it.
    pub(super) fn processor(&self) -> Result<Processor> {
        self.process
            .as_ref()
            .map_or(Ok(Processor::default()), |process| processor(process.id()))
    }
}

/// Where ways lead to, and as whom.
pub(super) struct Goal<'a> {
    pub(super) folder: &'a Path,
    pub(super) pretend: &'a Pretend,
    pub(super) store: &'a Path,
    pub(super) backend: &'a str,
    /// What the backend's own certificate is signed by, if it has one.
    pub(super) certificate: Option<&'a Path>,
}

impl Goal<'_> {
    fn credentials(&self) -> Result<(String, String)> {
        let tokens = self.pretend.current(0).ok_or("no tokens")?;
        let account =
            |script: &mut codex_accounts::rehearse::Script| script.accounts[0].account_id.clone();
        Ok((tokens.access_token, self.pretend.change(account)))
    }

    fn way(&self, name: &'static str, address: &str, process: Option<Child>) -> Result<Way> {
        let (bearer, account) = self.credentials()?;
        Ok(Way {
            name,
            url: format!("http://{address}/backend-api/codex/responses"),
            bearer,
            account: Some(account),
            process,
        })
    }

    pub(super) fn direct(&self) -> Result<Way> {
        self.way("direct", self.backend, None)
    }

    pub(super) fn relay(&self) -> Result<Way> {
        self.relay_by("relay", Path::new(env!("CARGO_BIN_EXE_codex-proxy")))
    }

    /// Another build of the relay, where one is named, to be compared in the same run.
    pub(super) fn relay_before(&self) -> Result<Option<Way>> {
        let before = std::env::var_os(BEFORE).map(PathBuf::from);
        let start = |program: PathBuf| self.relay_by("before", &program);
        before.map(start).transpose()
    }

    fn relay_by(&self, name: &'static str, program: &Path) -> Result<Way> {
        let scheme = if self.certificate.is_some() {
            "https"
        } else {
            "http"
        };
        let upstream = format!("{scheme}://{}/backend-api", self.backend);
        let mut command = Command::new(program);
        if let Some(certificate) = self.certificate {
            command.env("SSL_CERT_FILE", certificate);
        }
        let mut process = command
            .env("CODEX_ACCOUNTS_FILE", self.store)
            .env("CODEX_ACCOUNTS_ISSUER", self.pretend.issuer())
            .env("CODEX_ACCOUNTS_UPSTREAM", upstream)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        let stdout = process.stdout.take().ok_or("no output")?;
        BufReader::new(stdout).read_line(&mut line)?;
        let ready: Value = serde_json::from_str(&line)?;
        Ok(Way {
            name,
            url: format!("{}/responses", ready["url"].as_str().unwrap_or_default()),
            bearer: ready["key"].as_str().unwrap_or_default().to_owned(),
            account: None,
            process: Some(process),
        })
    }

    /// `headers` are directives on headers.
    pub(super) fn nginx(&self, headers: &str) -> Result<Way> {
        let port = free_port()?;
        let config = self.folder.join(format!("nginx-{port}.conf"));
        let (folder, backend) = (self.folder.display(), self.backend);
        let (scheme, tls) = match self.certificate {
            Some(certificate) => (
                "https",
                format!(
                    "proxy_ssl_server_name on; proxy_ssl_name localhost; proxy_ssl_verify on;\n\
                     proxy_ssl_trusted_certificate {}; proxy_ssl_protocols TLSv1.3;",
                    certificate.display()
                ),
            ),
            None => ("http", String::new()),
        };
        fs::write(
            &config,
            format!(
                "daemon off; worker_processes {WORKERS}; pid {folder}/nginx-{port}.pid; error_log stderr crit;\n\
                 events {{ worker_connections 4096; }}\n\
                 http {{ access_log off; client_body_temp_path {folder}; proxy_temp_path {folder};\n\
                 keepalive_requests 1000000;\n\
                 upstream backend {{ server {backend}; keepalive 256; keepalive_requests 1000000; }}\n\
                 server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass {scheme}://backend;\n\
                 proxy_http_version 1.1; {headers} {tls} proxy_buffering off; }} }} }}\n"
            ),
        )?;
        let process = Command::new(installed("nginx", "nginx-light")?)
            .arg("-c")
            .arg(&config)
            .spawn()?;
        self.other("nginx", port, process)
    }

    pub(super) fn haproxy(&self) -> Result<Way> {
        let port = free_port()?;
        let config = self.folder.join(format!("haproxy-{port}.cfg"));
        let backend = self.backend;
        let tls = self.certificate.map_or_else(String::new, |certificate| {
            format!(
                "ssl verify required ca-file {} sni str(localhost) verifyhost localhost",
                certificate.display()
            )
        });
        fs::write(
            &config,
            format!(
                "global\n  maxconn 4096\n  nbthread {WORKERS}\ndefaults\n  mode http\n  timeout connect 5s\n  \
                 timeout client 60s\n  timeout server 60s\n  timeout tunnel 1h\nlisten relay\n  \
                 bind 127.0.0.1:{port}\n  http-reuse always\n  server backend {backend} {tls}\n"
            ),
        )?;
        let process = Command::new(installed("haproxy", "haproxy")?)
            .arg("-f")
            .arg(&config)
            .spawn()?;
        self.other("haproxy", port, process)
    }

    /// This program once more, which only carries bytes.
    pub(super) fn forwarder(&self) -> Result<Way> {
        let mut process = Command::new(std::env::current_exe()?)
            .args([FORWARD, self.backend])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut address = String::new();
        let stdout = process.stdout.take().ok_or("no output")?;
        BufReader::new(stdout).read_line(&mut address)?;
        self.way("forwarder", address.trim(), Some(process))
    }

    fn other(&self, name: &'static str, port: u16, process: Child) -> Result<Way> {
        let way = self.way(name, &format!("127.0.0.1:{port}"), Some(process))?;
        let give_up = Instant::now() + Duration::from_secs(5);
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            if Instant::now() > give_up {
                return Err(format!("{name} does not answer").into());
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(way)
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
    fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    Ok(())
}

/// Without those it is measured against, a figure says little.
fn installed(program: &str, package: &str) -> Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path)
        .chain(["/usr/sbin".into()])
        .map(|folder| folder.join(program))
        .find(|path| path.is_file());
    found.ok_or_else(|| format!("{program} is not installed: apt-get install {package}").into())
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// What a bench is told to do, to be [`forward`] alone: before the backend's address.
pub(super) const FORWARD: &str = "forward-to";

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

/// Of the processors, in microseconds.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Processor {
    user: f64,
    system: f64,
}

impl Processor {
    pub(super) fn since(self, before: Self) -> Self {
        Self {
            user: self.user - before.user,
            system: self.system - before.system,
        }
    }

    /// What each of so many needed, and of that in the program itself.
    pub(super) fn each(self, count: f64) -> (f64, f64) {
        ((self.user + self.system) / count, self.user / count)
    }
}

fn processor(pid: u32) -> Result<Processor> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name, in parentheses, may hold anything.
    let (_, rest) = stat.rsplit_once(')').ok_or("no figures")?;
    let ticks: Vec<f64> = rest
        .split_whitespace()
        .skip(11)
        .take(2)
        .map(str::parse)
        .collect::<std::result::Result<_, _>>()?;
    let a_second = sysconf(SysconfVar::CLK_TCK)?.ok_or("no clock")? as f64;
    let mut all = Processor {
        user: ticks[0] / a_second * 1e6,
        system: ticks[1] / a_second * 1e6,
    };
    for child in children(pid)? {
        let of_child = processor(child)?;
        all.user += of_child.user;
        all.system += of_child.system;
    }
    Ok(all)
}

/// What a process and its children have in memory, in MiB; what they share counts for each.
pub(super) fn memory(pid: u32) -> Result<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kib: f64 = line
        .and_then(|line| line.split_whitespace().nth(1))
        .ok_or("no figure")?
        .parse()?;
    let children = children(pid)?.into_iter().map(memory);
    Ok(kib / 1024.0 + children.sum::<Result<f64>>()?)
}

fn children(pid: u32) -> Result<Vec<u32>> {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))?;
    let children = children.split_whitespace().map(str::parse);
    Ok(children.collect::<std::result::Result<_, _>>()?)
}
