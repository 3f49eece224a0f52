//! Points in time as the store holds them: Unix milliseconds. It must not read a clock. A time that
//! is not known is `None`; the formats that write 0 for it are read and written by [`or_zero`].

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A point in time, in milliseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct UnixMillis(u64);

impl UnixMillis {
    /// Numbers from here on are taken for milliseconds where a unit is not given: as seconds it
    /// would be the year 5138.
    const MILLIS_FROM: u64 = 100_000_000_000;

    /// From milliseconds since the Unix epoch.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// From milliseconds as programs write them, with 0 for a time that is not known.
    #[must_use]
    pub const fn known(millis: u64) -> Option<Self> {
        match millis {
            0 => None,
            millis => Some(Self(millis)),
        }
    }

    /// From seconds since the Unix epoch.
    #[must_use]
    pub const fn from_secs(secs: u64) -> Self {
        Self(secs.saturating_mul(1000))
    }

    /// From a number that servers and people write as seconds or as milliseconds, told apart by
    /// size. Fractions are kept to the millisecond; what is no time at all gives `None`.
    #[must_use]
    pub fn from_secs_or_millis(number: f64) -> Option<Self> {
        if !number.is_finite() || number <= 0.0 {
            return None;
        }
        let millis = if number < Self::MILLIS_FROM as f64 {
            number * 1000.0
        } else {
            number
        };
        // A float to integer cast saturates, which is what is wanted here.
        Some(Self(millis.round() as u64))
    }

    /// Milliseconds since the Unix epoch.
    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// Whole seconds since the Unix epoch, rounded up: a reset is never announced too early.
    #[must_use]
    pub const fn as_secs_ceil(self) -> u64 {
        self.0.div_ceil(1000)
    }

    /// This much later; far beyond the end of time it stays there.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(millis))
    }

    /// As programs and people both read it: RFC 3339, in UTC, to the second.
    #[must_use]
    pub fn rfc3339(self) -> String {
        i64::try_from(self.as_secs_ceil())
            .ok()
            .and_then(|secs| jiff::Timestamp::from_second(secs).ok())
            .unwrap_or(jiff::Timestamp::MAX)
            .to_string()
    }

    /// How long after `earlier` this is; zero if it is not after it.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

impl fmt::Display for UnixMillis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl<'de> Deserialize<'de> for UnixMillis {
    /// Other programs write this file too: a fraction is cut off and a negative time becomes 0.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = serde_json::Number::deserialize(deserializer)?;
        let millis = number
            .as_u64()
            // A float to integer cast saturates: negative numbers become zero.
            .or_else(|| number.as_f64().map(|float| float as u64))
            .unwrap_or(0);
        Ok(Self(millis))
    }
}

/// A time that may not be known, in fields where that is written as 0. For `#[serde(with)]`, beside
/// `default`.
pub mod or_zero {
    use super::{Deserialize, Deserializer, Serialize, Serializer, UnixMillis};

    /// Writes the time, or 0.
    ///
    /// # Errors
    /// When the serializer fails.
    // serde passes a reference.
    #[allow(clippy::trivially_copy_pass_by_ref)]
    pub fn serialize<S: Serializer>(
        time: &Option<UnixMillis>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        time.unwrap_or(UnixMillis(0)).serialize(serializer)
    }

    /// Reads a time; 0 and null are none.
    ///
    /// # Errors
    /// When it is no number.
    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<UnixMillis>, D::Error> {
        let time = Option::<UnixMillis>::deserialize(deserializer)?;
        Ok(time.and_then(|time| UnixMillis::known(time.0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_and_milliseconds_are_told_apart_by_size() {
        let time = UnixMillis::from_secs(1_777_936_568);
        assert_eq!(UnixMillis::from_secs_or_millis(1_777_936_568.0), Some(time));
        assert_eq!(
            UnixMillis::from_secs_or_millis(1_777_936_568_000.0),
            Some(time)
        );
        assert_eq!(UnixMillis::from_secs_or_millis(0.0), None);
        assert_eq!(UnixMillis::from_secs_or_millis(f64::NAN), None);
    }
}
