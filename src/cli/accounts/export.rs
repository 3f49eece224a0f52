//! `codex-accounts export`: the accounts as a store of their own, with their secrets only for who
//! asks for them.

use super::read;
use crate::cli::exit::{Code, Error};
use crate::cli::shell::Shell;
use crate::store::{Document, told};

/// `codex-accounts export`.
#[derive(Debug, clap::Args)]
#[command(override_usage = "codex-accounts export [--with-secrets] [--force]")]
pub(super) struct Export {
    /// The tokens too: for 'codex-accounts import' elsewhere
    #[arg(long)]
    with_secrets: bool,
    /// Write the secrets even to a terminal
    #[arg(long, requires = "with_secrets")]
    force: bool,
}

impl Export {
    pub(super) fn run(&self, shell: &Shell) -> Result<Code, Error> {
        if self.with_secrets {
            shell.allow_secrets(self.force)?;
        }
        let mut document = read(shell)?;
        for account in &mut document.accounts {
            // A lease is a process of this machine.
            account.lease = None;
        }
        let text = if self.with_secrets {
            document.to_bytes()
        } else {
            shell.note(
                "the tokens are left out, and what other programs keep there; \
                 --with-secrets prints them too",
            );
            without_secrets(document)?
        };
        shell.print(&String::from_utf8_lossy(&text))?;
        Ok(Code::Done)
    }
}

/// Only what is known to be no secret: what another program keeps there may be one.
fn without_secrets(document: Document) -> Result<Vec<u8>, Error> {
    let value = told::without_secrets(document).map_err(|error| Error::output(error.into()))?;
    let mut text =
        serde_json::to_vec_pretty(&value).map_err(|error| Error::output(error.into()))?;
    text.push(b'\n');
    Ok(text)
}
