//! See `codex-token-decode(1)`.

use std::process::ExitCode;

use codex_accounts::cli::{self, token_decode::TokenDecode};

fn main() -> ExitCode {
    cli::main::<TokenDecode>()
}
