//! The accounts: logins that are dead or idle, one account twice, and logins that another program
//! can end.

use std::time::Duration;

use super::fix::Fix;
use super::{Finding, Mend, named};
use crate::account::{Lease, State, identity};
use crate::cli::holder;
use crate::cli::shell::Shell;
use crate::client::login;
use crate::store::Document;

/// Logins that nobody renews for longer may be dead without anybody having been told.
const IDLE: Duration = Duration::from_secs(30 * 24 * 60 * 60);

pub(super) fn examine(shell: &Shell, document: &Document) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (index, account) in document.accounts.iter().enumerate() {
        let name = named(document, &[index]);
        if let State::LoginRequired(dead) = account.state(None, shell.now()) {
            let what = format!("{name} is logged out ({})", dead.code);
            let mend = Mend::Type("codex-accounts add".to_owned());
            findings.push(Finding::wrong("login", what, mend));
        } else if !account.refreshed_at.is_never() {
            let idle = shell.now().since(account.refreshed_at);
            if idle > IDLE {
                let days = idle.as_secs() / (24 * 60 * 60);
                let what = format!("{name} was not renewed for {days} days, and may be dead");
                let mend = Mend::Type(format!("codex-token-refresh --force {index}"));
                findings.push(Finding::note("login", what, mend));
            }
        }
        let holders = login::holders(&account.refresh_token, shell.waiting());
        if holders.is_ok_and(|holders| holders.contains(&"codex")) {
            let what = format!("{name} is Codex CLI's too: its 'codex logout' ends it for both");
            findings.push(Finding::note("login", what, Mend::Nothing));
        }
    }
    if findings.is_empty() && !document.accounts.is_empty() {
        findings.push(Finding::well("login", "none is known to be dead"));
    }
    findings.extend(duplicates(document));
    findings.extend(stale_leases(shell, document));
    findings
}

/// A login that is kept twice kills itself: each copy uses up the other's token.
fn duplicates(document: &Document) -> Vec<Finding> {
    let accounts = &document.accounts;
    let mut findings = Vec::new();
    for (second, account) in accounts.iter().enumerate() {
        let same = |first: &usize| {
            let first = &accounts[*first];
            first.refresh_token == account.refresh_token || identity::same(first, account)
        };
        if let Some(first) = (0..second).find(same) {
            let what = format!("{} are one account", named(document, &[first, second]));
            let mend = Mend::Type(format!("codex-accounts remove --keep-login {second}"));
            findings.push(Finding::wrong("twice", what, mend));
        }
    }
    findings
}

fn stale_leases(shell: &Shell, document: &Document) -> Option<Finding> {
    let stale = |index: &usize| {
        let lease = document.accounts[*index].lease.as_ref();
        lease.is_some_and(|lease| is_stale(lease, shell))
    };
    let stale: Vec<usize> = (0..document.accounts.len()).filter(stale).collect();
    (!stale.is_empty()).then(|| {
        let what = format!("{} is held by no process any more", named(document, &stale));
        Finding::note("lease", what, Mend::Fix(Fix::DropLeases(stale)))
    })
}

/// Whether nobody holds it any more.
pub(super) fn is_stale(lease: &Lease, shell: &Shell) -> bool {
    lease.until <= shell.now() || !holder::is_running(lease)
}
