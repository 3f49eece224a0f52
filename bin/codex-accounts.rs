//! See `codex-accounts(1)`.

use std::process::ExitCode;

use codex_accounts::cli::{self, accounts::Accounts, complete};

fn main() -> ExitCode {
    complete::answer();
    cli::main::<Accounts>()
}
