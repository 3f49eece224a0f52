//! `codex-accounts status`, and `codex-accounts` alone: how things are, at a glance; and `usage`,
//! which asks for the figures first.

use std::path::PathBuf;

use super::look::{Colour, Look};
use super::{list, read, view, watch};
use crate::cli::exit::{Code, Error};
use crate::cli::figures::Figures;
use crate::cli::running_relay::RunningRelay;
use crate::cli::shell::Shell;
use crate::cli::tunnel::Tunnel;
use crate::cli::when::Local;
use crate::store::Document;

/// Its usage, and the first line of the command's own.
macro_rules! usage {
    () => {
        "codex-accounts [-qhV] [--store FILE] [--color WHEN] [--refresh]
                      [--json | --watch] [--proxy URL [--key-file FILE]]"
    };
}
pub(super) use usage;

/// `codex-accounts status`.
#[derive(Debug, clap::Args)]
pub(super) struct Status {
    /// Ask for the figures first; with --watch, every five minutes
    #[arg(long, hide_short_help = true)]
    refresh: bool,
    /// One record for each account
    #[arg(long, hide_short_help = true)]
    json: bool,
    /// Draw it anew whenever something changes, until q
    #[arg(long, conflicts_with = "json", hide_short_help = true)]
    watch: bool,
    /// Those of the codex-proxy that runs there; ssh://HOST is another machine
    #[arg(long, value_name = "URL", conflicts_with_all = ["watch", "refresh"], hide_short_help = true)]
    proxy: Option<String>,
    /// The file of its key; default: $CODEX_PROXY_KEY
    #[arg(long, value_name = "FILE", requires = "proxy", hide_short_help = true)]
    key_file: Option<PathBuf>,
}

/// `codex-accounts usage`.
#[derive(Debug, clap::Args)]
#[command(override_usage = "codex-accounts usage | list [--json]")]
pub(super) struct Usage {
    /// One record for each account
    #[arg(long)]
    json: bool,
}

impl Usage {
    pub(super) fn run(&self, shell: &Shell, colour: &Colour) -> Result<Code, Error> {
        let status = Status {
            refresh: true,
            json: self.json,
            watch: false,
            proxy: None,
            key_file: None,
        };
        status.run(shell, colour)
    }
}

impl Status {
    /// Whether none of its arguments was given.
    pub(super) fn is_plain(&self) -> bool {
        !self.refresh && !self.json && !self.watch && self.proxy.is_none()
    }

    pub(super) fn run(&self, shell: &Shell, colour: &Colour) -> Result<Code, Error> {
        if self.watch {
            return watch::watch(shell, colour, self.refresh);
        }
        let mut worst = Code::Done;
        if self.refresh {
            worst = refresh(shell)?;
        }
        let document = match &self.proxy {
            Some(url) => self.of_relay(url)?,
            None => read(shell)?,
        };
        if self.json {
            list::emit_records(shell, &document)?;
        } else {
            let local = Local::new(shell.now());
            shell.print(&view::render(&document, &local, Look::new(colour), shell))?;
        }
        Ok(worst)
    }
}

impl Status {
    /// The accounts of a relay, as it tells of them.
    fn of_relay(&self, url: &str) -> Result<Document, Error> {
        let key_file = self.key_file.as_deref();
        // The way there is open until it has answered.
        let mut tunnel = Tunnel::to(url)?;
        let relay = match &mut tunnel {
            Some(tunnel) => tunnel.relay(key_file)?,
            None => RunningRelay::at(url, key_file)?,
        };
        let document = relay.accounts()?;
        if document.accounts.is_empty() {
            return Err(Error::no_accounts());
        }
        Ok(document)
    }
}

/// Asks for the figures of each account that is enabled. One that can't be had is told, and the
/// others are asked for all the same.
fn refresh(shell: &Shell) -> Result<Code, Error> {
    let figures = Figures::new(shell)?;
    let mut worst = Code::Done;
    for account in figures.accounts()?.iter().filter(|it| it.enabled) {
        match figures.fetch(account) {
            Ok(fetched) => shell.notes(&fetched.notes),
            Err(error) => worst = worst.max(shell.report(&error.into())),
        }
    }
    Ok(worst)
}
