//! What stands for signals here: Ctrl-C, Ctrl-Break, the closing of the console, and the end of the
//! session. What is done about one is not decided here.

use std::io;

use tokio::signal::windows::{self, CtrlBreak, CtrlC, CtrlClose, CtrlShutdown};

use crate::sys::wish::Wish;

/// Signals that end a process are held back until this goes. None can be: what is under way ends
/// with the process, and the journal has it.
#[derive(Debug)]
pub struct Shield(());

impl Shield {
    /// Raises the shield.
    #[must_use]
    pub fn raise() -> Self {
        Self(())
    }

    /// Lowers it until this goes.
    #[must_use]
    pub fn lower() -> Self {
        Self(())
    }
}

/// Holds Ctrl-C back for this process, for good: it can't be.
pub fn outlive_interrupt() {}

/// Everything that would end this process, taken so that it can end in order.
#[derive(Debug)]
pub struct End {
    interrupt: CtrlC,
    break_off: CtrlBreak,
    close: CtrlClose,
    shutdown: CtrlShutdown,
}

impl End {
    /// Takes it. Within a tokio runtime.
    ///
    /// # Errors
    /// When the system does not give one.
    pub fn watch() -> io::Result<Self> {
        Ok(Self {
            interrupt: windows::ctrl_c()?,
            break_off: windows::ctrl_break()?,
            close: windows::ctrl_close()?,
            shutdown: windows::ctrl_shutdown()?,
        })
    }

    /// Waits for one.
    pub async fn wait(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.break_off.recv() => {}
            _ = self.close.recv() => {}
            _ = self.shutdown.recv() => {}
        }
    }
}

/// What a view on a console has to heed: its end. Its size is asked for with each drawing, and
/// nothing stops here.
#[derive(Debug)]
pub struct Wishes(End);

impl Wishes {
    /// Takes what comes. Within a tokio runtime.
    ///
    /// # Errors
    /// When the system does not give one.
    pub fn watch() -> io::Result<Self> {
        End::watch().map(Self)
    }

    /// Waits for one.
    pub async fn next(&mut self) -> Wish {
        self.0.wait().await;
        Wish::End
    }
}

/// Stops this process until the person goes on: there is no such thing.
pub fn stop() {}
