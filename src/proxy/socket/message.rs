//! The messages of a client and of the upstream, as far as they matter here (PROTOCOL-WEBSOCKET
//! §2). They are read and never written anew: what has to go out of one is cut out of its text.

use std::borrow::Cow;
use std::fmt::Write as _;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;
use serde_json::value::RawValue;
use tokio_tungstenite::tungstenite::Utf8Bytes;

/// The name that turn states have, in a head and in messages.
const TURN_STATE: &str = "x-codex-turn-state";

/// The backend closes a connection on which a message of 16 MiB comes; what is this large goes by
/// HTTP.
const LARGEST: usize = (16 << 20) - (64 << 10);

/// A request: `response.create`.
#[derive(Clone, Debug, PartialEq)]
pub struct Create {
    /// As the client wrote it.
    pub text: Utf8Bytes,
    /// The model that it asks.
    pub model: Option<String>,
    /// It goes on from an answer that only the connection knows it was given on.
    pub is_increment: bool,
    /// The turn that it belongs to, with its thread.
    pub turn: Option<String>,
    /// The state of that turn, which belongs to the account that gave it.
    pub turn_state: Option<String>,
}

#[derive(Deserialize)]
struct Fields<'a> {
    #[serde(borrow, default, rename = "type")]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    model: Option<Cow<'a, str>>,
    #[serde(default)]
    previous_response_id: Option<IgnoredAny>,
    #[serde(borrow, default)]
    client_metadata: Option<&'a RawValue>,
}

impl Create {
    /// Reads what a client sent; nothing where that is another kind of message. A text that can't be
    /// read is a request too: the upstream says what is wrong with it.
    #[must_use]
    pub fn read(text: &Utf8Bytes) -> Option<Self> {
        let unread = || Self {
            text: text.clone(),
            model: None,
            is_increment: false,
            turn: None,
            turn_state: None,
        };
        let Ok(fields) = serde_json::from_str::<Fields<'_>>(text) else {
            return Some(unread());
        };
        match fields.kind.as_deref() {
            Some("response.create") => {}
            Some(_) => return None,
            None => return Some(unread()),
        }
        let metadata = fields.client_metadata.map_or("", RawValue::get);
        let metadata: Value = serde_json::from_str(metadata).unwrap_or_default();
        let named = |name: &str| metadata[name].as_str();
        Some(Self {
            text: text.clone(),
            model: fields.model.map(Cow::into_owned),
            is_increment: fields.previous_response_id.is_some(),
            turn: named("turn_id")
                .map(|turn| format!("{}/{turn}", named("thread_id").unwrap_or_default())),
            turn_state: named(TURN_STATE).map(str::to_owned),
        })
    }

    /// Whether it is too large to be sent as one message.
    pub(super) fn is_too_large(&self) -> bool {
        self.text.len() >= LARGEST
    }

    /// Its text without the state of the turn; every other byte is as it was.
    #[must_use]
    pub fn without_turn_state(&self) -> Utf8Bytes {
        let cut = || {
            let fields: Fields<'_> = serde_json::from_str(&self.text).ok()?;
            let metadata = fields.client_metadata?.get();
            let start = offset(&self.text, metadata)?;
            let mut cut = self.text[..start].to_owned();
            cut.push_str(&without_member(metadata, TURN_STATE)?);
            cut.push_str(&self.text[start + metadata.len()..]);
            Some(Utf8Bytes::from(cut))
        };
        cut().unwrap_or_else(|| self.text.clone())
    }
}

/// Where a part of a text begins in it.
fn offset(text: &str, part: &str) -> Option<usize> {
    (part.as_ptr() as usize).checked_sub(text.as_ptr() as usize)
}

/// An object without a member; the others are as they were written.
fn without_member(object: &str, name: &str) -> Option<String> {
    let members: Members<'_> = serde_json::from_str(object).ok()?;
    let mut text = String::from("{");
    for (key, value) in members.0.iter().filter(|(key, _)| key != name) {
        let comma = if text.len() > 1 { "," } else { "" };
        let key = Value::from(key.as_str());
        write!(text, "{comma}{key}:{}", value.get()).ok()?;
    }
    text.push('}');
    Some(text)
}

/// The members of an object in their order, those of one name too.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Vec<(String, &'de RawValue)>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(
                self,
                mut map: A,
            ) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(members)
            }
        }
        deserializer.deserialize_map(Visitor).map(Self)
    }
}

/// The turn state that an upstream's `response.metadata` gives.
pub(super) fn turn_state_given(text: &str) -> Option<String> {
    memchr::memmem::find(text.as_bytes(), TURN_STATE.as_bytes())?;
    let message: Value = serde_json::from_str(text).ok()?;
    if message["type"] != "response.metadata" {
        return None;
    }
    message["headers"][TURN_STATE].as_str().map(str::to_owned)
}

/// Whether an upstream's failure is about its own connection, and no request's: it is too old, or
/// does not know what the request goes on from.
pub(super) fn is_about_the_connection(failure: &Value) -> bool {
    let error = match &failure["response"]["error"] {
        Value::Null => &failure["error"],
        error => error,
    };
    let of_connection = [
        "websocket_connection_limit_reached",
        "previous_response_not_found",
    ];
    let code = error["code"].as_str();
    code.is_some_and(|code| of_connection.contains(&code))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<Create> {
        Create::read(&Utf8Bytes::from(text))
    }

    #[test]
    fn a_request_says_what_it_goes_on_from() {
        let whole = read(r#"{"type":"response.create","model":"gpt-5.5","input":[{"a":1}]}"#);
        let whole = whole.unwrap();
        assert_eq!(whole.model.as_deref(), Some("gpt-5.5"));
        assert!(!whole.is_increment);
        let null = r#"{"previous_response_id":null,"type":"response.create"}"#;
        assert!(!read(null).unwrap().is_increment);
        let increment = r#"{"type":"response.create","previous_response_id":"r",
            "client_metadata":{"turn_id":"t","thread_id":"th","x-codex-turn-state":"s"}}"#;
        let increment = read(increment).unwrap();
        assert!(increment.is_increment);
        assert_eq!(increment.turn.as_deref(), Some("th/t"));
        assert_eq!(increment.turn_state.as_deref(), Some("s"));
        assert_eq!(read(r#"{"type":"response.interrupt"}"#), None);
    }

    #[test]
    fn what_can_t_be_read_is_the_upstream_s_to_refuse() {
        for text in ["", "{", "[]", "null", r#"{"type":1}"#] {
            assert_eq!(read(text).unwrap().text.as_str(), text);
        }
    }

    #[test]
    fn the_state_of_a_turn_is_cut_out_and_nothing_else() {
        let text = |metadata: &str| {
            format!(
                "{{ \"input\" : [1.0e2, \"\\u00e4\"],\"client_metadata\": {metadata} ,\
                 \"type\":\"response.create\" }}"
            )
        };
        for (with, without) in [
            (r#"{"x-codex-turn-state":"s"}"#, "{}"),
            (r#"{"a":1.50,"x-codex-turn-state":"s"}"#, r#"{"a":1.50}"#),
            (
                r#"{"x-codex-turn-state":"s","b":[ {} ],"a":"x"}"#,
                r#"{"b":[ {} ],"a":"x"}"#,
            ),
            (r#"{"a":1}"#, r#"{"a":1}"#),
        ] {
            let create = read(&text(with)).unwrap();
            assert_eq!(create.without_turn_state().as_str(), text(without));
        }
    }

    #[test]
    fn a_given_state_is_found() {
        let given = r#"{"type":"response.metadata","headers":{"x-codex-turn-state":"s"}}"#;
        assert_eq!(turn_state_given(given).as_deref(), Some("s"));
        let said = r#"{"type":"response.output_text.delta","delta":"x-codex-turn-state"}"#;
        assert_eq!(turn_state_given(said), None);
    }
}
