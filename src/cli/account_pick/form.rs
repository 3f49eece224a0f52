//! The forms in which `codex-account-pick` hands an account out: a record, an id, or what another
//! program takes with a fresh access token in it. Which account it is was decided before.

use std::fs::File;
use std::io::Write;

use clap::ValueEnum;
use serde::Serialize;

use super::choice::Picked;
use crate::account::secret::{AccessToken, Secret};
use crate::account::{Account, AccountId, SwitchReason, credentials};
use crate::cli::console;
use crate::cli::exit::{Code, Error};
use crate::cli::record::Who;
use crate::cli::shell::Shell;
use crate::client::codex::Codex;
use crate::client::contract::Client;
use crate::client::opencode::Opencode;

/// The forms of the answer. All but the first three hand out a fresh access token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    Json,
    Id,
    Index,
    AccessToken,
    Headers,
    CurlConfig,
    Opencode,
    Codex,
}

impl Format {
    pub(super) const fn is_secret(self) -> bool {
        !matches!(self, Self::Json | Self::Id | Self::Index)
    }

    /// An account that can't be handed out in the form asked for does not become the active one.
    pub(super) fn check(self, account: &Account) -> Result<(), Error> {
        match self {
            Self::Id => account_id(account).map(drop),
            _ => Ok(()),
        }
    }

    /// Prints the account.
    pub(super) fn print(self, shell: &Shell, picked: &Picked) -> Result<(), Error> {
        let account = &picked.account;
        match self {
            Self::Json => shell.emit(&PickRecord::of(picked)),
            Self::Id => shell.print(&format!("{}\n", account_id(account)?)),
            Self::Index => shell.print(&format!("{}\n", picked.index)),
            Self::AccessToken => {
                let token = access_token(account)?;
                shell.emit_secret(&Secret::new(token.expose()))
            }
            Self::Headers => emit_headers(shell, account, |name, value| format!("{name}: {value}")),
            Self::CurlConfig => emit_headers(shell, account, |name, value| {
                let quoted = value.replace('\\', r"\\").replace('"', r#"\""#);
                format!("header = \"{name}: {quoted}\"")
            }),
            Self::Opencode => shell.emit(&Opencode.auth_object(account)),
            Self::Codex => shell.emit(&Codex.auth_object(account)),
        }
    }
}

impl Format {
    /// Prints the record where the caller takes it beside the form that it asked for.
    pub(super) fn print_record_beside(self, picked: &Picked, mut to: File) -> Result<(), Error> {
        if self == Self::Json {
            return Ok(());
        }
        let line = console::json_line(&PickRecord::of(picked))?;
        to.write_all(format!("{line}\n").as_bytes())
            .map_err(Error::output)
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PickRecord<'a> {
    #[serde(flatten)]
    who: Who<'a>,
    switched: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_switch_reason: Option<&'a SwitchReason>,
}

impl<'a> PickRecord<'a> {
    fn of(picked: &'a Picked) -> Self {
        Self {
            who: Who::new(picked.index, &picked.account),
            switched: picked.switched,
            last_switch_reason: picked.account.last_switch_reason.as_ref(),
        }
    }
}

fn account_id(account: &Account) -> Result<&AccountId, Error> {
    account.chatgpt_account_id.as_ref().ok_or_else(|| {
        let name = account.name();
        Error::new(Code::No, format!("no account id of '{name}' is known"))
    })
}

fn access_token(account: &Account) -> Result<&AccessToken, Error> {
    account.tokens.access.as_ref().ok_or_else(|| {
        let name = account.name();
        Error::new(Code::No, format!("no access token of '{name}' is known"))
    })
}

/// The headers that the backend wants (PROTOCOL §3).
fn headers(account: &Account) -> Result<Vec<(&'static str, String)>, Error> {
    // Without it the backend need not be asked.
    access_token(account)?;
    let headers = credentials::fields(account);
    // A line break would begin a header of somebody else's choice.
    match headers
        .iter()
        .find(|(_, value)| value.contains(char::is_control))
    {
        None => Ok(headers),
        Some((name, _)) => Err(Error::new(
            Code::Malformed,
            format!(
                "what '{}' has for the header {name} is no text of one line",
                account.name()
            ),
        )),
    }
}

fn emit_headers(
    shell: &Shell,
    account: &Account,
    line: impl Fn(&str, &str) -> String,
) -> Result<(), Error> {
    let headers = headers(account)?;
    let lines: Vec<String> = headers
        .iter()
        .map(|(name, value)| line(name, value))
        .collect();
    shell.emit_secret(&Secret::new(lines.join("\n")))
}
