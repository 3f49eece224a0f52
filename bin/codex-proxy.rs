//! See `codex-proxy(1)`.

use std::process::ExitCode;

use codex_accounts::cli::{self, proxy::ProxyCommand};

fn main() -> ExitCode {
    cli::main::<ProxyCommand>()
}
