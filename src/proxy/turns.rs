//! Which account gave which turn state. A client sends the state of its turn back with the next
//! request (PROTOCOL §6), and it means something to the account that gave it only.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use http::HeaderValue;

use crate::account::{Account, identity};

/// This many turns are remembered; a turn that is forgotten is begun anew by the upstream.
const MOST: usize = 1024;

/// The turns, newest last.
#[derive(Debug, Default)]
pub struct Turns(Mutex<VecDeque<(HeaderValue, u64)>>);

impl Turns {
    /// Remembers that an account gave this state.
    pub fn remember(&self, turn: &HeaderValue, account: &Account) {
        let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = (turn.clone(), identity::key(account));
        if turns.contains(&entry) {
            return;
        }
        if turns.len() == MOST {
            turns.pop_front();
        }
        turns.push_back(entry);
    }

    /// Whether the state is known to be this account's.
    #[must_use]
    pub fn is_of(&self, turn: &HeaderValue, account: &Account) -> bool {
        let turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        turns
            .iter()
            .any(|(known, key)| known == turn && *key == identity::key(account))
    }
}
