//! See `codex-token-encode(1)`.

use std::process::ExitCode;

use codex_accounts::cli::{self, token_encode::TokenEncode};

fn main() -> ExitCode {
    cli::main::<TokenEncode>()
}
