//! `codex-launch`: runs a coding agent behind a relay of its own. The terminal, the signals and the
//! exit status are the agent's; nothing is printed while it runs, and one line on a terminal after it.

use std::ffi::{OsStr, OsString};
use std::io::{self, IsTerminal, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use tokio::runtime::Runtime;

use super::args::Common;
use super::child::{self, Signals};
use super::exit::{Code, Error};
use super::launch_summary::closing_line;
use super::proxy::{self, Rotation};
use super::running_relay::RunningRelay;
use super::shell::{self, Shell};
use super::tunnel::Tunnel;
use crate::account::handle::Handle;
use crate::client::registry;
use crate::client::wiring::{Borrowed, Relay};
use crate::proxy::Proxy;
use crate::proxy::log::Log;
use crate::proxy::pool::narrowing::Narrowing;
use crate::proxy::tally::Tally;
use crate::store;
use crate::sys;

/// What `--help` says after the options, as the page has it.
const MORE: &str = "\
Output:
  The program's. After it, on a terminal, one line says what the run came to.

Exit status:
  That of the program; 128 and the signal's number if a signal ended it. Before
  it runs:
  1   There is no account, or no such program
  2   The arguments are wrong
  69  With --proxy: no codex-proxy answers there
  77  With --proxy: it does not know the key
  78  The store is corrupt, a setting is bad, or --proxy can't be one's address

Examples:
  codex-launch opencode
  codex-launch --account work codex
  codex-launch --proxy ssh://me@build.example --key-file key opencode";

/// So long a request is held by itself where a person watches: opencode and Codex show that they
/// work, and give an answer up that has not begun after five minutes.
const WATCHED_WAIT: Duration = Duration::from_secs(4 * 60);

/// Run a coding agent behind your accounts
///
/// Runs opencode, Codex CLI or any other program with its requests going through a relay of its
/// own: when an account is limited the next one answers, and the program sees nothing.
#[derive(Debug, clap::Parser)]
#[command(
    name = "codex-launch",
    version,
    long_version = crate::cli::VERSION,
    override_usage = "codex-launch [-qhV] [--store FILE] [--strategy STRATEGY]
                    [--reserve PERCENT] [--max-wait DURATION]
                    [--head-timeout DURATION] [--no-websocket]
                    [--account ACCOUNT] [--exclude ACCOUNT]
                    [--proxy URL [--key-file FILE]] [--]
                    [COMMAND [ARGUMENT ...]]",
    after_long_help = MORE,
    term_width = 80
)]
pub struct Launch {
    #[command(flatten)]
    rotation: Rotation,
    /// Use this account only
    #[arg(long, value_name = "ACCOUNT", conflicts_with = "proxy")]
    account: Option<String>,
    /// Do not use this account; may be given several times
    #[arg(long, value_name = "ACCOUNT", conflicts_with = "proxy")]
    exclude: Vec<String>,
    /// Use the codex-proxy that runs there; ssh://HOST is another machine
    #[arg(long, value_name = "URL", conflicts_with_all = ["strategy", "reserve", "max_wait", "head_timeout"])]
    proxy: Option<String>,
    /// The file of its key; default: $CODEX_PROXY_KEY
    #[arg(long, value_name = "FILE", requires = "proxy")]
    key_file: Option<PathBuf>,
    /// The program and its arguments; default: opencode
    #[arg(value_name = "COMMAND", trailing_var_arg = true)]
    command: Vec<OsString>,
    #[command(flatten)]
    common: Common,
}

impl super::Command for Launch {
    const NAME: &'static str = "codex-launch";
    type Around = Shell;

    fn common(&self) -> &Common {
        &self.common
    }

    fn run(self, shell: &Shell) -> Result<Code, Error> {
        match &self.proxy {
            Some(url) => self.launch_behind(url, shell),
            None => self.launch_alone(shell),
        }
    }
}

impl Launch {
    /// Runs the program behind a relay that runs already.
    fn launch_behind(&self, url: &str, shell: &Shell) -> Result<Code, Error> {
        // The way there is open until the program has ended.
        let mut tunnel = Tunnel::to(url)?;
        let key_file = self.key_file.as_deref();
        let relay = match &mut tunnel {
            Some(tunnel) => tunnel.relay(key_file)?,
            None => RunningRelay::at(url, key_file)?,
        };
        self.launch(
            shell,
            &proxy::runtime()?,
            Relay {
                url: &relay.url(),
                key: relay.key(),
                // Which accounts it has, the relay does not tell.
                account_id: shell.name(),
                websocket: relay.has_websockets() && self.rotation.websocket(),
            },
        )
    }

    /// Runs the program behind a relay of its own.
    fn launch_alone(&self, shell: &Shell) -> Result<Code, Error> {
        let account_id = some_account(shell, &self.common)?;
        let key = proxy::random_key()?;
        let log = open_log();
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let mut settings = self.rotation.settings(shell, listen, key.clone(), log)?;
        settings.narrowing = self.narrowing(shell)?;
        if self.rotation.max_wait().is_none() && is_watched() {
            settings.max_wait = WATCHED_WAIT;
        }

        let runtime = proxy::runtime()?;
        let relay = runtime
            .block_on(Proxy::start(shell.silent().accounts()?, settings))
            .map_err(|error| proxy::cannot_listen(listen, &error))?;
        let status = self.launch(
            shell,
            &runtime,
            Relay {
                url: &relay.url(),
                key: key.expose(),
                account_id: &account_id,
                websocket: self.rotation.websocket(),
            },
        );
        let tally = runtime.block_on(relay.stop());
        if status.is_ok() && io::stderr().is_terminal() {
            self.say_what_it_came_to(&tally, shell);
        }
        status
    }

    /// One line, once the terminal is the person's again.
    fn say_what_it_came_to(&self, tally: &Tally, shell: &Shell) {
        let (program, arguments) = self.program();
        let resume = tally.session.as_deref().and_then(|session| {
            let resume = registry::resume(program, arguments, session)?;
            Some(format!("{} {resume}", shell.command("codex-launch")))
        });
        let store = shell.accounts().ok();
        let document = store.and_then(|store| shell.read(store.as_ref()).ok());
        let accounts = document.unwrap_or_default().accounts;
        if let Some(line) = closing_line(tally, &accounts, shell.now(), resume.as_deref()) {
            shell.note(&line);
        }
    }

    /// The program and its arguments.
    fn program(&self) -> (&OsStr, &[OsString]) {
        match self.command.split_first() {
            Some((program, arguments)) => (program.as_os_str(), arguments),
            None => (OsStr::new("opencode"), &[]),
        }
    }

    /// Which accounts the person wants for this run.
    fn narrowing(&self, shell: &Shell) -> Result<Narrowing, Error> {
        if self.account.is_none() && self.exclude.is_empty() {
            return Ok(Narrowing::default());
        }
        let accounts = shell.read(shell.accounts()?.as_ref())?.accounts;
        let handle = |name: &String| {
            let index = shell::find(&accounts, name)?;
            Ok(Handle::from(&accounts[index]))
        };
        Ok(Narrowing {
            only: self.account.as_ref().map(handle).transpose()?,
            exclude: self
                .exclude
                .iter()
                .map(handle)
                .collect::<Result<_, Error>>()?,
        })
    }

    /// Runs the program, pointed at the relay.
    fn launch(&self, shell: &Shell, runtime: &Runtime, relay: Relay<'_>) -> Result<Code, Error> {
        let (program, arguments) = self.program();
        // In place before there is anything that must be taken back.
        let signals = Signals::take(runtime)?;
        let wiring = registry::wire(program, arguments, relay, shell.waiting())?;
        if let Some(borrowed) = &wiring.borrowed {
            shell.note(&format!(
                "an entry for openai stands in '{}' while this runs",
                borrowed.path().display()
            ));
        }
        let status = signals.run(
            runtime,
            sys::child::command(program)
                .args(&wiring.arguments)
                .args(arguments)
                .envs(wiring.environment),
        );
        let taken_back = wiring.borrowed.map(Borrowed::take_back);
        if let Some(Err(error)) = taken_back {
            // The status is the program's, all the same.
            let _ = shell.report(&error.into());
        }
        status
    }
}

/// Whether a person sees what the program shows.
fn is_watched() -> bool {
    io::stdin().is_terminal() && io::stdout().is_terminal()
}

/// The file that says what the relay did. That there is no place for one is no reason not to run.
fn open_log() -> Log {
    let log = store::state_folder().ok();
    let log = log.and_then(|folder| Log::in_file(&folder.join("relay.log"), false).ok());
    log.unwrap_or(Log::nowhere(false))
}

/// The id of an account: a client wants to be told one. Where there is no account, a person at a
/// terminal can log in now.
fn some_account(shell: &Shell, common: &Common) -> Result<String, Error> {
    if let Some(id) = active_account(shell)? {
        return Ok(id);
    }
    if is_login_wanted()? {
        // By a process of its own: it reads the terminal, and must let go of it before the client
        // gets it.
        let mut login = Command::new(child::beside("codex-accounts"));
        let login = child::with_store(&mut login, common.store.as_deref());
        // How it failed, it says itself; whether it did shows in the store.
        let _ = login.arg("add").status();
        if let Some(id) = active_account(shell)? {
            return Ok(id);
        }
    }
    Err(Error::no_accounts())
}

fn active_account(shell: &Shell) -> Result<Option<String>, Error> {
    let document = shell.read(shell.accounts()?.as_ref())?;
    let active = document.accounts.get(document.active_index);
    Ok(active.map(|account| match &account.chatgpt_account_id {
        Some(id) => id.to_string(),
        None => shell.name().to_owned(),
    }))
}

fn is_login_wanted() -> Result<bool, Error> {
    let (input, mut errors) = (io::stdin(), io::stderr());
    if !input.is_terminal() || !errors.is_terminal() {
        return Ok(false);
    }
    let mut answer = String::new();
    write!(errors, "There are no accounts yet. Log in now? [Y/n]: ").map_err(Error::output)?;
    let read = input.read_line(&mut answer).map_err(Error::input)?;
    // The end of input is a no.
    Ok(read > 0 && matches!(answer.trim().to_lowercase().as_str(), "" | "y" | "yes"))
}
