//! The table of what came of each strategy: for a terminal, for README and for the page.

use codex_accounts::account::pick::{Strategy, Wishes};

use super::load::Load;
use super::month::{self, Outcome, Setting};

/// How much is kept where something is.
const RESERVE: f64 = 10.0;

/// A month with quota to spare, and one with too little.
const DEMANDS: [f64; 2] = [0.7, 1.1];

/// The strategies, in the order of the page.
pub(crate) const STRATEGIES: [Strategy; 5] = [
    Strategy::Sticky,
    Strategy::RoundRobin,
    Strategy::LeastUsed,
    Strategy::SoonestReset,
    Strategy::Step { points: 5.0 },
];

/// What came of a strategy, on the average of all settings.
pub(crate) struct Row {
    /// The strategy.
    pub(crate) strategy: Strategy,
    /// Without a reserve, and with one.
    pub(crate) outcomes: [Outcome; 2],
}

/// The months that are played for a strategy with a load.
pub(crate) fn settings(strategy: Strategy, reserve: Option<f64>, load: Load) -> Vec<Setting> {
    let wishes = Wishes {
        strategy: Some(strategy),
        reserve,
        ..Wishes::default()
    };
    let mut settings = Vec::new();
    for accounts in [2, 3, 6] {
        for staggered in [false, true] {
            for mixed in [false, true] {
                settings.extend(DEMANDS.map(|demand| Setting {
                    accounts,
                    staggered,
                    mixed,
                    demand,
                    load,
                    wishes,
                }));
            }
        }
    }
    settings
}

/// The rows for these loads.
pub(crate) fn rows(loads: &[Load]) -> Vec<Row> {
    let outcome = |strategy, reserve| {
        let settings = loads
            .iter()
            .flat_map(|load| settings(strategy, reserve, *load));
        mean(&settings.map(month::play).collect::<Vec<Outcome>>())
    };
    let row = |strategy| Row {
        strategy,
        outcomes: [outcome(strategy, None), outcome(strategy, Some(RESERVE))],
    };
    STRATEGIES.map(row).into()
}

/// All loads.
pub(crate) fn loads() -> [Load; 3] {
    Load::ALL.map(|(load, _)| load)
}

/// The mean of each figure.
pub(crate) fn mean(outcomes: &[Outcome]) -> Outcome {
    let mean =
        |of: fn(&Outcome) -> f64| outcomes.iter().map(of).sum::<f64>() / outcomes.len() as f64;
    Outcome {
        lapsed: mean(|it| it.lapsed),
        dry_hours: mean(|it| it.dry_hours),
        moved: mean(|it| it.moved),
        limits: mean(|it| it.limits),
    }
}

/// The figures of an outcome as they are shown, with what they are.
pub(crate) const FIGURES: [Figure; 4] = [
    Figure("quota lapsed, %", 1, |it| it.lapsed),
    Figure("hours without any", 1, |it| it.dry_hours),
    Figure("sessions moved", 0, |it| it.moved),
    Figure("limits met", 0, |it| it.limits),
];

/// What it is called, how many decimals tell something, and which it is.
pub(crate) struct Figure(pub(crate) &'static str, usize, fn(&Outcome) -> f64);

impl Figure {
    /// Without a reserve, and with one.
    pub(crate) fn of(&self, row: &Row) -> [f64; 2] {
        row.outcomes.map(|outcome| self.2(&outcome))
    }

    /// Both as they are shown.
    pub(crate) fn cell(&self, row: &Row) -> String {
        let ([without, with], decimals) = (self.of(row), self.1);
        format!("{without:.decimals$} / {with:.decimals$}")
    }
}

/// For a terminal.
pub(crate) fn plain(rows: &[Row]) -> String {
    let heads = FIGURES
        .map(|Figure(head, ..)| format!("{head:>20}"))
        .concat();
    let mut text = format!("{:16}{heads}\n", "");
    for row in rows {
        let cells = FIGURES
            .map(|figure| format!("{:>20}", figure.cell(row)))
            .concat();
        text += &format!("{:16}{cells}\n", row.strategy.to_string());
    }
    text
}

/// For README.
pub(crate) fn markdown(rows: &[Row]) -> String {
    let heads = FIGURES
        .map(|Figure(head, ..)| format!(" {head} |"))
        .concat();
    let mut text = format!(
        "| strategy |{heads}\n|---|{}\n",
        "--:|".repeat(FIGURES.len())
    );
    for row in rows {
        let cells = FIGURES
            .map(|figure| format!(" {} |", figure.cell(row)))
            .concat();
        text += &format!("| `{}` |{cells}\n", row.strategy);
    }
    text
}

/// How the table of the page begins.
pub(crate) const MDOC_BEGIN: &str =
    ".Bl -column soonest-reset lapsed,_% hours_without moved limits";

/// For the page, without the end of the list.
pub(crate) fn mdoc(rows: &[Row]) -> String {
    let heads = FIGURES
        .map(|Figure(head, ..)| format!(" Ta {head}"))
        .concat();
    let mut text = format!("{MDOC_BEGIN}\n");
    text += &format!(".It strategy{}\n", heads.replace(" %", " \\&%"));
    for row in rows {
        let cells = FIGURES
            .map(|figure| format!(" Ta {}", figure.cell(row)))
            .concat();
        text += &format!(".It {}{cells}\n", row.strategy);
    }
    text.trim_end().to_owned()
}
