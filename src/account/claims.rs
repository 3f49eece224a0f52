//! What the tokens say about their owner (PROTOCOL §2). Signatures are not checked: claims are for
//! display and identity only, and nothing may be allowed because of one.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use super::time::UnixMillis;
use super::{AccountId, UserId};

const AUTH: &str = "https://api.openai.com/auth";
const PROFILE: &str = "https://api.openai.com/profile";

/// The claims this program uses. A blank claim, or one that is not text, is no claim.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claims {
    /// The workspace.
    pub account_id: Option<AccountId>,
    /// The person.
    pub user_id: Option<UserId>,
    /// The person's address.
    pub email: Option<String>,
    /// The plan.
    pub plan_type: Option<String>,
    /// When the token expires.
    pub expires_at: Option<UnixMillis>,
    /// Where the workspace's data has to stay; `no_constraint` is left out.
    pub residency: Option<String>,
    /// Whether the workspace is one of FedRAMP.
    pub is_fedramp: bool,
}

impl Claims {
    /// Reads one token. What is no JWT has no claims.
    #[must_use]
    pub fn of(token: &str) -> Self {
        Self::of_login(None, Some(token))
    }

    /// The id token's claims, and where it has none the access token's. The expiry is the access
    /// token's, since that is the one in use. An organization is no workspace, and stands for none.
    #[must_use]
    pub fn of_login(id_token: Option<&str>, access_token: Option<&str>) -> Self {
        let id_token = id_token.and_then(payload).unwrap_or_default();
        let access_token = access_token.and_then(payload).unwrap_or_default();
        let id = Self::from_payload(&id_token);
        let access = Self::from_payload(&access_token);
        Self {
            account_id: id.account_id.or(access.account_id),
            user_id: id.user_id.or(access.user_id),
            email: id.email.or(access.email),
            plan_type: id.plan_type.or(access.plan_type),
            expires_at: access.expires_at,
            residency: access.residency,
            is_fedramp: id.is_fedramp || access.is_fedramp,
        }
    }

    fn from_payload(payload: &Value) -> Self {
        let auth = &payload[AUTH];
        let account_id =
            text(&auth["chatgpt_account_id"]).or_else(|| text(&payload["chatgpt_account_id"]));
        Self {
            account_id: account_id.map(AccountId::new),
            user_id: text(&auth["chatgpt_user_id"])
                .or_else(|| text(&auth["user_id"]))
                .map(UserId::new),
            email: text(&payload["email"])
                .or_else(|| text(&payload[PROFILE]["email"]))
                .map(str::to_owned),
            plan_type: text(&auth["chatgpt_plan_type"]).map(str::to_owned),
            expires_at: payload["exp"]
                .as_f64()
                .and_then(UnixMillis::from_secs_or_millis),
            residency: text(&auth["chatgpt_compute_residency"])
                .filter(|residency| *residency != "no_constraint")
                .map(str::to_owned),
            is_fedramp: auth["chatgpt_account_is_fedramp"] == true,
        }
    }
}

fn payload(token: &str) -> Option<Value> {
    let middle = token.split('.').nth(1)?;
    let json = URL_SAFE_NO_PAD.decode(middle.trim_end_matches('=')).ok()?;
    serde_json::from_slice(&json).ok()
}

fn text(claim: &Value) -> Option<&str> {
    claim
        .as_str()
        .map(str::trim)
        .filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn jwt(payload: &Value) -> String {
        format!("e30.{}.sig", URL_SAFE_NO_PAD.encode(payload.to_string()))
    }

    #[test]
    fn id_token_first_access_token_second() {
        let id = jwt(
            &json!({"email": "me@example.com", AUTH: {"chatgpt_account_id": "acc", "user_id": "u"}}),
        );
        let access = jwt(
            &json!({"exp": 1_777_936_568, PROFILE: {"email": "other@example.com"},
            AUTH: {"chatgpt_plan_type": "plus", "chatgpt_compute_residency": "no_constraint",
            "chatgpt_account_is_fedramp": true}}),
        );
        let claims = Claims::of_login(Some(&id), Some(&access));
        assert_eq!(claims.account_id, Some(AccountId::new("acc")));
        assert_eq!(claims.user_id, Some(UserId::new("u")));
        assert_eq!(claims.email.as_deref(), Some("me@example.com"));
        assert_eq!(claims.plan_type.as_deref(), Some("plus"));
        assert_eq!(
            claims.expires_at,
            Some(UnixMillis::from_secs(1_777_936_568))
        );
        assert_eq!(claims.residency, None);
        assert!(claims.is_fedramp);
    }

    #[test]
    fn an_organization_stands_for_no_workspace() {
        let id = jwt(&json!({AUTH: {"organizations": [{"id": "org"}]}}));
        assert_eq!(Claims::of_login(Some(&id), None).account_id, None);
        let access = jwt(&json!({AUTH: {"chatgpt_account_id": "acc"}}));
        let claims = Claims::of_login(Some(&id), Some(&access));
        assert_eq!(claims.account_id, Some(AccountId::new("acc")));
    }

    #[test]
    fn blank_and_foreign_claims_are_none() {
        let odd = jwt(
            &json!({"email": 5, "exp": "soon", AUTH: {"chatgpt_account_id": "  ",
            "chatgpt_account_is_fedramp": "false"},
            "organizations": [{"id": "org"}]}),
        );
        let claims = Claims::of(&odd);
        assert_eq!(claims.email, None);
        assert_eq!(claims.expires_at, None);
        assert_eq!(claims.account_id, None);
        assert!(!claims.is_fedramp);
        for rubbish in ["", "opaque", "a.b.c", "a.!!.c", ".."] {
            assert_eq!(Claims::of(rubbish), Claims::default(), "{rubbish}");
        }
    }
}
