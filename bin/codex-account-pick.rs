//! See `codex-account-pick(1)`.

use std::process::ExitCode;

use codex_accounts::cli::{self, account_pick::AccountPick};

fn main() -> ExitCode {
    cli::main::<AccountPick>()
}
