//! The event stream of the Responses API, as opencode and Codex read it.
//!
//! Tells a turn event by event; which turn is told how is for `render` and `backend` to say.

use super::clock::unix_seconds;
use bytes::Bytes;
use serde_json::{Map, Value, json};
use std::time::SystemTime;

/// One turn in the making: the events so far.
pub(super) struct Turn<'a> {
    serial: u64,
    model: &'a str,
    created_at: u64,
    events: Vec<Bytes>,
}

impl<'a> Turn<'a> {
    pub(super) fn new(serial: u64, model: &'a str, now: SystemTime) -> Self {
        Self {
            serial,
            model,
            created_at: unix_seconds(now),
            events: Vec::new(),
        }
    }

    /// A whole turn that answers with this text, a word an event.
    pub(super) fn complete(mut self, text: &str) -> Vec<Bytes> {
        self.begin();
        self.open_message();
        for word in text.split_inclusive(' ') {
            self.say(word);
        }
        self.close_message(text);

        // One token a word is as good as any other count.
        let words = text.split_inclusive(' ').count();
        let mut response = self.response("completed", json!([self.message("completed", text)]));
        response["usage"] = json!({
            "input_tokens": 8,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": words,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": 8 + words,
        });
        self.tell("response.completed", json!({"response": response}));
        self.events
    }

    /// `response.created` and `response.in_progress`, which come before any output.
    pub(super) fn begin(&mut self) {
        for kind in ["response.created", "response.in_progress"] {
            let response = self.response("in_progress", json!([]));
            self.tell(kind, json!({"response": response}));
        }
    }

    /// Announces the one message that the turn consists of.
    pub(super) fn open_message(&mut self) {
        let mut item = self.message("in_progress", "");
        item["content"] = json!([]);
        self.tell(
            "response.output_item.added",
            json!({"output_index": 0, "item": item}),
        );
        self.tell_part("response.content_part.added", json!({"part": part("")}));
    }

    /// A piece of the text.
    pub(super) fn say(&mut self, delta: &str) {
        self.tell_part(
            "response.output_text.delta",
            json!({"delta": delta, "logprobs": []}),
        );
    }

    fn close_message(&mut self, text: &str) {
        self.tell_part(
            "response.output_text.done",
            json!({"text": text, "logprobs": []}),
        );
        self.tell_part("response.content_part.done", json!({"part": part(text)}));
        let item = self.message("completed", text);
        self.tell(
            "response.output_item.done",
            json!({"output_index": 0, "item": item}),
        );
    }

    /// Ends the turn with `response.failed`.
    pub(super) fn fail(mut self, error: Value) -> Vec<Bytes> {
        let mut response = self.response("failed", json!([]));
        response["error"] = error;
        self.tell("response.failed", json!({"response": response}));
        self.events
    }

    /// Ends the turn with an `error` event, which wraps what would have been an HTTP error (PROTOCOL §4).
    pub(super) fn error(mut self, error: Value, status: u16, headers: Value) -> Vec<Bytes> {
        self.tell(
            "error",
            json!({"error": error, "status": status, "headers": headers}),
        );
        self.events
    }

    fn response(&self, status: &str, output: Value) -> Value {
        json!({
            "id": format!("resp_pretend_{}", self.serial),
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

    fn message(&self, status: &str, text: &str) -> Value {
        json!({
            "id": self.message_id(),
            "type": "message",
            "status": status,
            "role": "assistant",
            "content": [part(text)],
        })
    }

    fn message_id(&self) -> String {
        format!("msg_pretend_{}", self.serial)
    }

    /// An event about the message's one part.
    fn tell_part(&mut self, kind: &str, fields: Value) {
        let mut data = json!({
            "item_id": self.message_id(), "output_index": 0, "content_index": 0,
        });
        if let (Value::Object(data), Value::Object(fields)) = (&mut data, fields) {
            data.extend(fields);
        }
        self.tell(kind, data);
    }

    fn tell(&mut self, kind: &str, fields: Value) {
        let mut data = Map::new();
        data.insert("type".into(), kind.into());
        data.insert("sequence_number".into(), self.events.len().into());
        if let Value::Object(fields) = fields {
            data.extend(fields);
        }
        let event = format!("event: {kind}\ndata: {}\n\n", Value::Object(data));
        self.events.push(event.into());
    }
}

fn part(text: &str) -> Value {
    json!({"type": "output_text", "annotations": [], "logprobs": [], "text": text})
}
