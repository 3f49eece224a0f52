//! The script and the issuer's memory behind one lock, and the way from a request to what becomes of it.
//!
//! Carries a request out in one go, without waiting: delays and the sending are `server`'s.

use super::answer::Answer;
use super::grant::{Bearer, Grants};
use super::render::{Scene, render};
use super::reply::Outcome;
use super::script::{Script, Windows};
use super::seen::Seen;
use super::{backend, issuer};
use http::header::AUTHORIZATION;
use http::{Method, StatusCode};
use serde_json::json;
use std::time::{Duration, SystemTime};

pub(super) struct World {
    pub(super) script: Script,
    pub(super) grants: Grants,
    /// `http://127.0.0.1:PORT`.
    pub(super) origin: String,
    /// Counts requests, to tell answers apart.
    serial: u64,
}

/// What becomes of a request, and when.
pub(super) struct Act {
    pub(super) outcome: Outcome,
    pub(super) delay: Duration,
    pub(super) pace: Duration,
    pub(super) remember: bool,
}

impl World {
    pub(super) fn new(script: Script, origin: String) -> Self {
        Self {
            grants: Grants::new(origin.clone()),
            script,
            origin,
            serial: 0,
        }
    }

    /// Carries the request out and notes in it whose it is.
    pub(super) fn act(&mut self, request: &mut Seen) -> Act {
        let now = self.script.now();
        self.serial += 1;
        let bearer =
            bearer_token(request).map_or(Bearer::Unknown, |token| self.grants.bearer(token, now));
        request.account = bearer.account();

        let delay = self.script.delays.get(&request.path).copied();
        let scripted = self.script.answers_at.get(&request.path).cloned();
        let answer = scripted.unwrap_or(Answer::Good(None));
        let scene = self.scene(None, now);
        let outcome = render(&answer, &scene, |_| self.route(request, bearer, now));
        Act {
            outcome,
            delay: delay.unwrap_or_default(),
            pace: self.script.pace,
            remember: self.script.remember,
        }
    }

    fn route(&mut self, request: &Seen, bearer: Bearer, now: SystemTime) -> Outcome {
        let path = request.path.as_str();
        match (&request.method, path) {
            (&Method::GET, "/oauth/authorize") => issuer::authorize(self, request),
            (&Method::POST, "/oauth/token") => issuer::token(self, request, now),
            (&Method::POST, "/oauth/revoke") => issuer::revoke(self, request),
            (&Method::POST, "/api/accounts/deviceauth/usercode") => {
                issuer::user_code(self, request)
            }
            (&Method::POST, "/api/accounts/deviceauth/token") => issuer::poll(self, request),
            (&Method::GET, "/codex/device") => Outcome::whole(
                StatusCode::OK,
                "text/plain",
                "The pretend issuer lets every device in; there is nothing to type.\n",
            ),
            _ => match path.strip_prefix("/backend-api") {
                Some(path) => backend::answer(self, request, path, bearer, now),
                None => not_found(),
            },
        }
    }

    /// What an answer is written with: the account's own plan and windows, or neutral ones.
    pub(super) fn scene(&self, account: Option<usize>, now: SystemTime) -> Scene {
        let account = account.and_then(|index| self.script.accounts.get(index));
        Scene {
            plan: account.map_or_else(|| "plus".to_owned(), |account| account.plan.clone()),
            windows: account.map_or_else(Windows::default, |account| account.windows),
            model: String::new(),
            serial: self.serial,
            now,
        }
    }
}

pub(super) fn not_found() -> Outcome {
    Outcome::json(StatusCode::NOT_FOUND, &json!({"detail": "Not Found"}))
}

/// The token of `Authorization: Bearer TOKEN`; the scheme is read in any case (RFC 9110 §11.1).
fn bearer_token(request: &Seen) -> Option<&str> {
    let (scheme, token) = request.header(AUTHORIZATION.as_str())?.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then_some(token.trim())
}
