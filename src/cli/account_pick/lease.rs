//! Leases: which accounts other processes hold, and the one that is held for this run.

use std::collections::BTreeSet;

use super::AccountPick;
use crate::account::time::UnixMillis;
use crate::account::{Account, Lease};
use crate::cli::holder::{Holder, may_live};
use crate::sys::process;

impl AccountPick {
    /// The process that holds the lease: the one that runs the pipeline. Nobody knows which one
    /// that was when a decision is replayed.
    fn holder(&self) -> Option<Holder> {
        let pid = self.pid.or_else(|| self.at.is_none().then(process::parent));
        pid.map(Holder::of)
    }

    /// The accounts that others hold: their lease runs, and its process does too. When a decision
    /// is replayed, it is their time alone that counts.
    pub(super) fn busy(&self, accounts: &[Account], now: UnixMillis) -> BTreeSet<usize> {
        let holder = self.holder();
        let by_other = |lease: &Lease| !holder.as_ref().is_some_and(|it| it.has(lease));
        let lives = |lease: &Lease| self.at.is_some() || may_live(lease);
        let held = |lease: &Lease| lease.until > now && by_other(lease) && lives(lease);
        (0..accounts.len())
            .filter(|&index| accounts[index].lease.as_ref().is_some_and(held))
            .collect()
    }

    /// Leases the picked account, if that was asked for. A process holds one account: what it held
    /// before it gives back, also where there is none for it now. Whether anything changed.
    pub(super) fn set_lease(
        &self,
        accounts: &mut [Account],
        picked: Option<usize>,
        now: UnixMillis,
    ) -> bool {
        let Some((length, holder)) = self.lease.zip(self.holder()) else {
            return false;
        };
        let mut changed = false;
        for (index, account) in accounts.iter_mut().enumerate() {
            let lease = if picked == Some(index) && !length.is_zero() {
                Some(holder.lease(now.plus(length)))
            } else {
                account.lease.clone().filter(|lease| !holder.has(lease))
            };
            changed |= account.lease != lease;
            account.lease = lease;
        }
        changed
    }
}
