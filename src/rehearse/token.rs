//! The tokens: JWT-shaped, with the claims of PROTOCOL §2, and easy to find again.
//!
//! Writes tokens and never reads one. Whether a token is good is known to `grant`, by its text.

use super::account::PretendAccount;
use super::clock::{after, unix_seconds};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use std::fmt;
use std::time::{Duration, SystemTime};

/// The public client id that opencode and Codex both use (PROTOCOL §1).
pub(super) const CLIENT_ID: &str = "app_EMoamEEZ73f0CkXaXp7hrann";

/// What one grant hands out. Every token has the word `pretend` in it, in clear text, so that a test can search logs and
/// error texts for it; nothing outside this server takes it.
#[derive(Clone, PartialEq, Eq)]
pub struct Tokens {
    /// About the person. A JWT.
    pub id_token: String,
    /// What the backend takes as bearer. A JWT.
    pub access_token: String,
    /// Good for one refresh. Opaque.
    pub refresh_token: String,
    /// How long the access token lives.
    pub expires_in: Duration,
}

impl fmt::Debug for Tokens {
    /// Without the tokens: a test that prints this must not plant what it searches for.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens")
            .field("expires_in", &self.expires_in)
            .finish_non_exhaustive()
    }
}

/// Makes tokens and codes, no two alike.
pub(super) struct Mint {
    issuer: String,
    serial: u64,
}

impl Mint {
    pub(super) fn new(issuer: String) -> Self {
        Self { issuer, serial: 0 }
    }

    /// A text that was never made before and can't be guessed, with its purpose in it.
    pub(super) fn unique(&mut self, purpose: &str) -> String {
        self.serial += 1;
        let mut noise = [0; 8];
        // Without chance the serial number still keeps them apart within this server, which is all that has to hold.
        let _ = getrandom::fill(&mut noise);
        format!(
            "pretend-{purpose}-{}-{:016x}",
            self.serial,
            u64::from_le_bytes(noise)
        )
    }

    /// A set of tokens for this account.
    pub(super) fn tokens(
        &mut self,
        account: &PretendAccount,
        lifetime: Duration,
        now: SystemTime,
    ) -> Tokens {
        let issued = unix_seconds(now);
        let expires = unix_seconds(after(now, lifetime));
        let auth = auth_claim(account);

        let id = json!({
            "iss": self.issuer,
            "aud": [CLIENT_ID],
            "sub": format!("auth0|{}", account.user_id),
            "jti": self.unique("id"),
            "iat": issued,
            "exp": expires,
            "email": account.email,
            "email_verified": true,
            "https://api.openai.com/auth": auth,
        });
        let access = json!({
            "iss": self.issuer,
            "aud": ["https://api.openai.com/v1"],
            "client_id": CLIENT_ID,
            "sub": format!("auth0|{}", account.user_id),
            "jti": self.unique("access"),
            "iat": issued,
            "nbf": issued,
            "exp": expires,
            "scp": ["openid", "profile", "email", "offline_access"],
            "https://api.openai.com/auth": auth,
            "https://api.openai.com/profile": {"email": account.email, "email_verified": true},
        });
        Tokens {
            id_token: self.jwt(&id),
            access_token: self.jwt(&access),
            refresh_token: self.unique("refresh"),
            expires_in: lifetime,
        }
    }

    /// The signature is no signature, but clear text: clients do not check it, and a search finds it.
    fn jwt(&mut self, payload: &Value) -> String {
        format!(
            "{}.{}.{}",
            URL_SAFE_NO_PAD.encode(r#"{"alg":"RS256","typ":"JWT","kid":"pretend"}"#),
            URL_SAFE_NO_PAD.encode(payload.to_string()),
            self.unique("signature")
        )
    }
}

fn auth_claim(account: &PretendAccount) -> Value {
    let mut claim = json!({
        "chatgpt_account_id": account.account_id,
        "chatgpt_user_id": account.user_id,
        "user_id": account.user_id,
        "chatgpt_account_user_id": format!("{}__{}", account.user_id, account.account_id),
        "chatgpt_plan_type": account.plan,
        "organizations": [
            {"id": format!("org-{}", account.user_id), "is_default": true, "title": "Personal"}
        ],
    });
    if let Some(residency) = &account.residency {
        claim["chatgpt_compute_residency"] = residency.as_str().into();
    }
    if account.fedramp {
        claim["chatgpt_account_is_fedramp"] = true.into();
    }
    claim
}
