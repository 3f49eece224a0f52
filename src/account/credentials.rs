//! What a request to the backend carries of an account (PROTOCOL §3). Nothing is sent here.

use http::{HeaderMap, HeaderName, HeaderValue};

use super::secret::AccessToken;
use super::{Account, AccountId};

/// The headers that name the account and open its door, by the names that the clients give them.
/// The first is a secret, where there is one.
#[must_use]
pub fn fields(account: &Account) -> Vec<(&'static str, String)> {
    let token = account.tokens.access.as_ref().map(AccessToken::expose);
    let id = account.chatgpt_account_id.as_ref().map(AccountId::as_str);
    let claims = account.tokens.claims();
    let fields = [
        (
            "Authorization",
            token.map(|token| format!("Bearer {token}")),
        ),
        ("ChatGPT-Account-Id", id.map(str::to_owned)),
        ("x-openai-internal-codex-residency", claims.residency),
        (
            "X-OpenAI-Fedramp",
            claims.is_fedramp.then(|| "true".to_owned()),
        ),
    ];
    let known = |(name, value): (_, Option<String>)| Some((name, value?));
    fields.into_iter().filter_map(known).collect()
}

/// The same for a request. What no header can carry is left out, and the backend answers that.
#[must_use]
pub fn headers(account: &Account) -> HeaderMap {
    let header = |(name, value): (&str, String)| {
        let name: HeaderName = name.parse().ok()?;
        let mut value = HeaderValue::try_from(value).ok()?;
        value.set_sensitive(name == http::header::AUTHORIZATION);
        Some((name, value))
    };
    fields(account).into_iter().filter_map(header).collect()
}
