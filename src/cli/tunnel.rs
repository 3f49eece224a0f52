//! The way to a relay on another machine, which listens on loopback there: `ssh` carries a port of this
//! machine to its. It is open as long as this lives.

use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use url::Url;

use super::exit::{Code, Error};
use super::running_relay::RunningRelay;

/// Where 'codex-accounts setup' lets a relay listen.
const USUAL_PORT: u16 = 8765;

/// A connection takes seconds, and a person may have to touch a key.
const PATIENCE: Duration = Duration::from_secs(60);
const BETWEEN_TRIES: Duration = Duration::from_millis(100);

/// See the module.
#[derive(Debug)]
pub(super) struct Tunnel {
    ssh: Child,
    port: u16,
}

impl Tunnel {
    /// The way to `ssh://[USER@]HOST[:PORT][/RELAY-PORT]`; `None` where the address is no such one.
    ///
    /// # Errors
    /// When `ssh` can't be started, or the address names no host.
    pub(super) fn to(address: &str) -> Result<Option<Self>, Error> {
        let url = Url::parse(address).ok().filter(|url| url.scheme() == "ssh");
        let Some(url) = url else {
            return Ok(None);
        };
        let relay = match url.path().trim_matches('/') {
            "" => Some(USUAL_PORT),
            port => port.parse().ok(),
        };
        let (Some(host), Some(relay)) = (url.host_str(), relay) else {
            return Err(Error::hinted(
                Code::Usage,
                "--proxy takes ssh://[USER@]HOST[:PORT], and after a slash the port of the relay",
                "like ssh://me@build.example/8765",
            ));
        };
        let port = free_port().map_err(failed)?;
        let mut command = Command::new("ssh");
        command.args(["-N", "-T", "-o", "ExitOnForwardFailure=yes"]);
        command.args(["-L", &format!("127.0.0.1:{port}:127.0.0.1:{relay}")]);
        if let Some(port) = url.port() {
            command.args(["-p", &port.to_string()]);
        }
        if !url.username().is_empty() {
            command.args(["-l", url.username()]);
        }
        // A host that looks like an option is none.
        command
            .args(["--", host])
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        let ssh = command.spawn().map_err(failed)?;
        Ok(Some(Self { ssh, port }))
    }

    /// The relay at its end, once the way is open.
    ///
    /// # Errors
    /// When `ssh` ends or takes too long, or as [`RunningRelay::at`].
    pub(super) fn relay(&mut self, key_file: Option<&Path>) -> Result<RunningRelay, Error> {
        let url = format!("http://127.0.0.1:{}/codex", self.port);
        let started = Instant::now();
        loop {
            match RunningRelay::at(&url, key_file) {
                Err(error)
                    if error.code() == Code::Unavailable
                        && started.elapsed() < PATIENCE
                        && self.is_open() =>
                {
                    thread::sleep(BETWEEN_TRIES);
                }
                other => return other,
            }
        }
    }
}

impl Tunnel {
    /// Whether `ssh` still runs. Why it ended, it has said itself.
    fn is_open(&mut self) -> bool {
        matches!(self.ssh.try_wait(), Ok(None))
    }
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        // One that has ended by itself needs no end.
        let _ = self.ssh.kill();
        let _ = self.ssh.wait();
    }
}

fn free_port() -> io::Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok(listener.local_addr()?.port())
}

fn failed(error: io::Error) -> Error {
    Error::new(Code::Unavailable, format!("no way by ssh: {error}"))
}
