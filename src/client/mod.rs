//! The coding agents: where each keeps its login, and how each is pointed at the proxy. A new one
//! is a file here. They are never changed and never patched.

use std::path::Path;

use crate::account::Account;
use crate::account::secret::RefreshToken;
use crate::store::{self, lock::Waiting};

pub mod codex;
pub mod json_file;
pub mod login;
pub mod opencode;
pub mod placeholder;
pub mod wiring;

/// The file in which a client keeps its own login.
pub trait LoginFile {
    /// What the command of the client is called.
    fn client(&self) -> &'static str;

    /// Where it is.
    fn path(&self) -> &Path;

    /// The accounts whose tokens it holds, as far as it tells of them; none where there is no file.
    ///
    /// # Errors
    /// When it can't be read.
    fn logins(&self) -> Result<Vec<Account>, store::Error>;

    /// Where it still holds a refresh token that is used up, puts the renewed tokens in its place.
    /// Nothing else in the file changes.
    ///
    /// # Errors
    /// When it can't be read or written; it is then as it was.
    fn renew(&self, consumed: &RefreshToken, renewed: &Account) -> Result<(), store::Error>;
}

/// The login files of the person who runs this. `waiting` is told when a lock takes long.
///
/// # Errors
/// When there is no home directory.
pub fn login_files(waiting: Waiting) -> Result<[Box<dyn LoginFile>; 2], store::Error> {
    Ok([
        Box::new(opencode::AuthFile::of_person(waiting)?),
        Box::new(codex::AuthFile::of_person(waiting)?),
    ])
}
