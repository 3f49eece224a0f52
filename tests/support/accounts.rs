//! Accounts for a test to begin with, and the store that holds them.

use std::fs;
use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::Home;
use super::canary::CANARY;
use super::home::CLOCK;

/// A day before every test, in the store's milliseconds: when its accounts were added.
const YESTERDAY: u64 = (CLOCK - 24 * 60 * 60) * 1000;

/// When the accounts' access tokens expire: in ten days, so no command refreshes them.
const EXPIRY: u64 = CLOCK + 10 * 24 * 60 * 60;

/// A usable account called `label`, that has never been limited or picked.
pub(crate) fn account(label: &str) -> Value {
    json!({
        "refreshToken": format!("{CANARY}-refresh-{label}"),
        "chatgptAccountId": format!("acc-{label}"),
        "email": format!("{label}@example.com"),
        "addedAt": YESTERDAY,
        "lastUsed": 0,
        "chatgptUserId": format!("user-{label}"),
        "planType": "plus",
        "label": label,
        "accessToken": access_token(label),
        "expiresAt": EXPIRY * 1000,
        "refreshedAt": YESTERDAY,
    })
}

/// A store of these accounts, the first of them active.
pub(crate) fn store(accounts: impl IntoIterator<Item = Value>) -> Value {
    let accounts: Vec<Value> = accounts.into_iter().collect();
    json!({"version": 1, "accounts": accounts, "activeIndex": 0})
}

/// The access token of [`account`]`(label)`.
pub(crate) fn access_token(label: &str) -> String {
    jwt(&json!({
        "exp": EXPIRY,
        "https://api.openai.com/auth": {
            "chatgpt_account_id": format!("acc-{label}"),
            "chatgpt_user_id": format!("user-{label}"),
            "chatgpt_plan_type": "plus",
        },
        "https://api.openai.com/profile": {"email": format!("{label}@example.com")},
    }))
}

/// A token with these claims; nobody checks the signature, so it is the canary.
pub(crate) fn jwt(claims: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let header = part(&json!({"alg": "none", "typ": "JWT"}));
    format!("{header}.{}.{CANARY}", part(claims))
}

impl Home {
    /// Where the commands look for the store.
    pub(crate) fn store_path(&self) -> PathBuf {
        self.path()
            .join(".local/share/opencode/openai-codex-accounts.json")
    }

    /// Puts a store there, or anything else in its place.
    pub(crate) fn write_store(&self, store: &Value) {
        self.write(self.store_path(), format!("{store:#}\n"));
    }

    /// What the store says now.
    pub(crate) fn store(&self) -> Value {
        let text = fs::read(self.store_path()).expect("a store");
        serde_json::from_slice(&text).expect("a store of JSON")
    }
}
