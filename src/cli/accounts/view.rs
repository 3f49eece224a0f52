//! The status view: one row an account, as much of it as the width has room for, and below it
//! what a person should know. A function of the accounts, the time and the look.

use std::time::Duration;

use super::look::{Ink, Look};
use super::notes;
use super::quota::Group;
use super::table::{self, Cell, Flexible, unbroken};
use super::who::{self, Mark};
use crate::account::printable::printable;
use crate::account::usage::{Usage, Window};
use crate::account::{Account, State};
use crate::cli::shell::Shell;
use crate::cli::when::Local;
use crate::store::Document;

/// Figures that are older may have changed a good deal.
const STALE: Duration = Duration::from_secs(60 * 60);

/// How a state says that it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lasting {
    /// `limited until 14:20 (in 2 h 5 min)`
    Full,
    /// `limited until 14:20`
    Clock,
    /// `back 14:20`
    Brief,
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
struct Layout {
    /// With fewer columns it is passed over, even if it fits.
    from: usize,
    /// A longer name is not cut to less than this.
    name: usize,
    /// The longest plan; no plan at 0.
    plan: usize,
    lasting: Lasting,
    /// The length of a bar; none at 0.
    bar: usize,
    /// The reset of the short window.
    short: Reset,
    /// The reset of the long window.
    long: Reset,
    /// Whether it is said when the figures were seen; where not, a sign is at those that are stale.
    seen: bool,
}

/// From the most to the least; the first that fits is taken. Those before the last two have all that
/// there is of an account, and fit into 80 columns.
const LAYOUTS: [Layout; 9] = {
    const ROOMY: Layout = Layout {
        from: 0,
        name: 24,
        plan: 12,
        lasting: Lasting::Full,
        bar: 10,
        short: Reset::Clock,
        long: Reset::Clock,
        seen: true,
    };
    const USUAL: Layout = Layout {
        name: 16,
        lasting: Lasting::Brief,
        bar: 4,
        ..ROOMY
    };
    const TIGHT: Layout = Layout {
        name: 7,
        plan: 8,
        short: Reset::Short,
        long: Reset::Short,
        ..USUAL
    };
    const COMPACT: Layout = Layout {
        name: 9,
        plan: 0,
        bar: 0,
        seen: false,
        ..TIGHT
    };
    [
        ROOMY,
        Layout {
            name: 18,
            bar: 6,
            ..ROOMY
        },
        Layout {
            // A terminal of usual width has the clock of both resets instead.
            from: 100,
            name: 16,
            bar: 5,
            long: Reset::Short,
            ..ROOMY
        },
        Layout {
            name: 18,
            lasting: Lasting::Clock,
            bar: 6,
            ..ROOMY
        },
        Layout { bar: 6, ..USUAL },
        USUAL,
        TIGHT,
        COMPACT,
        Layout {
            name: 4,
            short: Reset::Hidden,
            long: Reset::Hidden,
            ..COMPACT
        },
    ]
};

/// The whole view, with a line end after each line.
pub(super) fn render(document: &Document, local: &Local, look: Look, shell: &Shell) -> String {
    let mut view = View {
        document,
        local,
        look,
        layout: LAYOUTS[0],
        marks: who::marks(&document.accounts),
    };
    let mut rows = Vec::new();
    // The last one is taken whether it fits or not: there is no less.
    let layouts = LAYOUTS.into_iter();
    for layout in layouts.filter(|it| it.from <= look.columns()) {
        view.layout = layout;
        rows = view.rows();
        let name = Flexible {
            column: 0,
            least: view.before_name() + layout.name,
        };
        if table::fit(&mut rows, &[name], look.columns(), look) {
            break;
        }
    }
    let mut text = table::render(&rows, look);
    let mut notes = notes::notes(document, local, shell);
    if view.has_stale_sign() {
        let refresh = unbroken(&shell.command("codex-accounts --refresh"));
        let note = format!("~ seen more than an hour ago: {refresh}");
        notes.push((Ink::Faint, note));
    }
    if !notes.is_empty() {
        text.push('\n');
    }
    for (ink, note) in notes {
        text.push_str(&paragraph(&note, ink, look));
    }
    text
}

/// The text in lines, all but the first indented.
fn paragraph(text: &str, ink: Ink, look: Look) -> String {
    const INDENT: &str = "  ";
    let columns = look.columns().saturating_sub(INDENT.len());
    let lines = table::wrapped(text, columns.max(1));
    let mut paragraph = String::new();
    for (number, line) in lines.iter().enumerate() {
        if number > 0 {
            paragraph.push_str(INDENT);
        }
        paragraph.push_str(&look.paint(ink, line));
        paragraph.push('\n');
    }
    paragraph
}

/// What can be done with the account now.
pub(super) fn state(account: &Account, local: &Local, lasting: Lasting) -> Cell {
    match account.state(None, local.now()) {
        State::Ready => Cell::new(Ink::Good, "ready"),
        State::Limited { mark, .. } => {
            let until = mark.until;
            let clock = || format!("limited until {}", local.clock(until));
            match lasting {
                Lasting::Full => Cell::new(Ink::Caution, clock())
                    .and(Ink::Plain, format!(" (in {})", local.until(until))),
                Lasting::Clock => Cell::new(Ink::Caution, clock()),
                Lasting::Brief => {
                    Cell::new(Ink::Caution, format!("back {}", local.short_clock(until)))
                }
            }
        }
        State::Refused(mark) => Cell::new(
            Ink::Caution,
            format!("refused until {}", local.clock(mark.until)),
        ),
        // Only where it is asked for a model.
        State::ModelNotIncluded(_) => Cell::new(Ink::Good, "ready"),
        State::LoginRequired(_) => Cell::new(Ink::Bad, "login needed"),
        State::Disabled => Cell::new(Ink::Faint, "disabled"),
    }
}

/// What is shown, and how.
struct View<'a> {
    document: &'a Document,
    local: &'a Local,
    look: Look,
    layout: Layout,
    marks: Vec<Mark>,
}

impl View<'_> {
    fn rows(&self) -> Vec<Vec<Cell>> {
        let accounts = &self.document.accounts;
        let mut columns = vec![self.names()];
        if self.layout.plan > 0 {
            columns.push(self.column("PLAN", |account| {
                let plan = account.plan_type.as_deref().map(printable);
                let plan = plan.unwrap_or_else(|| "-".to_owned());
                Cell::new(
                    Ink::Plain,
                    table::fitted(&plan, self.layout.plan, self.look),
                )
            }));
        }
        columns.push(self.column("STATE", |account| {
            state(account, self.local, self.layout.lasting)
        }));
        columns.push(self.windows(Group::Short, self.layout.short));
        columns.push(self.windows(Group::Long, self.layout.long));
        if self.layout.seen {
            columns.push(self.column("SEEN", |account| self.seen(account.usage.as_ref())));
        }
        let row = |index: usize| columns.iter().map(|column| column[index].clone()).collect();
        (0..=accounts.len()).map(row).collect()
    }

    /// A head, and a cell for each account.
    fn column(&self, head: &str, cell: impl Fn(&Account) -> Cell) -> Vec<Cell> {
        let cells = self.document.accounts.iter().map(cell);
        std::iter::once(Cell::new(Ink::Faint, head))
            .chain(cells)
            .collect()
    }

    /// The mark of the active one, the index, the name, and what tells it from others of that name.
    fn names(&self) -> Vec<Cell> {
        let head = format!("{:1$}ACCOUNT", "", self.before_name());
        let digits = self.digits();
        let accounts = self.document.accounts.iter().enumerate();
        let names = accounts.map(|(index, account)| {
            let active = index == self.document.active_index;
            let sign = if active {
                self.look.sign("●", "*")
            } else {
                " "
            };
            let ink = if active { Ink::Strong } else { Ink::Plain };
            let cell = Cell::new(Ink::Good, sign)
                .and(Ink::Faint, format!(" {index:digits$}  "))
                .and(ink, account.name());
            match &self.marks[index] {
                Mark::Plan(plan) if self.layout.plan == 0 => {
                    cell.and(Ink::Faint, format!(" {plan}"))
                }
                Mark::Id(end) => {
                    let sign = self.look.sign("…", "~");
                    cell.and(Ink::Faint, format!(" {sign}{end}"))
                }
                Mark::Name | Mark::Plan(_) | Mark::Index => cell,
            }
        });
        std::iter::once(Cell::new(Ink::Faint, head))
            .chain(names)
            .collect()
    }

    fn digits(&self) -> usize {
        let last = self.document.accounts.len().saturating_sub(1);
        last.to_string().len()
    }

    /// How much stands before a name.
    fn before_name(&self) -> usize {
        "*   ".len() + self.digits()
    }

    /// What is left of a window, and when it starts anew: `████░ 82% 14:20`.
    fn windows(&self, group: Group, reset: Reset) -> Vec<Cell> {
        let (now, bar) = (self.local.now(), self.layout.bar);
        let label = group.head(self.document, now);
        let (left, head) = if bar > 0 {
            let left = label.len().max(bar + " 100%".len());
            (left, format!("{label:left$} RESETS"))
        } else {
            ("~100%".len(), label.to_owned())
        };
        self.column(&head, |account| {
            let window = account.usage.as_ref().and_then(|usage| {
                let stale = !self.layout.seen && self.is_stale(usage);
                Some((group.window(usage, now)?, stale))
            });
            let Some((window, stale)) = window else {
                return Cell::new(Ink::Faint, "-");
            };
            let cell = self.left(window, stale);
            let gap = " ".repeat(left + 1 - cell.width().min(left));
            match self.reset(window, reset) {
                Some(clock) => cell.and(Ink::Plain, gap).and(Ink::Faint, clock),
                None => cell,
            }
        })
    }

    /// What is left of a window: `████░ 82%`.
    fn left(&self, window: &Window, stale: bool) -> Cell {
        let (bar, look) = (self.layout.bar, self.look);
        let left = 100.0 - window.used_percent_at(self.local.now()).clamp(0.0, 100.0);
        let ink = match left {
            left if left < 10.0 => Ink::Bad,
            left if left < 30.0 => Ink::Caution,
            _ => Ink::Good,
        };
        if bar == 0 {
            let sign = if stale { "~" } else { "" };
            let percent = format!("{sign}{}%", whole(left));
            // Most are good, and a column of colour would say less than one that stands out.
            let ink = if ink == Ink::Good { Ink::Plain } else { ink };
            return Cell::new(ink, format!("{percent:>5}"));
        }
        let full = filled(left, bar);
        Cell::new(ink, look.sign("█", "#").repeat(full))
            .and(Ink::Faint, look.sign("░", ".").repeat(bar - full))
            .and(Ink::Plain, format!(" {:>3}%", whole(left)))
    }

    /// A window that has started anew says nothing of its next reset.
    fn reset(&self, window: &Window, reset: Reset) -> Option<String> {
        let at = window.resets_at.filter(|at| *at > self.local.now())?;
        match reset {
            Reset::Clock => Some(self.local.clock(at)),
            Reset::Short => Some(self.local.short_clock(at)),
            Reset::Hidden => None,
        }
    }

    fn seen(&self, usage: Option<&Usage>) -> Cell {
        let seen = usage.and_then(|usage| usage.observed_at);
        let age = seen.map_or_else(|| "-".to_owned(), |seen| self.local.age(seen));
        Cell::new(Ink::Faint, age)
    }

    fn is_stale(&self, usage: &Usage) -> bool {
        let is_long_ago = |seen| self.local.now().since(seen) > STALE;
        usage.observed_at.is_none_or(is_long_ago)
    }

    /// Whether there is a sign that has to be explained.
    fn has_stale_sign(&self) -> bool {
        let mut usages = (self.document.accounts.iter()).filter_map(|it| it.usage.as_ref());
        let has_window = |usage: &Usage| {
            [Group::Short, Group::Long]
                .iter()
                .any(|group| group.window(usage, self.local.now()).is_some())
        };
        !self.layout.seen && usages.any(|usage| has_window(usage) && self.is_stale(usage))
    }
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
