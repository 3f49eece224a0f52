//! Other processes: whether one still runs. Nothing is done to a process here.

use nix::errno::Errno;
use nix::sys::signal::kill;
use nix::unistd::Pid;

/// The process that started this one.
#[must_use]
pub fn parent() -> u32 {
    std::os::unix::process::parent_id()
}

/// When a process started, as the system counts it; `None` where that is not known.
#[must_use]
pub fn start(pid: u32) -> Option<u64> {
    Some(look(pid)?.start)
}

/// Whether a process still runs: the one that started then, and not a later one that was given its
/// number.
#[must_use]
pub fn is_running(pid: u32, started: Option<u64>) -> bool {
    match look(pid) {
        Some(process) => !process.ended && started.is_none_or(|start| start == process.start),
        None => exists(pid),
    }
}

/// What this machine is called; `None` where it has no name.
#[must_use]
pub fn host() -> Option<String> {
    let name = nix::unistd::gethostname().ok()?.into_string().ok()?;
    (!name.is_empty()).then_some(name)
}

/// A name that the system gives itself each time it starts, unlike any other's; `None` where it
/// does not.
#[must_use]
pub fn boot() -> Option<String> {
    let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(id.trim_end().to_owned())
}

/// A process as the system sees it.
struct Process {
    /// It ended, and its parent has not asked how yet.
    ended: bool,
    start: u64,
}

/// Reads `/proc/PID/stat` (proc_pid_stat(5)); the name in it may hold anything, up to its last `)`.
/// Other systems have none.
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

/// Whether there is such a process, where no more can be seen of it.
fn exists(pid: u32) -> bool {
    i32::try_from(pid)
        .ok()
        .filter(|pid| *pid > 0)
        .is_some_and(|pid| kill(Pid::from_raw(pid), None) != Err(Errno::ESRCH))
}
