//! What an account is told of its usage, and of the resets it has in store (PROTOCOL §4).

use super::account::{BankedReset, Budget, PretendAccount, Standing, Window, Windows};
use super::answer::Answer;
use super::clock::{seconds_until, unix_seconds};
use super::headers::used_up;
use super::limits::FAMILY_MODEL;
use super::outcome::Outcome;
use super::style::Style;
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use std::time::SystemTime;

/// `GET /wham/usage`.
pub(super) fn usage(account: &PretendAccount, now: SystemTime) -> Outcome {
    let mut windows = account.windows;
    let mut families = json!([]);
    // A limit that is not for all models is asked for with the one it is for.
    let limit = match account.standing.answer(FAMILY_MODEL, now) {
        Answer::Styled { style, resets_in } => Some((style, resets_in)),
        _ => None,
    };
    match limit {
        Some((Style::ModelFamily, resets_in)) => {
            let windows = used_up(Style::ModelFamily, Windows::default(), resets_in, now);
            families = json!([{
                "limit_name": FAMILY_MODEL,
                "metered_feature": "codex_bengalfox",
                "rate_limit": rate_limit(windows, now),
            }]);
        }
        Some((style, resets_in)) if style.is_usage_limit() => {
            windows = used_up(style, windows, resets_in, now);
        }
        _ => {}
    }
    let credits = &account.credits;
    let mut usage = json!({
        "user_id": account.user_id,
        "account_id": account.account_id,
        "email": account.email,
        "plan_type": account.plan,
        "rate_limit": rate_limit(windows, now),
        "additional_rate_limits": families,
        "credits": {
            "has_credits": credits.has,
            "unlimited": credits.unlimited,
            "balance": credits.balance,
            "overage_limit_reached": credits.overage_limit_reached,
        },
        "spend_control": {"reached": false, "individual_limit": null},
        "rate_limit_reached_type": null,
        "rate_limit_reset_credits": {"available_count": available(account, now).count()},
    });
    if let Some(budget) = &account.budget {
        usage["rate_limit"] = Value::Null;
        usage["spend_control"] = spend_control(budget);
    }
    Outcome::json(StatusCode::OK, &usage)
}

fn rate_limit(windows: Windows, now: SystemTime) -> Value {
    let reached = windows.exhausted();
    json!({
        "allowed": !reached,
        "limit_reached": reached,
        "primary_window": windows.primary.map(|window| window_json(window, now)),
        "secondary_window": windows.secondary.map(|window| window_json(window, now)),
    })
}

fn window_json(window: Window, now: SystemTime) -> Value {
    json!({
        "used_percent": window.used_percent,
        "limit_window_seconds": window.minutes * 60,
        "reset_after_seconds": seconds_until(window.resets_at, now),
        "reset_at": unix_seconds(window.resets_at),
    })
}

fn spend_control(budget: &Budget) -> Value {
    json!({
        "reached": budget.used_percent >= 100.0,
        "individual_limit": {
            "limit": 100.0,
            "used": budget.used_percent,
            "used_percent": budget.used_percent,
            "reset_at": unix_seconds(budget.resets_at),
        },
    })
}

/// `GET /wham/rate-limit-reset-credits`.
pub(super) fn banked(account: &PretendAccount, now: SystemTime) -> Outcome {
    let credits: Vec<Value> = account
        .banked
        .iter()
        .map(|reset| banked_json(reset, now))
        .collect();
    Outcome::json(
        StatusCode::OK,
        &json!({"available_count": available(account, now).count(), "credits": credits}),
    )
}

fn available(account: &PretendAccount, now: SystemTime) -> impl Iterator<Item = &BankedReset> {
    let is_available =
        move |reset: &&BankedReset| reset.redeemed_by.is_none() && reset.expires_at > now;
    account.banked.iter().filter(is_available)
}

fn banked_json(reset: &BankedReset, now: SystemTime) -> Value {
    let status = match &reset.redeemed_by {
        Some(_) => "redeemed",
        None if reset.expires_at <= now => "expired",
        None => "available",
    };
    let month = std::time::Duration::from_secs(30 * 24 * 60 * 60);
    json!({
        "id": reset.id,
        "status": status,
        "reset_type": "codex_rate_limits",
        "granted_at": rfc_3339(reset.expires_at.checked_sub(month).unwrap_or(reset.expires_at)),
        "expires_at": rfc_3339(reset.expires_at),
        "title": "Full reset (Weekly + 5 hr)",
    })
}

fn rfc_3339(time: SystemTime) -> Option<String> {
    Some(jiff::Timestamp::try_from(time).ok()?.to_string())
}

/// `POST /wham/rate-limit-reset-credits/consume`: the same request id spends one reset, however often it comes.
pub(super) fn redeem(account: &mut PretendAccount, body: &[u8], now: SystemTime) -> Outcome {
    #[derive(Deserialize)]
    struct Redeem {
        redeem_request_id: String,
        credit_id: String,
    }
    let Ok(asked) = serde_json::from_slice::<Redeem>(body) else {
        return Outcome::json(
            StatusCode::BAD_REQUEST,
            &json!({"detail": "redeem_request_id and credit_id are required"}),
        );
    };
    let id = Some(&asked.redeem_request_id);
    let is_spent = account.windows.exhausted()
        || matches!(account.standing, Standing::LimitedUntil { until, .. } if until > now);
    let (code, windows) = if account
        .banked
        .iter()
        .any(|reset| reset.redeemed_by.as_ref() == id)
    {
        ("already_redeemed", 0)
    } else if !available(account, now).any(|reset| reset.id == asked.credit_id) {
        ("no_credit", 0)
    } else if !is_spent {
        ("nothing_to_reset", 0)
    } else {
        for reset in account
            .banked
            .iter_mut()
            .filter(|reset| reset.id == asked.credit_id)
        {
            reset.redeemed_by = Some(asked.redeem_request_id.clone());
        }
        reset(account);
        ("reset", 2)
    };
    Outcome::json(
        StatusCode::OK,
        &json!({"code": code, "windows_reset": windows}),
    )
}

/// Both windows begin anew.
fn reset(account: &mut PretendAccount) {
    account.standing = Standing::Good;
    for window in [&mut account.windows.primary, &mut account.windows.secondary]
        .into_iter()
        .flatten()
    {
        window.used_percent = 0.0;
    }
}
