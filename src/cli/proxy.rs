//! `codex-proxy`: the rotating relay as a command. It prints its address and key once it accepts
//! connections, and serves until it is told to end.

use std::fmt::Display;
use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;

use super::args::{self, Common};
use super::exit::{Code, Error};
use super::shell::Shell;
use super::{record, service};
use crate::account::pick::{Strategy, Wishes, strategy};
use crate::account::secret::Secret;
use crate::net::endpoint::Endpoint;
use crate::proxy::guard::Key;
use crate::proxy::log::Log;
use crate::proxy::pool::narrowing::Narrowing;
use crate::proxy::{Listen, Proxy, Settings};
use crate::store::{self, Store};
use crate::sys::{self, memory, signals, stdio};

/// What `--help` says after the options, as the page has it.
const MORE: &str = "\
Output:
  A record, one JSON object on a line, once connections are accepted: v, url,
  key and pid. A key that is for good is not shown on a terminal.

Exit status:
  0   A signal or the end of standard input ended it
  1   There is no account
  2   The arguments are wrong
  74  The address is taken
  77  Others can read the store or the key
  78  The store is corrupt, the key too short, or a setting is bad

Examples:
  codex-proxy --listen 8080 --key-file key
  codex-proxy -v --strategy soonest-reset --max-wait 10m";

/// Relay requests, each as an account that can be used now
///
/// Serves on loopback until it is told to end, and forwards to the backend as the account that the
/// strategy chooses. When an account is limited the next one answers, and the client sees nothing.
#[derive(Debug, clap::Parser)]
#[command(
    name = "codex-proxy",
    version,
    long_version = crate::cli::VERSION,
    override_usage = "codex-proxy [-qhVv] [--store FILE] [--listen ADDRESS] [--key-file FILE]
                   [--strategy STRATEGY] [--reserve PERCENT]
                   [--max-wait DURATION] [--head-timeout DURATION]
                   [--no-websocket] [--log FILE]",
    after_long_help = MORE,
    term_width = 80
)]
pub struct ProxyCommand {
    /// Listen here; a loopback address or a port, 0 for any
    #[arg(long, value_name = "ADDRESS", value_parser = args::address)]
    listen: Option<SocketAddr>,
    /// The key is the first line of this file, instead of a random one
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
    #[command(flatten)]
    rotation: Rotation,
    /// Write what is done into this file too
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
    /// Write what is done to standard error
    #[arg(short, long)]
    verbose: bool,
    #[command(flatten)]
    common: Common,
}

/// How a relay rotates: for `codex-proxy` and `codex-launch`.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Rotation {
    #[arg(long, value_name = "STRATEGY", help = strategy::LIST)]
    strategy: Option<Strategy>,
    /// Accounts with this little left of a window come last
    #[arg(long, value_name = "PERCENT", value_parser = args::percent)]
    reserve: Option<f64>,
    /// Hold a request so long when every account is limited
    #[arg(long, value_name = "DURATION", value_parser = args::duration)]
    max_wait: Option<Duration>,
    /// Give the backend so long to begin an answer
    #[arg(long, value_name = "DURATION", value_parser = args::duration, default_value = "5m", hide_default_value = true)]
    head_timeout: Duration,
    /// Serve no WebSockets: clients go by HTTP
    #[arg(long)]
    no_websocket: bool,
}

#[derive(Serialize)]
struct ProxyRecord<'a> {
    v: u8,
    url: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'a str>,
    pid: u32,
}

impl super::Command for ProxyCommand {
    const NAME: &'static str = "codex-proxy";
    type Around = Shell;

    fn common(&self) -> &Common {
        &self.common
    }

    fn run(self, shell: &Shell) -> Result<Code, Error> {
        memory::hide_for_good();
        let listen = listen(self.listen)?;
        let key = match &self.key_file {
            Some(path) => key_of_file(path)?,
            None => random_key()?,
        };
        let log = match &self.log {
            Some(path) => Log::in_file(path, self.verbose).map_err(store::Error::io(path))?,
            None => Log::nowhere(self.verbose),
        };
        let place = listen.to_string();
        let accounts = match &listen {
            // A service without accounts says so to whoever asks it: its clients would only see
            // that nobody answers.
            Listen::On(_) => readable_accounts(shell)?,
            Listen::At(_) => usable_accounts(shell)?,
        };
        let settings = self.rotation.settings(shell, listen, key.clone(), log)?;
        let runtime = runtime()?;
        let mut end = End::watch(&runtime)?;
        runtime.block_on(async {
            let proxy = Proxy::start(accounts, settings)
                .await
                .map_err(|error| cannot_listen(place, &error))?;
            shell.emit(&ProxyRecord {
                v: record::VERSION,
                url: &proxy.url(),
                // One that is for good would stay in the scrollback.
                key: (self.key_file.is_none() || !io::stdout().is_terminal()).then(|| key.expose()),
                pid: std::process::id(),
            })?;
            sys::service::ready();
            end.wait().await;
            sys::service::stopping();
            proxy.stop().await;
            Ok(Code::Done)
        })
    }
}

impl Default for Rotation {
    fn default() -> Self {
        Self {
            strategy: None,
            reserve: None,
            max_wait: None,
            head_timeout: Duration::from_secs(300),
            no_websocket: false,
        }
    }
}

impl Rotation {
    /// Whether clients may go by WebSocket.
    #[must_use]
    pub const fn websocket(&self) -> bool {
        !self.no_websocket
    }

    /// How long a request is held, where that was said.
    #[must_use]
    pub const fn max_wait(&self) -> Option<Duration> {
        self.max_wait
    }

    /// The settings of a relay that rotates so.
    ///
    /// # Errors
    /// When the environment names a server that must not be used.
    pub fn settings(
        &self,
        shell: &Shell,
        listen: impl Into<Listen>,
        key: Key,
        log: Log,
    ) -> Result<Settings, Error> {
        Ok(Settings {
            listen: listen.into(),
            key,
            upstream: Endpoint::upstream()?,
            issuer: Endpoint::issuer()?,
            wishes: Wishes {
                strategy: self.strategy,
                reserve: self.reserve,
                credits: None,
            },
            narrowing: Narrowing::default(),
            max_wait: self.max_wait.unwrap_or_default(),
            head_patience: self.head_timeout,
            websocket: self.websocket(),
            clock: shell.clock(),
            log,
        })
    }
}

/// A runtime with a thread for the relay's own work and one beside it.
///
/// # Errors
/// When the system gives no threads.
pub fn runtime() -> Result<Runtime, Error> {
    // A stream takes two connections.
    sys::descriptors::raise();
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| Error::new(Code::Io, format!("no threads: {error}")))
}

/// A key for one run.
///
/// # Errors
/// When the system has no source of chance.
pub fn random_key() -> Result<Key, Error> {
    Key::random().map_err(|error| Error::new(Code::Io, format!("no random numbers: {error}")))
}

/// The failure to listen at a place.
#[must_use]
pub fn cannot_listen(place: impl Display, error: &io::Error) -> Error {
    Error::new(Code::Io, format!("can't listen on {place}: {error}"))
}

/// Where the accounts are. A relay outlives a store that breaks, but is of no use with one that is
/// broken when it starts.
fn usable_accounts(shell: &Shell) -> Result<Arc<dyn Store>, Error> {
    let accounts = readable_accounts(shell)?;
    if shell.read(accounts.as_ref())?.accounts.is_empty() {
        return Err(Error::no_accounts());
    }
    Ok(accounts)
}

fn readable_accounts(shell: &Shell) -> Result<Arc<dyn Store>, Error> {
    let accounts = shell.accounts()?;
    shell.read(accounts.as_ref())?;
    Ok(accounts)
}

/// Where to listen: as was said, or on what a service manager passed on, or at any port.
fn listen(said: Option<SocketAddr>) -> Result<Listen, Error> {
    match (said, service::listener()?) {
        (Some(_), Some(_)) => Err(Error::new(
            Code::Usage,
            "--listen can't be used together with socket activation",
        )),
        (Some(address), None) if !address.ip().is_loopback() => {
            let port = match address.port() {
                0 => 8080,
                port => port,
            };
            Err(Error::hinted(
                Code::Usage,
                format!("--listen takes a loopback address, like 127.0.0.1:{port}"),
                format!("from another machine: ssh -N -L {port}:127.0.0.1:{port} HOST"),
            ))
        }
        (Some(address), None) => Ok(address.into()),
        (None, Some(listener)) => Ok(Listen::On(listener)),
        (None, None) => Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()),
    }
}

/// The key in the first line of a file.
///
/// # Errors
/// When the file can't be read, or others can read it too, or there is no key worth its name.
pub fn key_of_file(path: &Path) -> Result<Key, Error> {
    let mut file = File::open(path).map_err(store::Error::io(path))?;
    store::refuse_exposed(path, &file)?;
    let mut text = String::new();
    file.read_to_string(&mut text)
        .map_err(store::Error::io(path))?;
    let key = text.lines().next().unwrap_or_default().trim();
    if key.len() < 16 {
        return Err(Error::hinted(
            Code::Config,
            format!(
                "the key in '{}' is shorter than 16 characters",
                path.display()
            ),
            "make one with: head -c 32 /dev/urandom | base64",
        ));
    }
    Ok(Key::new(Secret::new(key)))
}

/// What ends a relay: a signal, or the end of standard input if that is a pipe. Every signal that
/// would end the process is taken: a token that is being renewed must not be lost.
struct End {
    signals: signals::End,
    input: Option<oneshot::Receiver<()>>,
}

impl End {
    fn watch(runtime: &Runtime) -> Result<Self, Error> {
        let _runtime = runtime.enter();
        let signals = signals::End::watch();
        Ok(Self {
            signals: signals
                .map_err(|error| Error::new(Code::Io, format!("no signals: {error}")))?,
            input: stdio::input_is_pipe().then(watch_input),
        })
    }

    async fn wait(&mut self) {
        let input = async {
            match &mut self.input {
                Some(input) => {
                    let _ = input.await;
                }
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = input => {}
            () = self.signals.wait() => {}
        }
    }
}

/// A thread of its own: a read that never ends would keep the runtime from ending.
fn watch_input() -> oneshot::Receiver<()> {
    let (ended, end) = oneshot::channel();
    std::thread::spawn(move || {
        let _ = io::copy(&mut io::stdin().lock().by_ref(), &mut io::sink());
        let _ = ended.send(());
    });
    end
}
