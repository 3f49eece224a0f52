//! Taking the signals of a process. One that the process was started to ignore stays ignored, as
//! `nohup` has it: a handler would undo that. What is done about a signal is not decided here.

use nix::sys::signal::Signal;
use tokio::runtime::Runtime;
use tokio::signal::unix::{self, SignalKind};

use super::exit::{Code, Error};

/// A signal, and its arrivals.
pub type Taken = (Signal, unix::Signal);

/// Takes those of the signals that are not ignored.
///
/// # Errors
/// When the system does not give one.
pub fn take(runtime: &Runtime, signals: &[Signal]) -> Result<Vec<Taken>, Error> {
    let _runtime = runtime.enter();
    let ignored = ignored();
    signals
        .iter()
        .filter(|signal| ignored & bit(**signal) == 0)
        .map(|signal| Ok((*signal, unix::signal(SignalKind::from_raw(*signal as i32))?)))
        .collect::<std::io::Result<_>>()
        .map_err(|error| Error::new(Code::Io, format!("no signals: {error}")))
}

/// The signals that this process was started to ignore: a bit for each. Where the system does not
/// tell, none.
fn ignored() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mut lines = status.lines();
    let mask = lines.find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .unwrap_or(0)
}

fn bit(signal: Signal) -> u64 {
    1 << (signal as u32 - 1)
}
