//! The backend's endpoints (PROTOCOL §3, §4): who may ask, and what an account answers when its turn comes.
//!
//! How a limit looks is `render`'s, how a good stream looks is `sse`'s.

use super::answer::{Answer, Style};
use super::clock::{seconds_until, unix_seconds};
use super::grant::Bearer;
use super::render::{FAMILY_MODEL, error, expired, invalidated, render, usage_headers, used_up};
use super::reply::{Field, Outcome, not_found};
use super::script::{PretendAccount, Window, Windows};
use super::seen::Seen;
use super::sse::Turn;
use super::world::World;
use http::header::{HeaderName, HeaderValue, UPGRADE};
use http::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use std::time::SystemTime;

/// What a request is taken to be for when its body does not say, or is compressed.
const DEFAULT_MODEL: &str = "gpt-5.5";

/// The two endpoints that cost quota.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Call {
    Responses,
    Compact,
}

/// Answers a request for `/backend-api` + `path`.
pub(super) fn answer(
    world: &mut World,
    request: &Seen,
    path: &str,
    bearer: Bearer,
    now: SystemTime,
) -> Outcome {
    // Before anything else, as for every server that knows no WebSocket (PROTOCOL §6).
    if path == "/codex/responses" && request.headers.contains_key(UPGRADE) {
        return Outcome::json(
            StatusCode::UPGRADE_REQUIRED,
            &json!({"detail": "Upgrade Required"}),
        );
    }
    let account = match admit(world, request, bearer) {
        Ok(account) => account,
        Err(refusal) => return refusal,
    };
    match (&request.method, path) {
        (&Method::POST, "/codex/responses") => {
            model_call(world, request, account, Call::Responses, now)
        }
        (&Method::POST, "/codex/responses/compact") => {
            model_call(world, request, account, Call::Compact, now)
        }
        (&Method::GET, "/codex/models") => Outcome::json(StatusCode::OK, &json!({"models": []})),
        (&Method::GET, "/wham/usage" | "/codex/usage") => {
            usage(&world.script.accounts[account], now)
        }
        (&Method::GET, "/wham/accounts/check") => accounts_check(&world.script.accounts[account]),
        _ => not_found(),
    }
}

/// The index of the account that asks, or the 401 it gets. The index is that of an account in the script.
fn admit(world: &World, request: &Seen, bearer: Bearer) -> Result<usize, Outcome> {
    let index = match bearer {
        Bearer::Good(index) => index,
        Bearer::Expired(_) => return Err(expired()),
        Bearer::Dead(_) => return Err(invalidated()),
        Bearer::Unknown => {
            return Err(Outcome::json(
                StatusCode::UNAUTHORIZED,
                &json!({"detail": "Unauthorized"}),
            ));
        }
    };
    let account = world.script.accounts.get(index).ok_or_else(invalidated)?;
    if request.header("chatgpt-account-id") == Some(&account.account_id) {
        Ok(index)
    } else {
        Err(error(
            StatusCode::UNAUTHORIZED,
            "invalid_request_error",
            "account_mismatch",
            "ChatGPT-Account-Id is not the account of the token",
        ))
    }
}

fn model_call(
    world: &mut World,
    request: &Seen,
    index: usize,
    call: Call,
    now: SystemTime,
) -> Outcome {
    let mut scene = world.scene(Some(index), now);
    scene.model = model(request);
    let turn_state = world.script.turn_state;
    let account = &mut world.script.accounts[index];
    let answer =
        (account.next.pop_front()).unwrap_or_else(|| account.standing.answer(&scene.model, now));
    render(&answer, &scene, |text| {
        let own = account
            .text
            .clone()
            .unwrap_or_else(|| format!("answered by {}", account.email));
        let text = text.unwrap_or(&own);
        let mut headers = usage_headers(&scene.plan, scene.windows, now);
        if turn_state {
            headers.extend(turn_state_header(&account.account_id, scene.serial));
        }
        match call {
            Call::Responses => {
                Outcome::events(Turn::new(scene.serial, &scene.model, now).complete(text))
            }
            Call::Compact => Outcome::json(StatusCode::OK, &compacted(scene.serial, text, now)),
        }
        .with_headers(headers)
    })
}

/// The model a request names.
fn model(request: &Seen) -> String {
    #[derive(Deserialize)]
    struct Named {
        model: String,
    }
    serde_json::from_slice(&request.body)
        .map_or_else(|_| DEFAULT_MODEL.to_owned(), |Named { model }| model)
}

fn turn_state_header(account_id: &str, serial: u64) -> Option<Field> {
    let value = HeaderValue::try_from(format!("pretend-turn-{account_id}-{serial}")).ok()?;
    Some((HeaderName::from_static("x-codex-turn-state"), value))
}

fn compacted(serial: u64, text: &str, now: SystemTime) -> Value {
    json!({
        "id": format!("resp_pretend_{serial}"),
        "object": "response.compaction",
        "created_at": unix_seconds(now),
        "output": [{
            "id": format!("cmp_pretend_{serial}"),
            "type": "compaction",
            "encrypted_content": text,
        }],
        "usage": {"input_tokens": 8, "output_tokens": 1, "total_tokens": 9},
    })
}

/// What is left, which for a limited account is nothing.
fn usage(account: &PretendAccount, now: SystemTime) -> Outcome {
    let mut windows = account.windows;
    let mut families = json!([]);
    let limit = account.standing.answer(FAMILY_MODEL, now);
    if let Answer::Styled { style, resets_in } = limit {
        if style == Style::ModelFamily {
            families = json!([{
                "limit_name": FAMILY_MODEL,
                "metered_feature": "codex_bengalfox",
                "rate_limit": rate_limit(used_up(style, Windows::default(), resets_in, now), now),
            }]);
        } else if style.is_usage_limit() {
            windows = used_up(style, windows, resets_in, now);
        }
    }
    Outcome::json(
        StatusCode::OK,
        &json!({
            "user_id": account.user_id,
            "account_id": account.account_id,
            "email": account.email,
            "plan_type": account.plan,
            "rate_limit": rate_limit(windows, now),
            "additional_rate_limits": families,
            "credits": {"has_credits": false, "unlimited": false, "balance": "0"},
        }),
    )
}

fn rate_limit(windows: Windows, now: SystemTime) -> Value {
    let reached = [windows.primary, windows.secondary]
        .iter()
        .flatten()
        .any(|window| window.used_percent >= 100.0);
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

/// Codex asks this before its first turn and wants to find its account in the answer.
fn accounts_check(account: &PretendAccount) -> Outcome {
    Outcome::json(
        StatusCode::OK,
        &json!({"accounts": [{
            "id": account.account_id,
            "account_id": account.account_id,
            "plan_type": account.plan,
            "structure": "personal",
            "is_deactivated": false,
            "workspace_backend_origin": "NO_CONSTRAINT",
            "account_routing_override": "NO_CONSTRAINT",
        }]}),
    )
}
