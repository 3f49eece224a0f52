//! The same login in the files of opencode and Codex (DESIGN §2, `codex-token-refresh`): what a
//! client renewed by itself is taken over from there, and what we renewed is written through to
//! there, so that nobody is left with a token that is used up. A file with another login is left
//! alone, and so is one that can't be read.

use std::cmp::Ordering;
use std::fs;
use std::path::Path;

use crate::account::secret::RefreshToken;
use crate::account::{Account, identity};
use crate::client::{self, LoginFile};
use crate::store::Store;

/// The login files of the person's clients.
pub struct Mirror {
    files: Vec<Box<dyn LoginFile>>,
}

impl Mirror {
    /// Those of the person who runs this, without the one that is the store itself.
    #[must_use]
    pub fn of_person(store: &dyn Store) -> Self {
        // A client holds its locks for the time of a write: not worth a word.
        let files = client::login_files(|_| ()).map_or_else(|_| Vec::new(), Vec::from);
        Self {
            files: files
                .into_iter()
                .filter(|file| {
                    !store
                        .locator()
                        .file()
                        .is_some_and(|it| same_file(file.path(), it))
                })
                .collect(),
        }
    }

    /// The login of this account that a client has renewed by itself: another token, which expires
    /// later. The account's own is used up then. One that is `consumed` is not newer, whatever its
    /// time says.
    #[must_use]
    pub fn newer(&self, account: &Account, consumed: &[RefreshToken]) -> Option<Account> {
        self.files
            .iter()
            .filter_map(|file| file.logins().ok())
            .flatten()
            .filter(|login| {
                identity::same(login, account)
                    && login.tokens.refresh != account.tokens.refresh
                    && !consumed.contains(&login.tokens.refresh)
                    && login.tokens.order(&account.tokens) == Some(Ordering::Greater)
            })
            .max_by_key(|login| login.tokens.expires_at)
    }

    /// Puts renewed tokens where the token still is that they were got for. Notes for the person
    /// say where that failed.
    #[must_use]
    pub fn write_through(&self, consumed: &RefreshToken, renewed: &Account) -> Vec<String> {
        let name = renewed.name();
        self.files
            .iter()
            .filter_map(|file| file.renew(consumed, renewed).err())
            .map(|error| format!("the new token of '{name}' was not put there too: {error}"))
            .collect()
    }
}

fn same_file(one: &Path, other: &Path) -> bool {
    match (fs::canonicalize(one), fs::canonicalize(other)) {
        (Ok(one), Ok(other)) => one == other,
        _ => one == other,
    }
}
