//! Arguments that several commands have, and how values are written on a command line.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use clap::error::ErrorKind;

use super::exit::{Code, Error};
use crate::account::time::UnixMillis;

/// The arguments that all commands have.
#[derive(Clone, Debug, clap::Args)]
pub struct Common {
    /// Use this account store
    #[arg(long, value_name = "FILE", global = true)]
    pub store: Option<PathBuf>,
    /// Print no notes on standard error
    #[arg(short, long, global = true)]
    pub quiet: bool,
}

/// Ends with what clap has to say: help and version on standard output, the rest as one line.
///
/// # Errors
/// When the arguments are wrong, or help can't be printed.
pub fn explain(error: &clap::Error) -> Result<Code, Error> {
    if matches!(
        error.kind(),
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
    ) {
        return error.print().map(|()| Code::Done).map_err(Error::output);
    }
    let text = error.render().to_string();
    let mut paragraphs = text.split("\n\n");
    let first = paragraphs.next().unwrap_or_default();
    let message = one_line(first.trim_start_matches("error: "));
    let tip = paragraphs
        .filter(|paragraph| paragraph.trim_start().starts_with("tip: "))
        .flat_map(|paragraph| paragraph.split("tip: ").map(str::trim))
        .filter(|tip| !tip.is_empty())
        // That a flag could be a value too is no help to anybody who mistyped one.
        .find(|tip| !tip.starts_with("to pass "))
        .map_or_else(|| "-h shows the usage".to_owned(), one_line);
    Err(Error::hinted(Code::Usage, message, tip))
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Reads a length of time: seconds, or `90s`, `15m`, `5h`, `7d`.
///
/// # Errors
/// When it is none.
pub fn duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = match text.find(|c: char| c.is_ascii_alphabetic()) {
        Some(at) => text.split_at(at),
        None => (text, "s"),
    };
    let seconds_in_unit = match unit {
        "ms" => Some(0.001),
        "s" => Some(1.0),
        "m" => Some(60.0),
        "h" => Some(3600.0),
        "d" => Some(86_400.0),
        _ => None,
    };
    number
        .parse::<f64>()
        .ok()
        .zip(seconds_in_unit)
        .and_then(|(count, seconds)| Duration::try_from_secs_f64(count * seconds).ok())
        .ok_or_else(|| "not a length of time, like 90, 90s, 15m, 5h or 7d".to_owned())
}

/// Reads a point in time: Unix seconds or milliseconds, or RFC 3339.
///
/// # Errors
/// When it is none.
pub fn time(text: &str) -> Result<UnixMillis, String> {
    let number = text.parse().ok().and_then(UnixMillis::from_secs_or_millis);
    let written = || {
        let timestamp: jiff::Timestamp = text.parse().ok()?;
        u64::try_from(timestamp.as_millisecond())
            .ok()
            .map(UnixMillis::from_millis)
    };
    number
        .or_else(written)
        .ok_or_else(|| "not a time, like 1777936568 or 2026-05-04T23:16:08Z".to_owned())
}

/// Reads where to listen: an address with its port, or a port, which is one of 127.0.0.1.
///
/// # Errors
/// When it is neither.
pub fn address(text: &str) -> Result<SocketAddr, String> {
    let at_home = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    text.parse()
        .or_else(|_| text.parse().map(at_home))
        .map_err(|_| "not an address with a port, like 127.0.0.1:8080, nor a port".to_owned())
}

/// Reads a percentage.
///
/// # Errors
/// When it is none.
pub fn percent(text: &str) -> Result<f64, String> {
    text.trim_end_matches('%')
        .parse()
        .ok()
        .filter(|percent| (0.0..=100.0).contains(percent))
        .ok_or_else(|| "not a percentage between 0 and 100".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time() {
        for (text, secs) in [
            ("90", 90.0),
            ("90s", 90.0),
            ("15m", 900.0),
            ("1.5h", 5400.0),
            ("7d", 604_800.0),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_secs_f64(secs)), "{text}");
        }
        for bad in ["", "s", "-1", "1w", "1h30m", "1e400", "nan"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_port_alone_is_one_of_loopback() {
        for (text, address) in [
            ("8080", "127.0.0.1:8080"),
            ("0", "127.0.0.1:0"),
            ("[::1]:80", "[::1]:80"),
        ] {
            assert_eq!(super::address(text).unwrap().to_string(), address);
        }
        for bad in ["", "localhost", "127.0.0.1", "65536", ":80"] {
            assert!(super::address(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn points_in_time() {
        let expected = Ok(UnixMillis::from_secs(1_777_936_568));
        for text in ["1777936568", "1777936568000", "2026-05-04T23:16:08Z"] {
            assert_eq!(time(text), expected, "{text}");
        }
        for bad in ["", "-5", "yesterday", "2026-05-04", "inf"] {
            assert!(time(bad).is_err(), "{bad}");
        }
    }
}
