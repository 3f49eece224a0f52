//! What issuer and backend go by and remember: the script and the grants, behind one lock.
//!
//! State only. What a request does to it is for `issuer` and `backend` to say.

use super::account::{Credits, Windows};
use super::grant::Grants;
use super::scene::Scene;
use super::script::Script;
use std::time::SystemTime;

/// What a running server can be changed by.
pub struct Controls<'a> {
    /// How the servers behave from now on.
    pub script: &'a mut Script,
    grants: &'a mut Grants,
}

impl Controls<'_> {
    /// Invalidates every token of an account.
    pub fn kill(&mut self, account: usize) {
        self.grants.kill(account);
    }
}

/// Carries out what was sent to the path of control, or says why not.
pub(super) type Control = Box<dyn Fn(&mut Controls<'_>, &[u8]) -> Result<(), String> + Send>;

pub(super) struct World {
    pub(super) script: Script,
    pub(super) grants: Grants,
    /// `http://127.0.0.1:PORT`.
    pub(super) origin: String,
    /// What changes it from outside, where anything may.
    pub(super) control: Option<Control>,
    /// Counts requests, to tell answers apart.
    serial: u64,
}

impl World {
    pub(super) fn new(script: Script, origin: String) -> Self {
        Self {
            grants: Grants::new(origin.clone()),
            script,
            origin,
            control: None,
            serial: 0,
        }
    }

    /// One more request; what is answered from now on is told apart from all before.
    pub(super) fn count_request(&mut self) {
        self.serial += 1;
    }

    /// Changes it as was sent; `None` where nothing may.
    pub(super) fn change(&mut self, sent: &[u8]) -> Option<Result<(), String>> {
        let control = self.control.as_ref()?;
        let mut controls = Controls {
            script: &mut self.script,
            grants: &mut self.grants,
        };
        Some(control(&mut controls, sent))
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
