//! `codex-accounts policy`: what a person wishes of the choice for good, of all accounts or of one.
//! What the wishes mean, `account::pick` decides.

use std::fmt::Display;
use std::str::FromStr;

use super::{called, change, read};
use crate::account::pick::{Credits, Policy, Strategy, Wishes};
use crate::cli::args;
use crate::cli::exit::{Code, Error};
use crate::cli::shell::{self, Shell};
use crate::store::Document;

/// The word that takes a wish away.
const DEFAULT: &str = "default";

/// A wish, or the word that takes it away.
#[derive(Clone, Copy, Debug)]
enum Wish<T> {
    None,
    Is(T),
}

impl<T> Wish<T> {
    fn read<E: Display>(text: &str, read: fn(&str) -> Result<T, E>) -> Result<Self, String> {
        if text == DEFAULT {
            return Ok(Self::None);
        }
        let wish = read(text).map(Self::Is);
        wish.map_err(|error| format!("{error}; '{DEFAULT}' takes the wish away"))
    }

    fn value(self) -> Option<T> {
        match self {
            Self::None => None,
            Self::Is(value) => Some(value),
        }
    }
}

fn percent(text: &str) -> Result<Wish<f64>, String> {
    Wish::read(text, args::percent)
}

fn credits(text: &str) -> Result<Wish<Credits>, String> {
    Wish::read(text, Credits::from_str)
}

fn strategy(text: &str) -> Result<Wish<Strategy>, String> {
    Wish::read(text, Strategy::from_str)
}

/// Its usage, as the synopsis of the page has it.
macro_rules! usage {
    () => {
        "\
codex-accounts policy [--reserve PERCENT] [--credits WHEN]
                             [[--strategy STRATEGY] --default | ACCOUNT]"
    };
}
pub(super) use usage;

/// `codex-accounts policy`.
#[derive(Debug, clap::Args)]
#[command(override_usage = usage!())]
pub(super) struct PolicyOf {
    /// Index, label, email or id
    #[arg(value_name = "ACCOUNT")]
    account: Option<String>,
    /// For all accounts that have no wish of their own
    #[arg(long, conflicts_with = "account")]
    default: bool,
    /// Keep this much of each window for other use
    #[arg(long, value_name = "PERCENT", value_parser = percent)]
    reserve: Option<Wish<f64>>,
    /// When to serve on credit: last, never or yes
    #[arg(long, value_name = "WHEN", value_parser = credits)]
    credits: Option<Wish<Credits>>,
    /// How to choose where no command says it
    #[arg(long, value_name = "STRATEGY", value_parser = strategy, requires = "default", conflicts_with = "account")]
    strategy: Option<Wish<Strategy>>,
}

impl PolicyOf {
    pub(super) fn run(&self, shell: &Shell) -> Result<Code, Error> {
        if !self.changes_something() {
            let document = read(shell)?;
            let lines = self.lines(&document)?;
            shell.print(&lines.concat())?;
            return Ok(Code::Done);
        }
        if self.account.is_none() && !self.default {
            return Err(Error::hinted(
                Code::Usage,
                "it is not said whose policy that is",
                "name an ACCOUNT, or say --default for all",
            ));
        }
        let lines = change(shell, |document| {
            self.apply(self.policy(document)?);
            self.lines(document)
        })?;
        for line in lines {
            shell.note(line.trim_end());
        }
        Ok(Code::Done)
    }

    fn changes_something(&self) -> bool {
        self.reserve.is_some() || self.credits.is_some() || self.strategy.is_some()
    }

    fn policy<'a>(&self, document: &'a mut Document) -> Result<&'a mut Policy, Error> {
        Ok(match &self.account {
            Some(name) => {
                let index = shell::find(&document.accounts, name)?;
                &mut document.accounts[index].policy
            }
            None => &mut document.policy,
        })
    }

    fn apply(&self, policy: &mut Policy) {
        if let Some(reserve) = self.reserve {
            policy.set_reserve(reserve.value());
        }
        if let Some(credits) = self.credits {
            policy.set_credits(credits.value());
        }
        if let Some(strategy) = self.strategy {
            policy.set_strategy(strategy.value());
        }
    }

    /// A line for each policy that was asked for: of all, where none was.
    fn lines(&self, document: &Document) -> Result<Vec<String>, Error> {
        let all = document.policy.wishes();
        let strategy = Some(all.strategy.unwrap_or_default());
        let of_all = || format!("default: {}\n", described(Wishes { strategy, ..all }));
        let of_one = |index: usize| {
            let account = &document.accounts[index];
            let wishes = account.policy.wishes().or(all);
            let strategy = None;
            let name = called(index, account);
            format!("{name}: {}\n", described(Wishes { strategy, ..wishes }))
        };
        Ok(match &self.account {
            Some(name) => vec![of_one(shell::find(&document.accounts, name)?)],
            None if self.default => vec![of_all()],
            None => {
                let own = |index: &usize| !document.accounts[*index].policy.is_empty();
                let accounts = (0..document.accounts.len()).filter(own);
                std::iter::once(of_all())
                    .chain(accounts.map(of_one))
                    .collect()
            }
        })
    }
}

/// What comes of the wishes.
fn described(wishes: Wishes) -> String {
    let reserve = wishes.reserve.unwrap_or_default();
    let credits = wishes.credits.unwrap_or_default();
    let strategy = wishes.strategy.map(|it| format!("strategy {it}, "));
    let strategy = strategy.unwrap_or_default();
    format!("{strategy}reserve {reserve} %, credits {credits}")
}
