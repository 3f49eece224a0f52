//! See `codex-accounts(1)`.

use std::process::ExitCode;

use codex_accounts::cli::{self, accounts::Accounts};

fn main() -> ExitCode {
    cli::main::<Accounts>()
}
