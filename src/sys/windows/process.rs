//! Other processes: whether one still runs. Nothing is done to a process here.

use winsafe::guard::CloseHandleGuard;
use winsafe::{HPROCESS, HPROCESSLIST, co};

/// What a process that runs has as its exit code (`STILL_ACTIVE`).
const STILL_ACTIVE: u32 = 259;

/// The process that started this one; this one, where that is not known.
#[must_use]
pub fn parent() -> u32 {
    let this = std::process::id();
    parent_of(this).unwrap_or(this)
}

fn parent_of(pid: u32) -> Option<u32> {
    let mut all = HPROCESSLIST::CreateToolhelp32Snapshot(co::TH32CS::SNAPPROCESS, None).ok()?;
    let mut all = all.iter_processes().map_while(Result::ok);
    let found = all.find(|process| process.th32ProcessID == pid)?;
    Some(found.th32ParentProcessID)
}

/// When a process started, as the system counts it; `None` where that is not known.
#[must_use]
pub fn start(pid: u32) -> Option<u64> {
    start_of(&*open(pid).ok()?)
}

/// Whether a process still runs: the one that started then, and not a later one that was given its
/// number.
#[must_use]
pub fn is_running(pid: u32, started: Option<u64>) -> bool {
    match open(pid) {
        Ok(process) => {
            let runs = process
                .GetExitCodeProcess()
                .is_ok_and(|code| code == STILL_ACTIVE);
            let same = |start| start_of(&process).is_none_or(|its| its == start);
            runs && started.is_none_or(same)
        }
        // Another person's: it is there.
        Err(co::ERROR::ACCESS_DENIED) => true,
        Err(_) => false,
    }
}

/// What this machine is called; `None` where it has no name.
#[must_use]
pub fn host() -> Option<String> {
    std::env::var("COMPUTERNAME")
        .ok()
        .filter(|name| !name.is_empty())
}

/// A name that the system gives itself each time it starts: this one gives none.
#[must_use]
pub const fn boot() -> Option<String> {
    None
}

fn open(pid: u32) -> Result<CloseHandleGuard<HPROCESS>, co::ERROR> {
    HPROCESS::OpenProcess(co::PROCESS::QUERY_LIMITED_INFORMATION, false, pid)
}

fn start_of(process: &HPROCESS) -> Option<u64> {
    let (created, ..) = process.GetProcessTimes().ok()?;
    Some(u64::from(created.dwHighDateTime) << 32 | u64::from(created.dwLowDateTime))
}
