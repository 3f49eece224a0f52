//! What is refused because it is sealed with another account's key, was altered, or stands under another id
//! (PROTOCOL-SWITCH §1, E1 to E5 and E7).

use super::items::kind;
use super::{Fault, Refusal};
use crate::rehearse::blob::Blob;
use crate::rehearse::script::Reason;
use crate::rehearse::seen::Refused;
use http::StatusCode;
use serde_json::Value;

pub(super) fn check(
    input: &[Value],
    org: &str,
    portable: bool,
    reason: Reason,
) -> Result<(), Refusal> {
    let reader = Reader {
        org,
        portable,
        reason,
    };
    input.iter().try_for_each(|item| reader.item(item))?;
    // Noticed later by the real one, when the response has begun.
    input.iter().try_for_each(|item| reader.beside(item))
}

struct Reader<'a> {
    org: &'a str,
    portable: bool,
    reason: Reason,
}

impl Reader<'_> {
    /// An item that is sealed itself.
    fn item(&self, item: &Value) -> Result<(), Refusal> {
        let kind = match kind(item) {
            kind @ ("reasoning" | "compaction") => kind,
            "compaction_summary" => "compaction",
            _ => return Ok(()),
        };
        let sealed = item["encrypted_content"].as_str().unwrap_or_default();
        let id = item.get("id").and_then(Value::as_str);
        let what = match id {
            Some(id) if kind == "compaction" => format!("for item {id}"),
            _ => quoted(sealed),
        };
        let unreadable = |reason| Err(Refusal::unreadable(&what, reason));
        let Some(blob) = Blob::open(sealed).filter(|blob| blob.kind == kind) else {
            return unreadable(Reason::Key.words());
        };
        if blob.org != self.org && !self.portable {
            return unreadable(self.reason.words());
        }
        if id.is_some_and(|id| id != blob.item) {
            return unreadable(Some(
                "Encrypted content item_id did not match the target item id",
            ));
        }
        // The shape is bound too: with its id, the item keeps its `content: null`.
        if kind == "reasoning" && id.is_some() && item.get("content").is_none() {
            return unreadable(Reason::Key.words());
        }
        Ok(())
    }

    /// What is sealed inside of an item: in the output of a tool, the message of an agent, the arguments of a call.
    fn beside(&self, item: &Value) -> Result<(), Refusal> {
        let parts = ["output", "content"]
            .iter()
            .filter_map(|name| item[*name].as_array())
            .flatten();
        let sealed = parts
            .filter_map(|part| part["encrypted_content"].as_str())
            .map(str::to_owned);
        let readable =
            |text: &str| Blob::open(text).is_some_and(|blob| self.portable || blob.org == self.org);
        if sealed
            .chain(sealed_arguments(item))
            .all(|text| readable(&text))
        {
            return Ok(());
        }
        Err(Refusal {
            status: StatusCode::BAD_REQUEST,
            fault: Fault::Error {
                message: "Encrypted function output content could not be decrypted or decoded."
                    .into(),
                code: Some("invalid_request_error"),
                param: None,
            },
            about: Refused::ForeignOutput,
        })
    }
}

/// The arguments of a call that `encrypted_function_args` names.
fn sealed_arguments(item: &Value) -> Vec<String> {
    let Some(names) = item["encrypted_function_args"].as_array() else {
        return Vec::new();
    };
    let arguments: Value = item["arguments"]
        .as_str()
        .and_then(|text| serde_json::from_str(text).ok())
        .unwrap_or_default();
    let values = names
        .iter()
        .filter_map(Value::as_str)
        .map(|name| arguments[name].as_str());
    values
        .map(|value| value.unwrap_or_default().to_owned())
        .collect()
}

/// A blob as a message names it.
fn quoted(sealed: &str) -> String {
    let ends = (
        sealed.get(..4),
        sealed.len().checked_sub(4).and_then(|at| sealed.get(at..)),
    );
    match ends {
        (Some(first), Some(last)) => format!("{first}...{last}"),
        _ => sealed.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn sealed(org: &str, item: &str, kind: &str) -> String {
        let blob = Blob {
            org: org.into(),
            item: item.into(),
            kind: kind.into(),
            words: Vec::new(),
        };
        blob.seal()
    }

    fn reasoning(org: &str) -> Value {
        json!({"type": "reasoning", "id": "rs_1", "summary": [], "content": null, "encrypted_content": sealed(org, "rs_1", "reasoning")})
    }

    fn compaction(org: &str) -> Value {
        json!({"type": "compaction", "id": "cmp_1", "encrypted_content": sealed(org, "cmp_1", "compaction")})
    }

    fn said(item: &Value, portable: bool, reason: Reason) -> Option<(Refused, String)> {
        let refusal = check(std::slice::from_ref(item), "mine", portable, reason).err()?;
        let message = refusal.object()["message"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        Some((refusal.about, message))
    }

    fn key(item: &Value) -> Option<(Refused, String)> {
        said(item, false, Reason::Key)
    }

    #[test]
    fn what_another_account_sealed_is_refused_unless_blobs_are_portable() {
        for item in [reasoning("mine"), compaction("mine")] {
            assert_eq!(key(&item), None);
        }
        let (about, message) = key(&reasoning("theirs")).unwrap();
        assert_eq!(about, Refused::Foreign);
        assert!(
            message.starts_with("The encrypted content gAAA..."),
            "{message}"
        );
        assert!(message.ends_with(" could not be verified. Reason: Encrypted content could not be decrypted or parsed."), "{message}");
        let (_, message) = said(&compaction("theirs"), false, Reason::Organization).unwrap();
        assert_eq!(
            message,
            "The encrypted content for item cmp_1 could not be verified. Reason: Encrypted content organization_id did not match the target organization."
        );
        let (_, message) = said(&compaction("theirs"), false, Reason::Unsaid).unwrap();
        assert_eq!(
            message,
            "The encrypted content for item cmp_1 could not be verified."
        );
        for item in [reasoning("theirs"), compaction("theirs")] {
            assert_eq!(said(&item, true, Reason::Key), None);
        }
    }

    #[test]
    fn what_was_altered_or_moved_is_refused_even_then() {
        let with = |name: &str, value: Value| {
            let mut item = reasoning("theirs");
            item[name] = value;
            said(&item, true, Reason::Key).map(|(_, message)| message)
        };
        let altered = sealed("theirs", "rs_1", "reasoning").replace('e', "f");
        assert!(
            with("encrypted_content", json!(altered))
                .unwrap()
                .contains("decrypted or parsed")
        );
        let moved = with("id", json!("rs_2")).unwrap();
        assert!(
            moved.ends_with("Reason: Encrypted content item_id did not match the target item id"),
            "{moved}"
        );
        let kind = with(
            "encrypted_content",
            json!(sealed("theirs", "rs_1", "compaction")),
        );
        assert!(kind.is_some());
        // opencode sends neither id nor content; Codex both.
        let mut bare = reasoning("mine");
        bare.as_object_mut().unwrap().remove("content");
        assert!(key(&bare).is_some());
        bare.as_object_mut().unwrap().remove("id");
        assert_eq!(key(&bare), None);
    }

    #[test]
    fn what_is_sealed_inside_of_an_item_is_noticed_late() {
        let part = |org: &str| json!({"type": "encrypted_content", "encrypted_content": sealed(org, "x", "output")});
        let items = |org: &str| {
            [
                json!({"type": "function_call_output", "call_id": "c", "output": [part(org)]}),
                json!({"type": "agent_message", "content": [{"type": "input_text", "text": "x"}, part(org)]}),
                json!({"type": "function_call", "call_id": "c", "name": "send_message", "encrypted_function_args": ["message"],
                    "arguments": json!({"message": sealed(org, "x", "output")}).to_string()}),
            ]
        };
        for item in items("mine") {
            assert_eq!(key(&item), None);
        }
        for item in items("theirs") {
            let (about, message) = key(&item).unwrap();
            assert_eq!(about, Refused::ForeignOutput);
            assert_eq!(
                message,
                "Encrypted function output content could not be decrypted or decoded."
            );
            assert_eq!(said(&item, true, Reason::Key), None);
        }
        let plain = json!({"type": "function_call", "call_id": "c", "name": "x", "encrypted_function_args": [], "arguments": "{}"});
        assert_eq!(key(&plain), None);
    }
}
