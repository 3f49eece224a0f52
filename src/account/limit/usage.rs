//! The answer of the usage endpoint (PROTOCOL §4).

use serde_json::Value;

use super::headers::scope_id;
use super::limited::{Class, Limit, last_exhausted};
use super::reading::Reading;
use super::reset::{Reset, Source, sensible};
use super::verdict::Verdict;
use super::windows::{json_number, json_window};
use crate::account::Scope;
use crate::account::time::UnixMillis;
use crate::account::usage::Window;

/// Reads the answer of the usage endpoint (PROTOCOL §4). A limit that it reports has the windows'
/// own resets.
#[must_use]
pub fn read_usage(usage: &Value, now: UnixMillis) -> Reading {
    let mut windows = usage_windows(None, &usage["rate_limit"], now);
    for additional in usage["additional_rate_limits"]
        .as_array()
        .into_iter()
        .flatten()
    {
        let scope = additional["metered_feature"].as_str().map(scope_id);
        if scope.is_some() {
            windows.extend(usage_windows(scope, &additional["rate_limit"], now));
        }
    }
    let used_up = last_exhausted(&windows, None);
    // Credit can go on where a window ends: then the account is not limited.
    let limited = usage["rate_limit"]["limit_reached"].as_bool();
    let verdict = if limited.unwrap_or(used_up.is_some()) {
        Verdict::Limited(Limit {
            class: Class::Quota,
            reset: used_up
                .and_then(|window| sensible(window.resets_at?, now))
                .map(|at| Reset {
                    at,
                    source: Source::Usage,
                }),
            window_minutes: used_up.map(|window| window.minutes),
            ..Limit::unexplained(Scope::default_scope())
        })
    } else {
        Verdict::Ok
    };
    Reading {
        verdict,
        windows,
        plan_type: usage["plan_type"].as_str().map(str::to_owned),
    }
}

/// The windows of one `rate_limit` object of the usage endpoint.
fn usage_windows(scope: Option<Scope>, rate_limit: &Value, now: UnixMillis) -> Vec<Window> {
    ["primary_window", "secondary_window"]
        .into_iter()
        .filter_map(|slot| {
            let told = &rate_limit[slot];
            let minutes = json_number(&told["limit_window_seconds"])? / 60.0;
            json_window(scope.clone(), told, minutes, now)
        })
        .collect()
}
