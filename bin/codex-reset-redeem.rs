//! See `codex-reset-redeem(1)`.

use std::process::ExitCode;

use codex_accounts::cli::{self, reset_redeem::ResetRedeem};

fn main() -> ExitCode {
    cli::main::<ResetRedeem>()
}
