//! See `codex-rehearse(1)`.

use std::process::ExitCode;

use codex_accounts::cli::{self, rehearse::Rehearse};

fn main() -> ExitCode {
    cli::main::<Rehearse>()
}
