//! Accounts as they come to be in the life of a person: limited, logged out, disabled, with figures
//! of different ages.

use codex_accounts::rehearse::{Pretend, Script};
use serde_json::{Value, json};

use super::accounts::{account, store};
use super::{CLOCK, Home};

/// A home with these accounts, the first of them active.
pub(crate) fn home(accounts: impl IntoIterator<Item = Value>) -> Home {
    let home = Home::new();
    home.write_store(&store(accounts));
    home
}

pub(crate) fn two() -> Home {
    home([account("work"), account("personal")])
}

/// The account with some fields set, or taken away by a null.
pub(crate) fn with(label: &str, fields: Value) -> Value {
    let mut account = account(label);
    let object = account.as_object_mut().expect("an account");
    for (name, value) in fields.as_object().expect("fields") {
        match value {
            Value::Null => drop(object.remove(name)),
            value => drop(object.insert(name.clone(), value.clone())),
        }
    }
    account
}

/// In the store's milliseconds, so many seconds after the clock.
pub(crate) fn after(secs: i64) -> u64 {
    CLOCK.saturating_add_signed(secs) * 1000
}

/// How much is used of the two windows, seen so many seconds ago.
pub(crate) fn usage(short: f64, weekly: f64, age: i64) -> Value {
    json!({"windows": [
        {"minutes": 300, "usedPercent": short, "resetsAt": after(7500)},
        {"minutes": 10_080, "usedPercent": weekly, "resetsAt": after(316_705)},
    ], "observedAt": after(-age)})
}

/// The fields of an account that is limited for so many seconds.
pub(crate) fn limited(secs: i64) -> Value {
    json!({"rateLimitResetTime": after(secs), "limits": {"default": {
        "until": after(secs), "class": "quota", "source": "body.resets_at",
        "markedAt": after(-60), "windowMinutes": 300}}})
}

/// Both objects in one.
pub(crate) fn and(mut one: Value, other: Value) -> Value {
    let fields = other.as_object().expect("fields").clone();
    one.as_object_mut().expect("fields").extend(fields);
    one
}

/// Accounts in every state.
pub(crate) fn all_states() -> Home {
    home([
        with(
            "work",
            json!({"usage": usage(18.0, 31.0, 180), "lastUsed": after(-200)}),
        ),
        with(
            "personal",
            and(
                limited(7500),
                json!({"usage": usage(100.0, 64.0, 3700), "planType": "pro"}),
            ),
        ),
        with(
            "team",
            json!({"label": null, "email": "maria.schmidt@company.example",
                "planType": "business", "usage": usage(88.0, 95.5, 200_000),
                "lastUsed": after(-90_000)}),
        ),
        with(
            "old",
            json!({"loginRequired": {"code": "refresh_token_reused", "at": after(-9)}}),
        ),
        with("spare", json!({"enabled": false})),
    ])
}

/// A pretend issuer, and a home whose accounts it knows.
pub(crate) fn with_issuer() -> (Pretend, Home) {
    let pretend = Pretend::start(Script::with_accounts(2)).expect("the pretend server starts");
    let accounts = [0, 1].map(|index| {
        let tokens = pretend.issue(index).expect("tokens");
        let name = ["one", "two"][index];
        with(name, json!({"refreshToken": tokens.refresh_token, "accessToken": tokens.access_token,
            "chatgptAccountId": format!("account-{name}"), "chatgptUserId": format!("user-{name}")}))
    });
    let mut home = home(accounts);
    home.set("CODEX_ACCOUNTS_ISSUER", pretend.issuer());
    home.set("CODEX_ACCOUNTS_UPSTREAM", pretend.upstream());
    (pretend, home)
}
