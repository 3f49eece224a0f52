//! Which leases nobody holds any more.

use crate::account::Lease;
use crate::cli::holder::may_live;
use crate::cli::shell::Shell;
use crate::store::Document;

/// The accounts with a lease that nobody holds any more.
pub(super) fn stale(shell: &Shell, document: &Document) -> Vec<usize> {
    let stale = |index: &usize| {
        let lease = document.accounts[*index].lease.as_ref();
        lease.is_some_and(|lease| is_stale(lease, shell))
    };
    (0..document.accounts.len()).filter(stale).collect()
}

/// Whether nobody holds it any more.
pub(super) fn is_stale(lease: &Lease, shell: &Shell) -> bool {
    lease.until <= shell.now() || !may_live(lease)
}
