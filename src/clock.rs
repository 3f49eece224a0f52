//! What time it is. The only place that asks the system clock; decisions take the time as an argument.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::account::time::UnixMillis;

/// A source of the present time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// The system's clock.
    System,
    /// A clock that stands still: for tests and documentation, where a time is shown.
    Fixed(UnixMillis),
}

impl Clock {
    /// The present time.
    #[must_use]
    pub fn now(self) -> UnixMillis {
        match self {
            Self::System => {
                SystemTime::now()
                    .duration_since(UNIX_EPOCH)
                    .map_or(UnixMillis::NEVER, |since| {
                        UnixMillis::from_millis(
                            u64::try_from(since.as_millis()).unwrap_or(u64::MAX),
                        )
                    })
            }
            Self::Fixed(time) => time,
        }
    }
}
