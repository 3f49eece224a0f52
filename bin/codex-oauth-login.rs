//! See `codex-oauth-login(1)`.

use std::process::ExitCode;

use codex_accounts::cli::{self, oauth_login::OauthLogin};

fn main() -> ExitCode {
    cli::main::<OauthLogin>()
}
