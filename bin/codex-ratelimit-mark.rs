//! See `codex-ratelimit-mark(1)`.

use std::process::ExitCode;

use codex_accounts::cli::{self, ratelimit_mark::RatelimitMark};

fn main() -> ExitCode {
    cli::main::<RatelimitMark>()
}
