//! Asking for the figures of accounts: for `codex-usage-fetch`, and for the views of
//! `codex-accounts` that ask first.

use std::sync::Arc;

use super::exit::Error;
use super::shell::Shell;
use crate::account::Account;
use crate::clock::Clock;
use crate::net::endpoint::Endpoint;
use crate::oauth::issuer::Issuer;
use crate::oauth::usage::{self, Backend, Fetched};
use crate::store::Store;

/// Whom to ask, and where the answers are kept.
pub(super) struct Figures {
    store: Arc<dyn Store>,
    issuer: Issuer,
    backend: Backend,
    clock: Clock,
}

impl Figures {
    /// Those of the accounts that the person works with.
    ///
    /// # Errors
    /// When the environment names a server that must not be used, or there is no home directory.
    pub(super) fn new(shell: &Shell) -> Result<Self, Error> {
        Ok(Self {
            store: shell.accounts()?,
            issuer: Issuer::new(Endpoint::issuer()?),
            backend: Backend::new(Endpoint::upstream()?),
            clock: shell.clock(),
        })
    }

    /// The accounts as they are now.
    ///
    /// # Errors
    /// When the store can't be read.
    pub(super) fn accounts(&self) -> Result<Vec<Account>, Error> {
        Ok(self.store.read()?.unwrap_or_default().accounts)
    }

    /// Asks for those of one account, and keeps the answer.
    ///
    /// # Errors
    /// See [`usage::fetch`].
    pub(super) fn fetch(&self, account: &Account) -> Result<Fetched, usage::Error> {
        usage::fetch(
            self.store.as_ref(),
            &self.issuer,
            &self.backend,
            account,
            self.clock,
        )
    }
}
