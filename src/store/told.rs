//! A document for who only looks: without its secrets, and without what other programs keep in it,
//! which may be some.

use serde_json::Value;

use super::format::{Document, Error};
use crate::account::Extra;
use crate::account::secret::RefreshToken;

/// The document without its secrets.
///
/// # Errors
/// When it can't be written as JSON.
pub fn without_secrets(mut document: Document) -> Result<Value, serde_json::Error> {
    document.extra = Extra::new();
    for account in &mut document.accounts {
        account.tokens.refresh = RefreshToken::new("");
        account.tokens.access = None;
        account.tokens.id = None;
        account.extra = Extra::new();
        // A lease is a process of one machine.
        account.lease = None;
    }
    let mut value = serde_json::to_value(&document)?;
    for account in accounts_of(&mut value) {
        account.shift_remove("refreshToken");
    }
    Ok(value)
}

/// Such a document as it was told; the accounts in it have no tokens.
///
/// # Errors
/// When it is none.
pub fn read(mut value: Value) -> Result<Document, Error> {
    for account in accounts_of(&mut value) {
        account.insert("refreshToken".to_owned(), "".into());
    }
    Document::parse(value.to_string().as_bytes())
}

fn accounts_of(document: &mut Value) -> impl Iterator<Item = &mut serde_json::Map<String, Value>> {
    let accounts = document.get_mut("accounts").and_then(Value::as_array_mut);
    accounts
        .into_iter()
        .flatten()
        .filter_map(Value::as_object_mut)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_told_can_be_looked_at_and_holds_no_secret() {
        let document = json!({"version": 1, "activeIndex": 1, "other": "secret-1", "accounts": [
            {"refreshToken": "secret-2", "label": "work", "accessToken": "secret-3"},
            {"refreshToken": "secret-4", "label": "home", "idToken": "secret-5", "odd": "secret-6"},
        ]});
        let document = Document::parse(document.to_string().as_bytes()).unwrap();
        let told = without_secrets(document).unwrap();
        assert!(!told.to_string().contains("secret"), "{told}");
        let read = read(told).unwrap();
        let labels: Vec<_> = read.accounts.iter().map(|it| it.label.as_deref()).collect();
        assert_eq!(
            (labels, read.active_index),
            (vec![Some("work"), Some("home")], 1)
        );
    }
}
