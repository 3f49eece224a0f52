//! What issuer and backend go by and remember: the script and the grants, behind one lock.
//!
//! State only. What a request does to it is for `issuer` and `backend` to say.

use super::account::{Credits, Windows};
use super::grant::Grants;
use super::render::Scene;
use super::script::Script;
use std::time::SystemTime;

pub(super) struct World {
    pub(super) script: Script,
    pub(super) grants: Grants,
    /// `http://127.0.0.1:PORT`.
    pub(super) origin: String,
    /// Counts requests, to tell answers apart.
    serial: u64,
}

impl World {
    pub(super) fn new(script: Script, origin: String) -> Self {
        Self {
            grants: Grants::new(origin.clone()),
            script,
            origin,
            serial: 0,
        }
    }

    /// One more request; what is answered from now on is told apart from all before.
    pub(super) fn count_request(&mut self) {
        self.serial += 1;
    }

    /// What an answer is written with: the account's own plan and windows, or neutral ones.
    pub(super) fn scene(&self, account: Option<usize>, now: SystemTime) -> Scene {
        let account = account.and_then(|index| self.script.accounts.get(index));
        Scene {
            plan: account.map_or_else(|| "plus".to_owned(), |account| account.plan.clone()),
            windows: account.map_or_else(Windows::default, |account| account.windows),
            credits: account.map_or_else(Credits::default, |account| account.credits.clone()),
            model: String::new(),
            serial: self.serial,
            now,
        }
    }
}
