//! The accounts: logins that are dead, idle or expired, whether any can be used, one account twice,
//! and logins that another program can end.

use std::ffi::OsStr;
use std::time::Duration;

use super::finding::{Finding, Health, Mend, named};
use super::fix::Fix;
use super::leases;
use crate::account::pick::{self, Decision, Nothing};
use crate::account::{Account, State, identity};
use crate::cli::accounts::notes;
use crate::cli::accounts::table::unbroken;
use crate::cli::shell::Shell;
use crate::cli::when::Local;
use crate::client::registry;
use crate::oauth::refresh::{self, Undone};
use crate::store::Document;

/// Logins that nobody renews for longer may be dead without anybody having been told.
const IDLE: Duration = Duration::from_secs(30 * 24 * 60 * 60);

pub(super) fn examine(shell: &Shell, document: &Document) -> Vec<Finding> {
    let indices = 0..document.accounts.len();
    let mut findings: Vec<Finding> = indices
        .flat_map(|index| login(shell, document, index))
        .collect();
    let is_dead = |finding: &Finding| finding.health == Health::Wrong;
    if !findings.iter().any(is_dead) && !document.accounts.is_empty() {
        findings.insert(0, Finding::well("login", "none is known to be dead"));
    }
    findings.extend(usable(shell, document));
    findings.extend(void_marks(shell, document));
    findings.extend(duplicates(document, shell));
    findings.extend(stale_leases(shell, document));
    findings
}

/// What there is to say of one account's login.
fn login(shell: &Shell, document: &Document, index: usize) -> Vec<Finding> {
    let account = &document.accounts[index];
    let name = named(document, &[index]);
    let mut findings: Vec<Finding> = life(shell, account, &name, index).into_iter().collect();
    findings.extend(undone(shell, account, &name, index));
    let holders = registry::holders(&account.tokens.refresh, shell.waiting());
    let holders = holders.unwrap_or_default().into_iter();
    let others = holders.filter_map(|holder| registry::named(OsStr::new(holder))?.shares_login());
    findings.extend(others.map(|shared| {
        let what = format!("{name} is {shared}");
        Finding::note("login", what, Mend::Nothing)
    }));
    findings
}

/// Whether a login is alive, as far as it can be known without asking.
fn life(shell: &Shell, account: &Account, name: &str, index: usize) -> Option<Finding> {
    let now = shell.now();
    let add = || Mend::Type(shell.command(&format!("codex-accounts add {index}")));
    let refresh = |flags: &str| {
        let command = format!("codex-token-refresh {flags}{index}");
        Mend::Type(shell.command(&command))
    };
    if let State::LoginRequired(dead) = account.state(None, now) {
        let what = format!("{name} is logged out ({})", dead.code);
        return Some(Finding::wrong("login", what, add()));
    }
    let has_expired = account.tokens.expires_at.is_some_and(|at| at <= now);
    if has_expired && account.tokens.refresh.expose().is_empty() {
        let what = format!("the token of {name} has expired, and there is none to renew it with");
        return Some(Finding::wrong("login", what, add()));
    }
    let idle = account.tokens.refreshed_at.map(|at| now.since(at));
    if let Some(idle) = idle.filter(|idle| *idle > IDLE) {
        let days = idle.as_secs() / (24 * 60 * 60);
        let what = format!("{name} was not renewed for {days} days, and may be dead");
        return Some(Finding::note("login", what, refresh("--now ")));
    }
    has_expired.then(|| {
        let what = format!(
            "the token of {name} has expired; if its login is alive, the next use renews it"
        );
        Finding::note("login", what, refresh(""))
    })
}

/// Marks of a time that can't be: the clock was ahead when they were made.
fn void_marks(shell: &Shell, document: &Document) -> Vec<Finding> {
    let accounts = document.accounts.iter().enumerate();
    let has_void = |account: &Account| {
        let mut marks = account.limits().values();
        marks.any(|mark| mark.is_void(shell.now()))
    };
    let void = accounts.filter(|(_, account)| has_void(account));
    let finding = |(index, _)| {
        let what = format!(
            "a limit of {} was marked by a clock that was ahead of this one; it does not count",
            named(document, &[index])
        );
        Finding::note("clock", what, Mend::Nothing)
    };
    void.map(finding).collect()
}

/// What a refresh of it left undone.
fn undone(shell: &Shell, account: &Account, name: &str, index: usize) -> Option<Finding> {
    let refresh = shell.command(&format!("codex-token-refresh {index}"));
    Some(match refresh::undone(shell.store(), account)? {
        Undone::Pending { place } => {
            let what =
                format!("a new token of {name} is not everywhere yet, and waits in '{place}'");
            Finding::wrong("login", what, Mend::Type(refresh))
        }
        Undone::Asked(asked) => {
            let at = Local::new(shell.now()).stamp(asked.at);
            let what = match asked.answered {
                true => format!("the issuer failed to renew the token of {name} at {at}"),
                false => format!(
                    "the token of {name} was presented at {at} and no answer came: it may be used up"
                ),
            };
            Finding::note("login", what, Mend::Type(refresh))
        }
        Undone::Unreadable(error) => Finding::wrong("login", error.to_string(), Mend::Nothing),
    })
}

/// Whether there is an account for the next request.
fn usable(shell: &Shell, document: &Document) -> Option<Finding> {
    let (accounts, now) = (&document.accounts, shell.now());
    let is_ready = |account: &&Account| account.state(None, now) == State::Ready;
    match pick::pick(accounts, document.active_index, &document.request(), now) {
        Decision::Use { .. } => {
            let ready = accounts.iter().filter(is_ready).count();
            let what = format!("{ready} of {} can be used now", accounts.len());
            Some(Finding::well("usable", what))
        }
        Decision::Limited { index, until } => {
            let (name, local) = (named(document, &[index]), Local::new(now));
            let what = notes::all_limited(&unbroken(&name), until, &local);
            Some(Finding::note("usable", what, Mend::Nothing))
        }
        Decision::Nothing(Nothing::NoneAllowed) => {
            let enable = format!("codex-accounts enable {}", document.active_index);
            let mend = Mend::Type(shell.command(&enable));
            Some(Finding::wrong("usable", "no account is enabled", mend))
        }
        Decision::Nothing(Nothing::LoginRequired) => {
            let what = "no account can be used without a new login";
            let mend = Mend::Type(shell.command("codex-accounts add"));
            Some(Finding::wrong("usable", what, mend))
        }
        Decision::Nothing(Nothing::CreditKept) => {
            let what = "every plan is spent, and no credit is to be used";
            let mend = Mend::Type(shell.command("codex-accounts policy"));
            Some(Finding::note("usable", what, mend))
        }
        Decision::Nothing(Nothing::ModelNotIncluded | Nothing::NoAccounts) => None,
    }
}

/// A login that is kept twice kills itself: each copy uses up the other's token.
fn duplicates(document: &Document, shell: &Shell) -> Vec<Finding> {
    let accounts = &document.accounts;
    let mut findings = Vec::new();
    for (second, account) in accounts.iter().enumerate() {
        let same = |first: &usize| {
            let first = &accounts[*first];
            first.tokens.refresh == account.tokens.refresh || identity::same(first, account)
        };
        if let Some(first) = (0..second).find(same) {
            let what = format!("{} are one account", named(document, &[first, second]));
            let remove = format!("codex-accounts remove --keep-login {second}");
            let mend = Mend::Type(shell.command(&remove));
            findings.push(Finding::wrong("twice", what, mend));
        }
    }
    findings
}

fn stale_leases(shell: &Shell, document: &Document) -> Option<Finding> {
    let stale = leases::stale(shell, document);
    (!stale.is_empty()).then(|| {
        let what = format!("{} is held by no process any more", named(document, &stale));
        Finding::note("lease", what, Mend::Fix(Fix::DropLeases(stale)))
    })
}
