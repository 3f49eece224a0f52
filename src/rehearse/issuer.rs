//! The issuer's endpoints (PROTOCOL §1): what each takes, checks and answers.
//!
//! Stricter than it needs to be: a request that lacks what both clients send is refused with the reason, since nobody
//! knows that the real issuer would forgive it. Which tokens are good is for `grant` to say.

use super::account::PretendAccount;
use super::answer::{Answer, TokenAnswer};
use super::grant::{Code, Refusal};
use super::outcome::{Outcome, not_found};
use super::refused::error;
use super::render::render;
use super::script::{Consent, Interval};
use super::seen::Seen;
use super::token::{CLIENT_ID, Tokens};
use super::world::World;
use http::StatusCode;
use http::header::{CONTENT_TYPE, HeaderValue, LOCATION};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::SystemTime;
use url::{Host, Url, form_urlencoded};

/// The parameters of a query or a body. A name that comes twice counts as it came last.
type Parameters = BTreeMap<String, String>;

/// `GET /oauth/authorize`: asks nobody, and sends the browser to the callback at once.
pub(super) fn authorize(world: &mut World, request: &Seen) -> Outcome {
    let parameters = form(request.query.as_bytes());
    let mut callback = match checked_callback(&parameters, world.script.any_port) {
        Ok(callback) => callback,
        Err(reason) => return bad_request(reason),
    };
    if world.script.accounts.is_empty() {
        return bad_request("the script has no account to log in as");
    }
    let again = value(&parameters, "prompt") == "login";
    let account = next_account(world, again);
    let state = value(&parameters, "state").to_owned();
    let mut code = || {
        world.grants.open(Code {
            account,
            redirect_uri: value(&parameters, "redirect_uri").to_owned(),
            challenge: value(&parameters, "code_challenge").to_owned(),
        })
    };
    let consent = world.script.consents.pop_front();
    let answer = match consent.unwrap_or(Consent::Grant) {
        Consent::Grant => {
            world.script.browser = Some(account);
            vec![("code", code()), ("state", state)]
        }
        Consent::WrongState => vec![("code", code()), ("state", "another-state".to_owned())],
        Consent::Deny { error, description } => vec![
            ("error", error),
            ("error_description", description),
            ("state", state),
        ],
        Consent::NoCode => vec![("state", state)],
    };
    callback.query_pairs_mut().extend_pairs(answer);
    redirect(&callback)
}

/// The callback of an authorize request that is as PROTOCOL §1 has it.
fn checked_callback(parameters: &Parameters, any_port: bool) -> Result<Url, &'static str> {
    let value = |name| value(parameters, name);
    if value("client_id") != CLIENT_ID {
        return Err("unknown client_id");
    }
    let callback = Url::parse(value("redirect_uri")).map_err(|_| "redirect_uri is no URL")?;
    let loopback = match callback.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    if callback.scheme() != "http" || !loopback || callback.path() != "/auth/callback" {
        return Err("redirect_uri is not http://LOOPBACK:PORT/auth/callback");
    }
    if !any_port && !matches!(callback.port(), Some(1455 | 1457)) {
        return Err("the port of redirect_uri is not registered");
    }
    if value("response_type") != "code" {
        return Err("response_type is not code");
    }
    if value("code_challenge_method") != "S256" {
        return Err("code_challenge_method is not S256");
    }
    // 32 bytes of SHA-256 are 43 characters of base64url.
    let challenge = value("code_challenge");
    if challenge.len() != 43 || !challenge.bytes().all(is_base64url) {
        return Err("code_challenge is no S256 challenge");
    }
    let scopes: Vec<&str> = value("scope").split(' ').collect();
    if !["openid", "profile", "email", "offline_access"]
        .iter()
        .all(|scope| scopes.contains(scope))
    {
        return Err("scope lacks openid, profile, email or offline_access");
    }
    if value("state").is_empty() {
        return Err("state is missing");
    }
    Ok(callback)
}

fn is_base64url(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'
}

/// The account a login is for: the one of the browser's session, or with `again` the one after it.
fn next_account(world: &World, again: bool) -> usize {
    match world.script.browser {
        None => 0,
        Some(account) if again => (account + 1) % world.script.accounts.len().max(1),
        Some(account) => account,
    }
}

fn redirect(to: &Url) -> Outcome {
    match HeaderValue::try_from(to.as_str()) {
        Ok(location) => Outcome::whole(StatusCode::FOUND, "text/plain", "")
            .with_headers(vec![(LOCATION, location)]),
        Err(_) => bad_request("redirect_uri is no header value"),
    }
}

/// `POST /oauth/token`, as a form or as JSON.
pub(super) fn token(world: &mut World, request: &Seen, now: SystemTime) -> Outcome {
    let parameters = match parameters(request) {
        Some(parameters) => parameters,
        None => return bad_request("the body is neither a form nor a JSON object"),
    };
    let refresh_token = value(&parameters, "refresh_token");
    let owner = world.grants.owner(refresh_token);
    let scripted = world.script.token_answers.pop_front().or_else(|| {
        let account = world.script.accounts.get(owner?)?;
        account.refresh.clone()
    });
    let scene = world.scene(owner, now);
    match scripted.unwrap_or(TokenAnswer::Grant(Answer::Good(None))) {
        TokenAnswer::Refuse(answer) => render(&answer, &scene, |_| {
            Outcome::json(StatusCode::OK, &json!({}))
        }),
        TokenAnswer::Grant(answer) => {
            let granted = grant(world, &parameters, now);
            render(&answer, &scene, |_| granted)
        }
    }
}

fn grant(world: &mut World, parameters: &Parameters, now: SystemTime) -> Outcome {
    let value = |name| value(parameters, name);
    if value("client_id") != CLIENT_ID {
        return error(
            StatusCode::UNAUTHORIZED,
            "invalid_request_error",
            "invalid_client",
            "unknown client_id",
        );
    }
    let granted = match value("grant_type") {
        "authorization_code" => exchange(
            world,
            value("code"),
            value("redirect_uri"),
            value("code_verifier"),
            now,
        ),
        "refresh_token" => renew(world, value("refresh_token"), now),
        _ => return bad_request("grant_type is neither authorization_code nor refresh_token"),
    };
    match granted {
        Ok(tokens) => tokens_reply(world, &tokens),
        Err(code) => refused(code),
    }
}

fn exchange(
    world: &mut World,
    code: &str,
    redirect_uri: &str,
    verifier: &str,
    now: SystemTime,
) -> Result<Tokens, Refusal> {
    let index = world.grants.redeem(code, redirect_uri, verifier)?;
    let account = account(world, index)?;
    Ok(world
        .grants
        .log_in(index, &account, world.script.access_lifetime, now))
}

fn renew(world: &mut World, refresh_token: &str, now: SystemTime) -> Result<Tokens, Refusal> {
    let index = world
        .grants
        .owner(refresh_token)
        .ok_or("invalid_refresh_token")?;
    let account = account(world, index)?;
    let rotate = world.script.token_reply.refresh_token;
    world.grants.renew(
        refresh_token,
        &account,
        world.script.access_lifetime,
        rotate,
        now,
    )
}

/// A script that was changed may have fewer accounts than have logged in.
fn account(world: &World, index: usize) -> Result<PretendAccount, Refusal> {
    world
        .script
        .accounts
        .get(index)
        .cloned()
        .ok_or("account_deactivated")
}

fn tokens_reply(world: &World, tokens: &Tokens) -> Outcome {
    let holds = world.script.token_reply;
    let mut reply = json!({"access_token": tokens.access_token, "token_type": "Bearer"});
    if holds.id_token {
        reply["id_token"] = tokens.id_token.as_str().into();
    }
    if holds.refresh_token {
        reply["refresh_token"] = tokens.refresh_token.as_str().into();
    }
    if holds.expires_in {
        reply["expires_in"] = tokens.expires_in.as_secs().into();
    }
    Outcome::json(StatusCode::OK, &reply)
}

/// A refused grant. A bad code is refused as RFC 6749 has it, a dead refresh token as captured (PROTOCOL §1).
fn refused(code: Refusal) -> Outcome {
    match code {
        "invalid_grant" => Outcome::json(
            StatusCode::BAD_REQUEST,
            &json!({"error": code, "error_description": "The code, its redirect_uri or its verifier is wrong, or it was used"}),
        ),
        "refresh_token_reused" => refresh_error(
            code,
            "Your refresh token has already been used to generate a new access token. Please try signing in again.",
        ),
        _ => refresh_error(
            code,
            "Your refresh token is not valid. Please try signing in again.",
        ),
    }
}

fn refresh_error(code: Refusal, message: &str) -> Outcome {
    error(
        StatusCode::UNAUTHORIZED,
        "invalid_request_error",
        code,
        message,
    )
}

/// `POST /oauth/revoke`. An unknown token is answered like any other (RFC 7009 §2.2).
pub(super) fn revoke(world: &mut World, request: &Seen) -> Outcome {
    match parameters(request) {
        Some(parameters) if !value(&parameters, "token").is_empty() => {
            world.grants.revoke(value(&parameters, "token"));
            Outcome::json(StatusCode::OK, &json!({}))
        }
        _ => bad_request("token is missing"),
    }
}

/// `POST /api/accounts/deviceauth/usercode`: starts a device login.
pub(super) fn user_code(world: &mut World, request: &Seen) -> Outcome {
    if !world.script.device.offered {
        return not_found();
    }
    let client =
        parameters(request).is_some_and(|parameters| value(&parameters, "client_id") == CLIENT_ID);
    if !client {
        return bad_request("unknown client_id");
    }
    let (id, code) = world.grants.open_device();
    let device = &world.script.device;
    let mut reply = json!({"device_auth_id": id});
    reply[if device.short_name {
        "usercode"
    } else {
        "user_code"
    }] = code.into();
    match &device.interval {
        Interval::Text(seconds) => reply["interval"] = seconds.as_str().into(),
        Interval::Number(seconds) => reply["interval"] = (*seconds).into(),
        Interval::Missing => {}
    }
    Outcome::json(StatusCode::OK, &reply)
}

/// `POST /api/accounts/deviceauth/token`: whether the person has typed the code by now. A device login is always a new
/// one: the next account's, as with `prompt=login`.
pub(super) fn poll(world: &mut World, request: &Seen) -> Outcome {
    let device = &world.script.device;
    if !device.offered || world.script.accounts.is_empty() {
        return not_found();
    }
    let Some(parameters) = parameters(request) else {
        return bad_request("the body is neither a form nor a JSON object");
    };
    let id = value(&parameters, "device_auth_id");
    let Some(login) = world.grants.device(id, value(&parameters, "user_code")) else {
        return bad_request("unknown device_auth_id or user_code");
    };
    if login.polls < device.pending {
        login.polls += 1;
        let status = StatusCode::from_u16(device.pending_status).unwrap_or(StatusCode::FORBIDDEN);
        return error(
            status,
            "invalid_request_error",
            "deviceauth_authorization_pending",
            "not yet",
        );
    }
    if device.expires {
        return error(
            StatusCode::BAD_REQUEST,
            "invalid_request_error",
            "expired_token",
            "The code has expired",
        );
    }
    let account = next_account(world, true);
    world.script.browser = Some(account);
    let redirect_uri = format!("{}/deviceauth/callback", world.origin);
    let (code, challenge, verifier) = world.grants.close_device(id, account, redirect_uri);
    Outcome::json(
        StatusCode::OK,
        &json!({
            "authorization_code": code,
            "code_challenge": challenge.as_str(),
            "code_verifier": verifier.secret(),
        }),
    )
}

/// The parameters of a body, which is a form or a JSON object by its `Content-Type`.
fn parameters(request: &Seen) -> Option<Parameters> {
    let kind = request.header(CONTENT_TYPE.as_str()).unwrap_or_default();
    if kind.starts_with("application/json") {
        let Ok(Value::Object(object)) = serde_json::from_slice(&request.body) else {
            return None;
        };
        let text = |(name, value): (String, Value)| Some((name, value.as_str()?.to_owned()));
        Some(object.into_iter().filter_map(text).collect())
    } else if kind.starts_with("application/x-www-form-urlencoded") {
        Some(form(&request.body))
    } else {
        None
    }
}

fn form(text: &[u8]) -> Parameters {
    form_urlencoded::parse(text).into_owned().collect()
}

/// A parameter; one that is missing is as good as an empty one.
fn value<'a>(parameters: &'a Parameters, name: &str) -> &'a str {
    parameters.get(name).map_or("", String::as_str)
}

fn bad_request(reason: &str) -> Outcome {
    Outcome::json(
        StatusCode::BAD_REQUEST,
        &json!({"error": "invalid_request", "error_description": reason}),
    )
}
