//! See `codex-store-postgres(1)`. It is a package of its own, so that no other command links what it
//! takes to speak to PostgreSQL.

use std::io;
use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;
use serde_json::json;
use tokio::time::{Duration, Instant};

use failure::{Failure, Kind};
use settings::{Settings, World as _};
use world::Here;

mod failure;
mod schema;
mod serve;
mod session;
mod settings;
mod store;
mod tls;
mod wire;
mod world;

const NAME: &str = "codex-store-postgres";

/// Keep the accounts in PostgreSQL
#[derive(Parser)]
#[command(
    name = NAME,
    version,
    override_usage = "codex-store-postgres [-hV]\n       codex-store-postgres migrate [URL]",
    disable_help_subcommand = true
)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Make the tables in the database, or bring them up to this version
    Migrate {
        /// The store, else $CODEX_ACCOUNTS_FILE
        url: Option<String>,
    },
}

fn main() -> ExitCode {
    let command = match Arguments::try_parse() {
        Ok(arguments) => arguments.command,
        Err(error) => return explain(&error),
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let Ok(runtime) = runtime else {
        return report(74, "the system gives no runtime", None);
    };
    match command {
        None => match Here.variable("CODEX_STORE_URL") {
            Some(url) => served(runtime.block_on(serve::serve(Settings::new(&url, &Here)))),
            None => report(
                2,
                "CODEX_STORE_URL names no store",
                Some("the commands run this by themselves for CODEX_ACCOUNTS_FILE=postgres://…"),
            ),
        },
        Some(Command::Migrate { url }) => match runtime.block_on(migrate(url)) {
            Ok(before) => {
                println!(
                    "{}",
                    json!({"v": 1, "schemaVersion": schema::VERSION, "before": before})
                );
                ExitCode::SUCCESS
            }
            Err(failure) => report(
                code(failure.kind),
                &failure.message,
                failure.hint.as_deref(),
            ),
        },
    }
}

async fn migrate(url: Option<String>) -> Result<i32, Failure> {
    let is_argument = url.is_some();
    let no_store = || {
        Failure::new(Kind::Config, "no store is named")
            .hinted("codex-store-postgres migrate postgres://…, or CODEX_ACCOUNTS_FILE")
    };
    let url = url
        .or_else(|| Here.variable("CODEX_ACCOUNTS_FILE"))
        .ok_or_else(no_store)?;
    if is_argument && settings::has_password(&url)? {
        let message = "an argument can be seen by everybody, and this one has a password";
        let hint = "~/.pgpass, PGPASSWORD or CODEX_ACCOUNTS_FILE can have it";
        return Err(Failure::new(Kind::Config, message).hinted(hint));
    }
    let settings = Settings::new(&url, &Here)?;
    let limit = Duration::from_secs(60);
    let migrated = schema::migrate(&settings, Instant::now() + settings.connect_timeout);
    tokio::time::timeout(limit, migrated)
        .await
        .unwrap_or_else(|_| Err(Failure::too_slow()))
}

/// A reader that went away is no failure.
fn served(result: io::Result<()>) -> ExitCode {
    match result {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            report(74, "standard output can't be written", None)
        }
        _ => ExitCode::SUCCESS,
    }
}

/// The exit code of the commands for a kind of failure.
fn code(kind: Kind) -> u8 {
    match kind {
        Kind::Unavailable | Kind::Unclear => 69,
        Kind::Locked | Kind::Conflict => 75,
        Kind::Denied => 77,
        Kind::Config | Kind::Unknown => 78,
        Kind::Full | Kind::Failed => 74,
    }
}

fn explain(error: &clap::Error) -> ExitCode {
    if matches!(
        error.kind(),
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
    ) {
        return served(error.print());
    }
    let text = error.render().to_string();
    let first = text.lines().next().unwrap_or_default();
    report(
        2,
        first.trim_start_matches("error: "),
        Some("-h shows the usage"),
    )
}

fn report(code: u8, message: &str, hint: Option<&str>) -> ExitCode {
    eprintln!("{NAME}: error: {message}");
    if let Some(hint) = hint {
        eprintln!("{NAME}: hint: {hint}");
    }
    code.into()
}
