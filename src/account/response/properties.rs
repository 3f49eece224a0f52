//! What must hold of whatever is read.

use jiff::tz::TimeZone;
use proptest::prelude::*;

use super::read;
use crate::account::limit::{Verdict, longest};
use crate::account::time::UnixMillis;

const NOW: UnixMillis = UnixMillis::from_secs(1_777_922_696);

/// Pieces of what is seen, and of what is just beside that.
const PIECES: [&str; 24] = [
    "HTTP/1.1 429 Too Many Requests\r\n",
    "HTTP/1.1 200 OK\nContent-Type: text/event-stream\n",
    "HTTP/2 403\n",
    "retry-after: 99999999999999\n",
    "retry-after: Fri, 31 Dec 9999 23:59:59 GMT\n",
    "x-codex-primary-used-percent: 100\n",
    "x-codex-primary-window-minutes: 4294967296\n",
    "x-codex-primary-window-minutes: 43200\n",
    "x-codex-primary-reset-at: 99999999999\n",
    "x-codex-primary-reset-after-seconds: 1e300\n",
    "cf-mitigated: challenge\n",
    "\n",
    "event: error\n",
    "data: ",
    "{\"error\":{\"code\":\"usage_limit_reached\",\"resets_at\":9e18}}\n\n",
    "{\"error\":{\"code\":\"model_cooldown\",\"reset_seconds\":1e18}}",
    "{\"type\":\"response.incomplete\",\"response\":{\"incomplete_details\":{\"reason\":\"usage_limit_reached\"}}}\n\n",
    "{\"rate_limit\":null,\"spend_control\":{\"reached\":true,\"individual_limit\":{\"used_percent\":1e9,\"reset_at\":9e9}}}",
    "{\"type\":\"turn.failed\",\"error\":{\"message\":\"You've hit your usage limit, try again at ",
    "ERROR: You've hit your usage limit or try again at ",
    "Dec 31st, 9999 11:59 PM",
    "Feb 30th, 2026 8:32 AM. try again in 99999999999999d",
    "\"}}\n",
    "{\"type\":\"error\",\"message\":\"status 429 {\"}",
];

fn holds(input: &[u8]) -> Result<(), TestCaseError> {
    let zone = TimeZone::fixed(jiff::tz::offset(-11));
    let reading = read(input, NOW, &zone);
    prop_assert_eq!(&reading, &read(input, NOW, &zone));
    let Ok(reading) = reading else {
        return Ok(());
    };
    if let Verdict::Limited(limit) = reading.verdict
        && let Some(reset) = limit.reset
    {
        let last = NOW.plus(longest(limit.window_minutes, &reset.source));
        prop_assert!(NOW < reset.at && reset.at <= last);
    }
    Ok(())
}

proptest! {
    #[test]
    fn any_bytes_are_read_the_same_twice_and_never_beyond_the_cap(
        input in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        holds(&input)?;
    }

    #[test]
    fn any_mixture_of_what_is_seen_is_read_the_same_twice_and_never_beyond_the_cap(
        pieces in prop::collection::vec(prop::sample::select(&PIECES[..]), 0..14),
    ) {
        holds(pieces.concat().as_bytes())?;
    }
}
