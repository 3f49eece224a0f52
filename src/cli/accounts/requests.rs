//! `codex-accounts log --requests`: what the relays of launches and of the service did, a row for
//! each request. It reads the relay's log, which is for people too: nothing is decided by it.

use std::collections::BTreeMap;
use std::fs;
use std::io;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::look::{Ink, Look};
use super::table::{self, Cell, Flexible};
use crate::account::time::UnixMillis;
use crate::cli::exit::Error;
use crate::cli::record::VERSION;
use crate::cli::when::Local;
use crate::store;

/// With less there is no room for the session of each request.
const ROOMY: usize = 100;

/// So much of a session's id is shown.
const SESSION: usize = 13;

/// A line of the relay's log, as far as it is shown.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    at: UnixMillis,
    request: u64,
    session: Option<String>,
    event: String,
    account: Option<String>,
    status: Option<u16>,
    verdict: Option<String>,
    step: Option<String>,
    first_byte_ms: Option<u64>,
    bytes: Option<u64>,
    whole: Option<bool>,
    ws: Option<String>,
    message: Option<String>,
}

/// A request, or what went wrong beside it.
#[derive(Debug)]
struct Row {
    last: Line,
    /// The accounts that did not answer it.
    before: Vec<Met>,
}

/// An account that did not answer, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Met {
    account: String,
    why: String,
}

/// The lines that are kept, the oldest first, each as it was written.
///
/// # Errors
/// When a file can't be read.
pub(super) fn lines() -> Result<Vec<String>, Error> {
    let folder = store::state_folder()?;
    let mut lines = Vec::new();
    for name in ["relay.log.1", "relay.log"] {
        let path = folder.join(name);
        match fs::read(&path) {
            Ok(text) => lines.extend(String::from_utf8_lossy(&text).lines().map(str::to_owned)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(store::Error::io(&path)(error).into()),
        }
    }
    Ok(lines)
}

/// The last of them as records.
pub(super) fn records(lines: &[String], most: usize) -> Vec<Value> {
    // A line that was cut off by a crash is no reason to hide the others.
    let whole = lines
        .iter()
        .filter_map(|line| serde_json::from_str(line).ok());
    let record = |line: Map<String, Value>| {
        let version = std::iter::once(("v".to_owned(), VERSION.into()));
        Value::Object(version.chain(line).collect())
    };
    let records: Vec<Value> = whole.map(record).collect();
    records[records.len().saturating_sub(most)..].to_vec()
}

/// The last requests as a table.
pub(super) fn table(lines: &[String], most: usize, local: &Local, look: Look) -> String {
    let rows = rows(
        lines
            .iter()
            .filter_map(|line| serde_json::from_str(line).ok()),
    );
    let last = &rows[rows.len().saturating_sub(most)..];
    let mut cells: Vec<_> = last.iter().map(|row| row.cells(local, look)).collect();
    if let Some(columns) = look.width {
        let flexible = [Flexible {
            column: 1,
            least: 8,
        }];
        table::fit(&mut cells, &flexible, columns, look);
    }
    table::render(&cells, look)
}

/// What belongs to one request comes together. Relays of several launches write the same file, so
/// that a number alone does not tell a request.
fn rows(lines: impl Iterator<Item = Line>) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut asked: BTreeMap<(Option<String>, u64), Vec<Met>> = BTreeMap::new();
    for line in lines {
        let key = (line.session.clone(), line.request);
        match line.event.as_str() {
            "answer" if line.step.as_deref() != Some("pass-on") => {
                let why = line.verdict.clone().unwrap_or_default();
                let account = line.account.clone().unwrap_or_default();
                asked.entry(key).or_default().push(Met { account, why });
            }
            // It carries the requests that come after it.
            "done" if line.ws.as_deref() == Some("handshake") => {}
            "done" => rows.push(Row {
                before: asked.remove(&key).unwrap_or_default(),
                last: line,
            }),
            "network" | "trouble" => rows.push(Row {
                before: Vec::new(),
                last: line,
            }),
            _ => {}
        }
    }
    rows
}

impl Row {
    fn cells(&self, local: &Local, look: Look) -> Vec<Cell> {
        let line = &self.last;
        let at = Cell::new(Ink::Faint, local.short_stamp(line.at));
        if let Some(message) = &line.message {
            return vec![at, Cell::new(Ink::Caution, message)];
        }
        let first = line.first_byte_ms.map(duration).unwrap_or_default();
        let mut cells = vec![
            at,
            self.accounts(look),
            self.result(),
            Cell::new(Ink::Faint, first),
            Cell::new(Ink::Faint, line.bytes.map(size).unwrap_or_default()),
        ];
        if look.width.is_none_or(|columns| columns >= ROOMY) {
            let session = line.session.as_deref().unwrap_or_default();
            cells.push(Cell::new(Ink::Faint, table::fitted(session, SESSION, look)));
        }
        cells
    }

    /// `one limited → two`
    fn accounts(&self, look: Look) -> Cell {
        let arrow = look.sign(" → ", " -> ");
        let mut cell = Cell::default();
        for (number, Met { account, why }) in self.before.iter().enumerate() {
            if number > 0 {
                cell = cell.and(Ink::Faint, arrow);
            }
            cell = cell
                .and(Ink::Plain, format!("{account} "))
                .and(Ink::Caution, why);
        }
        match &self.last.account {
            Some(account) if self.before.is_empty() => cell.and(Ink::Strong, account),
            Some(account) => cell.and(Ink::Faint, arrow).and(Ink::Strong, account),
            None if self.before.is_empty() => cell.and(Ink::Caution, "no account"),
            None => cell,
        }
    }

    fn result(&self) -> Cell {
        let line = &self.last;
        let (ink, text) = match (line.verdict.as_deref(), line.status) {
            (Some("ok"), _) => (Ink::Good, "ok".to_owned()),
            (Some(verdict), _) => (Ink::Caution, verdict.to_owned()),
            (None, Some(status)) => (Ink::Caution, status.to_string()),
            (None, None) => (Ink::Faint, "gone".to_owned()),
        };
        let cell = Cell::new(ink, text);
        match line.whole {
            Some(false) => cell.and(Ink::Caution, ", cut off"),
            _ => cell,
        }
    }
}

/// `12.3 s`, and below a second `270 ms`.
fn duration(millis: u64) -> String {
    match millis {
        0..1000 => format!("{millis} ms"),
        _ => format!("{:.1} s", millis as f64 / 1000.0),
    }
}

/// `3 kB`
fn size(bytes: u64) -> String {
    match bytes {
        0..1000 => format!("{bytes} B"),
        1000..1_000_000 => format!("{} kB", bytes / 1000),
        _ => format!("{:.1} MB", bytes as f64 / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_of_two_launches_with_one_number_are_kept_apart() {
        let line = |event: &str, session: &str, account: &str, step: &str| {
            serde_json::from_value(serde_json::json!({"at": 1000, "request": 1, "event": event,
                "session": session, "account": account, "verdict": "limited", "step": step}))
            .unwrap()
        };
        let rows = rows(
            [
                line("answer", "a", "one", "next"),
                line("answer", "b", "three", "next"),
                line("done", "b", "two", ""),
                line("done", "a", "two", ""),
                line("done", "a", "two", ""),
            ]
            .into_iter(),
        );
        let before: Vec<_> = rows.iter().map(|row| row.before.as_slice()).collect();
        let met = |account: &str| {
            vec![Met {
                account: account.to_owned(),
                why: "limited".to_owned(),
            }]
        };
        assert_eq!(before, [met("three"), met("one"), vec![]]);
    }

    #[test]
    fn sizes_and_times_are_short() {
        assert_eq!(
            [999, 3125, 2_340_000].map(size),
            ["999 B", "3 kB", "2.3 MB"]
        );
        assert_eq!([27, 12_340].map(duration), ["27 ms", "12.3 s"]);
    }
}
