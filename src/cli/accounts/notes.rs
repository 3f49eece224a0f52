//! What stands below the status view: whose turn it is, and what the table does not say. Each note
//! that asks for something names the command.

use super::look::Ink;
use super::quota::{Group, MONTHLY, unusual_length};
use super::table::unbroken;
use super::who::called;
use crate::account::limit::Class;
use crate::account::pick::{self, Decision, Nothing, Request};
use crate::account::time::UnixMillis;
use crate::account::usage::Usage;
use crate::account::{Account, State};
use crate::cli::shell::Shell;
use crate::cli::when::Local;
use crate::store::Document;

/// All of them, in the order in which they matter.
pub(super) fn notes(document: &Document, local: &Local, shell: &Shell) -> Vec<(Ink, String)> {
    let mut notes: Vec<(Ink, String)> = whose_turn(document, local, shell).into_iter().collect();
    for (index, account) in document.accounts.iter().enumerate() {
        let of_account = of_account(index, account, local, shell);
        notes.extend(of_account.into_iter().map(|note| (Ink::Plain, note)));
    }
    let lengths = unusual_windows(document, local);
    notes.extend(lengths.into_iter().map(|note| (Ink::Faint, note)));
    notes.extend(unknown(document, local, shell).map(|note| (Ink::Faint, note)));
    notes
}

fn of_account(index: usize, account: &Account, local: &Local, shell: &Shell) -> Vec<String> {
    let mut notes = Vec::new();
    let name = unbroken(&called(index, account));
    if let State::LoginRequired(dead) = account.state(None, local.now()) {
        let add = unbroken(&shell.command(&format!("codex-accounts add {index}")));
        notes.push(format!("{name} is logged out ({}): {add}", dead.code));
    }
    for (scope, mark) in account.limits() {
        if mark.holds(local.now()) && !mark.covers(scope, None) {
            let models = match mark.models.as_slice() {
                [] => scope.as_str().to_owned(),
                models => models.join(", "),
            };
            let clock = unbroken(&local.clock(mark.until));
            notes.push(match mark.class {
                Class::ModelNotIncluded => {
                    format!("{name} is not served with {models}; asked again from {clock}")
                }
                _ => format!("{name} is limited until {clock} for {models}"),
            });
        }
    }
    if let Some(usage) = &account.usage {
        notes.extend(beyond_the_windows(index, &name, usage, local, shell));
    }
    notes
}

/// What the columns of windows have no place for.
fn beyond_the_windows(
    index: usize,
    name: &str,
    usage: &Usage,
    local: &Local,
    shell: &Shell,
) -> Vec<String> {
    let mut notes = Vec::new();
    let until = |time: Option<UnixMillis>| {
        let clock = time.map(|time| unbroken(&local.clock(time)));
        clock.map_or(String::new(), |clock| format!(", until {clock}"))
    };
    if let Some(budget) = &usage.budget {
        let left = (100.0 - budget.used_percent).max(0.0).floor();
        let until = until(budget.resets_at);
        notes.push(format!("{name} has {left} % of its budget left{until}"));
    }
    if usage.on_credit(local.now()) {
        notes.push(format!("the quota of {name} is spent; credit goes on"));
    }
    if let Some(banked) = &usage.banked_resets {
        let resets = match banked.count {
            1 => "1 banked reset".to_owned(),
            count => format!("{count} banked resets"),
        };
        let until = until(banked.first_expires_at);
        let redeem = unbroken(&shell.command(&format!("codex-reset-redeem {index}")));
        notes.push(format!("{name} has {resets}{until}: {redeem}"));
    }
    notes
}

/// Windows of a length that the head of their column does not say.
fn unusual_windows(document: &Document, local: &Local) -> Vec<String> {
    let now = local.now();
    let mut notes = Vec::new();
    for (group, word) in [(Group::Short, "short"), (Group::Long, "long")] {
        if group.head(document, now) == MONTHLY {
            continue;
        }
        for (index, account) in document.accounts.iter().enumerate() {
            let usage = account.usage.as_ref();
            let window = usage.and_then(|usage| group.window(usage, now));
            if let Some(length) = window.and_then(unusual_length) {
                let (name, length) = (unbroken(&called(index, account)), unbroken(&length));
                notes.push(format!("the {word} window of {name} is of {length}"));
            }
        }
    }
    notes
}

/// Which account is used now, and which one after it; nothing to say of a single one that is ready.
fn whose_turn(document: &Document, local: &Local, shell: &Shell) -> Option<(Ink, String)> {
    let (accounts, active) = (&document.accounts, document.active_index);
    let name = |index: usize| unbroken(&called(index, &accounts[index]));
    let decide = |request: &Request<'_>| pick::pick(accounts, active, request, local.now());
    match decide(&document.request()) {
        Decision::Use { .. } if accounts.len() == 1 => None,
        Decision::Use { index, .. } => {
            let others = Request {
                exclude: [index].into(),
                ..document.request()
            };
            let then = match decide(&others) {
                Decision::Use { index, .. } => format!("when that is limited, to {}", name(index)),
                Decision::Limited { index, until } => {
                    format!("{} is back at {}", name(index), moment(until, local))
                }
                Decision::Nothing(_) => "there is no other to turn to".to_owned(),
            };
            let note = format!("the next request goes to {}; {then}", name(index));
            Some((Ink::Plain, note))
        }
        Decision::Limited { index, until } => {
            let note = all_limited(&name(index), until, local);
            Some((Ink::Caution, note))
        }
        Decision::Nothing(Nothing::LoginRequired) => {
            let note = "no account can be used without a new login";
            Some((Ink::Bad, note.to_owned()))
        }
        Decision::Nothing(Nothing::CreditKept) => {
            let policy = unbroken(&shell.command("codex-accounts policy"));
            let note = format!("every plan is spent, and no credit is to be used: {policy}");
            Some((Ink::Caution, note))
        }
        Decision::Nothing(
            Nothing::NoneAllowed | Nothing::ModelNotIncluded | Nothing::NoAccounts,
        ) => {
            let enable = unbroken(&shell.command(&format!("codex-accounts enable {active}")));
            Some((Ink::Bad, format!("no account is enabled: {enable}")))
        }
    }
}

/// That there is nothing to do but wait, and for whom.
pub(super) fn all_limited(name: &str, until: UnixMillis, local: &Local) -> String {
    let moment = moment(until, local);
    format!("every account is limited; {name} is back first, at {moment}")
}

/// `14:20 (in 2 h 5 min)`.
fn moment(until: UnixMillis, local: &Local) -> String {
    let (clock, span) = (local.clock(until), local.until(until));
    format!("{} ({})", unbroken(&clock), unbroken(&format!("in {span}")))
}

/// How to come by the figures that are missing.
fn unknown(document: &Document, local: &Local, shell: &Shell) -> Option<String> {
    let is_unknown = |(_, account): &(usize, &Account)| {
        let state = account.state(None, local.now());
        account.usage.is_none() && matches!(state, State::Ready | State::Limited { .. })
    };
    let accounts = document.accounts.iter().enumerate();
    let unknown: Vec<_> = accounts.filter(is_unknown).collect();
    let whose = match unknown.as_slice() {
        [] => return None,
        [(index, one)] => unbroken(&called(*index, one)),
        several => unbroken(&format!("{} accounts", several.len())),
    };
    let refresh = unbroken(&shell.command("codex-accounts --refresh"));
    Some(format!("no figures of {whose} yet: {refresh}"))
}
