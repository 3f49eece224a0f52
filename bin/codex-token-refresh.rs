//! See `codex-token-refresh(1)`.

use std::process::ExitCode;

use codex_accounts::cli::{self, token_refresh::TokenRefresh};

fn main() -> ExitCode {
    cli::main::<TokenRefresh>()
}
