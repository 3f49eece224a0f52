//! `codex-accounts list`: the accounts as a plain table, nothing cut off.

use super::look::{self, Ink, Look};
use super::table::{self, Cell, printable};
use super::when::Local;
use super::{read, view};
use crate::account::Account;
use crate::cli::exit::{Code, Error};
use crate::cli::record::AccountRecord;
use crate::cli::shell::Shell;
use crate::store::Document;

/// `codex-accounts list`.
#[derive(Debug, clap::Args)]
#[command(override_usage = "codex-accounts list [--json] [--color WHEN]")]
pub(super) struct List {
    /// One record for each account
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    colour: look::Colour,
}

impl List {
    pub(super) fn run(&self, shell: &Shell) -> Result<Code, Error> {
        let document = read(shell)?;
        if self.json {
            emit_records(shell, &document)?;
        } else {
            let local = Local::new(shell.now());
            let rows = rows(&document, &local);
            shell.print(&table::render(&rows, Look::new(&self.colour)))?;
        }
        Ok(Code::Done)
    }
}

/// One record for each account.
pub(super) fn emit_records(shell: &Shell, document: &Document) -> Result<(), Error> {
    for index in 0..document.accounts.len() {
        shell.emit(&AccountRecord::new(document, index, shell.now()))?;
    }
    Ok(())
}

fn rows(document: &Document, local: &Local) -> Vec<Vec<Cell>> {
    let heads = ["", "", "LABEL", "EMAIL", "PLAN", "STATE", "LAST USED"];
    let heads = heads.map(|head| Cell::new(Ink::Faint, head)).to_vec();
    let rows = document.accounts.iter().enumerate();
    let rows =
        rows.map(|(index, account)| row(index, account, index == document.active_index, local));
    std::iter::once(heads).chain(rows).collect()
}

fn row(index: usize, account: &Account, active: bool, local: &Local) -> Vec<Cell> {
    let text = |text: Option<&str>| text.map_or_else(|| "-".to_owned(), printable);
    let plain = |text: String| Cell::new(Ink::Plain, text);
    let used = account.last_used;
    vec![
        Cell::new(Ink::Good, if active { "*" } else { "" }),
        plain(index.to_string()),
        plain(text(account.label.as_deref())),
        // Some name each row has to have.
        plain(match &account.label {
            None => printable(account.name()),
            Some(_) => text(account.email.as_deref()),
        }),
        plain(text(account.plan_type.as_deref())),
        view::state(account, local, view::Countdown::No),
        plain(if used.is_never() {
            "never".to_owned()
        } else {
            local.clock(used)
        }),
    ]
}
