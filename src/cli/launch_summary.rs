//! The line that `codex-launch` ends with at a terminal: what the run came to, and how to go on.

use super::saying::unbroken;
use super::when::Local;
use crate::account::time::UnixMillis;
use crate::account::{Account, State};
use crate::proxy::tally::Tally;

/// The line; none where nothing was asked. `accounts` are those of after the run, `resume` is what
/// goes on with its session.
#[must_use]
pub(super) fn closing_line(
    tally: &Tally,
    accounts: &[Account],
    now: UnixMillis,
    resume: Option<&str>,
) -> Option<String> {
    let mut parts = vec![match tally.requests {
        0 if tally.limited.is_empty() => return None,
        1 => "1 request".to_owned(),
        count => format!("{count} requests"),
    }];
    let local = Local::new(now);
    for name in &tally.limited {
        let until = limited_until(accounts, name, now);
        parts.push(match until {
            Some(until) => format!("{name} is limited until {}", local.clock(until)),
            None => format!("{name} was limited"),
        });
    }
    match &tally.last {
        Some(last) if !tally.limited.is_empty() && !tally.limited.contains(last) => {
            parts.push(format!("{last} went on"));
        }
        _ => {}
    }
    let resume = resume.map(|command| unbroken(&format!("continue with: {command}")));
    parts.extend(resume);
    Some(parts.join("; "))
}

fn limited_until(accounts: &[Account], name: &str, now: UnixMillis) -> Option<UnixMillis> {
    let account = accounts.iter().find(|account| account.name() == name)?;
    match account.state(None, now) {
        State::Limited { mark, .. } => Some(mark.until),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(tally: &Tally, resume: Option<&str>) -> Option<String> {
        closing_line(tally, &[], UnixMillis::from_secs(1_777_922_696), resume)
    }

    #[test]
    fn a_run_that_asked_nothing_ends_without_a_line() {
        assert_eq!(line(&Tally::default(), Some("codex-launch codex")), None);
    }

    #[test]
    fn who_was_limited_and_is_no_more_was_limited() {
        let mut tally = Tally {
            requests: 1,
            limited: vec!["one".into()],
            ..Tally::default()
        };
        let shown = line(&tally, None);
        assert_eq!(shown.as_deref(), Some("1 request; one was limited"));
        tally.last = Some("one".into());
        assert_eq!(line(&tally, None), shown);
    }
}
