//! `codex-accounts import`: accounts that other programs, or other machines, are logged in with.

use std::fs;
use std::path::{Path, PathBuf};

use super::called;
use crate::account::Account;
use crate::account::merge::{self, Merged};
use crate::account::printable::printable;
use crate::cli::exit::{Code, Error};
use crate::cli::shell::Shell;
use crate::client::contract::{Client, Elsewhere, LoginFile, NoLogin};
use crate::client::login::{self, Logins};
use crate::client::opencode::Opencode;
use crate::client::registry::{self, CLIENTS};
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

impl Source {
    /// What is of use in a file; what is not, the person is told.
    fn of(shell: &Shell, name: String, logins: Logins) -> Self {
        for why in logins.passed_over {
            shell.note(&format!("an account in {name} is passed over: {why}"));
        }
        let accounts = logins.accounts;
        Self { name, accounts }
    }
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
        let opencode = Opencode.login_file(shell.waiting())?;
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
        for client in CLIENTS {
            let file = client.login_file(shell.waiting())?;
            if let Some(shared) = client.shares_login().filter(|_| self.names(file.as_ref())) {
                shell.note(&format!("this login is {shared}"));
            }
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
        return parse(shell, "standard input".to_owned(), &text).map(|source| vec![source]);
    }
    let client = registry::named(file.as_os_str());
    let client = client.map(|client| client.login_file(shell.waiting()));
    let client = client.transpose()?;
    let path = client.as_ref().map_or(file, |client| client.path());
    if client.is_some()
        && !path.exists()
        && let Some(source) = read_elsewhere(shell, file)?
    {
        return Ok(vec![source]);
    }
    if path.is_dir() {
        return read_folder(shell, path);
    }
    // What a person names may be a pipe; a client's own login is a file.
    let text = match client {
        Some(_) => regular(path),
        None => load(path),
    };
    let text = text.map_err(|error| suggest(error, file))?;
    let mut source = parse(shell, quoted(path), &text)?;
    let files = registry::login_files(shell.waiting())?;
    if let Some(client) = files.iter().find(|client| client.path() == path) {
        for account in &mut source.accounts {
            account.shared_with.insert(client.client().to_owned());
        }
    }
    Ok(vec![source])
}

/// The login that a client without a login file has in another place.
fn read_elsewhere(shell: &Shell, file: &Path) -> Result<Option<Source>, Error> {
    let client = registry::named(file.as_os_str());
    match client.map_or(Elsewhere::No, |client| client.login_elsewhere()) {
        Elsewhere::No => Ok(None),
        Elsewhere::Hidden(why) => Err(Error::new(Code::No, why)),
        Elsewhere::Login(text) => {
            let source = parse(shell, "the keyring".to_owned(), &text)?;
            shell.note(
                "what is in the keyring stays as it is: once the token is renewed here, Codex CLI \
                 has to be run by codex-launch, or to log in again",
            );
            Ok(Some(source))
        }
    }
}

/// A file that is not there may be a slip of the finger for a client.
fn suggest(error: Error, file: &Path) -> Error {
    /// As alike as accounts' names have to be.
    const ALIKE: f64 = 0.8;
    let word = file.to_string_lossy().to_lowercase();
    let alike = |client: &&str| strsim::jaro_winkler(client, &word) >= ALIKE;
    match CLIENTS.map(Client::name).into_iter().find(alike) {
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
            Ok(logins) => sources.push(Source::of(shell, name, logins)),
            Err(
                error @ (NoLogin::NotJson { .. }
                | NoLogin::WithoutRefresh { .. }
                | NoLogin::AgentIdentity),
            ) => shell.note(&format!("{name} is passed over: {error}")),
            Err(_) => {}
        }
    }
    Ok(sources)
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

fn parse(shell: &Shell, name: String, text: &[u8]) -> Result<Source, Error> {
    match login::read(text) {
        Ok(logins) => Ok(Source::of(shell, name, logins)),
        Err(error) => Err(Error::new(Code::Malformed, format!("{name}: {error}"))),
    }
}

fn quoted(path: &Path) -> String {
    format!("'{}'", path.display())
}
