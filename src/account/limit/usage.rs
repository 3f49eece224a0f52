//! The answer of the usage endpoint (PROTOCOL §4).

use serde_json::Value;

use super::headers::scope_id;
use super::limited::{Class, Limit};
use super::reading::{Origin, Reading};
use super::reset::{Reset, Source};
use super::verdict::Verdict;
use super::windows::{json_credits, json_number, json_window, last_exhausted};
use crate::account::time::UnixMillis;
use crate::account::usage::{BankedResets, Budget, Window};
use crate::account::{Extra, Scope};

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
    let budget = budget(&usage["spend_control"]["individual_limit"]);
    let over_budget = usage["spend_control"]["reached"].as_bool() == Some(true)
        || budget.as_ref().is_some_and(|it| it.used_percent >= 100.0);
    let credits = json_credits(&usage["credits"], over_budget);
    let used_up = last_exhausted(&windows, None);
    let is_spent = match usage["rate_limit"]["limit_reached"].as_bool() {
        Some(spent) => spent,
        // A seat without windows has nothing but its budget.
        None if windows.is_empty() => over_budget,
        None => used_up.is_some(),
    };
    // Credit goes on where the plan's windows end: then the account is not limited.
    let on_credit = credits.as_ref().is_some_and(|credits| credits.available);
    let verdict = if is_spent && !on_credit {
        Verdict::Limited(spent(used_up, budget.as_ref(), now))
    } else {
        Verdict::Ok
    };
    // Asked without an account, it answers as for a free one that has nothing.
    let of_nobody = usage["rate_limit"].is_null() && usage["spend_control"].is_null();
    let plan_type = usage["plan_type"].as_str().filter(|_| !of_nobody);
    Reading {
        windows,
        plan_type: plan_type.map(str::to_owned),
        credits: credits.map(Box::new),
        budget: budget.map(Box::new),
        banked_resets: banked_count(&usage["rate_limit_reset_credits"]).map(Box::new),
        origin: Origin::Usage,
        ..Reading::of(verdict)
    }
}

fn spent(used_up: Option<&Window>, budget: Option<&Budget>, now: UnixMillis) -> Limit {
    let minutes = used_up.map(|window| window.minutes);
    let window = used_up.and_then(|window| window.resets_at);
    let budget = budget.and_then(|budget| budget.resets_at);
    let of_window = window.and_then(|at| Reset::believed(at, Source::Usage, minutes, now));
    Limit {
        class: Class::Quota,
        reset: of_window.or_else(|| Reset::believed(budget?, Source::Budget, None, now)),
        window_minutes: minutes,
        ..Limit::unexplained(Scope::default_scope())
    }
}

fn budget(told: &Value) -> Option<Budget> {
    let share = || Some(json_number(&told["used"])? / json_number(&told["limit"])? * 100.0);
    let used_percent = json_number(&told["used_percent"]).or_else(share)?;
    let resets_at = json_number(&told["reset_at"]);
    used_percent.is_finite().then(|| Budget {
        used_percent: used_percent.max(0.0),
        resets_at: resets_at.and_then(UnixMillis::from_secs_or_millis),
        extra: Extra::new(),
    })
}

fn banked_count(told: &Value) -> Option<BankedResets> {
    // A float to integer cast saturates.
    let count = json_number(&told["available_count"])? as u32;
    (count > 0).then(|| BankedResets {
        count,
        first_expires_at: None,
        extra: Extra::new(),
    })
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
