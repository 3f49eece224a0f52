//! See `codex-usage-fetch(1)`.

use std::process::ExitCode;

use codex_accounts::cli::{self, usage_fetch::UsageFetch};

fn main() -> ExitCode {
    cli::main::<UsageFetch>()
}
