//! Who holds a lease: a process of one machine. Of a process elsewhere nothing can be seen, and its
//! lease ends by its time.

use crate::account::time::UnixMillis;
use crate::account::{Extra, Lease};
use crate::sys::process;

/// The process that a lease is for, on this machine.
#[derive(Debug)]
pub(super) struct Holder {
    pid: u32,
    host: Option<String>,
    boot: Option<String>,
}

impl Holder {
    /// The process of this number.
    pub(super) fn of(pid: u32) -> Self {
        Self {
            pid,
            host: process::host(),
            boot: process::boot(),
        }
    }

    /// Whether a lease is this process's.
    pub(super) fn has(&self, lease: &Lease) -> bool {
        lease.pid == self.pid && is_here(lease)
    }

    /// A lease of it.
    pub(super) fn lease(&self, until: UnixMillis) -> Lease {
        Lease {
            until,
            pid: self.pid,
            process_start: process::start(self.pid),
            host: self.host.clone(),
            boot: self.boot.clone(),
            extra: Extra::new(),
        }
    }
}

/// Whether the process that holds a lease is not known to be gone.
pub(super) fn may_live(lease: &Lease) -> bool {
    !is_here(lease) || process::is_running(lease.pid, lease.process_start)
}

/// Whether a lease is of this machine, as it runs now. One of before leases named their machine is.
fn is_here(lease: &Lease) -> bool {
    let same =
        |told: &Option<String>, ours: fn() -> Option<String>| told.is_none() || *told == ours();
    same(&lease.host, process::host) && same(&lease.boot, process::boot)
}
