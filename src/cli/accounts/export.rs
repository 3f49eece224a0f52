//! `codex-accounts export`: the accounts as a store of their own, with their secrets only for who
//! asks for them.

use serde_json::Value;

use super::read;
use crate::account::Extra;
use crate::account::secret::RefreshToken;
use crate::cli::exit::{Code, Error};
use crate::cli::shell::Shell;
use crate::store::Document;

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
fn without_secrets(mut document: Document) -> Result<Vec<u8>, Error> {
    document.extra = Extra::new();
    for account in &mut document.accounts {
        account.tokens.refresh = RefreshToken::new("");
        account.tokens.access = None;
        account.tokens.id = None;
        account.extra = Extra::new();
    }
    let mut value = serde_json::to_value(&document).map_err(|error| Error::output(error.into()))?;
    let accounts = value["accounts"].as_array_mut().into_iter().flatten();
    for account in accounts.filter_map(Value::as_object_mut) {
        account.shift_remove("refreshToken");
    }
    let mut text =
        serde_json::to_vec_pretty(&value).map_err(|error| Error::output(error.into()))?;
    text.push(b'\n');
    Ok(text)
}
