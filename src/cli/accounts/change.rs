//! Small changes to one account: `use`, `enable`, `disable`, `label`, `clear`.

use std::collections::BTreeSet;

use clap::ArgGroup;

use super::{called, change, change_because, move_on, read};
use crate::account::time::UnixMillis;
use crate::account::{Account, Scope, State, SwitchReason, label, pick};
use crate::cli::exit::{Code, Error};
use crate::cli::shell::{self, Shell};
use crate::cli::when;
use crate::store::Document;

/// `codex-accounts use`.
#[derive(Debug, clap::Args)]
#[command(override_usage = "codex-accounts use ACCOUNT | -")]
pub(super) struct Use {
    /// Index, label, email or id; '-' is the one that was active before
    #[arg(value_name = "ACCOUNT")]
    account: String,
}

impl Use {
    /// `name` is how a person calls the account.
    pub(super) fn of(name: &str) -> Self {
        let account = name.to_owned();
        Self { account }
    }

    pub(super) fn run(&self, shell: &Shell) -> Result<Code, Error> {
        shell.note(&self.carry_out(shell)?);
        Ok(Code::Done)
    }

    /// What came of it.
    pub(super) fn carry_out(&self, shell: &Shell) -> Result<String, Error> {
        let now = shell.now();
        let (document, limited) = change_because(shell, "by hand", |document| {
            let index = self.index(document)?;
            let (accounts, active) = (&mut document.accounts, &mut document.active_index);
            let limited = usable_later(index, &accounts[index], shell)?;
            if index != *active {
                pick::activate(accounts, active, index, SwitchReason::Rotation, now);
            }
            Ok((document.clone(), limited))
        })?;
        let name = called_active(&document);
        Ok(match limited {
            None => format!("{name} is the active account"),
            Some(until) => format!("{name} is limited until {until}; others are picked till then"),
        })
    }

    fn index(&self, document: &Document) -> Result<usize, Error> {
        if self.account != "-" {
            return shell::find(&document.accounts, &self.account);
        }
        pick::active_before(&document.accounts, document.active_index)
            .ok_or_else(|| Error::new(Code::No, "no other account was active before"))
    }
}

/// When a limited account comes back; an account that does not come back by itself is refused.
fn usable_later(index: usize, account: &Account, shell: &Shell) -> Result<Option<String>, Error> {
    let name = account.name();
    match account.state(None, shell.now()) {
        State::Ready => Ok(None),
        State::Limited { mark, .. } | State::ModelNotIncluded(mark) | State::Refused(mark) => {
            Ok(Some(when::Local::new(shell.now()).clock(mark.until)))
        }
        State::Disabled => Err(Error::hinted(
            Code::No,
            format!("'{name}' is disabled"),
            shell.command(&format!("codex-accounts enable {index}")),
        )),
        State::LoginRequired(dead) => Err(Error::hinted(
            Code::Refused,
            format!("'{name}' needs a login ({})", dead.code),
            shell.command(&format!("codex-accounts add {index}")),
        )),
    }
}

/// `codex-accounts enable`.
#[derive(Debug, clap::Args)]
#[command(override_usage = "codex-accounts enable | disable ACCOUNT")]
pub(super) struct Enable {
    /// Index, label, email or id
    #[arg(value_name = "ACCOUNT")]
    account: String,
}

impl Enable {
    pub(super) fn run(&self, shell: &Shell) -> Result<Code, Error> {
        shell.notes(&enable(shell, &self.account)?);
        Ok(Code::Done)
    }
}

fn enable(shell: &Shell, account: &str) -> Result<Vec<String>, Error> {
    let name = change(shell, |document| {
        let index = shell::find(&document.accounts, account)?;
        document.accounts[index].enabled = true;
        Ok(called(index, &document.accounts[index]))
    })?;
    Ok(vec![format!("{name} is enabled")])
}

/// `codex-accounts disable`.
#[derive(Debug, clap::Args)]
#[command(override_usage = "codex-accounts enable | disable ACCOUNT")]
pub(super) struct Disable {
    /// Index, label, email or id
    #[arg(value_name = "ACCOUNT")]
    account: String,
}

impl Disable {
    pub(super) fn run(&self, shell: &Shell) -> Result<Code, Error> {
        shell.notes(&disable(shell, &self.account)?);
        Ok(Code::Done)
    }
}

fn disable(shell: &Shell, account: &str) -> Result<Vec<String>, Error> {
    let now = shell.now();
    let (name, left) = change_because(shell, "disabled", |document| {
        let index = shell::find(&document.accounts, account)?;
        document.accounts[index].enabled = false;
        let account = document.accounts[index].clone();
        let was_active = index == document.active_index;
        let left = was_active.then(|| Left::new(document, now));
        Ok((called(index, &account), left))
    })?;
    let disabled = format!("{name} is disabled");
    Ok([disabled]
        .into_iter()
        .chain(left.and_then(Left::told))
        .collect())
}

/// Enables an account that is disabled, and disables one that is not. What came of it.
pub(super) fn turn(shell: &Shell, account: &str) -> Result<Vec<String>, Error> {
    let document = read(shell)?;
    let index = shell::find(&document.accounts, account)?;
    if document.accounts[index].enabled {
        disable(shell, account)
    } else {
        enable(shell, account)
    }
}

/// What came of it that the active account may not go on as that.
pub(super) struct Left {
    /// Whether another one can be used.
    moved: bool,
    /// What the active account is called now; none where there is no account any more.
    active: Option<String>,
}

impl Left {
    /// Moves activity on from an account, which may be gone already.
    pub(super) fn new(document: &mut Document, now: UnixMillis) -> Self {
        let moved = move_on(document, now);
        let index = document.active_index;
        let account = document.accounts.get(index);
        Self {
            moved,
            active: account.map(|account| called(index, account)),
        }
    }

    /// What there is to say of it.
    pub(super) fn told(self) -> Option<String> {
        match self.active {
            Some(active) if self.moved => Some(format!("{active} is the active account")),
            Some(_) => Some("no other account can be used now".to_owned()),
            None => None,
        }
    }
}

/// What the active account is called.
fn called_active(document: &Document) -> String {
    let index = document.active_index;
    called(index, &document.accounts[index])
}

/// `codex-accounts label`.
#[derive(Debug, clap::Args)]
#[command(override_usage = "codex-accounts label ACCOUNT NAME")]
pub(super) struct Label {
    /// Index, label, email or id
    #[arg(value_name = "ACCOUNT")]
    account: String,
    /// The name; '' takes it away
    #[arg(value_name = "NAME")]
    name: String,
}

impl Label {
    pub(super) fn run(&self, shell: &Shell) -> Result<Code, Error> {
        let wanted = Some(&self.name).filter(|name| !name.is_empty());
        let (index, name) = change(shell, |document| {
            let index = shell::find(&document.accounts, &self.account)?;
            if let Some(name) = wanted {
                label::check(&document.accounts, Some(index), name)?;
            }
            let account = &mut document.accounts[index];
            account.label = wanted.cloned();
            Ok((index, account.name().to_owned()))
        })?;
        shell.note(&format!("account {index} is called {name}"));
        Ok(Code::Done)
    }
}

/// `codex-accounts clear`.
#[derive(Debug, clap::Args)]
#[command(
    override_usage = "codex-accounts clear [--scope SCOPE] ACCOUNT | --all",
    group = ArgGroup::new("whose").required(true)
)]
pub(super) struct Clear {
    /// Index, label, email or id
    #[arg(value_name = "ACCOUNT", group = "whose")]
    account: Option<String>,
    /// Those of all accounts
    #[arg(long, group = "whose")]
    all: bool,
    /// Only the limit of this name; 'default' is the one of all models
    #[arg(long, value_name = "SCOPE")]
    scope: Option<String>,
}

impl Clear {
    pub(super) fn run(&self, shell: &Shell) -> Result<Code, Error> {
        let lifted: Vec<String> = change(shell, |document| {
            let only = self.account.as_ref();
            let only = only.map(|name| shell::find(&document.accounts, name));
            let only = only.transpose()?;
            let accounts = document.accounts.iter_mut().enumerate();
            let meant = accounts.filter(|(index, _)| only.is_none_or(|only| only == *index));
            let mut meant: Vec<(usize, &mut Account)> = meant.collect();
            self.check_scope(&meant)?;
            Ok((meant.iter_mut())
                .filter_map(|(index, account)| self.lift(*index, account))
                .collect())
        })?;
        if lifted.is_empty() {
            shell.note("there was no limit to lift");
        }
        for lifted in lifted {
            shell.note(&lifted);
        }
        Ok(Code::Done)
    }

    /// Refuses a scope that none of the accounts knows: it is a slip of the finger.
    fn check_scope(&self, meant: &[(usize, &mut Account)]) -> Result<(), Error> {
        let Some(wanted) = self.scope.as_deref() else {
            return Ok(());
        };
        let scopes = meant.iter().flat_map(|(_, it)| it.limits().keys());
        let known: BTreeSet<&str> = scopes.map(Scope::as_str).collect();
        if wanted == Scope::DEFAULT || known.contains(wanted) {
            return Ok(());
        }
        let message = match meant {
            [(index, account)] => {
                let name = called(*index, account);
                format!("{name} has no limit called '{wanted}'")
            }
            _ => format!("no account has a limit called '{wanted}'"),
        };
        let known: Vec<&str> = known.into_iter().collect();
        let hint = match known.as_slice() {
            [] => "there is no limit at all".to_owned(),
            known => format!("there is {}", known.join(", ")),
        };
        Err(Error::hinted(Code::No, message, hint))
    }

    /// Lifts the limits that are meant. What was done, if there were any.
    fn lift(&self, index: usize, account: &mut Account) -> Option<String> {
        let meant = |scope: &&Scope| {
            let only = self.scope.as_deref();
            only.is_none_or(|only| only == scope.as_str())
        };
        let scopes: Vec<Scope> = account.limits().keys().filter(meant).cloned().collect();
        for scope in &scopes {
            account.clear_limit(scope.as_str());
        }
        let names: Vec<&str> = scopes.iter().map(Scope::as_str).collect();
        let name = called(index, account);
        (!names.is_empty()).then(|| format!("lifted for {name}: {}", names.join(", ")))
    }
}
