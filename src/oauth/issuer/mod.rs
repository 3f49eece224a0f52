//! The issuer's token endpoint (PROTOCOL §1): trading a code or a refresh token for tokens, and the
//! address that a login starts at. It talks to the issuer and to nothing else; what is done with
//! the tokens, its callers know.

mod refusal;
mod tokens;

use std::cell::Cell;
use std::time::Duration;

use http::StatusCode;
use http::header::CONTENT_TYPE;
use oauth2::{
    AuthUrl, AuthorizationCode, ClientId, CsrfToken, EmptyExtraTokenFields, EndpointNotSet,
    EndpointSet, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, Scope, StandardRevocableToken,
    StandardTokenIntrospectionResponse, TokenUrl, basic::BasicTokenType,
};
use serde_json::json;
use url::Url;

use crate::account::secret::RefreshToken;
use crate::net::agent::{Agent, Unreachable};
use crate::net::endpoint::Endpoint;

pub use refusal::Error;
pub(super) use refusal::WITHOUT_TOKENS;
use refusal::{Refusal, refusal};
use tokens::Reply;
pub use tokens::Tokens;

/// The public client id that opencode and Codex CLI use.
pub const CLIENT_ID: &str = "app_EMoamEEZ73f0CkXaXp7hrann";

const SCOPES: &str = "openid profile email offline_access";

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
}
