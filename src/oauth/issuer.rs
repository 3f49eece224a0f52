//! The issuer's token endpoint (PROTOCOL §1): trading a code or a refresh token for tokens, and the
//! address that a login starts at. It talks to the issuer and to nothing else; what is done with
//! the tokens, its callers know.

use std::cell::Cell;
use std::time::Duration;

use http::StatusCode;
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

use crate::account::limit::{DEAD_LOGIN, error_codes};
use crate::account::secret::{AccessToken, IdToken, RefreshToken};
use crate::account::time::UnixMillis;
use crate::account::{Account, identity};
use crate::net::agent::{Agent, Unreachable};
use crate::net::endpoint::Endpoint;

/// The public client id that opencode and Codex CLI use.
pub const CLIENT_ID: &str = "app_EMoamEEZ73f0CkXaXp7hrann";

const SCOPES: &str = "openid profile email offline_access";

/// An access token that says nothing of its expiry is taken to live this long.
const USUAL_LIFETIME: Duration = Duration::from_secs(60 * 60);

const PATIENCE: Duration = Duration::from_secs(30);

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

/// Tokens as the issuer gave them. A refresh may leave out what stays as it was.
#[derive(Debug, Serialize, Deserialize)]
pub struct Tokens {
    access_token: oauth2::AccessToken,
    #[serde(default)]
    refresh_token: Option<oauth2::RefreshToken>,
    #[serde(default)]
    id_token: Option<IdToken>,
    #[serde(default)]
    expires_in: Option<f64>,
    /// RFC 6749 §5.1 requires it; captured replies leave it out, and only one type is in use.
    #[serde(skip, default = "bearer")]
    token_type: BasicTokenType,
}

fn bearer() -> BasicTokenType {
    BasicTokenType::Bearer
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
#[derive(Debug, Serialize, Deserialize)]
#[serde(transparent)]
struct Refusal(Value);

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let codes = error_codes(&self.0);
        f.write_str(codes.first().map_or("no code", String::as_str))
    }
}

impl ErrorResponse for Refusal {}

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
    /// It answered with something that is no answer.
    #[error("the issuer answered with something else than tokens (status {status})")]
    Nonsense {
        /// The status of the answer.
        status: u16,
    },
}

impl Issuer {
    /// The issuer at this address.
    #[must_use]
    pub fn new(endpoint: Endpoint) -> Self {
        let agent = Agent::new(&endpoint, PATIENCE);
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

    /// Sends for oauth2, and keeps the status, which its errors leave out.
    fn sender<'a>(
        &'a self,
        status: &'a Cell<StatusCode>,
    ) -> impl Fn(oauth2::HttpRequest) -> Result<oauth2::HttpResponse, Unreachable> + 'a {
        move |request| {
            let answer = self.agent.send(request)?;
            status.set(answer.status());
            Ok(answer)
        }
    }
}

/// Only the issuer's own codes, at 400 or 401, prove that a login is dead; what a proxy or an
/// overloaded server says does not.
fn refusal(error: RequestTokenError<Unreachable, Refusal>, status: StatusCode) -> Error {
    match error {
        RequestTokenError::Request(unreachable) => Error::Unreachable(unreachable),
        RequestTokenError::ServerResponse(refusal) => {
            let codes = error_codes(&refusal.0);
            let dead = codes
                .iter()
                .find(|code| DEAD_LOGIN.contains(&code.as_str()));
            match (status.as_u16(), dead) {
                (400 | 401, Some(code)) => Error::Dead { code: code.clone() },
                (400..=499, _) if status != StatusCode::TOO_MANY_REQUESTS => Error::Refused {
                    code: codes
                        .first()
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
        self.renew(&mut account, now);
        Ok(account)
    }

    /// Puts the tokens in the place of the account's; those that were left out stay.
    pub fn renew(self, account: &mut Account, now: UnixMillis) {
        let lifetime = self.expires_in();
        if let Some(token) = &self.refresh_token {
            account.refresh_token = RefreshToken::new(token.secret());
        }
        if self.id_token.is_some() {
            account.id_token = self.id_token;
        }
        account.access_token = Some(AccessToken::new(self.access_token.secret()));
        identity::learn_owner(account);
        account.expires_at = match lifetime {
            Some(lifetime) => now.plus(lifetime),
            None => identity::claims(account)
                .expires_at
                .unwrap_or_else(|| now.plus(USUAL_LIFETIME)),
        };
        account.refreshed_at = now;
        account.login_required = None;
    }
}
