//! The tables, which `migrate` makes.

use tokio::time::Instant;

use crate::failure::{Failure, Kind};
use crate::session;
use crate::settings::Settings;

/// The version of the tables that this program knows.
pub(crate) const VERSION: i32 = 1;

/// What makes version `n + 1` of version `n`, from none on.
const STEPS: [&str; VERSION as usize] = [include_str!("schema.sql")];

/// Makes the tables, or what is missing of them, and tells which version was there before.
///
/// # Errors
/// When that fails; nothing changed.
pub(crate) async fn migrate(settings: &Settings, deadline: Instant) -> Result<i32, Failure> {
    let session = session::connect(settings, deadline).await?;
    let mut client = session.client;
    let change = client.transaction().await?;
    // Two who do it at once do it one after the other.
    change
        .batch_execute("SELECT pg_advisory_xact_lock(hashtextextended('codex_accounts', 0))")
        .await?;
    let there = "SELECT to_regclass('codex_accounts.schema') IS NOT NULL";
    let version: i32 = match change.query_typed_one(there, &[]).await?.try_get(0)? {
        true => {
            let asked = "SELECT version FROM codex_accounts.schema";
            change.query_typed_one(asked, &[]).await?.try_get(0)?
        }
        false => 0,
    };
    check_not_later(version)?;
    let done = usize::try_from(version).unwrap_or_default();
    for step in &STEPS[done..] {
        change.batch_execute(step).await?;
    }
    change.commit().await?;
    Ok(version)
}

/// Whether tables of this version can be used.
///
/// # Errors
/// When they can't.
pub(crate) fn check(version: i32) -> Result<(), Failure> {
    check_not_later(version)?;
    if version < VERSION {
        let message = format!("the tables are of version {version}, and {VERSION} is needed");
        let hint = "codex-store-postgres migrate brings them up to it";
        return Err(Failure::new(Kind::Config, message).hinted(hint));
    }
    Ok(())
}

fn check_not_later(version: i32) -> Result<(), Failure> {
    if version <= VERSION {
        return Ok(());
    }
    let message = format!("the tables are of version {version}, and this program knows {VERSION}");
    Err(Failure::new(Kind::Config, message).hinted("a later codex-store-postgres knows them"))
}
