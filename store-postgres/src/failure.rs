//! What can go wrong, by the kinds of `codex-store-helper(7)`, and which of them an answer of the
//! server is. A message is for a person and holds nothing of what is kept: of what a server says only
//! its message is taken, whose details may show a row.

use std::error::Error as _;
use std::io;

use serde::Serialize;
use tokio_postgres::error::{DbError, Severity, SqlState};

use crate::settings;

/// See `codex-store-helper(7)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    /// The server can't be reached, or takes no change now.
    Unavailable,
    /// The lock was not had in time.
    Locked,
    /// Somebody else was quicker.
    Conflict,
    /// Whether it was committed is not known.
    Unclear,
    /// The server refuses this person, or is not the right one.
    Denied,
    /// What a person set up is wrong.
    Config,
    /// There is no room.
    Full,
    /// Anything else.
    Failed,
    /// The request is not understood.
    Unknown,
}

/// What went wrong.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    /// The kind, by which the command goes.
    pub(crate) kind: Kind,
    /// What it is, for a person.
    pub(crate) message: String,
    /// What to do about it.
    pub(crate) hint: Option<String>,
}

impl Failure {
    /// A failure of a kind, and what to say of it.
    pub(crate) fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            hint: None,
        }
    }

    /// The same, with what to do about it.
    pub(crate) fn hinted(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The server did not answer in time.
    pub(crate) fn too_slow() -> Self {
        Self::new(
            Kind::Unavailable,
            "the database server does not answer in time",
        )
    }

    /// Nothing is begun, or held, any more.
    pub(crate) fn lost(what: &str) -> Self {
        Self::new(
            Kind::Unavailable,
            format!("the connection was lost, and {what} with it"),
        )
    }

    /// The server takes no changes.
    pub(crate) fn read_only() -> Self {
        Self::new(
            Kind::Unavailable,
            "the database server takes no changes: it is read-only",
        )
        .hinted("a replica can't keep a store: name its primary")
    }

    /// The tables are not there.
    pub(crate) fn no_tables() -> Self {
        Self::new(
            Kind::Config,
            "there are no tables for accounts in the database",
        )
        .hinted("codex-store-postgres migrate makes them, as somebody who may make a schema there")
    }
}

impl From<settings::Error> for Failure {
    fn from(error: settings::Error) -> Self {
        Self::new(Kind::Config, error.to_string())
    }
}

/// Of a connection that is up.
impl From<tokio_postgres::Error> for Failure {
    fn from(error: tokio_postgres::Error) -> Self {
        match error.as_db_error() {
            Some(said) => said_by_server(said),
            None if is_of_connection(&error) => Self::new(
                Kind::Unavailable,
                "the connection to the database server was lost",
            ),
            // What it is about is a type or a row of ours, and not for a message.
            None => Self::new(
                Kind::Failed,
                "the database server's answer is not understood",
            ),
        }
    }
}

fn is_of_connection(error: &tokio_postgres::Error) -> bool {
    error.is_closed()
        || error
            .source()
            .is_some_and(|source| source.is::<io::Error>())
}

/// Of a connection that did not come up. `server` is where it was to go.
pub(crate) fn of_connecting(error: &tokio_postgres::Error, server: &str) -> Failure {
    if let Some(said) = error.as_db_error() {
        return said_by_server(said);
    }
    let mut source = error.source();
    while let Some(error) = source {
        if let Some(tls) = tls_error(error) {
            return of_tls(tls, server);
        }
        if error.to_string() == "server does not support TLS" {
            let message = format!("the server at {server} has no TLS, which sslmode asks for");
            return Failure::new(Kind::Config, message);
        }
        if error.to_string() == "password missing" {
            let message = format!("the server at {server} asks for a password, and none is known");
            return Failure::new(Kind::Denied, message)
                .hinted("~/.pgpass, which only its owner can read, or PGPASSWORD can have it");
        }
        if let Some(error) = error.downcast_ref::<io::Error>() {
            let message = format!(
                "the database server at {server} can't be reached: {}",
                plain(error)
            );
            return Failure::new(Kind::Unavailable, message);
        }
        source = error.source();
    }
    let message = format!("there is no connection to the database server at {server}");
    Failure::new(Kind::Unavailable, message)
}

fn tls_error<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a rustls::Error> {
    let inner = error
        .downcast_ref::<io::Error>()
        .and_then(io::Error::get_ref);
    let inner = inner.and_then(|inner| inner.downcast_ref());
    error.downcast_ref().or(inner)
}

fn of_tls(error: &rustls::Error, server: &str) -> Failure {
    use rustls::CertificateError::{
        Expired, ExpiredContext, NotValidForName, NotValidForNameContext,
    };
    let why = match error {
        rustls::Error::InvalidCertificate(NotValidForName | NotValidForNameContext { .. }) => {
            "is for another host".to_owned()
        }
        rustls::Error::InvalidCertificate(Expired | ExpiredContext { .. }) => {
            "has expired".to_owned()
        }
        rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer) => {
            "is of an authority that is not trusted".to_owned()
        }
        rustls::Error::InvalidCertificate(_) => "is not a right one".to_owned(),
        _ => {
            let message = format!("TLS with the server at {server} failed");
            return Failure::new(Kind::Denied, message);
        }
    };
    Failure::new(
        Kind::Denied,
        format!("the certificate of the server at {server} {why}"),
    )
}

/// What the system says of a connection, without its number.
fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut letters = text.chars();
    let first = letters.next().map(|it| it.to_ascii_lowercase());
    first.into_iter().chain(letters).collect()
}

/// Of what the server itself says.
fn said_by_server(said: &DbError) -> Failure {
    let code = said.code();
    let message = said.message().lines().next().unwrap_or_default();
    if is_one_of(
        code,
        &[SqlState::UNDEFINED_TABLE, SqlState::INVALID_SCHEMA_NAME],
    ) {
        return Failure::no_tables();
    }
    if *code == SqlState::READ_ONLY_SQL_TRANSACTION {
        return Failure::read_only();
    }
    if *code == SqlState::INSUFFICIENT_PRIVILEGE {
        return Failure::new(Kind::Denied, format!("the database refuses: {message}"))
            .hinted("codex-store-postgres(1) has the GRANT lines");
    }
    let kind = kind_of(code);
    let who = match kind {
        Kind::Locked => return Failure::new(kind, "the lock was not had in time"),
        Kind::Full => "the database server has no room",
        Kind::Denied => "the database server refuses",
        _ => "the database server says",
    };
    Failure::new(kind, format!("{who}: {message}"))
}

/// The kind of an error by its code.
fn kind_of(code: &SqlState) -> Kind {
    const CONNECTION: &str = "08";
    const OPERATOR: &str = "57";
    const RESOURCES: &str = "53";
    const AUTHORIZATION: &str = "28";
    let class = code.code().get(..2).unwrap_or_default();
    match class {
        _ if *code == SqlState::LOCK_NOT_AVAILABLE => Kind::Locked,
        _ if *code == SqlState::DISK_FULL => Kind::Full,
        _ if *code == SqlState::INVALID_CATALOG_NAME => Kind::Config,
        _ if is_one_of(
            code,
            &[
                SqlState::T_R_SERIALIZATION_FAILURE,
                SqlState::T_R_DEADLOCK_DETECTED,
            ],
        ) =>
        {
            Kind::Conflict
        }
        _ if *code == SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT => Kind::Unavailable,
        AUTHORIZATION => Kind::Denied,
        CONNECTION | OPERATOR | RESOURCES => Kind::Unavailable,
        _ => Kind::Failed,
    }
}

fn is_one_of(code: &SqlState, codes: &[SqlState]) -> bool {
    codes.contains(code)
}

/// Whether the same is worth asking again in a moment.
pub(crate) fn is_passing(error: &tokio_postgres::Error) -> bool {
    let codes = [SqlState::TOO_MANY_CONNECTIONS, SqlState::CANNOT_CONNECT_NOW];
    error.code().is_some_and(|code| is_one_of(code, &codes))
}

/// Whether the server said of a commit that there is none. Where it says nothing, or goes down over
/// it, nobody knows.
pub(crate) fn is_refusal(error: &tokio_postgres::Error) -> bool {
    let severity = error.as_db_error().and_then(DbError::parsed_severity);
    severity == Some(Severity::Error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_is_of_a_kind() {
        for line in include_str!("codes.txt")
            .lines()
            .filter(|line| !line.starts_with('#'))
        {
            let mut words = line.split_whitespace();
            let (code, kind) = (words.next().unwrap(), words.next().unwrap());
            let found = format!("{:?}", kind_of(&SqlState::from_code(code)));
            assert_eq!(found.to_lowercase(), kind, "{line}");
        }
    }
}
