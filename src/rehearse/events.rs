//! The events of a response of the Responses API, as opencode and Codex read them.
//!
//! Writes a response event by event; which response goes how is for `render` and `responses` to say. Every event is
//! complete (`sequence_number`, the whole `response`): on less, opencode asks again without end (PROTOCOL-SWITCH §3).

use super::clock::unix_seconds;
use serde_json::{Map, Value, json};
use std::time::SystemTime;

/// One response in the making: its events so far, and the items that are done.
pub(super) struct Events<'a> {
    serial: u64,
    model: &'a str,
    created_at: u64,
    events: Vec<Value>,
    output: Vec<Value>,
}

/// What a response cost.
#[derive(Clone, Copy)]
pub(super) struct Cost {
    pub(super) input: u64,
    pub(super) output: u64,
}

impl<'a> Events<'a> {
    pub(super) fn new(serial: u64, model: &'a str, now: SystemTime) -> Self {
        Self {
            serial,
            model,
            created_at: unix_seconds(now),
            events: Vec::new(),
            output: Vec::new(),
        }
    }

    /// `response.created` and `response.in_progress`, which come before any output.
    pub(super) fn begin(&mut self) {
        for kind in ["response.created", "response.in_progress"] {
            let response = self.response("in_progress", json!([]));
            self.add(kind, json!({"response": response}));
        }
    }

    /// An event that is no part of the response proper, such as `codex.rate_limits`.
    pub(super) fn beside(&mut self, event: Value) {
        self.events.push(event);
    }

    /// The beginning of a message that never comes to its end.
    pub(super) fn begin_message(&mut self, text: &str) {
        let id = format!("msg_pretend_{}", self.serial);
        self.open_message(&id);
        self.delta(&id, text);
    }

    /// A whole item, from its announcement to its end.
    pub(super) fn item(&mut self, item: Value) {
        let id = item["id"].as_str().unwrap_or_default().to_owned();
        match item["type"].as_str() {
            Some("message") => {
                let text = item["content"][0]["text"].as_str().unwrap_or_default();
                self.open_message(&id);
                for word in text.split_inclusive(' ') {
                    self.delta(&id, word);
                }
                self.text_event(
                    "response.output_text.done",
                    &id,
                    json!({"text": text, "logprobs": []}),
                );
                self.text_event(
                    "response.content_part.done",
                    &id,
                    json!({"part": part(text)}),
                );
            }
            Some("function_call") => {
                let mut begun = item.clone();
                begun["status"] = "in_progress".into();
                begun["arguments"] = "".into();
                self.announce(begun);
                let place = self.place(&id);
                let arguments = &item["arguments"];
                self.add(
                    "response.function_call_arguments.delta",
                    with(&place, json!({"delta": arguments})),
                );
                self.add(
                    "response.function_call_arguments.done",
                    with(&place, json!({"arguments": arguments})),
                );
            }
            _ => {
                let mut begun = item.clone();
                // The real one seals it when it is done.
                begun["encrypted_content"] = "".into();
                self.announce(begun);
            }
        }
        let index = self.output.len();
        self.add(
            "response.output_item.done",
            json!({"output_index": index, "item": item}),
        );
        self.output.push(item);
    }

    /// Ends the response well. `listed` says whether its last event repeats the items.
    pub(super) fn complete(mut self, cost: Cost, listed: bool) -> Vec<Value> {
        let output = if listed {
            std::mem::take(&mut self.output)
        } else {
            Vec::new()
        };
        let mut response = self.response("completed", output.into());
        response["usage"] = usage(cost);
        self.add("response.completed", json!({"response": response}));
        self.events
    }

    /// Ends the response with `response.failed`.
    pub(super) fn fail(mut self, error: Value) -> Vec<Value> {
        let mut response = self.response("failed", json!([]));
        response["error"] = error;
        self.add("response.failed", json!({"response": response}));
        self.events
    }

    /// Ends the response with `response.incomplete`.
    pub(super) fn incomplete(mut self, reason: &str, error: Value) -> Vec<Value> {
        let mut response = self.response("incomplete", json!([]));
        response["incomplete_details"] = json!({"reason": reason});
        response["error"] = error;
        self.add("response.incomplete", json!({"response": response}));
        self.events
    }

    /// Ends the response with an `error` event, which wraps what would have been an HTTP error (PROTOCOL §4).
    pub(super) fn error(mut self, error: Value, status: u16, headers: Value) -> Vec<Value> {
        let (code, message, param) = (&error["code"], &error["message"], &error["param"]);
        let event = json!({
            "code": code, "message": message, "param": param,
            "error": error, "status": status, "headers": headers,
        });
        self.add("error", event);
        self.events
    }

    /// Leaves the response without an end.
    pub(super) fn end(self) -> Vec<Value> {
        self.events
    }

    fn open_message(&mut self, id: &str) {
        let mut item = message(id, "");
        item["status"] = "in_progress".into();
        item["content"] = json!([]);
        self.announce(item);
        self.text_event("response.content_part.added", id, json!({"part": part("")}));
    }

    fn delta(&mut self, id: &str, text: &str) {
        self.text_event(
            "response.output_text.delta",
            id,
            json!({"delta": text, "logprobs": []}),
        );
    }

    fn announce(&mut self, item: Value) {
        let index = self.output.len();
        self.add(
            "response.output_item.added",
            json!({"output_index": index, "item": item}),
        );
    }

    /// An event about the one part of a message.
    fn text_event(&mut self, kind: &str, id: &str, fields: Value) {
        let mut place = self.place(id);
        place["content_index"] = 0.into();
        self.add(kind, with(&place, fields));
    }

    fn place(&self, id: &str) -> Value {
        json!({"item_id": id, "output_index": self.output.len()})
    }

    fn response(&self, status: &str, output: Value) -> Value {
        json!({
            "id": response_id(self.serial),
            "object": "response",
            "created_at": self.created_at,
            "status": status,
            "background": false,
            "error": null,
            "incomplete_details": null,
            "model": self.model,
            "output": output,
            "parallel_tool_calls": true,
            "store": false,
            "usage": null,
        })
    }

    fn add(&mut self, kind: &str, fields: Value) {
        let head = json!({"type": kind, "sequence_number": self.events.len()});
        self.events.push(with(&head, fields));
    }
}

/// The id of a response.
pub(super) fn response_id(serial: u64) -> String {
    format!("resp_pretend_{serial}")
}

/// A message of the model.
pub(super) fn message(id: &str, text: &str) -> Value {
    json!({
        "id": id,
        "type": "message",
        "status": "completed",
        "role": "assistant",
        "content": [part(text)],
    })
}

fn part(text: &str) -> Value {
    json!({"type": "output_text", "annotations": [], "logprobs": [], "text": text})
}

fn usage(cost: Cost) -> Value {
    json!({
        "input_tokens": cost.input,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": cost.output,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": cost.input + cost.output,
    })
}

/// Both objects in one.
fn with(head: &Value, fields: Value) -> Value {
    let mut all = head.as_object().cloned().unwrap_or_default();
    if let Value::Object(fields) = fields {
        all.extend(fields);
    }
    Value::Object(all)
}

/// An event without what makes it complete: `sequence_number`, and of its `response` all but the error.
pub(super) fn shortened(event: Value) -> Value {
    let Value::Object(event) = event else {
        return event;
    };
    let short: Map<String, Value> = event
        .into_iter()
        .filter(|(name, _)| {
            matches!(
                name.as_str(),
                "type" | "response" | "error" | "item" | "delta"
            )
        })
        .map(|(name, value)| match value.get("error") {
            Some(error) if name == "response" => (name, json!({"error": error})),
            _ => (name, value),
        })
        .collect();
    Value::Object(short)
}
