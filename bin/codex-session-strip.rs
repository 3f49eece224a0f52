//! See `codex-session-strip(1)`.

use std::process::ExitCode;

use codex_accounts::cli::{self, session_strip::SessionStrip};

fn main() -> ExitCode {
    cli::main::<SessionStrip>()
}
