//! The way from a request to what becomes of it: which endpoint it is for, and what was scripted for that.
//!
//! Carries a request out in one go, without waiting: delays and the sending are `server`'s.

use super::answer::Answer;
use super::grant::Bearer;
use super::outcome::{Outcome, not_found};
use super::render::render;
use super::request::session;
use super::seen::Seen;
use super::world::World;
use super::{backend, issuer};
use http::header::AUTHORIZATION;
use http::{Method, StatusCode};
use std::time::{Duration, SystemTime};

/// Where the servers are changed while they run.
pub(super) const CONTROL: &str = "/rehearsal";

/// What becomes of a request, and when.
pub(super) struct Act {
    pub(super) outcome: Outcome,
    pub(super) delay: Duration,
    pub(super) pace: Duration,
    pub(super) remember: bool,
}

/// Carries the request out and notes in it whose it is.
pub(super) fn act(world: &mut World, request: &mut Seen) -> Act {
    let now = world.script.now();
    world.count_request();
    let bearer =
        bearer_token(request).map_or(Bearer::Unknown, |token| world.grants.bearer(token, now));
    request.account = bearer.account();
    request.session = session(&request.headers);

    let delay = world.script.delays.get(&request.path).copied();
    let scripted = world.script.answers_at.get(&request.path).cloned();
    let answer = scripted.unwrap_or(Answer::Good(None));
    let scene = world.scene(None, now);
    let outcome = render(&answer, &scene, |_| endpoint(world, request, bearer, now));
    Act {
        outcome,
        delay: delay.unwrap_or_default(),
        pace: world.script.pace,
        remember: world.script.remember,
    }
}

fn endpoint(world: &mut World, request: &mut Seen, bearer: Bearer, now: SystemTime) -> Outcome {
    let path = request.path.clone();
    match (&request.method, path.as_str()) {
        (&Method::GET, "/oauth/authorize") => issuer::authorize(world, request),
        (&Method::POST, "/oauth/token") => issuer::token(world, request, now),
        (&Method::POST, "/oauth/revoke") => issuer::revoke(world, request),
        (&Method::POST, "/api/accounts/deviceauth/usercode") => issuer::user_code(world, request),
        (&Method::POST, "/api/accounts/deviceauth/token") => issuer::poll(world, request),
        (&Method::GET, "/codex/device") => Outcome::whole(
            StatusCode::OK,
            "text/plain",
            "The pretend issuer lets every device in; there is nothing to type.\n",
        ),
        (&Method::POST, CONTROL) => match world.change(&request.body) {
            Some(Ok(())) => Outcome::whole(StatusCode::OK, "text/plain", ""),
            Some(Err(why)) => Outcome::whole(StatusCode::BAD_REQUEST, "text/plain", why),
            None => not_found(),
        },
        _ => match path.strip_prefix("/backend-api") {
            Some(path) => backend::answer(world, request, path, bearer, now),
            None => not_found(),
        },
    }
}

/// The token of `Authorization: Bearer TOKEN`; the scheme is read in any case (RFC 9110 §11.1).
fn bearer_token(request: &Seen) -> Option<&str> {
    let (scheme, token) = request.header(AUTHORIZATION.as_str())?.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then_some(token.trim())
}
