//! Clients that are pointed at a relay for good: whether it answers there, lets in who has the key, and
//! is of this version.

use std::fs;

use super::finding::{Finding, Mend};
use crate::cli::accounts::setup::key_file;
use crate::cli::exit::Code;
use crate::cli::running_relay::RunningRelay;
use crate::cli::shell::Shell;
use crate::client::contract::Client;
use crate::client::registry::CLIENTS;

pub(super) fn examine(shell: &Shell) -> Vec<Finding> {
    let pointed = |client: &&dyn Client| Some((client.name(), client.points_at()?));
    let pointed = CLIENTS.iter().filter_map(pointed);
    pointed
        .map(|(client, url)| finding(shell, client, &url))
        .collect()
}

fn finding(shell: &Shell, client: &str, url: &str) -> Finding {
    let again = || Mend::Type(shell.command("codex-accounts setup"));
    let key_file = match key_file() {
        Ok(path) if fs::metadata(&path).is_ok() => path,
        _ => {
            let what = format!("{client} is pointed at {url}, and the key for there is gone");
            return Finding::wrong("setup", what, again());
        }
    };
    match RunningRelay::at(url, Some(&key_file)) {
        Ok(relay) if relay.version() == Some(env!("CARGO_PKG_VERSION")) => Finding::well(
            "setup",
            format!("{client} goes to {url}, where a relay answers"),
        ),
        Ok(relay) => {
            let version = relay.version().unwrap_or("unknown");
            let what = format!("the relay at {url} is of version {version}; restart it");
            Finding::note("setup", what, again())
        }
        Err(error) if error.code() == Code::Unavailable => {
            let what = format!("{client} goes to {url}, and no relay answers there");
            Finding::wrong("setup", what, again())
        }
        Err(error) => Finding::wrong("setup", format!("{client}: {error}"), again()),
    }
}
