//! The clients that there are. What is to be done for all of them is done here.

use std::ffi::{OsStr, OsString};

use super::codex::Codex;
use super::contract::{Client, LoginFile};
use super::opencode::Opencode;
use super::wiring::{self, Relay, Wiring};
use crate::account::secret::RefreshToken;
use crate::store::{self, lock::Waiting};

/// The clients.
pub static CLIENTS: [&dyn Client; 2] = [&Opencode, &Codex];

/// The client of this name.
#[must_use]
pub fn named(name: &OsStr) -> Option<&'static dyn Client> {
    CLIENTS.into_iter().find(|client| name == client.name())
}

/// What is typed to go on with a session of this program; nothing, where it is no client or what it
/// calls a session is no word for a shell.
#[must_use]
pub fn resume(program: &OsStr, arguments: &[OsString], session: &str) -> Option<String> {
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    if session.starts_with('-') || !session.bytes().all(is_letter) {
        return None;
    }
    let client = CLIENTS.into_iter().find(|client| client.is(program))?;
    Some(client.resume(arguments, session))
}

/// The login files of the person who runs this. `waiting` is told when a lock takes long.
///
/// # Errors
/// When there is no home directory.
pub fn login_files(waiting: Waiting) -> Result<Vec<Box<dyn LoginFile>>, store::Error> {
    let files = CLIENTS.iter().map(|client| client.login_file(waiting));
    files.collect()
}

/// The clients whose login file holds this very token: they are logged out when it is revoked.
///
/// # Errors
/// When there is no home directory.
pub fn holders(token: &RefreshToken, waiting: Waiting) -> Result<Vec<&'static str>, store::Error> {
    let mut holders = Vec::new();
    for file in login_files(waiting)? {
        // What can't be read holds nothing that anybody can use.
        let logins = file.logins().unwrap_or_default();
        if logins.iter().any(|login| login.tokens.refresh == *token) {
            holders.push(file.client());
        }
    }
    Ok(holders)
}

/// Points a program with these arguments at the relay: a client in its own way, any other by the
/// variables that OpenAI's libraries read. `waiting` is told when a lock takes long.
///
/// # Errors
/// When the person's own settings for the client can't be read.
pub fn wire(
    program: &OsStr,
    arguments: &[OsString],
    relay: Relay<'_>,
    waiting: Waiting,
) -> Result<Wiring, wiring::Error> {
    let mut wiring = match CLIENTS.into_iter().find(|client| client.is(program)) {
        Some(client) => client.wire(arguments, relay, waiting)?,
        None => Wiring::of_any_program(relay),
    };
    wiring.environment.extend(wiring::past_proxies());
    Ok(wiring)
}
