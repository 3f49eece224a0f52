//! Requests to the model as the real clients make them. The pretend backend refuses what the real one refuses, so a
//! test asks with one of these.

use serde_json::{Value, json};

/// The simplest request that is answered, for a shell: `-d @question` where it was written as that file.
pub(crate) const QUESTION: &str = r#"{"model":"gpt-5.5","stream":true,"store":false,"instructions":"Be brief.","input":[{"role":"user","content":[{"type":"input_text","text":"Who are you?"}]}]}"#;

/// The same for another model.
pub(crate) fn question_for(model: &str) -> String {
    QUESTION.replace("gpt-5.5", model)
}

/// A request of opencode: items without ids, instructions beside them.
pub(crate) fn opencode(input: &[Value]) -> Value {
    json!({
        "model": "gpt-5.5",
        "input": input,
        "text": {"verbosity": "low"},
        "store": false,
        "instructions": "You are a coding agent.",
        "include": ["reasoning.encrypted_content"],
        "prompt_cache_key": "ses_1",
        "reasoning": {"effort": "medium", "summary": "auto"},
        "tools": [{
            "type": "function", "name": "bash",
            "parameters": {"type": "object", "properties": {"command": {"type": "string"}}},
        }],
        "tool_choice": "auto",
        "stream": true,
    })
}

/// A request of Codex: items with ids, its instructions the first of them.
pub(crate) fn codex(input: &[Value]) -> Value {
    let developer = json!({
        "type": "message", "id": "msg_45626910-5ddb-5a6c-8630-27767933eb43", "role": "developer",
        "content": [{"type": "input_text", "text": "You are Codex."}],
    });
    let input: Vec<&Value> = std::iter::once(&developer).chain(input).collect();
    json!({
        "model": "gpt-5.5",
        "stream": true,
        "input": input,
        "tools": [{
            "type": "function", "name": "exec_command",
            "parameters": {"type": "object", "properties": {"cmd": {"type": "string"}}},
        }],
        "tool_choice": "auto",
        "parallel_tool_calls": true,
        "reasoning": {"effort": "medium"},
        "store": false,
        "include": ["reasoning.encrypted_content"],
        "prompt_cache_key": "s-1",
        "text": {"verbosity": "low"},
        "client_metadata": {"session_id": "s-1", "thread_id": "s-1"},
    })
}

/// What a person says.
pub(crate) fn user(text: &str) -> Value {
    json!({"role": "user", "content": [{"type": "input_text", "text": text}]})
}

/// The items that a stream brought to their end, as Codex sends them back.
pub(crate) fn items(stream: &str) -> Vec<Value> {
    let data = stream
        .lines()
        .filter_map(|line| line.strip_prefix("data: "));
    let events = data.map(|data| serde_json::from_str(data).expect("an event"));
    items_of(&events.collect::<Vec<Value>>())
}

/// The items that these events brought to their end, as Codex sends them back.
pub(crate) fn items_of(events: &[Value]) -> Vec<Value> {
    let done = events
        .iter()
        .filter(|event| event["type"] == "response.output_item.done");
    done.map(|event| {
        let mut item = event["item"].clone();
        match item["type"].as_str() {
            Some("reasoning") => item["content"] = Value::Null,
            _ => drop(item.as_object_mut().expect("an item").remove("status")),
        }
        item
    })
    .collect()
}

/// The output of a call.
pub(crate) fn output(call: &Value, text: &str) -> Value {
    json!({"type": "function_call_output", "call_id": call["call_id"], "output": text})
}

/// The same items as opencode sends them back: without ids, and reasoning without its empty content.
pub(crate) fn without_ids(items: &[Value]) -> Vec<Value> {
    let mut items = items.to_vec();
    for item in &mut items {
        let item = item.as_object_mut().expect("an item");
        item.remove("id");
        if item.get("type") == Some(&json!("reasoning")) {
            item.remove("content");
        }
    }
    items
}
