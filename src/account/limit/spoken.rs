//! Times in a text for people.

use std::time::Duration;

/// The wait in "Please try again in 1m2.5s": numbers with a unit, one after another.
pub(super) fn spoken_wait(message: &str) -> Option<Duration> {
    const BEFORE: &str = "try again in";
    let lower = message.to_lowercase();
    let mut rest = &lower[lower.find(BEFORE)? + BEFORE.len()..];
    let mut total = 0.0;
    loop {
        let number = leading(rest.trim_start(), |c| c.is_ascii_digit() || c == '.');
        let Some(secs) = number.parse::<f64>().ok().and_then(|count| {
            let after = &rest.trim_start()[number.len()..];
            let unit = leading(after.trim_start(), |c| c.is_ascii_alphabetic());
            rest = &after.trim_start()[unit.len()..];
            Some(count * seconds_in(unit)?)
        }) else {
            break;
        };
        total += secs;
    }
    Duration::try_from_secs_f64(total)
        .ok()
        .filter(|wait| !wait.is_zero())
}

fn leading(text: &str, belongs: impl Fn(char) -> bool) -> &str {
    let end = text.find(|c| !belongs(c)).unwrap_or(text.len());
    &text[..end]
}

fn seconds_in(unit: &str) -> Option<f64> {
    match unit {
        "ms" | "millisecond" | "milliseconds" => Some(0.001),
        "s" | "sec" | "secs" | "second" | "seconds" => Some(1.0),
        "m" | "min" | "mins" | "minute" | "minutes" => Some(60.0),
        "h" | "hr" | "hrs" | "hour" | "hours" => Some(3600.0),
        "d" | "day" | "days" => Some(86_400.0),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spoken_waits() {
        for (message, wait) in [
            ("Please try again in 1.898s.", Some(1898)),
            ("try again in 28ms", Some(28)),
            ("Try again in 20s", Some(20_000)),
            ("try again in 1m2.5s", Some(62_500)),
            ("try again in 3 hours 5 minutes.", Some(11_100_000)),
            ("try again in a while", None),
            ("try again in 5 parsecs", None),
            ("try again in 99999999999999999999999d", None),
            ("later", None),
        ] {
            assert_eq!(
                spoken_wait(message),
                wait.map(Duration::from_millis),
                "{message}"
            );
        }
    }
}
