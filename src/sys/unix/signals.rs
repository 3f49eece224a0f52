//! Signals: held back where nothing may be cut off, and taken where something is to be done first.
//! One that the process was started to ignore stays ignored, as `nohup` has it: a handler would
//! undo that. What is done about a signal is not decided here.

use std::io;

use futures_util::future::{FutureExt, select_all};
use nix::sys::signal::Signal::{self, SIGHUP, SIGINT, SIGQUIT, SIGSTOP, SIGTERM, SIGTSTP};
use nix::sys::signal::{SigSet, SigmaskHow, raise};
use tokio::signal::unix::{self, SignalKind, signal};

use crate::sys::wish::Wish;

const ENDING: [Signal; 4] = [SIGTERM, SIGINT, SIGHUP, SIGQUIT];

/// Signals that end a process are held back for this thread, and those it starts, until this goes:
/// between the request that uses up a refresh token and the commit of the new one.
///
/// A signal to the process goes to any thread that does not hold it back: a thread that lives on
/// while another has its shield raised needs one too.
#[derive(Debug)]
pub struct Shield {
    before: Option<SigSet>,
}

impl Shield {
    /// Raises the shield.
    #[must_use]
    pub fn raise() -> Self {
        Self::swap(SigmaskHow::SIG_BLOCK)
    }

    /// Lowers it until this goes: programs that are started inherit what their starter holds back.
    #[must_use]
    pub fn lower() -> Self {
        Self::swap(SigmaskHow::SIG_UNBLOCK)
    }

    fn swap(how: SigmaskHow) -> Self {
        // It fails for an invalid argument only; without the shield the work is still right.
        let before = ENDING.into_iter().collect::<SigSet>().thread_swap_mask(how);
        Self {
            before: before.ok(),
        }
    }
}

impl Drop for Shield {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            let _ = before.thread_set_mask();
        }
    }
}

/// Holds Ctrl-C back for this process, for good. It goes to all of a pipeline: whoever writes into
/// this one ends of it, and with that the input.
pub fn outlive_interrupt() {
    // It fails for an invalid argument only.
    let _ = SigSet::from_iter([SIGINT]).thread_block();
}

/// Every signal that would end this process, taken so that it can end in order.
#[derive(Debug)]
pub struct End(Vec<Taken>);

impl End {
    /// Takes them. Within a tokio runtime.
    ///
    /// # Errors
    /// When the system does not give one.
    pub fn watch() -> io::Result<Self> {
        take(&ENDING).map(Self)
    }

    /// Waits for one. It never comes where all are ignored.
    pub async fn wait(&mut self) {
        let arrivals = self.0.iter_mut().map(|(_, arrivals)| arrivals.recv());
        let never = std::future::pending().boxed();
        select_all(arrivals.map(FutureExt::boxed).chain([never])).await;
    }
}

/// What a view on a terminal has to heed.
#[derive(Debug)]
pub struct Wishes {
    end: End,
    resize: unix::Signal,
    stop: unix::Signal,
}

impl Wishes {
    /// Takes the signals. Within a tokio runtime.
    ///
    /// # Errors
    /// When the system does not give one.
    pub fn watch() -> io::Result<Self> {
        Ok(Self {
            end: End::watch()?,
            resize: signal(SignalKind::window_change())?,
            stop: signal(SignalKind::from_raw(SIGTSTP as i32))?,
        })
    }

    /// Waits for one.
    pub async fn next(&mut self) -> Wish {
        tokio::select! {
            () = self.end.wait() => Wish::End,
            _ = self.resize.recv() => Wish::Resize,
            _ = self.stop.recv() => Wish::Stop,
        }
    }
}

/// Stops this process until the person goes on.
pub fn stop() {
    // It fails for a signal that does not exist only.
    let _ = raise(SIGSTOP);
}

/// A signal, and its arrivals.
pub(super) type Taken = (Signal, unix::Signal);

/// Takes those of the signals that are not ignored.
pub(super) fn take(signals: &[Signal]) -> io::Result<Vec<Taken>> {
    let ignored = ignored();
    signals
        .iter()
        .filter(|signal| ignored & bit(**signal) == 0)
        .map(|it| Ok((*it, signal(SignalKind::from_raw(*it as i32))?)))
        .collect()
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
