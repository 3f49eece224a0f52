//! What stands for signals here: Ctrl-C, Ctrl-Break, the closing of the console, and the end of the
//! session. What is done about one is not decided here.

use std::io;
use std::process;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

use futures_util::future::FutureExt;
use tokio::signal::windows::{self, CtrlBreak, CtrlC, CtrlClose, CtrlShutdown};

use crate::sys::wish::Wish;

/// How a program ends that Ctrl-C ended (`STATUS_CONTROL_C_EXIT`).
const INTERRUPTED: i32 = 0xC000_013A_u32.cast_signed();

/// How many take what would end this process, and end in order by themselves.
static WATCHING: AtomicUsize = AtomicUsize::new(0);
/// How many shields are raised, and whether something came that they hold back.
static RAISED: AtomicUsize = AtomicUsize::new(0);
static CAME: AtomicBool = AtomicBool::new(false);

/// What would end this process is held back until this goes: between the request that uses up a
/// refresh token and the commit of the new one. The system grants a console that closes, and a
/// session that ends, some seconds; Ctrl-C and Ctrl-Break wait.
#[derive(Debug)]
pub struct Shield(Option<Events>);

impl Shield {
    /// Raises the shield.
    #[must_use]
    pub fn raise() -> Self {
        // Without it the work is still right.
        let events = Events::take().ok();
        if events.is_some() {
            RAISED.fetch_add(1, SeqCst);
        }
        Self(events)
    }

    /// Lowers it until this goes: a program that is started inherits nothing of it here.
    #[must_use]
    pub fn lower() -> Self {
        Self(None)
    }
}

impl Drop for Shield {
    fn drop(&mut self) {
        let Some(events) = &mut self.0 else { return };
        if events.next().now_or_never().is_some() {
            CAME.store(true, SeqCst);
        }
        let is_last = RAISED.fetch_sub(1, SeqCst) == 1;
        // Who watches was told, too.
        if is_last && CAME.load(SeqCst) && WATCHING.load(SeqCst) == 0 {
            process::exit(INTERRUPTED);
        }
    }
}

/// Holds Ctrl-C back for this process, for good. It goes to all of a pipeline: whoever writes into
/// this one ends of it, and with that the input.
pub fn outlive_interrupt() {
    static TAKEN: OnceLock<CtrlC> = OnceLock::new();
    if let Ok(taken) = windows::ctrl_c() {
        let _ = TAKEN.set(taken);
    }
}

/// Everything that would end this process.
#[derive(Debug)]
struct Events {
    interrupt: CtrlC,
    break_off: CtrlBreak,
    close: CtrlClose,
    shutdown: CtrlShutdown,
}

impl Events {
    fn take() -> io::Result<Self> {
        Ok(Self {
            interrupt: windows::ctrl_c()?,
            break_off: windows::ctrl_break()?,
            close: windows::ctrl_close()?,
            shutdown: windows::ctrl_shutdown()?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.break_off.recv() => {}
            _ = self.close.recv() => {}
            _ = self.shutdown.recv() => {}
        }
    }
}

/// Everything that would end this process, taken so that it can end in order.
#[derive(Debug)]
pub struct End(Events);

impl End {
    /// Takes it.
    ///
    /// # Errors
    /// When the system does not give one.
    pub fn watch() -> io::Result<Self> {
        let events = Events::take()?;
        WATCHING.fetch_add(1, SeqCst);
        Ok(Self(events))
    }

    /// Waits for one.
    pub async fn wait(&mut self) {
        self.0.next().await;
    }
}

impl Drop for End {
    fn drop(&mut self) {
        WATCHING.fetch_sub(1, SeqCst);
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
