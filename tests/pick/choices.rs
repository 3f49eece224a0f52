//! Which account it is, as a table: `choices.json` has a row for each case. A window of the usage is
//! there as minutes, percent, seconds to its end (null where that is not known), and its scope.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{NOW, reasons};
use crate::support::Home;
use crate::support::accounts::{account, store};

#[derive(Deserialize)]
struct Case {
    case: String,
    /// What is particular of each account, by label; `usage` as said above, and whether it has `credits`.
    accounts: Map<String, Value>,
    #[serde(default)]
    policy: Value,
    args: String,
    reasons: Vec<String>,
}

#[test]
fn each_choice_of_the_table() {
    let cases: Vec<Case> = serde_json::from_str(include_str!("choices.json")).expect("a table");
    for case in cases {
        let home = Home::new();
        let accounts = case.accounts.iter().map(|(label, own)| of(label, own));
        let mut store = store(accounts);
        if !case.policy.is_null() {
            store["policy"] = case.policy.clone();
        }
        home.write_store(&store);
        assert_eq!(reasons(&home, &case.args), case.reasons, "{}", case.case);
    }
}

fn of(label: &str, own: &Value) -> Value {
    let mut account = account(label);
    for (name, value) in own.as_object().expect("an account") {
        account[name] = match name.as_str() {
            "usage" => json!({"observedAt": NOW, "windows": windows(value)}),
            "credits" => continue,
            _ => value.clone(),
        };
    }
    if let Some(available) = own.get("credits") {
        account["usage"]["credits"] = json!({"available": available});
    }
    account
}

fn windows(rows: &Value) -> Vec<Value> {
    let rows = rows.as_array().expect("windows").iter();
    let windows = rows.map(|row| {
        let in_seconds = |seconds: i64| NOW.saturating_add_signed(seconds * 1000);
        let mut window = json!({
            "minutes": row[0], "usedPercent": row[1],
            "resetsAt": row[2].as_i64().map_or(0, in_seconds),
        });
        if let Some(scope) = row.get(3) {
            window["scope"] = scope.clone();
        }
        window
    });
    windows.collect()
}
