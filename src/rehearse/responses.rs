//! What a request to the model comes to, over HTTP and over a WebSocket: the account's turn, the refusals, the answer.
//!
//! Decides in which order things are looked at: shape and model, then limits, then what is sealed. What is refused is
//! `strict`'s to say, what is answered `model`'s.

use super::account::{PretendAccount, Standing};
use super::answer::Answer;
use super::entitled::{asker, etag};
use super::events::Events;
use super::headers::usage_headers;
use super::model::{self, Setting};
use super::outcome::Outcome;
use super::render::render;
use super::reply::Field;
use super::request::{ModelRequest, Way};
use super::scene::Scene;
use super::script::{Blobs, Delivery, Foreign};
use super::seen::Refused;
use super::streams::rate_limits;
use super::strict::{self, Refusal};
use super::world::World;
use http::header::{HeaderName, HeaderValue};
use http::{HeaderMap, StatusCode};
use serde_json::json;
use std::time::{Duration, SystemTime};

/// What a request came to.
pub(super) struct Created {
    pub(super) outcome: Outcome,
    /// What it was refused for, where what is strict refused it.
    pub(super) refused: Option<Refused>,
}

/// Carries out a request of the account with this index, which is one of the script's.
pub(super) fn create(
    world: &mut World,
    index: usize,
    request: &ModelRequest,
    now: SystemTime,
) -> Created {
    let mut scene = world.scene(Some(index), now);
    scene.model = request.model().to_owned();
    let script = &mut world.script;
    let (portable, foreign) = (script.blobs == Blobs::Portable, script.foreign);
    let silence = script.compaction_silence;
    let account = &mut script.accounts[index];
    if let Some(outcome) = foreign_turn(account, request) {
        return Created {
            outcome,
            refused: Some(Refused::Request),
        };
    }
    if let Err(refusal) = strict::at_the_gate(request, &asker(account)) {
        return Created {
            outcome: refusal.outcome(),
            refused: Some(refusal.about),
        };
    }
    let answer = paid_for(account.next_answer(&scene.model, now), account);
    let account = &script.accounts[index];
    let mut refused = None;
    let outcome = render(&answer, &scene, |text| {
        let readable = strict::at_the_model(request, &asker(account), portable, foreign);
        match readable {
            Ok(()) => good(account, request, &scene, text, portable).after(if request.compacts() {
                silence
            } else {
                Duration::ZERO
            }),
            Err(refusal) => {
                refused = Some(refusal.about);
                delivered(refusal, foreign, &scene)
            }
        }
    });
    Created { outcome, refused }
}

/// Credit pays where the windows are used up.
fn paid_for(answer: Answer, account: &PretendAccount) -> Answer {
    match (&answer, &account.standing) {
        (Answer::Styled { style, .. }, Standing::LimitedUntil { .. })
            if style.is_usage_limit() && account.credits.pay() =>
        {
            Answer::Good(None)
        }
        _ => answer,
    }
}

/// A turn state belongs to the account that gave it (PROTOCOL-SWITCH §6).
fn foreign_turn(account: &PretendAccount, request: &ModelRequest) -> Option<Outcome> {
    let state = request.turn_state.as_deref()?;
    let own = state.starts_with(&format!("pretend-turn-{}-", account.account_id));
    (!own).then(|| {
        Outcome::json(
            StatusCode::BAD_REQUEST,
            &json!({"detail": "Invalid x-codex-turn-state"}),
        )
    })
}

fn good(
    account: &PretendAccount,
    request: &ModelRequest,
    scene: &Scene,
    text: Option<&str>,
    portable: bool,
) -> Outcome {
    let mut events = Events::new(scene.serial, &scene.model, scene.now);
    events.begin();
    let turn_state = turn_state(account, scene.serial);
    let mut headers = usage_headers(&scene.plan, scene.windows, &scene.credits, scene.now);
    headers.extend(etag(account));
    match request.way {
        Way::Http => headers.extend(field("x-codex-turn-state", &turn_state)),
        Way::Socket => {
            events.beside(rate_limits(scene, scene.windows));
            events.beside(json!({
                "type": "response.metadata",
                "response_id": super::events::response_id(scene.serial),
                "headers": {"x-codex-turn-state": turn_state, "openai-model": scene.model},
            }));
        }
    }
    let own = format!("answered by {}", account.email);
    let answered = model::answer(
        request,
        &Setting {
            org: asker(account).org,
            serial: scene.serial,
            text: text.or(account.text.as_deref()).unwrap_or(&own),
            portable,
        },
    );
    if !request.prewarm() {
        for item in answered.items {
            events.item(item);
        }
    }
    let listed = !request.compacts();
    Outcome::events(events.complete(answered.cost, listed)).with_headers(headers)
}

/// A refusal of what is sealed, as it is scripted to be put.
fn delivered(refusal: Refusal, foreign: Foreign, scene: &Scene) -> Outcome {
    let delivery = match refusal.about {
        Refused::Request | Refused::Model | Refused::Unfollowed => return refusal.outcome(),
        Refused::Foreign => foreign.delivery,
        // The real one notices it when the response has begun.
        Refused::ForeignOutput if foreign.delivery == Delivery::Status => Delivery::Failed,
        Refused::ForeignOutput => foreign.delivery,
    };
    let refusal = if foreign.codeless {
        refusal.without_code()
    } else {
        refusal
    };
    let mut events = Events::new(scene.serial, &scene.model, scene.now);
    events.begin();
    let events = match delivery {
        Delivery::Status => return refusal.outcome(),
        Delivery::Failed => events.fail(refusal.object()),
        Delivery::Event => events.error(refusal.object(), refusal.status.as_u16(), json!({})),
    };
    let headers = usage_headers(&scene.plan, scene.windows, &scene.credits, scene.now);
    Outcome::events(events).with_headers(headers)
}

/// A complete upgrade of the account with this index: its WebSocket, or why it has none.
pub(super) fn handshake(
    world: &mut World,
    index: usize,
    head: &HeaderMap,
    now: SystemTime,
) -> Outcome {
    let scene = world.scene(Some(index), now);
    let limits = world.script.socket.limits_at_handshake;
    let account = &mut world.script.accounts[index];
    let answer = account.handshakes.pop_front().unwrap_or_else(|| {
        let standing = if limits {
            account.standing.answer("", now)
        } else {
            Answer::Good(None)
        };
        paid_for(standing, account)
    });
    render(&answer, &scene, |_| {
        let mut fields = usage_headers(&scene.plan, scene.windows, &scene.credits, now);
        fields.extend(etag(account));
        fields.extend(super::socket::accept(head));
        Outcome::Upgrade(fields)
    })
}

fn turn_state(account: &PretendAccount, serial: u64) -> String {
    format!("pretend-turn-{}-{serial}", account.account_id)
}

fn field(name: &'static str, value: &str) -> Option<Field> {
    let value = HeaderValue::try_from(value).ok()?;
    Some((HeaderName::from_static(name), value))
}
