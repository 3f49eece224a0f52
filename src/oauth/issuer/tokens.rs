//! What the issuer gives: tokens, of which some can be missing or odd, and how they become an
//! account's. Whether it gave any, `refusal` knows.

use std::time::Duration;

use oauth2::{Scope, TokenResponse, basic::BasicTokenType};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::refusal::{Error, WITHOUT_TOKENS};
use crate::account::secret::{AccessToken, IdToken, RefreshToken};
use crate::account::time::UnixMillis;
use crate::account::{Account, AccountId, UserId, identity, tokens};

/// An access token that says nothing of its expiry is taken to live this long.
const USUAL_LIFETIME: Duration = Duration::from_secs(60 * 60);

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
pub(super) struct Reply(serde_json::Map<String, Value>);

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

    pub(super) fn worth_keeping(self) -> Result<Self, Error> {
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
    use serde_json::json;

    use super::*;

    #[test]
    fn tokens_are_not_in_debug() {
        let tokens: Tokens =
            serde_json::from_value(json!({"access_token": "canary", "id_token": "canary",
                "refresh_token": "canary"}))
            .unwrap();
        let shown = format!("{tokens:?}");
        assert!(!shown.contains("canary"), "{shown}");
    }
}
