//! The terminal of a person.

use std::io;

use nix::sys::termios::{LocalFlags, SetArg, Termios, tcgetattr, tcsetattr};

/// A terminal that shows no keys, and gives each without a line end, until this goes.
#[derive(Debug)]
pub struct Hidden(Termios);

impl Hidden {
    /// Hides what is typed; `None` where standard output is no terminal that can.
    #[must_use]
    pub fn input() -> Option<Self> {
        let before = tcgetattr(io::stdout()).ok()?;
        let mut hidden = before.clone();
        hidden
            .local_flags
            .remove(LocalFlags::ECHO | LocalFlags::ICANON);
        tcsetattr(io::stdout(), SetArg::TCSANOW, &hidden).ok()?;
        Some(Self(before))
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        // A terminal that is gone needs none.
        let _ = tcsetattr(io::stdout(), SetArg::TCSANOW, &self.0);
    }
}
