//! What time it is. The only place that asks the system clock; decisions take the time as an argument.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

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
            Self::System => SystemTime::now().into(),
            Self::Fixed(time) => time,
        }
    }
}

/// A time before the epoch becomes the epoch.
impl From<SystemTime> for UnixMillis {
    fn from(time: SystemTime) -> Self {
        Self::from_millis(0).plus(time.duration_since(UNIX_EPOCH).unwrap_or_default())
    }
}

impl From<UnixMillis> for SystemTime {
    fn from(time: UnixMillis) -> Self {
        UNIX_EPOCH + Duration::from_millis(time.as_millis())
    }
}
