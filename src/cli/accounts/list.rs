//! `codex-accounts list`: the accounts as a plain table. On a terminal it keeps to the width; a pipe
//! gets all of it.

use super::look::{Colour, Ink, Look};
use super::read;
use super::table::{self, Cell, Flexible};
use super::view::{self, Lasting};
use super::who::{self, Mark};
use crate::account::Account;
use crate::cli::exit::{Code, Error};
use crate::cli::record::AccountRecord;
use crate::cli::shell::Shell;
use crate::cli::when::Local;
use crate::store::Document;

/// `codex-accounts list`.
#[derive(Debug, clap::Args)]
#[command(override_usage = "codex-accounts usage | list [--json]")]
pub(super) struct List {
    /// One record for each account
    #[arg(long)]
    json: bool,
}

impl List {
    pub(super) fn run(&self, shell: &Shell, colour: &Colour) -> Result<Code, Error> {
        let document = read(shell)?;
        if self.json {
            emit_records(shell, &document)?;
        } else {
            let (local, look) = (Local::new(shell.now()), Look::new(colour));
            shell.print(&table(&document, &local, look))?;
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

/// With less there is no room for when an account was last used, and for when a limit ends only
/// short.
const ROOMY: usize = 80;

fn table(document: &Document, local: &Local, look: Look) -> String {
    let is_roomy = look.width.is_none_or(|columns| columns >= ROOMY);
    let mut rows = rows(document, local, is_roomy, look);
    if let Some(columns) = look.width {
        let names = [2, 3].map(|column| Flexible { column, least: 6 });
        table::fit(&mut rows, &names, columns, look);
    }
    table::render(&rows, look)
}

fn rows(document: &Document, local: &Local, is_roomy: bool, look: Look) -> Vec<Vec<Cell>> {
    let heads = ["", "", "LABEL", "EMAIL", "PLAN", "STATE", "LAST USED"];
    let heads = heads.map(|head| Cell::new(Ink::Faint, head)).to_vec();
    let marks = who::marks(&document.accounts);
    let accounts = document.accounts.iter().enumerate();
    let rows = accounts.map(|(index, account)| {
        let sign = if index == document.active_index {
            "*"
        } else {
            ""
        };
        let lasting = if is_roomy {
            Lasting::Clock
        } else {
            Lasting::Brief
        };
        vec![
            Cell::new(Ink::Good, sign),
            Cell::new(Ink::Plain, index.to_string()),
            known(account.label.as_deref()),
            address(account, &marks[index], look),
            known(account.plan_type.as_deref()),
            view::state(account, local, lasting),
            last_used(account, local),
        ]
    });
    let mut rows: Vec<Vec<Cell>> = std::iter::once(heads).chain(rows).collect();
    if !is_roomy {
        rows.iter_mut().for_each(|row| drop(row.pop()));
    }
    rows
}

fn known(text: Option<&str>) -> Cell {
    Cell::new(Ink::Plain, text.unwrap_or("-"))
}

/// The email, or where there is neither that nor a label, the name that each row has to have.
fn address(account: &Account, mark: &Mark, look: Look) -> Cell {
    let cell = match &account.label {
        None => Cell::new(Ink::Plain, account.name()),
        Some(_) => known(account.email.as_deref()),
    };
    match mark {
        Mark::Id(end) => cell.and(Ink::Faint, format!(" {}{end}", look.sign("…", "~"))),
        Mark::Name | Mark::Plan(_) | Mark::Index => cell,
    }
}

fn last_used(account: &Account, local: &Local) -> Cell {
    let used = account.last_used.map(|used| local.clock(used));
    Cell::new(Ink::Plain, used.unwrap_or_else(|| "never".to_owned()))
}
