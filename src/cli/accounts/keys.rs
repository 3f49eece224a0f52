//! The keys of `codex-accounts --watch`, and what a person means by them.

use std::io::{self, IsTerminal as _, Read as _};
use std::thread;

use tokio::sync::mpsc;

/// What a key means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// The view ends.
    End,
    /// The figures are asked for.
    Refresh,
    /// The account of this index becomes the active one.
    Use(String),
    /// The account of this index is enabled, or disabled where it is not.
    Turn(String),
    /// A digit is to follow, which says the account.
    Which,
    /// Nothing.
    Nothing,
}

/// The keys that are typed. A thread reads them, which ends with the process; from anything but a
/// terminal none come.
#[derive(Debug)]
pub(super) struct Keys {
    typed: mpsc::Receiver<u8>,
    sense: Sense,
}

impl Keys {
    pub(super) fn of_terminal() -> Self {
        let (typed, keys) = mpsc::channel(1);
        if io::stdin().is_terminal() {
            thread::spawn(move || {
                for key in io::stdin().lock().bytes().map_while(Result::ok) {
                    if typed.blocking_send(key).is_err() {
                        break;
                    }
                }
            });
        }
        Self {
            typed: keys,
            sense: Sense::default(),
        }
    }

    /// What the next key means; none where no more come.
    pub(super) async fn next(&mut self) -> Option<Meaning> {
        let key = self.typed.recv().await?;
        Some(self.sense.of(key))
    }
}

/// What was typed before, as far as it matters.
#[derive(Clone, Copy, Debug, Default)]
struct Sense {
    /// The next digit names an account that is to be enabled or disabled.
    turns: bool,
}

impl Sense {
    fn of(&mut self, key: u8) -> Meaning {
        let turns = std::mem::take(&mut self.turns);
        match key {
            b'q' => Meaning::End,
            b'r' => Meaning::Refresh,
            b'e' => {
                self.turns = true;
                Meaning::Which
            }
            b'0'..=b'9' => {
                let index = char::from(key).to_string();
                if turns {
                    Meaning::Turn(index)
                } else {
                    Meaning::Use(index)
                }
            }
            _ => Meaning::Nothing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digit_uses_an_account_and_after_e_it_turns_one_on_or_off() {
        let mut sense = Sense::default();
        let mut typed =
            |keys: &str| -> Vec<Meaning> { keys.bytes().map(|key| sense.of(key)).collect() };
        let (one, two) = ("1".to_owned(), "2".to_owned());
        assert_eq!(typed("1"), [Meaning::Use(one.clone())]);
        assert_eq!(
            typed("e21"),
            [
                Meaning::Which,
                Meaning::Turn(two.clone()),
                Meaning::Use(one)
            ]
        );
        // Any other key takes the e back.
        assert_eq!(
            typed("ex2"),
            [Meaning::Which, Meaning::Nothing, Meaning::Use(two)]
        );
        assert_eq!(typed("rq"), [Meaning::Refresh, Meaning::End]);
    }
}
