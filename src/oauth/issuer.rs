//! The issuer's token endpoint (PROTOCOL §1): trading a code or a refresh token for tokens, and the
//! address that a login starts at. It talks to the issuer and to nothing else; what is done with
//! the tokens, its callers know.

use std::cell::Cell;
use std::time::Duration;

use http::StatusCode;
use http::header::CONTENT_TYPE;
use oauth2::{
    AuthUrl, AuthorizationCode, ClientId, CsrfToken, EmptyExtraTokenFields, EndpointNotSet,
    EndpointSet, ErrorResponse, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl,
    RequestTokenError, Scope, StandardRevocableToken, StandardTokenIntrospectionResponse,
    TokenResponse, TokenUrl, basic::BasicTokenType,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use thiserror::Error;
use url::Url;

use crate::account::limit::{codes, error_codes};
use crate::account::secret::{AccessToken, IdToken, RefreshToken};
use crate::account::time::UnixMillis;
use crate::account::{Account, AccountId, UserId, identity, tokens};
use crate::net::agent::{Agent, Unreachable};
use crate::net::endpoint::Endpoint;

/// The public client id that opencode and Codex CLI use.
pub const CLIENT_ID: &str = "app_EMoamEEZ73f0CkXaXp7hrann";

const SCOPES: &str = "openid profile email offline_access";

/// An access token that says nothing of its expiry is taken to live this long.
const USUAL_LIFETIME: Duration = Duration::from_secs(60 * 60);

const PATIENCE: Duration = Duration::from_secs(30);

/// An answer that is a success and brings no token that can be used.
pub(super) const WITHOUT_TOKENS: Error = Error::Nonsense { status: 200 };

/// The issuer of tokens.
#[derive(Debug)]
pub struct Issuer {
    endpoint: Endpoint,
    agent: Agent,
    client: Client,
}

type Client = oauth2::Client<
    Refusal,
    Tokens,
    StandardTokenIntrospectionResponse<EmptyExtraTokenFields, BasicTokenType>,
    StandardRevocableToken,
    Refusal,
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointSet,
>;

/// A login that waits for its code.
#[derive(Debug)]
pub struct Attempt {
    /// The page that the person opens.
    pub url: Url,
    /// What the callback has to bring back.
    pub state: CsrfToken,
    verifier: PkceCodeVerifier,
    redirect: RedirectUrl,
}

/// Tokens as the issuer gave them. A refresh may leave out what stays as it was. A token was used
/// up for them, so what can be understood counts, whatever is wrong with the rest.
#[derive(Debug, Serialize, Deserialize)]
#[serde(from = "Reply")]
pub struct Tokens {
    /// Empty where there is none.
    access_token: oauth2::AccessToken,
    refresh_token: Option<oauth2::RefreshToken>,
    id_token: Option<IdToken>,
    expires_in: Option<f64>,
    /// RFC 6749 §5.1 requires it; captured replies leave it out, and only one type is in use.
    #[serde(skip)]
    token_type: BasicTokenType,
}

/// An object that is to hold tokens.
#[derive(Deserialize)]
#[serde(transparent)]
struct Reply(serde_json::Map<String, Value>);

impl From<Reply> for Tokens {
    fn from(Reply(fields): Reply) -> Self {
        let text = |name| {
            let text = fields.get(name).and_then(Value::as_str);
            text.filter(|text| !text.trim().is_empty())
                .map(str::to_owned)
        };
        let expires_in = fields.get("expires_in").and_then(|it| match it {
            Value::String(text) => text.trim().parse().ok(),
            other => other.as_f64(),
        });
        Self {
            access_token: oauth2::AccessToken::new(text("access_token").unwrap_or_default()),
            refresh_token: text("refresh_token").map(oauth2::RefreshToken::new),
            id_token: text("id_token").map(IdToken::new),
            expires_in,
            token_type: BasicTokenType::Bearer,
        }
    }
}

impl TokenResponse for Tokens {
    type TokenType = BasicTokenType;

    fn access_token(&self) -> &oauth2::AccessToken {
        &self.access_token
    }

    fn token_type(&self) -> &BasicTokenType {
        &self.token_type
    }

    fn expires_in(&self) -> Option<Duration> {
        self.expires_in
            .and_then(|secs| Duration::try_from_secs_f64(secs).ok())
    }

    fn refresh_token(&self) -> Option<&oauth2::RefreshToken> {
        self.refresh_token.as_ref()
    }

    fn scopes(&self) -> Option<&Vec<Scope>> {
        None
    }
}

/// The issuer's answer to a request that it refuses, in any of its shapes.
#[derive(Serialize, Deserialize)]
#[serde(transparent)]
struct Refusal(Value);

/// The rest of what the issuer said is not for logs.
impl std::fmt::Debug for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Refusal({self})")
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let codes = error_codes(&self.0);
        let code = codes.iter().find(|code| is_printable(code));
        f.write_str(code.map_or("no code", String::as_str))
    }
}

impl ErrorResponse for Refusal {}

/// Whether a code is one, and nothing that an issuer would have a terminal or a log show.
fn is_printable(code: &str) -> bool {
    let is_usual = |letter: u8| letter.is_ascii_lowercase() || letter == b'_';
    codes::find(code).is_some() || ((1..=64).contains(&code.len()) && code.bytes().all(is_usual))
}

/// Why the issuer gave no tokens.
#[derive(Debug, Error)]
pub enum Error {
    /// It said that the login is dead; only another login helps.
    #[error("the issuer says that the login is dead ({code})")]
    Dead {
        /// Its code.
        code: String,
    },
    /// It did not accept the code of a login.
    #[error("the issuer did not accept the login ({code})")]
    Refused {
        /// Its code, or the status.
        code: String,
    },
    /// It could not be asked, or its answer says nothing about the login.
    #[error(transparent)]
    Unreachable(#[from] Unreachable),
    /// It gave tokens of another account.
    #[error("the issuer answered with tokens of another account")]
    OfAnother,
    /// It gave tokens that no program could keep or send.
    #[error("the issuer answered with tokens that can't be used")]
    Unusable,
    /// It answered with something that is no answer.
    #[error("the issuer answered with something else than tokens (status {status})")]
    Nonsense {
        /// The status of the answer.
        status: u16,
    },
}

impl Error {
    /// Whether the refresh token that was presented may be used up: nobody knows what became of
    /// it.
    #[must_use]
    pub const fn may_have_used_it(&self) -> bool {
        match self {
            Self::Unreachable(unreachable) => unreachable.was_sent(),
            Self::Nonsense { status } => *status < 300,
            Self::OfAnother | Self::Unusable => true,
            Self::Dead { .. } | Self::Refused { .. } => false,
        }
    }
}

impl Issuer {
    /// The issuer at this address.
    #[must_use]
    pub fn new(endpoint: Endpoint) -> Self {
        Self::with_patience(endpoint, PATIENCE)
    }

    fn with_patience(endpoint: Endpoint, patience: Duration) -> Self {
        let agent = Agent::new(&endpoint, patience);
        // Proof: an endpoint is a URL, and stays one with a path after it.
        let url = |path: &str| {
            Url::parse(&endpoint.at(path)).unwrap_or_else(|error| unreachable!("a URL: {error}"))
        };
        let client = oauth2::Client::new(ClientId::new(CLIENT_ID.to_owned()))
            .set_auth_uri(AuthUrl::from_url(url("/oauth/authorize")))
            .set_token_uri(TokenUrl::from_url(url("/oauth/token")))
            .set_auth_type(oauth2::AuthType::RequestBody);
        Self {
            endpoint,
            agent,
            client,
        }
    }

    /// Starts a login whose callback goes to `redirect`. With `another`, the issuer asks who it is,
    /// where the browser's session would answer as the account before.
    #[must_use]
    pub fn attempt(&self, redirect: &Url, another: bool) -> Attempt {
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let redirect = RedirectUrl::from_url(redirect.clone());
        let mut request = self
            .client
            .authorize_url(|| CsrfToken::new_random_len(32))
            .set_redirect_uri(std::borrow::Cow::Borrowed(&redirect))
            .add_scopes(SCOPES.split(' ').map(|scope| Scope::new(scope.to_owned())))
            .set_pkce_challenge(challenge)
            .add_extra_param("id_token_add_organizations", "true")
            .add_extra_param("codex_cli_simplified_flow", "true")
            .add_extra_param("originator", "opencode");
        if another {
            request = request.add_extra_param("prompt", "login");
        }
        let (url, state) = request.url();
        Attempt {
            url,
            state,
            verifier,
            redirect,
        }
    }

    /// Trades the code of a login for tokens.
    ///
    /// # Errors
    /// When the issuer refuses it, or can't be asked.
    pub fn exchange(&self, attempt: Attempt, code: String) -> Result<Tokens, Error> {
        self.redeem(code, attempt.verifier, attempt.redirect)
    }

    /// Trades a code that came with its verifier, as device logins give it.
    ///
    /// # Errors
    /// When the issuer refuses it, or can't be asked.
    pub fn exchange_device(&self, code: String, verifier: String) -> Result<Tokens, Error> {
        let url = self.endpoint.at("/deviceauth/callback");
        // Proof: an endpoint is a URL, and stays one with a path after it.
        let redirect = RedirectUrl::new(url).unwrap_or_else(|error| unreachable!("a URL: {error}"));
        self.redeem(code, PkceCodeVerifier::new(verifier), redirect)
    }

    fn redeem(
        &self,
        code: String,
        verifier: PkceCodeVerifier,
        redirect: RedirectUrl,
    ) -> Result<Tokens, Error> {
        let status = Cell::new(StatusCode::OK);
        self.client
            .exchange_code(AuthorizationCode::new(code))
            .set_pkce_verifier(verifier)
            .set_redirect_uri(std::borrow::Cow::Owned(redirect))
            .request(&self.sender(&status))
            .map_err(|error| match refusal(error, status.get()) {
                // A code that is dead is no login that is dead.
                Error::Dead { code } => Error::Refused { code },
                other => other,
            })
            .and_then(Tokens::worth_keeping)
    }

    /// Trades a refresh token for new tokens. The old one is used up by this, and must never be
    /// presented again, not even when no answer came.
    ///
    /// # Errors
    /// When the issuer says that the login is dead, or can't be asked.
    pub fn refresh(&self, token: &RefreshToken) -> Result<Tokens, Error> {
        let status = Cell::new(StatusCode::OK);
        self.client
            .exchange_refresh_token(&oauth2::RefreshToken::new(token.expose().to_owned()))
            .request(&self.sender(&status))
            .map_err(|error| refusal(error, status.get()))
            .and_then(Tokens::worth_keeping)
    }

    /// Tells the issuer that a refresh token is not wanted any more (PROTOCOL §1).
    ///
    /// # Errors
    /// When it can't be asked, or does not do it.
    pub fn revoke(&self, token: &RefreshToken) -> Result<(), Error> {
        let answer = self.agent.post_json(
            &self.endpoint.at("/oauth/revoke"),
            &json!({
                "token": token.expose(),
                "token_type_hint": "refresh_token",
                "client_id": CLIENT_ID,
            }),
        )?;
        if answer.status().is_success() {
            Ok(())
        } else {
            Err(Error::Refused {
                code: answer.status().as_u16().to_string(),
            })
        }
    }

    /// Where this issuer is.
    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// How requests other than for tokens are sent to it.
    #[must_use]
    pub fn agent(&self) -> &Agent {
        &self.agent
    }

    /// Sends for oauth2, and keeps the status, which its errors leave out. JSON is JSON, and success
    /// is success, also where oauth2 wants another media type or status.
    fn sender<'a>(
        &'a self,
        status: &'a Cell<StatusCode>,
    ) -> impl Fn(oauth2::HttpRequest) -> Result<oauth2::HttpResponse, Unreachable> + 'a {
        move |request| {
            let mut answer = self.agent.send(request)?;
            status.set(answer.status());
            if serde_json::from_slice::<Reply>(answer.body()).is_ok() {
                answer.headers_mut().remove(CONTENT_TYPE);
            }
            if answer.status().is_success() {
                *answer.status_mut() = StatusCode::OK;
            }
            Ok(answer)
        }
    }
}

/// Only the issuer's own codes, at 400, 401 or 403, prove that a login is dead; what a proxy or an
/// overloaded server says does not.
fn refusal(error: RequestTokenError<Unreachable, Refusal>, status: StatusCode) -> Error {
    match error {
        RequestTokenError::Request(unreachable) => Error::Unreachable(unreachable),
        RequestTokenError::ServerResponse(refusal) => {
            let said = error_codes(&refusal.0);
            let dead = said.iter().find(|code| codes::is_dead_at_issuer(code));
            match (status.as_u16(), dead) {
                (400 | 401 | 403, Some(code)) => Error::Dead { code: code.clone() },
                (400..=499, _) if status != StatusCode::TOO_MANY_REQUESTS => Error::Refused {
                    code: said
                        .iter()
                        .find(|code| is_printable(code))
                        .cloned()
                        .unwrap_or_else(|| status.as_u16().to_string()),
                },
                _ => Error::Nonsense {
                    status: status.as_u16(),
                },
            }
        }
        RequestTokenError::Parse(..) | RequestTokenError::Other(_) => Error::Nonsense {
            status: status.as_u16(),
        },
    }
}

impl Tokens {
    /// The account of a fresh login.
    ///
    /// # Errors
    /// When no refresh token came: such a login could not be kept.
    pub fn into_account(self, now: UnixMillis) -> Result<Account, Error> {
        let Some(refresh_token) = &self.refresh_token else {
            return Err(Error::Refused {
                code: "no refresh token".to_owned(),
            });
        };
        let mut account = Account::new(RefreshToken::new(refresh_token.secret()));
        // One that lacks an access token can get it by a refresh.
        let _ = self.renew(&mut account, now);
        Ok(account)
    }

    fn worth_keeping(self) -> Result<Self, Error> {
        if self.refresh_token.is_none() && self.has_no_access() {
            return Err(WITHOUT_TOKENS);
        }
        let has_odd = self.texts().any(is_odd);
        match has_odd {
            true => Err(Error::Unusable),
            false => Ok(self),
        }
    }

    fn texts(&self) -> impl Iterator<Item = &str> {
        let refresh = self
            .refresh_token
            .as_ref()
            .map(|token| token.secret().as_str());
        let id = self.id_token.as_ref().map(IdToken::expose);
        [refresh, Some(self.access_token.secret().as_str()), id]
            .into_iter()
            .flatten()
    }

    fn has_no_access(&self) -> bool {
        self.access_token.secret().is_empty()
    }

    /// Puts the tokens in the place of the account's; those that were left out stay.
    ///
    /// # Errors
    /// When they are another account's, which stays as it is then. When there was no access token:
    /// the account has the rest, and none that can be used.
    pub fn renew(self, account: &mut Account, now: UnixMillis) -> Result<(), Error> {
        let lifetime = self.expires_in();
        let refresh = self.refresh_token.as_ref().map_or_else(
            || account.tokens.refresh.clone(),
            |token| RefreshToken::new(token.secret()),
        );
        let access = (!self.has_no_access()).then(|| AccessToken::new(self.access_token.secret()));
        let new = tokens::Tokens {
            refresh,
            access,
            id: self.id_token,
            expires_at: None,
            refreshed_at: Some(now),
        };
        if is_of_another(&new, account) {
            return Err(Error::OfAnother);
        }
        account.login_required = None;
        account.tokens.replace(new);
        if account.tokens.access.is_none() {
            return Err(WITHOUT_TOKENS);
        }
        identity::learn_owner(account);
        // The earlier of the two: one of them may come from a clock that is wrong.
        let told = lifetime.map(|lifetime| now.plus(lifetime));
        let said = account.tokens.claims().expires_at;
        let expires_at = told.into_iter().chain(said).min();
        account.tokens.expires_at = Some(expires_at.unwrap_or_else(|| now.plus(USUAL_LIFETIME)));
        Ok(())
    }
}

/// Whether a token would be something else where it is written: what ends a line, or parts two of
/// them.
fn is_odd(token: &str) -> bool {
    token.contains(|letter: char| letter == '|' || letter.is_whitespace() || letter.is_control())
}

/// Whether tokens say that they are somebody else's, or for another workspace, than those before
/// them: an account can be of a workspace that its login is good for too.
fn is_of_another(tokens: &tokens::Tokens, account: &Account) -> bool {
    let claims = tokens.claims();
    let before = account.tokens.claims();
    let account_id = before.account_id.or(account.chatgpt_account_id.clone());
    let user_id = before.user_id.or(account.chatgpt_user_id.clone());
    let differ = |said: Option<&str>, known: Option<&str>| {
        said.is_some_and(|said| known.is_some_and(|known| said != known))
    };
    let id = AccountId::as_str;
    let user = UserId::as_str;
    differ(
        claims.account_id.as_ref().map(id),
        account_id.as_ref().map(id),
    ) || differ(
        claims.user_id.as_ref().map(user),
        user_id.as_ref().map(user),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::net::TcpListener;
    use std::sync::mpsc;
    use std::thread;

    #[test]
    fn an_answer_that_does_not_come_in_time_is_not_asked_for_again() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (given_up, is_over) = mpsc::channel();
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = Vec::new();
            // It hears all of it, and says nothing until nobody waits any more.
            while !request.ends_with(b"client_id=app_EMoamEEZ73f0CkXaXp7hrann") {
                let mut part = [0; 1024];
                let length = stream.read(&mut part).unwrap();
                request.extend_from_slice(&part[..length]);
            }
            is_over.recv().unwrap();
            listener.set_nonblocking(true).unwrap();
            assert!(listener.accept().is_err(), "it was asked again");
            request
        });
        let endpoint = Endpoint::parse("X", &format!("http://{address}")).unwrap();
        let issuer = Issuer::with_patience(endpoint, Duration::from_millis(200));
        let error = issuer.refresh(&RefreshToken::new("token")).unwrap_err();
        given_up.send(()).unwrap();
        assert_eq!(
            error.to_string(),
            "no answer from 127.0.0.1: it took too long"
        );
        let request = String::from_utf8(server.join().unwrap()).unwrap();
        assert_eq!(request.matches("POST /oauth/token").count(), 1);
    }

    #[test]
    fn what_the_issuer_says_is_not_in_debug() {
        let refusal = Refusal(json!({"error": "invalid_grant", "echo": "canary"}));
        let tokens: Tokens =
            serde_json::from_value(json!({"access_token": "canary", "id_token": "canary",
                "refresh_token": "canary"}))
            .unwrap();
        let shown = format!("{refusal:?} {tokens:?}");
        assert!(!shown.contains("canary"), "{shown}");
    }
}
