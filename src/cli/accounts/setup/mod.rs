//! `codex-accounts setup`: the relay as a service of the person's, and their clients pointed to it for
//! good. Each change is shown before it is made, what was there is kept, and `--undo` brings back
//! the very bytes.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::confirm;
use crate::cli::child;
use crate::cli::exit::{Code, Error};
use crate::cli::proxy;
use crate::cli::running_relay::RunningRelay;
use crate::cli::shell::Shell;
use crate::client::contract::Client;
use crate::client::for_good::{self, Edit, Standing};
use crate::client::registry::CLIENTS;
use crate::store;
use crate::store::locator::Locator;
use kept::Kept;
use service::{Manager, Relay};

mod change;
mod kept;
mod service;
mod snippet;

/// Where the relay listens, unless the person wants it elsewhere.
const USUAL_PORT: u16 = 8765;

macro_rules! usage {
    () => {
        "\
codex-accounts setup [--port PORT] [--yes] [CLIENT ...] | --undo [--yes]
       codex-accounts setup --print opencode | codex | vscode | openai-sdk"
    };
}

/// `codex-accounts setup`.
#[derive(Debug, clap::Args)]
#[command(override_usage = usage!())]
pub(super) struct Setup {
    /// The clients to point there; default: those that are in PATH
    #[arg(value_name = "CLIENT", value_parser = client, conflicts_with_all = ["undo", "print"])]
    clients: Vec<&'static str>,
    /// The port of the relay; default: 8765
    #[arg(long, value_name = "PORT", conflicts_with = "undo",
        value_parser = clap::value_parser!(u16).range(1..))]
    port: Option<u16>,
    /// Take it all back
    #[arg(long)]
    undo: bool,
    /// Print what to write by hand, and change nothing
    #[arg(long, value_name = "WHAT", conflicts_with = "undo")]
    print: Option<snippet::What>,
    /// Do not ask
    #[arg(short, long, conflicts_with = "print")]
    yes: bool,
}

fn client(name: &str) -> Result<&'static str, String> {
    let names = CLIENTS.map(Client::name);
    let found = names.into_iter().find(|it| *it == name);
    found.ok_or_else(|| format!("it is none of: {}", names.join(", ")))
}

impl Setup {
    pub(super) fn run(&self, shell: &Shell) -> Result<Code, Error> {
        if self.undo {
            return undo(shell, self.yes);
        }
        let key_file = key_file()?;
        let url = format!("http://127.0.0.1:{}/codex", self.port.unwrap_or(USUAL_PORT));
        let standing = Standing {
            url: &url,
            key_file: &key_file,
        };
        match self.print {
            Some(what) => {
                shell.print(&what.text(&standing))?;
                Ok(Code::Done)
            }
            None => self.set_up(shell, &standing),
        }
    }

    fn set_up(&self, shell: &Shell, standing: &Standing<'_>) -> Result<Code, Error> {
        super::read(shell)?;
        let relay = self.relay(shell, standing)?;
        let clients = self.clients()?;
        let manager = Manager::of_system();
        let mut edits = Vec::new();
        if !standing.key_file.exists() {
            edits.push((None, key_edit(standing.key_file)?));
        }
        let units = manager.units(&relay).map_err(setup_error)?;
        edits.extend(units.into_iter().map(|edit| (None, edit)));
        for client in clients {
            let of_client = client.point_for_good(standing).map_err(setup_error)?;
            edits.extend(of_client.into_iter().map(|it| (Some(client.name()), it)));
        }
        edits.retain(|(_, edit)| !edit.is_empty());
        for (_, edit) in &edits {
            shell.print(&change::shown(edit, standing.key_file))?;
        }
        if edits.is_empty() {
            shell.note("everything is set up already");
        } else {
            if !self.yes {
                confirm(shell, "change these files?")?;
            }
            Kept::add(&edits)?;
            for (_, edit) in &edits {
                change::write(edit)?;
            }
        }
        start(shell, &manager, &relay, standing)?;
        Ok(Code::Done)
    }

    fn relay(&self, shell: &Shell, standing: &Standing<'_>) -> Result<Relay, Error> {
        if let Locator::Helper(url) = shell.store().locator()
            && !url.is_shown_whole()
        {
            // It would stand among the arguments of the service.
            return Err(Error::hinted(
                Code::Config,
                "a service takes no store whose URL has a secret in it",
                "keep the secret in a file that the helper reads, as '~/.pgpass'",
            ));
        }
        Ok(Relay {
            program: child::beside("codex-proxy"),
            port: self.port.unwrap_or(USUAL_PORT),
            key_file: standing.key_file.to_owned(),
            log: store::state_folder()?.join("relay.log"),
            store: store::named(shell.store()),
        })
    }

    fn clients(&self) -> Result<Vec<&'static dyn Client>, Error> {
        let is_wanted = |client: &&dyn Client| match self.clients.as_slice() {
            [] => is_in_path(client.name()),
            named => named.contains(&client.name()),
        };
        let clients: Vec<_> = CLIENTS.into_iter().filter(is_wanted).collect();
        if clients.is_empty() {
            return Err(Error::hinted(
                Code::No,
                "neither opencode nor codex is in PATH",
                "name the client that you use: codex-accounts setup opencode",
            ));
        }
        Ok(clients)
    }
}

/// Starts the service, and says how it can be reached, or what the person has to do.
fn start(
    shell: &Shell,
    manager: &Manager,
    relay: &Relay,
    standing: &Standing<'_>,
) -> Result<(), Error> {
    if !run_all(manager.start(relay)) {
        let by_hand = relay.command();
        shell.tell(&format!(
            "{} could not start the relay; start it by hand: {by_hand}",
            manager.name()
        ));
        return Ok(());
    }
    RunningRelay::at(standing.url, Some(standing.key_file))?;
    shell.note(&format!("the relay answers at {}", standing.url));
    Ok(())
}

fn undo(shell: &Shell, yes: bool) -> Result<Code, Error> {
    let Some(kept) = Kept::read()? else {
        return Err(Error::new(Code::No, "nothing is set up"));
    };
    let edits = kept.undone()?;
    for undone in &edits {
        shell.print(&change::undone(undone))?;
    }
    if !yes {
        confirm(shell, "change these files back?")?;
    }
    let manager = Manager::of_system();
    // A service that is not there needs no end.
    run_all(manager.stop());
    for undone in edits {
        if undone.is_by_hand {
            let path = undone.path.display();
            shell.note(&format!(
                "'{path}' was changed since; what you wrote stays, and ours is taken out"
            ));
        }
        change::put_back(&undone)?;
    }
    run_all(manager.forget());
    Kept::remove()?;
    shell.note("everything is as it was");
    Ok(Code::Done)
}

/// Runs the commands of a service manager, which say nothing to the person. Whether all went well.
fn run_all(commands: Vec<Command>) -> bool {
    commands.into_iter().all(|mut command| {
        let status = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        status.is_ok_and(|status| status.success())
    })
}

/// The file of the key that the relay and the clients share. It is kept for good.
pub(in crate::cli::accounts) fn key_file() -> Result<PathBuf, Error> {
    let folder = for_good::config_folder().ok_or(store::Error::NoHome)?;
    Ok(folder.join("codex-accounts").join("key"))
}

fn key_edit(path: &Path) -> Result<Edit, Error> {
    let key = proxy::random_key()?;
    Ok(Edit {
        path: path.to_owned(),
        before: None,
        after: format!("{}\n", key.expose()).into_bytes(),
    })
}

fn is_in_path(program: &str) -> bool {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let is_there = |folder: PathBuf| {
        let path = folder.join(program);
        path.is_file()
            || path.with_extension("cmd").is_file()
            || path.with_extension("exe").is_file()
    };
    std::env::split_paths(&folders).any(is_there)
}

fn setup_error(error: for_good::Error) -> Error {
    let code = match error {
        for_good::Error::Io { .. } => Code::Io,
        for_good::Error::NoHome | for_good::Error::Unreadable { .. } => Code::Config,
    };
    Error::new(code, error.to_string())
}
