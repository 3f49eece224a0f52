//! The backend's endpoints (PROTOCOL §3, §4): who may ask, and what there is to be asked.
//!
//! What a request to the model comes to is `responses`', how usage is told is `usage`'s.

use super::account::PretendAccount;
use super::entitled::{asker, etag};
use super::grant::Bearer;
use super::outcome::{Outcome, not_found};
use super::refused::{expired, invalidated, wrong_region, wrong_workspace};
use super::request::ModelRequest;
use super::responses;
use super::seen::Seen;
use super::strict;
use super::world::World;
use super::{socket, usage};
use http::header::{HeaderName, HeaderValue, UPGRADE};
use http::{HeaderMap, Method, StatusCode};
use serde_json::{Value, json};
use std::time::SystemTime;

/// Answers a request for `/backend-api` + `path`, and notes in it what it was about.
pub(super) fn answer(
    world: &mut World,
    request: &mut Seen,
    path: &str,
    bearer: Bearer,
    now: SystemTime,
) -> Outcome {
    let upgrade = path == "/codex/responses" && request.headers.contains_key(UPGRADE);
    if upgrade && !(world.script.socket.offered && socket::is_complete(&request.headers)) {
        // Before anything else, as for every server that knows no WebSocket (PROTOCOL §6).
        return Outcome::json(
            StatusCode::UPGRADE_REQUIRED,
            &json!({"detail": "Upgrade Required"}),
        )
        .with_headers(vec![(
            HeaderName::from_static("sec-websocket-version"),
            HeaderValue::from_static("13"),
        )]);
    }
    let index = match admit(world, &request.headers, bearer) {
        Ok(index) => index,
        Err(refusal) => return refusal,
    };
    let account = &world.script.accounts[index];
    match (&request.method, path) {
        (&Method::GET, "/codex/responses") if upgrade => {
            responses::handshake(world, index, &request.headers, now)
        }
        (&Method::POST, "/codex/responses") => match ModelRequest::of_post(request) {
            Some(model_request) => {
                request.asks_for = Some(model_request.asks_for());
                let created = responses::create(world, index, &model_request, now);
                request.refused = created.refused;
                created.outcome
            }
            None => Outcome::json(
                StatusCode::BAD_REQUEST,
                &json!({"detail": "The body is no JSON object"}),
            ),
        },
        (&Method::GET, "/codex/models") => models(account),
        (&Method::GET, "/wham/usage" | "/codex/usage") => usage::usage(account, now),
        (&Method::GET, "/wham/accounts/check") => accounts_check(account),
        (&Method::GET, "/wham/rate-limit-reset-credits") => usage::banked(account, now),
        (&Method::POST, "/wham/rate-limit-reset-credits/consume") => {
            usage::redeem(&mut world.script.accounts[index], &request.body, now)
        }
        _ => not_found(),
    }
}

/// The index of the account that asks, or the refusal it gets. The index is that of an account in the script.
fn admit(world: &World, head: &HeaderMap, bearer: Bearer) -> Result<usize, Outcome> {
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
    let says = |name: &str, value: &str| {
        head.get(name)
            .is_some_and(|header| header.as_bytes() == value.as_bytes())
    };
    let is_nameless = world.script.nameless && !head.contains_key("chatgpt-account-id");
    if !is_nameless && !says("chatgpt-account-id", &account.account_id) {
        return Err(wrong_workspace());
    }
    match account.residency.as_deref() {
        None | Some("no_constraint") => Ok(index),
        Some(place) if says("x-openai-internal-codex-residency", place) => Ok(index),
        Some(_) => Err(wrong_region()),
    }
}

/// The models of the account, in the form that Codex reads.
fn models(account: &PretendAccount) -> Outcome {
    let asker = asker(account);
    let models: Vec<Value> = strict::listed(&asker)
        .iter()
        .enumerate()
        .map(|(priority, model)| model_json(model, priority))
        .collect();
    Outcome::json(StatusCode::OK, &json!({"models": models}))
        .with_headers(etag(account).into_iter().collect())
}

fn model_json(model: &str, priority: usize) -> Value {
    json!({
        "slug": model,
        "display_name": model,
        "description": "A pretend model",
        "default_reasoning_level": "medium",
        "supported_reasoning_levels": [{"effort": "medium", "description": "as it comes"}],
        "shell_type": "shell_command",
        "visibility": "list",
        "supported_in_api": true,
        "priority": priority,
        "availability_nux": null,
        "upgrade": null,
        "base_instructions": "You are a pretend coding agent.",
        "supports_reasoning_summaries": true,
        "default_reasoning_summary": "auto",
        "support_verbosity": true,
        "default_verbosity": "low",
        "apply_patch_tool_type": "freeform",
        "truncation_policy": {"mode": "tokens", "limit": 10_000},
        "supports_parallel_tool_calls": true,
        "context_window": 272_000,
        "auto_compact_token_limit": null,
        "experimental_supported_tools": [],
        "input_modalities": ["text", "image"],
        "prefer_websockets": true,
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
