//! `codex-accounts import`: accounts that other programs, or other machines, are logged in with.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::called;
use crate::account::Account;
use crate::account::merge::{self, Merged};
use crate::account::printable::printable;
use crate::cli::exit::{Code, Error};
use crate::cli::shell::Shell;
use crate::client::{self, LoginFile, login};
use crate::store::{self, Absent, Document};

/// `codex-accounts import`.
#[derive(Debug, clap::Args)]
#[command(override_usage = "codex-accounts import [--dry-run] FILE ...")]
pub(super) struct Import {
    /// A login file, a folder of them, '-', or 'opencode' or 'codex' for its own
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Say what would come, and change nothing
    #[arg(long)]
    dry_run: bool,
}

/// Where accounts come from.
#[derive(Clone)]
struct Source {
    name: String,
    accounts: Vec<Account>,
}

impl Import {
    pub(super) fn run(&self, shell: &Shell) -> Result<Code, Error> {
        let mut found = Vec::new();
        for file in &self.files {
            found.extend(read(shell, file)?);
        }
        if found.iter().all(|source| source.accounts.is_empty()) {
            return Err(Error::new(Code::No, "there is no account in it"));
        }
        found.splice(..0, self.in_use_till_now(shell)?);
        let merged = if self.dry_run {
            let mut document = shell.read(shell.store())?;
            merge_all(&mut document, found, shell)
        } else {
            store::update(shell.store(), Absent::Create, |document| {
                merge_all(document, found.clone(), shell)
            })?
        };
        for line in merged {
            shell.print(&line)?;
        }
        if !self.dry_run {
            self.warn(shell)?;
        }
        Ok(Code::Done)
    }

    /// Where a store is begun, opencode's own login comes along as the first: until now it was the
    /// one in use.
    fn in_use_till_now(&self, shell: &Shell) -> Result<Vec<Source>, Error> {
        let [opencode, _] = client::login_files(shell.waiting())?;
        let begins = !shell.store().exists()?;
        if !begins || self.names(opencode.as_ref()) {
            return Ok(Vec::new());
        }
        let accounts = opencode.logins().unwrap_or_default();
        let name = quoted(opencode.path());
        Ok(vec![Source { name, accounts }])
    }

    /// Whether a client's own login file is among the files.
    fn names(&self, login: &dyn LoginFile) -> bool {
        let is = |file: &PathBuf| file.as_os_str() == login.client() || file == login.path();
        self.files.iter().any(is)
    }

    /// Two programs with one login: what ends it for both (PROTOCOL §1).
    fn warn(&self, shell: &Shell) -> Result<(), Error> {
        let [_, codex] = client::login_files(shell.waiting())?;
        if self.names(codex.as_ref()) {
            shell.note(
                "Codex CLI uses this login too: 'codex login' and 'codex logout' end it for both",
            );
        }
        Ok(())
    }
}

/// Merges the accounts in; a line for each says what came of it.
fn merge_all(document: &mut Document, found: Vec<Source>, shell: &Shell) -> Vec<String> {
    let mut lines = Vec::new();
    for source in found {
        for account in source.accounts {
            let merged = merge::merge(&mut document.accounts, account, shell.now());
            let (index, what, why) = match merged {
                Merged::Added(index) => (index, "added", ""),
                Merged::Renewed(index) => (index, "renewed", ""),
                Merged::Same(index) => (index, "same", ""),
                Merged::Kept(index) => (index, "kept", ": the tokens here are no older"),
            };
            let name = called(index, &document.accounts[index]);
            let line = format!("{what:<7}  {name}, from {}{why}", source.name);
            lines.push(printable(&line) + "\n");
        }
    }
    lines
}

fn read(shell: &Shell, file: &Path) -> Result<Vec<Source>, Error> {
    if file.as_os_str() == "-" {
        let text = shell.read_input("a login file")?;
        return parse("standard input".to_owned(), &text).map(|source| vec![source]);
    }
    let clients = client::login_files(shell.waiting())?;
    let client = clients.iter().find(|it| file.as_os_str() == it.client());
    let path = client.map_or(file, |client| client.path());
    if path.is_dir() {
        return read_folder(shell, path);
    }
    // What a person names may be a pipe; a client's own login is a file.
    let text = match client {
        Some(_) => regular(path),
        None => load(path),
    };
    let text = text.map_err(|error| suggest(error, file))?;
    let mut source = parse(quoted(path), &text)?;
    if let Some(client) = clients.iter().find(|client| client.path() == path) {
        for account in &mut source.accounts {
            account.shared_with.insert(client.client().to_owned());
        }
    }
    Ok(vec![source])
}

/// A file that is not there may be a slip of the finger for a client.
fn suggest(error: Error, file: &Path) -> Error {
    /// As alike as accounts' names have to be.
    const ALIKE: f64 = 0.8;
    let word = file.to_string_lossy().to_lowercase();
    let alike = |client: &&str| strsim::jaro_winkler(client, &word) >= ALIKE;
    match ["opencode", "codex"].into_iter().find(alike) {
        Some(client) if error.code() == Code::No => {
            let hint = format!("did you mean '{client}'? It stands for that program's own login");
            Error::hinted(Code::No, error.to_string(), hint)
        }
        _ => error,
    }
}

/// A folder with a file for each account; files of another kind are passed over, and those that
/// should hold an account are told.
fn read_folder(shell: &Shell, folder: &Path) -> Result<Vec<Source>, Error> {
    let entries = fs::read_dir(folder).map_err(|error| io(folder, &error))?;
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|it| it == "json") && path.is_file());
    paths.sort();
    let mut sources = Vec::new();
    for path in paths {
        let (name, text) = (quoted(&path), load(&path)?);
        match login::read(&text) {
            Ok(accounts) => sources.push(Source { name, accounts }),
            Err(error @ login::Error::NotJson { .. }) => {
                shell.note(&format!("{name} is passed over: {error}"));
            }
            Err(_) if is_of_codex(&text) => {
                shell.note(&format!("{name} is passed over: it has no refresh token"));
            }
            Err(_) => {}
        }
    }
    Ok(sources)
}

/// Whether a file says that it is one of those that hold an account.
fn is_of_codex(text: &[u8]) -> bool {
    serde_json::from_slice(text).is_ok_and(|value: Value| value["type"] == "codex")
}

fn load(path: &Path) -> Result<Vec<u8>, Error> {
    fs::read(path).map_err(|error| io(path, &error))
}

fn regular(path: &Path) -> Result<Vec<u8>, Error> {
    let read = store::read::regular(path)
        .and_then(|text| text.ok_or_else(|| std::io::Error::from(std::io::ErrorKind::NotFound)));
    read.map_err(|error| io(path, &error))
}

fn io(path: &Path, error: &std::io::Error) -> Error {
    let code = match error.kind() {
        std::io::ErrorKind::NotFound => Code::No,
        _ => Code::Io,
    };
    Error::new(code, format!("{}: {error}", quoted(path)))
}

fn parse(name: String, text: &[u8]) -> Result<Source, Error> {
    match login::read(text) {
        Ok(accounts) => Ok(Source { name, accounts }),
        Err(error) => Err(Error::new(Code::Malformed, format!("{name}: {error}"))),
    }
}

fn quoted(path: &Path) -> String {
    format!("'{}'", path.display())
}
