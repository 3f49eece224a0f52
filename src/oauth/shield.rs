//! Holding back signals that would end the process, while something is under way that must not be
//! cut off: between the request that uses up a refresh token and the commit of the new one.

/// Signals that end a process are held back for this thread, and those it starts, until this goes.
#[derive(Debug)]
pub struct Shield {
    #[cfg(unix)]
    before: Option<nix::sys::signal::SigSet>,
}

#[cfg(unix)]
impl Shield {
    /// Raises the shield.
    #[must_use]
    pub fn raise() -> Self {
        use nix::sys::signal::{SigSet, SigmaskHow, Signal};
        let ending: SigSet = [
            Signal::SIGTERM,
            Signal::SIGINT,
            Signal::SIGHUP,
            Signal::SIGQUIT,
        ]
        .into_iter()
        .collect();
        // It fails for an invalid argument only; without the shield the work is still right.
        let before = ending.thread_swap_mask(SigmaskHow::SIG_BLOCK).ok();
        Self { before }
    }
}

#[cfg(unix)]
impl Drop for Shield {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            let _ = before.thread_set_mask();
        }
    }
}

#[cfg(not(unix))]
impl Shield {
    /// There is nothing to hold back.
    #[must_use]
    pub fn raise() -> Self {
        Self {}
    }
}
