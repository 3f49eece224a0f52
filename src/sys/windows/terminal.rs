//! The console of a person.

use winapi_util::HandleRef;
use winapi_util::console::{mode, set_mode};

/// `ENABLE_LINE_INPUT` and `ENABLE_ECHO_INPUT`.
const LINES_AND_ECHO: u32 = 0x2 | 0x4;

/// A console that shows no keys, and gives each without a line end, until this goes.
#[derive(Debug)]
pub struct Hidden(u32);

impl Hidden {
    /// Hides what is typed; `None` where standard input is no console.
    #[must_use]
    pub fn input() -> Option<Self> {
        let before = mode(HandleRef::stdin()).ok()?;
        set_mode(HandleRef::stdin(), before & !LINES_AND_ECHO).ok()?;
        Some(Self(before))
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        // A console that is gone needs none.
        let _ = set_mode(HandleRef::stdin(), self.0);
    }
}
