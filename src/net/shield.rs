//! Holding back signals that would end the process, while something is under way that must not be
//! cut off: between the request that uses up a refresh token and the commit of the new one.
//!
//! A signal to the process goes to any thread that does not hold it back: a thread that lives on
//! while another has its shield raised needs one too.

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
        // It fails for an invalid argument only; without the shield the work is still right.
        let before = ending().thread_swap_mask(nix::sys::signal::SigmaskHow::SIG_BLOCK);
        Self {
            before: before.ok(),
        }
    }

    /// Lowers it until this goes: programs that are started inherit what their starter holds back.
    #[must_use]
    pub fn lower() -> Self {
        let before = ending().thread_swap_mask(nix::sys::signal::SigmaskHow::SIG_UNBLOCK);
        Self {
            before: before.ok(),
        }
    }
}

#[cfg(unix)]
fn ending() -> nix::sys::signal::SigSet {
    use nix::sys::signal::Signal::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
    [SIGTERM, SIGINT, SIGHUP, SIGQUIT].into_iter().collect()
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

    /// There is nothing that was held back.
    #[must_use]
    pub fn lower() -> Self {
        Self {}
    }
}
