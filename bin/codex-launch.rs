//! See `codex-launch(1)`.

use std::process::ExitCode;

use codex_accounts::cli::{self, launch::Launch};

fn main() -> ExitCode {
    cli::main::<Launch>()
}
