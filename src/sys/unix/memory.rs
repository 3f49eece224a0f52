//! The memory of this process, which may hold tokens: no other process of the person may look into
//! it, and no core dump keeps it.

use nix::sys::resource::{Resource, setrlimit};

/// Hides the memory of this process. A program that it runs is not concerned: execve(2) lifts it.
pub fn hide() {
    // This can fail only where the system does not know it, and nothing is worse then.
    #[cfg(target_os = "linux")]
    let _ = nix::sys::prctl::set_dumpable(false);
}

/// Forbids core dumps by the limit that every Unix has: for a process without children, which would
/// inherit that.
pub fn hide_for_good() {
    // Less is always allowed.
    let _ = setrlimit(Resource::RLIMIT_CORE, 0, 0);
}
