//! `codex-token-encode`: account records in, one packed refresh string out.

use serde::Deserialize;
use serde_json::Value;

use super::args::Common;
use super::exit::{Code, Error};
use super::shell::Shell;
use crate::account::secret::RefreshToken;
use crate::account::token::{self, Entry};
use crate::account::{self, AccountId};

/// What `--help` says after the options.
const MORE: &str = "\
Input:
  JSON values: records with a refreshToken and, where it is known, a
  chatgptAccountId; arrays of them; or a whole store. Other keys are ignored.

Output:
  One line. It is a secret: whoever has it can use the accounts. There are no
  escapes, so a token or id with |, white space or a control character is
  refused, and nothing is printed then.

Exit status:
  0   The string was printed
  1   There was no account to pack
  2   The arguments are wrong
  65  The input is no JSON, or a record can't be packed
  74  Input or output failed
  77  Standard output is a terminal, or others can read the store
  78  The store is corrupt

Examples:
  codex-token-encode --from-store >packed
  codex-token-encode --from-store | codex-token-decode | codex-token-encode";

/// Pack refresh tokens into one string
///
/// Reads account records from standard input, as JSON Lines, as an array or as a whole store, and
/// prints `refresh1|accountId1||refresh2|accountId2`.
#[derive(Debug, clap::Parser)]
#[command(
    name = "codex-token-encode",
    version,
    long_version = crate::cli::VERSION,
    override_usage = "codex-token-encode [-qhV] [--store FILE] [--from-store] [--force]",
    after_long_help = MORE,
    term_width = 80
)]
pub struct TokenEncode {
    /// Pack the accounts of the store instead of reading standard input
    #[arg(long)]
    from_store: bool,
    /// Write the secret even to a terminal
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    common: Common,
}

impl super::Command for TokenEncode {
    const NAME: &'static str = "codex-token-encode";
    type Around = Shell;

    fn common(&self) -> &Common {
        &self.common
    }

    fn run(self, shell: &Shell) -> Result<Code, Error> {
        shell.allow_secrets(self.force)?;
        let entries = if self.from_store {
            stored(shell)?
        } else {
            parse(&shell.read_input("account records")?)?
        };
        if entries.is_empty() {
            return Err(Error::new(Code::No, "there are no accounts to encode"));
        }
        shell.emit_secret(&token::encode(&entries)?)?;
        Ok(Code::Done)
    }
}

fn stored(shell: &Shell) -> Result<Vec<Entry>, Error> {
    let document = shell.store().read()?.unwrap_or_default();
    Ok(document.accounts.iter().map(Entry::from).collect())
}

/// What of an account record matters here; other keys are ignored.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record {
    refresh_token: RefreshToken,
    #[serde(default, deserialize_with = "account::filled")]
    chatgpt_account_id: Option<AccountId>,
}

fn parse(input: &[u8]) -> Result<Vec<Entry>, Error> {
    let mut entries = Vec::new();
    for value in serde_json::Deserializer::from_slice(input).into_iter() {
        let value: Value = value.map_err(|error| {
            Error::new(
                Code::Malformed,
                format!(
                    "the input is not JSON at line {}, column {}",
                    error.line(),
                    error.column()
                ),
            )
        })?;
        for record in records(value) {
            let position = entries.len() + 1;
            let record: Record = serde_json::from_value(record).map_err(|_| {
                Error::new(
                    Code::Malformed,
                    format!("record {position} has no refreshToken, or a key of the wrong type"),
                )
            })?;
            entries.push(Entry {
                refresh_token: record.refresh_token,
                account_id: record.chatgpt_account_id,
            });
        }
    }
    Ok(entries)
}

/// The records in one JSON value: a record itself, those of an array, or those of a store.
fn records(value: Value) -> Vec<Value> {
    match value {
        Value::Array(records) => records,
        Value::Object(mut store) if store.get("accounts").is_some_and(Value::is_array) => {
            store.remove("accounts").map(records).unwrap_or_default()
        }
        record => vec![record],
    }
}
