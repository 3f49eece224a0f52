//! The process that holds a lease: whether it still runs. Nothing is done to a process here.

use crate::account::Lease;

/// When the process started, as the system counts it; `None` where that is not known.
pub(super) fn process_start(pid: u32) -> Option<u64> {
    Some(look(pid)?.start)
}

/// Whether the holder of a lease still runs: it, and not a later process that was given its number.
pub(super) fn is_running(lease: &Lease) -> bool {
    match look(lease.pid) {
        Some(process) => {
            let same = |start| start == process.start;
            !process.ended && lease.process_start.is_none_or(same)
        }
        None => exists(lease.pid),
    }
}

/// A process as the system sees it.
struct Process {
    /// It ended, and its parent has not asked how yet.
    ended: bool,
    start: u64,
}

/// Reads `/proc/PID/stat` (proc_pid_stat(5)); the name in it may hold anything, up to its last `)`.
#[cfg(target_os = "linux")]
fn look(pid: u32) -> Option<Process> {
    let stat = std::fs::read(format!("/proc/{pid}/stat")).ok()?;
    let stat = String::from_utf8_lossy(&stat);
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
    let state = fields.next()?;
    // The state is field 3, the start is field 22.
    let start = fields.nth(18)?.parse().ok()?;
    Some(Process {
        ended: matches!(state, "Z" | "X" | "x"),
        start,
    })
}

#[cfg(not(target_os = "linux"))]
fn look(_: u32) -> Option<Process> {
    None
}

/// Whether there is such a process, where no more can be seen of it.
#[cfg(unix)]
fn exists(pid: u32) -> bool {
    use nix::errno::Errno;
    use nix::sys::signal::kill;
    use nix::unistd::Pid;
    i32::try_from(pid)
        .ok()
        .filter(|pid| *pid > 0)
        .is_some_and(|pid| kill(Pid::from_raw(pid), None) != Err(Errno::ESRCH))
}

#[cfg(not(unix))]
fn exists(_: u32) -> bool {
    true
}
