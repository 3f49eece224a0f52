//! A request to the model, whichever way it came: its body, and what its head says of it.
//!
//! Reads, and judges nothing but whether it can be read.

use super::blob::sum;
use super::seen::Seen;
use http::HeaderMap;
use serde_json::{Map, Value, json};
use std::borrow::Cow;
use std::io::Read as _;

/// How long a body may be once it is unpacked.
const LONGEST: u64 = 256 << 20;

/// How a request came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    Http,
    Socket,
}

/// See the module.
pub(super) struct ModelRequest {
    pub(super) body: Map<String, Value>,
    /// All items that the model is given: over a WebSocket, with those of the responses before.
    pub(super) input: Vec<Value>,
    pub(super) way: Way,
    /// Whether it asks for Responses-Lite.
    pub(super) lite: bool,
    /// The turn state that it brings back.
    pub(super) turn_state: Option<String>,
}

impl ModelRequest {
    /// The request of a POST; `None` if its body is no JSON object, or is packed in a way that is not known.
    pub(super) fn of_post(request: &Seen) -> Option<Self> {
        let body = match request.header("content-encoding") {
            None | Some("identity") => Cow::Borrowed(&request.body[..]),
            Some("zstd") => Cow::Owned(unpacked(&request.body)?),
            Some(_) => return None,
        };
        let body: Map<String, Value> = serde_json::from_slice(&body).ok()?;
        let turn_state = request.header("x-codex-turn-state").map(str::to_owned);
        Some(Self::new(body, Way::Http, &request.headers, turn_state))
    }

    /// The request of a frame, on a connection that was opened with this head.
    pub(super) fn of_frame(body: Map<String, Value>, head: &HeaderMap) -> Self {
        let metadata = body
            .get("client_metadata")
            .map(|metadata| &metadata["x-codex-turn-state"]);
        let turn_state = metadata.and_then(Value::as_str).map(str::to_owned);
        Self::new(body, Way::Socket, head, turn_state)
    }

    fn new(
        body: Map<String, Value>,
        way: Way,
        head: &HeaderMap,
        turn_state: Option<String>,
    ) -> Self {
        let lite = head.get("x-openai-internal-codex-responses-lite");
        let input = body.get("input").and_then(Value::as_array).cloned();
        Self {
            input: input.unwrap_or_default(),
            body,
            way,
            lite: lite.is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"true")),
            turn_state,
        }
    }

    /// The session, as a frame names it.
    pub(super) fn session(&self) -> Option<String> {
        let metadata = self.body.get("client_metadata")?;
        let named = metadata["session_id"]
            .as_str()
            .or(metadata["thread_id"].as_str())?;
        Some(named.to_owned())
    }

    /// The model; empty where none is named.
    pub(super) fn model(&self) -> &str {
        self.body
            .get("model")
            .and_then(Value::as_str)
            .unwrap_or_default()
    }

    /// Whether nothing is to be answered yet (PROTOCOL-WEBSOCKET §2).
    pub(super) fn prewarm(&self) -> bool {
        self.body.get("generate") == Some(&Value::Bool(false))
    }

    /// Whether a compaction is asked for.
    pub(super) fn compacts(&self) -> bool {
        self.input
            .last()
            .is_some_and(|item| item["type"] == "compaction_trigger")
    }

    /// Whether reasoning is to be answered, sealed.
    pub(super) fn wants_reasoning(&self) -> bool {
        let include = self.body.get("include").and_then(Value::as_array);
        let sealed =
            include.is_some_and(|names| names.contains(&json!("reasoning.encrypted_content")));
        let effort = self
            .body
            .get("reasoning")
            .map(|reasoning| &reasoning["effort"]);
        sealed && effort.is_some_and(|effort| effort.is_string() && effort != "none")
    }

    /// Whether an item is by somebody of this role.
    pub(super) fn has_role(&self, role: &str) -> bool {
        self.input.iter().any(|item| item["role"] == role)
    }

    /// The names of the tools that the model is offered.
    pub(super) fn tools(&self) -> Vec<&str> {
        let top = self.body.get("tools").and_then(Value::as_array);
        let more = self
            .input
            .iter()
            .filter_map(|item| item["tools"].as_array());
        let tools = top.into_iter().chain(more).flatten();
        let inner = tools.flat_map(|tool| match tool["tools"].as_array() {
            Some(inner) => inner.iter().collect(),
            None => vec![tool],
        });
        inner.filter_map(|tool| tool["name"].as_str()).collect()
    }

    /// A tool that the model is offered, with the namespace that it is in.
    pub(super) fn tool(&self, name: &str) -> Option<(Option<&str>, &Value)> {
        let top = self.body.get("tools").and_then(Value::as_array);
        let more = self
            .input
            .iter()
            .filter_map(|item| item["tools"].as_array());
        top.into_iter()
            .chain(more)
            .flatten()
            .find_map(|tool| match tool["tools"].as_array() {
                Some(inner) => {
                    let found = inner.iter().find(|tool| tool["name"] == name)?;
                    Some((tool["name"].as_str(), found))
                }
                None => (tool["name"] == name).then_some((None, tool)),
            })
    }

    /// Roughly how many tokens it is long.
    pub(super) fn tokens(&self) -> u64 {
        let length: usize = self.input.iter().map(|item| item.to_string().len()).sum();
        u64::try_from(length / 4).unwrap_or(u64::MAX)
    }

    /// What it asks for, in a number: the same for a request that is sent again, also without what an account could not
    /// read.
    pub(super) fn asks_for(&self) -> u64 {
        let last = self
            .input
            .iter()
            .rev()
            .find(|item| item["type"] != "reasoning");
        let last = last.map(|item| match item["call_id"].as_str() {
            Some(id) => id.to_owned(),
            None => item["content"].to_string() + &item["type"].to_string(),
        });
        sum(format!(
            "{}{}{}",
            last.unwrap_or_default(),
            self.prewarm(),
            self.input
                .iter()
                .filter(|item| item["role"] == "user")
                .count()
        )
        .as_bytes())
    }
}

/// The session that a request is of: what both clients call it in the head, or in the frame.
pub(super) fn session(head: &HeaderMap) -> Option<String> {
    let names = ["session-id", "session_id", "x-session-id", "thread-id"];
    let named = names.iter().find_map(|name| head.get(*name))?;
    Some(named.to_str().ok()?.to_owned())
}

fn unpacked(body: &[u8]) -> Option<Vec<u8>> {
    let mut plain = Vec::new();
    zstd::Decoder::new(body)
        .ok()?
        .take(LONGEST)
        .read_to_end(&mut plain)
        .ok()?;
    Some(plain)
}

#[cfg(test)]
pub(super) mod tests {
    use super::{ModelRequest, Way};
    use http::HeaderMap;
    use serde_json::{Value, json};

    /// A request with this body, as of a POST.
    pub(in crate::rehearse) fn request(body: Value) -> ModelRequest {
        let body = body.as_object().cloned().unwrap_or_default();
        ModelRequest::new(body, Way::Http, &HeaderMap::new(), None)
    }

    #[test]
    fn tools_are_found_where_either_client_offers_them() {
        let body = json!({
            "tools": [{"type": "function", "name": "bash"}, {"type": "web_search"}],
            "input": [{"type": "additional_tools", "tools": [{"type": "namespace", "name": "f", "tools": [{"name": "exec"}]}]}],
        });
        assert_eq!(request(body).tools(), ["bash", "exec"]);
    }

    #[test]
    fn what_is_asked_for_stays_the_same_without_ids_and_reasoning() {
        let user = json!({"role": "user", "id": "msg_1", "content": "hi"});
        let bare = json!({"role": "user", "content": "hi"});
        let reasoning = json!({"type": "reasoning", "encrypted_content": "x"});
        let first = request(json!({"input": [reasoning, user]})).asks_for();
        assert_eq!(first, request(json!({"input": [bare]})).asks_for());
        assert_ne!(first, request(json!({"input": [bare, bare]})).asks_for());
    }
}
