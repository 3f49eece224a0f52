//! Who may do what with a file, as far as a system has such a thing.

use std::fmt;

/// Who may do what with a file: the twelve bits of a Unix mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rights(pub(super) u32);

impl Rights {
    /// Whether anybody but the owner could read or write it.
    #[must_use]
    pub const fn let_others_in(self) -> bool {
        self.0 & 0o077 != 0
    }

    /// Whether anybody but the owner could change it.
    #[must_use]
    pub const fn let_others_write(self) -> bool {
        self.0 & 0o022 != 0
    }

    /// Whether nobody may take away what is another's, as in a folder for all.
    #[must_use]
    pub const fn are_sticky(self) -> bool {
        self.0 & 0o1000 != 0
    }
}

impl fmt::Display for Rights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04o}", self.0)
    }
}
