//! The status view: one row an account, as much of it as the width has room for, and below it
//! what a person should know. A function of the accounts, the time and the look.

use super::look::{Ink, Look};
use super::table::{self, Cell, fitted, printable};
use super::when::Local;
use crate::account::pick::{self, Decision, Nothing, Request};
use crate::account::usage::{Usage, WEEKLY_MINUTES, Window};
use crate::account::{Account, State};
use crate::store::Document;

/// The length of the short window, in minutes.
const SHORT_MINUTES: u32 = 300;

/// Whether a state says how long it lasts, besides when it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Countdown {
    Yes,
    No,
}

/// How the reset of a window is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reset {
    Clock,
    Short,
    Hidden,
}

/// How much is shown of each account.
#[derive(Clone, Copy, Debug)]
struct Detail {
    /// The longest name.
    name: usize,
    plan: bool,
    countdown: Countdown,
    /// The length of a bar; none at 0.
    bar: usize,
    /// The reset of the short window.
    short: Reset,
    /// The reset of the weekly window.
    weekly: Reset,
    age: bool,
}

/// From the most to the least; the first that fits is taken.
const DETAILS: [Detail; 11] = {
    const ALL: Detail = Detail {
        name: 32,
        plan: true,
        countdown: Countdown::Yes,
        bar: 10,
        short: Reset::Clock,
        weekly: Reset::Clock,
        age: true,
    };
    const COMPACT: Detail = Detail {
        name: 24,
        countdown: Countdown::No,
        bar: 8,
        ..ALL
    };
    const SMALL: Detail = Detail {
        name: 20,
        bar: 5,
        weekly: Reset::Short,
        ..COMPACT
    };
    const TIGHT: Detail = Detail {
        name: 14,
        plan: false,
        bar: 4,
        ..SMALL
    };
    const BARE: Detail = Detail {
        name: 16,
        bar: 0,
        ..TIGHT
    };
    [
        ALL,
        Detail { bar: 6, ..ALL },
        Detail {
            name: 20,
            bar: 6,
            weekly: Reset::Short,
            ..ALL
        },
        COMPACT,
        Detail { bar: 6, ..COMPACT },
        SMALL,
        Detail {
            plan: false,
            ..SMALL
        },
        TIGHT,
        BARE,
        Detail { age: false, ..BARE },
        Detail {
            name: 12,
            age: false,
            short: Reset::Hidden,
            weekly: Reset::Hidden,
            ..BARE
        },
    ]
};

/// The whole view, with a line end after each line.
pub(super) fn render(document: &Document, local: &Local, look: Look) -> String {
    let mut rows = Vec::new();
    // The last one is taken whether it fits or not: there is no less.
    for detail in DETAILS {
        rows = table_rows(document, detail, local, look);
        if table::width(&rows) <= look.width {
            break;
        }
    }
    let mut text = table::render(&rows, look);
    let notes = notes(document, local);
    if !notes.is_empty() {
        text.push('\n');
    }
    for (ink, note) in notes {
        for line in wrapped(&note, look.width) {
            text.push_str(&look.paint(ink, &line));
            text.push('\n');
        }
    }
    text
}

fn table_rows(document: &Document, detail: Detail, local: &Local, look: Look) -> Vec<Vec<Cell>> {
    let head = |text: &str| Cell::new(Ink::Faint, text);
    let mut heads = vec![head(""), head("ACCOUNT")];
    if detail.plan {
        heads.push(head("PLAN"));
    }
    heads.extend(["STATE", "5 H LEFT", "WEEK LEFT"].map(head));
    if detail.age {
        heads.push(head("AGE"));
    }
    let accounts = document.accounts.iter().enumerate();
    let rows = accounts.map(|(index, account)| {
        let mut row = vec![
            marker(index == document.active_index, look).and(Ink::Faint, format!(" {index}")),
            Cell::new(
                if index == document.active_index {
                    Ink::Strong
                } else {
                    Ink::Plain
                },
                fitted(&printable(account.name()), detail.name, look),
            ),
        ];
        if detail.plan {
            let plan = account.plan_type.as_deref().map(printable);
            row.push(Cell::new(
                Ink::Plain,
                plan.unwrap_or_else(|| "-".to_owned()),
            ));
        }
        row.push(state(account, local, detail.countdown));
        let usage = account.usage.as_ref();
        row.push(window(
            usage,
            SHORT_MINUTES,
            detail.short,
            detail.bar,
            local,
            look,
        ));
        row.push(window(
            usage,
            WEEKLY_MINUTES,
            detail.weekly,
            detail.bar,
            local,
            look,
        ));
        if detail.age {
            row.push(age(usage, local));
        }
        row
    });
    std::iter::once(heads).chain(rows).collect()
}

fn marker(active: bool, look: Look) -> Cell {
    Cell::new(Ink::Good, if active { look.sign("●", "*") } else { " " })
}

/// What can be done with the account now.
pub(super) fn state(account: &Account, local: &Local, countdown: Countdown) -> Cell {
    match account.state(None, local.now()) {
        State::Ready => Cell::new(Ink::Good, "ready"),
        State::Limited { mark, .. } => {
            let cell = Cell::new(
                Ink::Caution,
                format!("limited until {}", local.clock(mark.until)),
            );
            match countdown {
                Countdown::Yes => {
                    cell.and(Ink::Plain, format!(" (in {})", local.until(mark.until)))
                }
                Countdown::No => cell,
            }
        }
        State::LoginRequired(_) => Cell::new(Ink::Bad, "login needed"),
        State::Disabled => Cell::new(Ink::Faint, "disabled"),
    }
}

/// What is left of one window: `████░ 82% 14:20`.
fn window(
    usage: Option<&Usage>,
    minutes: u32,
    reset: Reset,
    bar: usize,
    local: &Local,
    look: Look,
) -> Cell {
    let Some(window) = usage.and_then(|usage| of_length(usage, minutes)) else {
        return Cell::new(Ink::Faint, "-");
    };
    let left = 100.0 - window.used_percent_at(local.now()).clamp(0.0, 100.0);
    let ink = match left {
        left if left < 10.0 => Ink::Bad,
        left if left < 30.0 => Ink::Caution,
        _ => Ink::Good,
    };
    let mut cell = Cell::default();
    if bar > 0 {
        let full = filled(left, bar);
        cell = cell
            .and(ink, look.sign("█", "#").repeat(full))
            .and(Ink::Faint, look.sign("░", ".").repeat(bar - full))
            .and(Ink::Plain, " ");
    }
    cell = cell.and(Ink::Plain, format!("{:>3}%", whole(left)));
    // A window that has started anew says nothing of its next reset.
    if window.resets_at <= local.now() {
        return cell;
    }
    let clock = match reset {
        Reset::Clock => local.clock(window.resets_at),
        Reset::Short => local.short_clock(window.resets_at),
        Reset::Hidden => return cell,
    };
    cell.and(Ink::Faint, format!(" {clock}"))
}

fn of_length(usage: &Usage, minutes: u32) -> Option<&Window> {
    let mut windows = usage.windows.iter();
    windows.find(|window| window.scope.is_none() && window.minutes == minutes)
}

/// How many of so many signs are full: all only where all is left, none only where nothing is.
fn filled(left_percent: f64, signs: usize) -> usize {
    let most = signs as f64;
    let full = (left_percent / 100.0 * most).round();
    let full = if left_percent <= 0.0 {
        0.0
    } else if left_percent >= 100.0 {
        most
    } else {
        full.clamp(1.0, most - 1.0)
    };
    full as usize
}

/// A whole percentage, that is 0 or 100 only where it really is.
fn whole(left_percent: f64) -> u32 {
    let rounded = left_percent.round();
    if left_percent > 0.0 && left_percent < 100.0 {
        rounded.clamp(1.0, 99.0) as u32
    } else {
        rounded as u32
    }
}

fn age(usage: Option<&Usage>, local: &Local) -> Cell {
    let seen = usage.map(|usage| usage.observed_at);
    match seen.filter(|seen| !seen.is_never()) {
        Some(seen) => Cell::new(Ink::Faint, local.age(seen)),
        None => Cell::new(Ink::Faint, "-"),
    }
}

/// What the table does not say.
fn notes(document: &Document, local: &Local) -> Vec<(Ink, String)> {
    let mut notes: Vec<(Ink, String)> = whose_turn(document, local).into_iter().collect();
    for (index, account) in document.accounts.iter().enumerate() {
        let name = format!("{index} {}", printable(account.name()));
        if let State::LoginRequired(dead) = account.state(None, local.now()) {
            let code = printable(&dead.code);
            let note = format!("{name} is logged out ({code}): codex-accounts add");
            notes.push((Ink::Plain, note));
        }
        for (scope, mark) in account.limits() {
            if mark.until > local.now() && !mark.covers(scope, None) {
                let models = match mark.models.as_slice() {
                    [] => printable(scope.as_str()),
                    models => printable(&models.join(", ")),
                };
                let clock = local.clock(mark.until);
                let note = format!("{name} is limited until {clock} for {models}");
                notes.push((Ink::Plain, note));
            }
        }
    }
    notes.extend(unknown(document, local).map(|note| (Ink::Faint, note)));
    notes
}

/// Which account is used now, and which one after it; nothing to say of a single one that is ready.
fn whose_turn(document: &Document, local: &Local) -> Option<(Ink, String)> {
    let (accounts, active) = (&document.accounts, document.active_index);
    let name = |index: usize| printable(accounts[index].name());
    let decide = |request: &Request<'_>| pick::pick(accounts, active, request, local.now());
    let moment = |until| format!("{} (in {})", local.clock(until), local.until(until));
    match decide(&Request::default()) {
        Decision::Use { .. } if accounts.len() == 1 => None,
        Decision::Use { index, .. } => {
            let others = Request {
                exclude: [index].into(),
                ..Request::default()
            };
            let then = match decide(&others) {
                Decision::Use { index, .. } => format!("when that is limited, to {}", name(index)),
                Decision::Limited { index, until } => {
                    format!("{} is back at {}", name(index), moment(until))
                }
                Decision::Nothing(_) => "there is no other to turn to".to_owned(),
            };
            let note = format!("the next request goes to {}; {then}", name(index));
            Some((Ink::Plain, note))
        }
        Decision::Limited { index, until } => {
            let (name, moment) = (name(index), moment(until));
            let note = format!("every account is limited; {name} is back first, at {moment}");
            Some((Ink::Caution, note))
        }
        Decision::Nothing(Nothing::LoginRequired) => {
            let note = "no account can be used without a new login";
            Some((Ink::Bad, note.to_owned()))
        }
        Decision::Nothing(Nothing::NoneAllowed | Nothing::NoAccounts) => {
            Some((Ink::Bad, "no account is enabled".to_owned()))
        }
    }
}

/// How to come by the figures that are missing.
fn unknown(document: &Document, local: &Local) -> Option<String> {
    let is_unknown = |account: &&Account| {
        let state = account.state(None, local.now());
        account.usage.is_none() && matches!(state, State::Ready | State::Limited { .. })
    };
    let unknown: Vec<&Account> = document.accounts.iter().filter(is_unknown).collect();
    match unknown.as_slice() {
        [] => None,
        [one] => {
            let name = printable(one.name());
            Some(format!("no figures of {name} yet: codex-usage-fetch"))
        }
        several => {
            let count = several.len();
            Some(format!(
                "no figures of {count} accounts yet: codex-usage-fetch"
            ))
        }
    }
}

/// The text in lines of at most so many columns, broken between words.
fn wrapped(text: &str, columns: usize) -> Vec<String> {
    use unicode_width::UnicodeWidthStr;
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let line = lines.len() - 1;
        if lines[line].is_empty() {
            lines[line].push_str(word);
        } else if lines[line].width() + 1 + word.width() <= columns {
            lines[line].push(' ');
            lines[line].push_str(word);
        } else {
            lines.push(format!("  {word}"));
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_and_all_are_shown_only_where_they_are_true() {
        for (left, percent, signs) in [
            (0.0, 0, 0),
            (0.2, 1, 1),
            (49.0, 49, 5),
            (99.7, 99, 9),
            (100.0, 100, 10),
        ] {
            assert_eq!((whole(left), filled(left, 10)), (percent, signs), "{left}");
        }
    }
}
