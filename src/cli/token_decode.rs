//! `codex-token-decode`: one packed refresh string, or an `auth.json` of opencode, in; account
//! records out.

use super::args::Common;
use super::console::Console;
use super::exit::{Code, Error};
use super::record::TokenRecord;
use crate::account::Account;
use crate::account::token;
use crate::client::contract::NoLogin;
use crate::client::opencode;

/// What `--help` says after the options.
const MORE: &str = "\
Input:
  A packed string, or an auth.json of opencode, of which openai.refresh is
  read. A string without | is one refresh token.

Output:
  JSON Lines, an object for each account: v, index, refreshToken and, where it
  is known, chatgptAccountId. These are secrets.

Exit status:
  0   All accounts were printed; empty input holds none
  1   The auth.json has no oauth entry for openai
  2   The arguments are wrong
  65  The input is malformed; the message names the place, not the text
  74  Input or output failed
  77  Standard output is a terminal

Examples:
  codex-token-encode --from-store | codex-token-decode | jq -r .chatgptAccountId
  echo 'r1|a1||r2' | codex-token-decode";

/// Unpack a packed refresh string into account records
///
/// Reads `refresh1|accountId1||refresh2|accountId2`, or an auth.json of opencode, from standard
/// input and prints one record for each account.
#[derive(Debug, clap::Parser)]
#[command(
    name = "codex-token-decode",
    version,
    long_version = crate::cli::VERSION,
    override_usage = "codex-token-decode [-qhV] [--store FILE] [--force]",
    after_long_help = MORE,
    term_width = 80
)]
pub struct TokenDecode {
    /// Write the secrets even to a terminal
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    common: Common,
}

impl super::Command for TokenDecode {
    const NAME: &'static str = "codex-token-decode";
    type Around = Console;

    fn common(&self) -> &Common {
        &self.common
    }

    fn run(self, console: &Console) -> Result<Code, Error> {
        console.allow_secrets(self.force)?;
        let accounts = parse(&console.read_input("a packed refresh string")?)?;
        for (index, account) in accounts.iter().enumerate() {
            console.emit(&TokenRecord::new(index, account))?;
        }
        Ok(Code::Done)
    }
}

fn parse(input: &[u8]) -> Result<Vec<Account>, Error> {
    let malformed = |message: String| Error::new(Code::Malformed, message);
    let text = std::str::from_utf8(input)
        .map_err(|error| malformed(format!("byte {} is not UTF-8", error.valid_up_to())))?;
    if text.trim_start().starts_with('{') {
        let auth = serde_json::from_str(text).map_err(|error| {
            malformed(format!(
                "the input is not JSON at line {}, column {}",
                error.line(),
                error.column()
            ))
        })?;
        return opencode::accounts(&auth).map_err(|error| {
            let message = format!("the input is JSON, but {error}");
            match error {
                NoLogin::NoEntry | NoLogin::Placeholder => Error::new(Code::No, message),
                _ => malformed(message),
            }
        });
    }
    Ok(token::decode(text)?
        .into_iter()
        .map(Account::from)
        .collect())
}
