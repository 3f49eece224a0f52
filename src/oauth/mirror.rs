//! The same login in the files of opencode and Codex (DESIGN §2, `codex-token-refresh`): what a
//! client renewed by itself is taken over from there, and what we renewed is written through to
//! there, so that nobody is left with a token that is used up. A file with another login is left
//! alone, and so is one that can't be read.

use std::cell::OnceCell;
use std::cmp::Ordering;
use std::fs;
use std::path::Path;

use crate::account::secret::RefreshToken;
use crate::account::{Account, identity};
use crate::client::contract::LoginFile;
use crate::client::registry;
use crate::store::Store;

/// The login files of the person's clients.
pub struct Mirror {
    files: Vec<Box<dyn LoginFile>>,
    /// What each held when it was looked at first.
    logins: OnceCell<Vec<(&'static str, Vec<Account>)>>,
}

/// A login of an account in a client's file, with another token than the account's own.
#[derive(Debug)]
pub struct Other {
    /// The client.
    pub client: &'static str,
    /// The login.
    pub login: Account,
    /// Whether it is later than the account's own, if that can be told.
    pub order: Option<Ordering>,
}

impl Mirror {
    /// Those of the person who runs this, without the one that is the store itself.
    #[must_use]
    pub fn of_person(store: &dyn Store) -> Self {
        // A client holds its locks for the time of a write: not worth a word.
        let files = registry::login_files(|_| ()).unwrap_or_default();
        let at = store.locator();
        let is_store =
            |file: &dyn LoginFile| at.file().is_some_and(|it| same_file(file.path(), it));
        Self {
            files: files
                .into_iter()
                .filter(|file| !is_store(file.as_ref()))
                .collect(),
            logins: OnceCell::new(),
        }
    }

    /// What each file holds. It is read once: a moment later it would be the same, as a rule, and
    /// what is written is compared with what is there then.
    fn logins(&self) -> &[(&'static str, Vec<Account>)] {
        self.logins.get_or_init(|| {
            let held = |file: &dyn LoginFile| (file.client(), file.logins().unwrap_or_default());
            self.files.iter().map(AsRef::as_ref).map(held).collect()
        })
    }

    /// The logins of this account that have another token.
    #[must_use]
    pub fn others(&self, account: &Account) -> Vec<Other> {
        let mut others = Vec::new();
        for (client, logins) in self.logins() {
            let is_other = |login: &&Account| {
                identity::same(login, account) && login.tokens.refresh != account.tokens.refresh
            };
            others.extend(logins.iter().filter(is_other).map(|login| Other {
                client,
                order: login.tokens.order(&account.tokens),
                login: login.clone(),
            }));
        }
        others
    }

    /// The clients in whose files one of these tokens is.
    #[must_use]
    pub fn holders(&self, tokens: &[RefreshToken]) -> Vec<&'static str> {
        let holds_one = |logins: &[Account]| {
            let mut logins = logins.iter();
            logins.any(|it| tokens.contains(&it.tokens.refresh))
        };
        let holders = self.logins().iter();
        let holders = holders.filter(|(_, logins)| holds_one(logins));
        holders.map(|(client, _)| *client).collect()
    }

    /// The clients that would be left with this token when it is used up, since their files can't be
    /// written, and a note on each.
    #[must_use]
    pub fn left_with(&self, account: &Account) -> Vec<String> {
        let token = &account.tokens.refresh;
        let holders = self.holders(std::slice::from_ref(token));
        let files = self.files.iter().map(AsRef::as_ref);
        let files = files.filter(|file| holders.contains(&file.client()));
        let note = |file: &dyn LoginFile| {
            let error = file.refuse_unwritable().err()?;
            let (client, name) = (file.client(), account.name());
            Some(format!(
                "{client} has the login of '{name}' too, in a file that can't be written: the token \
                 is left alone while it is good, and {client} loses the login when it is renewed \
                 here; make that file writable: {error}"
            ))
        };
        files.filter_map(note).collect()
    }

    /// Puts renewed tokens where the token still is that they were got for. Notes for the person
    /// say where that failed, and what follows.
    #[must_use]
    pub fn write_through(&self, consumed: &RefreshToken, renewed: &Account) -> Vec<String> {
        let name = renewed.name();
        let note = |file: &dyn LoginFile| {
            let error = file.renew(consumed, renewed).err()?;
            let client = file.client();
            Some(format!(
                "{client} still has the used-up token of '{name}', and loses the login for both \
                 when it presents that; make its file writable and run this again, or log in \
                 there anew: {error}"
            ))
        };
        self.files
            .iter()
            .map(AsRef::as_ref)
            .filter_map(note)
            .collect()
    }
}

fn same_file(one: &Path, other: &Path) -> bool {
    match (fs::canonicalize(one), fs::canonicalize(other)) {
        (Ok(one), Ok(other)) => one == other,
        _ => one == other,
    }
}
