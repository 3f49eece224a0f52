//! What a client is to the rest of the suite. Which clients there are is not known here.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use serde_json::Value;
use thiserror::Error;

use super::for_good::{self, Edit, Standing};
use super::wiring::{self, Relay, Wiring};
use crate::account::secret::RefreshToken;
use crate::account::{Account, token};
use crate::store::{self, format, lock::Waiting};

/// A coding agent.
pub trait Client: Send + Sync {
    /// Its command, which is also the word that a person types for it.
    fn name(&self) -> &'static str;

    /// Whether a program is this one: by the name of its file.
    fn is(&self, program: &OsStr) -> bool {
        Path::new(program).file_stem() == Some(OsStr::new(self.name()))
    }

    /// Its login file, whether it is there or not. `waiting` is told when a lock takes long.
    ///
    /// # Errors
    /// When there is no home directory.
    fn login_file(&self, waiting: Waiting) -> Result<Box<dyn LoginFile>, store::Error>;

    /// Whether a value is a login file of this client's, by its shape.
    fn recognises(&self, file: &Value) -> bool;

    /// The accounts in a login file that it recognises.
    ///
    /// # Errors
    /// When there is none that can be refreshed.
    fn accounts(&self, file: &Value) -> Result<Vec<Account>, NoLogin>;

    /// An account in the form that this client reads, with an access token and nothing to renew it
    /// with.
    fn auth_object(&self, account: &Account) -> Value;

    /// Points it at a relay for one run with these arguments.
    ///
    /// # Errors
    /// When the person's own settings for it can't be read.
    fn wire(
        &self,
        arguments: &[OsString],
        relay: Relay<'_>,
        waiting: Waiting,
    ) -> Result<Wiring, wiring::Error>;

    /// What is typed to go on with a session of a run with these arguments.
    fn resume(&self, arguments: &[OsString], session: &str) -> String;

    /// The file in which a run that was cut off left something of ours, if one did.
    fn left_behind(&self) -> Option<PathBuf> {
        None
    }

    /// Takes that out of the file again.
    ///
    /// # Errors
    /// When the file can't be read or written.
    fn take_back(&self, _file: &Path) -> Result<(), store::Error> {
        Ok(())
    }

    /// The changes of its configuration that point it at a relay for good.
    ///
    /// # Errors
    /// When its configuration can't be read, or something else is in the way.
    fn point_for_good(&self, relay: &Standing<'_>) -> Result<Vec<Edit>, for_good::Error>;

    /// A file that such a change was made of and that was changed again since: its text without
    /// what is ours.
    ///
    /// # Errors
    /// When the text can't be read any more.
    fn let_go(&self, path: &Path, text: &[u8]) -> Result<Vec<u8>, for_good::Error>;

    /// The address that its configuration points it at for good, if it is one of ours.
    fn points_at(&self) -> Option<String>;

    /// What a person may put into its configuration by hand to point it there.
    fn snippet(&self, relay: &Standing<'_>) -> String;

    /// The login that it has in another place than its file.
    fn login_elsewhere(&self) -> Elsewhere {
        Elsewhere::No
    }

    /// What a person has to know of a login that is this client's too, if it can end it for both.
    fn shares_login(&self) -> Option<&'static str> {
        None
    }
}

/// What a client has in another place than its login file.
#[derive(Debug)]
pub enum Elsewhere {
    /// Nothing.
    No,
    /// The text of a login file. Nothing here can write where it is from.
    Login(Vec<u8>),
    /// A login that can't be read, and what to do about it, for people.
    Hidden(String),
}

/// The file in which a client keeps its own login.
pub trait LoginFile {
    /// The name of the client.
    fn client(&self) -> &'static str;

    /// Where it is.
    fn path(&self) -> &Path;

    /// The accounts whose tokens it holds, as far as it tells of them; none where there is no file.
    ///
    /// # Errors
    /// When it can't be read.
    fn logins(&self) -> Result<Vec<Account>, store::Error>;

    /// Finds out whether renewed tokens could be put there.
    ///
    /// # Errors
    /// When they could not.
    fn refuse_unwritable(&self) -> Result<(), store::Error>;

    /// Where it still holds a refresh token that is used up, puts the renewed tokens in its place.
    /// Nothing else in the file changes.
    ///
    /// # Errors
    /// When it can't be read or written; it is then as it was.
    fn renew(&self, consumed: &RefreshToken, renewed: &Account) -> Result<(), store::Error>;
}

/// Why a text holds no login. It is never quoted: it is full of secrets.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NoLogin {
    /// It is neither JSON nor the packed form.
    #[error("not valid JSON at line {line}, column {column}")]
    NotJson {
        /// Counted from 1.
        line: usize,
        /// Counted from 1.
        column: usize,
    },
    /// It is JSON of another kind.
    #[error("this is not a login file known here")]
    OtherShape,
    /// It is a file of opencode's that has no oauth entry for openai.
    #[error("it has no oauth entry for openai")]
    NoEntry,
    /// Its entry stands for a login, where opencode is pointed at a relay for good.
    #[error("it has the placeholder of 'codex-accounts setup', which is no login")]
    Placeholder,
    /// It is a file of Codex CLI's, which is logged in by an API key, or not at all.
    #[error("it has no ChatGPT login, only an API key or nothing")]
    NoChatGpt,
    /// It is a file of Codex CLI's with a login that belongs to an agent.
    #[error("it is a login of an agent (agentIdentity), which has no refresh token")]
    AgentIdentity,
    /// It is an account whose refresh token was left out.
    #[error("it is a login of {of} without a refresh token, so nothing could renew it")]
    WithoutRefresh {
        /// The program that it is of.
        of: &'static str,
    },
    /// It is a login of another service.
    #[error("it is a login of another service than ChatGPT")]
    OtherService,
    /// It is a document of ours, without tokens.
    #[error("it has no refresh tokens: it was exported without --with-secrets")]
    WithoutSecrets,
    /// opencode's entry has a refresh token of a form that is unknown.
    #[error("its refresh token can't be read: {0}")]
    Packed(token::Error),
    /// See [`format::Error`].
    #[error(transparent)]
    Store(#[from] format::Error),
    /// See [`token::Error`].
    #[error(transparent)]
    Token(#[from] token::Error),
}
