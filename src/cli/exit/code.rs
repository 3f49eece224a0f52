//! The exit codes (DESIGN §2).

use std::process::ExitCode;

/// How a command ends. One that goes on after a failure ends with the highest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Code {
    /// Done; also when the reader closed the pipe.
    Done,
    /// A clear no: nothing matches, no account, empty input.
    No,
    /// The arguments are wrong.
    Usage,
    /// Malformed input.
    Malformed,
    /// Issuer or upstream unreachable; nothing changed.
    Unavailable,
    /// Input or output failed.
    Io,
    /// Try later: every account is limited, waiting for a lock timed out, or a login did.
    TryLater,
    /// Refused: login needed, consent denied, store readable by others.
    Refused,
    /// Configuration: store corrupt or newer than this program, bad setting.
    Config,
    /// As the program ended that the command ran in its place.
    OfProgram(u8),
}

impl Code {
    /// The number that the process ends with.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::No => 1,
            Self::Usage => 2,
            Self::Malformed => 65,
            Self::Unavailable => 69,
            Self::Io => 74,
            Self::TryLater => 75,
            Self::Refused => 77,
            Self::Config => 78,
            Self::OfProgram(status) => status,
        }
    }
}

impl From<Code> for ExitCode {
    fn from(code: Code) -> Self {
        Self::from(code.number())
    }
}
