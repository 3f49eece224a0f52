//! How many files and connections a process may have open. The system keeps the number low for the
//! sake of old programs; a program may raise it for itself.

use std::sync::OnceLock;

use nix::sys::resource::{Resource, getrlimit, rlim_t, setrlimit};

/// The number that this process began with, and the one that it has now.
static RAISED: OnceLock<(rlim_t, rlim_t)> = OnceLock::new();

/// Raises the number as far as may be. Nothing happens where it is as high, or the system does not
/// allow it.
pub fn raise() {
    let Ok((before, most)) = getrlimit(Resource::RLIMIT_NOFILE) else {
        return;
    };
    // macOS refuses what is beyond its own limit, whatever it says is allowed.
    let wanted = [most, most.min(65_536), most.min(10_240)];
    let mut higher = wanted.into_iter().filter(|now| *now > before);
    let raised = higher.find(|now| setrlimit(Resource::RLIMIT_NOFILE, *now, most).is_ok());
    if let Some(now) = raised {
        let _ = RAISED.set((before, now));
    }
}

/// Starts a program with the number that this process began with: it may be one of those old ones.
pub(super) fn lowered<T>(start: impl FnOnce() -> T) -> T {
    let Some((before, now)) = RAISED.get() else {
        return start();
    };
    set(*before);
    let started = start();
    set(*now);
    started
}

fn set(number: rlim_t) {
    if let Ok((_, most)) = getrlimit(Resource::RLIMIT_NOFILE) {
        // What is open stays open; and that it fails is no reason to start nothing.
        let _ = setrlimit(Resource::RLIMIT_NOFILE, number, most);
    }
}
