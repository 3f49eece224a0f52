//! What is refused of the items of an input, whoever made them (PROTOCOL-SWITCH §1 and §5): types, ids, pairs.

use super::Refusal;
use crate::rehearse::seen::Refused;
use serde_json::{Map, Value};
use std::collections::HashSet;

/// The types that an input may hold.
const TYPES: [&str; 29] = [
    "additional_tools",
    "agent_message",
    "apply_patch_call",
    "apply_patch_call_output",
    "code_interpreter_call",
    "compaction",
    "compaction_summary",
    "compaction_trigger",
    "computer_call",
    "computer_call_output",
    "custom_tool_call",
    "custom_tool_call_output",
    "file_search_call",
    "function_call",
    "function_call_output",
    "image_generation_call",
    "item_reference",
    "local_shell_call",
    "local_shell_call_output",
    "mcp_approval_request",
    "mcp_approval_response",
    "mcp_call",
    "mcp_list_tools",
    "message",
    "reasoning",
    "shell_call",
    "shell_call_output",
    "tool_search_call",
    "tool_search_output",
];

/// How the ids of a type begin.
const PREFIXES: [(&str, &str); 8] = [
    ("message", "msg"),
    ("reasoning", "rs"),
    ("function_call", "fc"),
    ("function_call_output", "fc"),
    ("custom_tool_call", "ctc"),
    ("custom_tool_call_output", "ctc"),
    ("compaction", "cmp"),
    ("agent_message", "amsg"),
];

/// What is called, and what answers it.
const PAIRS: [(&str, &str); 5] = [
    ("function_call", "function_call_output"),
    ("custom_tool_call", "custom_tool_call_output"),
    ("local_shell_call", "local_shell_call_output"),
    ("shell_call", "shell_call_output"),
    ("tool_search_call", "tool_search_output"),
];

const LONGEST_ID: usize = 64;

pub(super) fn check(input: &[Value]) -> Result<(), Refusal> {
    for (index, item) in input.iter().enumerate() {
        one(index, item, index + 1 == input.len())?;
    }
    minted_together(input)?;
    paired(input)
}

/// The type of an item; what has a role and no type is a message.
pub(super) fn kind(item: &Value) -> &str {
    match item.get("type") {
        Some(kind) => kind.as_str().unwrap_or_default(),
        None if item.get("role").is_some() => "message",
        None => "",
    }
}

fn text<'a>(item: &'a Value, name: &str) -> Option<&'a str> {
    item.get(name).and_then(Value::as_str)
}

fn one(index: usize, item: &Value, is_last: bool) -> Result<(), Refusal> {
    let kind = kind(item);
    let at = |name: &str| format!("input[{index}].{name}");
    if !TYPES.contains(&kind) {
        return Err(invalid_value(kind, &TYPES, &format!("input[{index}]")));
    }
    if let Some(id) = item.get("id").filter(|id| !id.is_null()) {
        check_id(kind, id.as_str().unwrap_or_default(), &at("id"))?;
    }
    let missing = |name: &str| {
        let param = at(name);
        Err(Refusal::error(
            format!("Missing required parameter: '{param}'."),
            Some("missing_required_parameter"),
            param,
        ))
    };
    let sealed = text(item, "encrypted_content").is_some();
    match kind {
        "reasoning" => match (text(item, "id"), sealed) {
            (Some(id), false) => return Err(Refusal::not_stored(id)),
            (None, false) => return missing("encrypted_content"),
            _ if !item.get("summary").is_some_and(Value::is_array) => return missing("summary"),
            _ => only_sealed(item, &at("content"))?,
        },
        "compaction" | "compaction_summary" if !sealed => return missing("encrypted_content"),
        "item_reference" => return Err(Refusal::not_stored(text(item, "id").unwrap_or_default())),
        "compaction_trigger" if !is_last => {
            return Err(Refusal::error(
                "Invalid input: 'compaction_trigger' must be the last item.",
                Some("invalid_value"),
                format!("input[{index}]"),
            ));
        }
        "function_call" => {
            if let Some(name) = ["call_id", "name", "arguments"]
                .iter()
                .find(|name| text(item, name).is_none())
            {
                return missing(name);
            }
        }
        "function_call_output" => {
            if text(item, "call_id").is_none() {
                return missing("call_id");
            }
            if item.get("output").is_none_or(Value::is_null) {
                return missing("output");
            }
            parts(item, "output", INPUT_PARTS, index)?;
        }
        "agent_message" => parts(item, "content", INPUT_PARTS, index)?,
        "message" => message(item, index)?,
        _ => {}
    }
    Ok(())
}

/// Reasoning goes back sealed, and in no other form.
fn only_sealed(item: &Value, param: &str) -> Result<(), Refusal> {
    match item.get("content").and_then(Value::as_array) {
        Some(content) if !content.is_empty() => Err(Refusal::error(
            format!(
                "Invalid '{param}': array too long. Expected an array with maximum length 0, but got an array with \
                 length {} instead.",
                content.len()
            ),
            Some("array_above_max_length"),
            param,
        )),
        _ => Ok(()),
    }
}

const INPUT_PARTS: &[&str] = &[
    "input_text",
    "input_image",
    "input_file",
    "encrypted_content",
];
const OUTPUT_PARTS: &[&str] = &["output_text", "refusal"];

fn message(item: &Value, index: usize) -> Result<(), Refusal> {
    match text(item, "role") {
        Some("assistant") => parts(item, "content", OUTPUT_PARTS, index),
        Some("user" | "developer") => parts(item, "content", INPUT_PARTS, index),
        role => Err(invalid_value(
            role.unwrap_or_default(),
            &["assistant", "developer", "user"],
            &format!("input[{index}].role"),
        )),
    }
}

/// A text, or a list of parts of these types.
fn parts(item: &Value, name: &str, allowed: &[&str], index: usize) -> Result<(), Refusal> {
    let Some(parts) = item.get(name).and_then(Value::as_array) else {
        return Ok(());
    };
    let param = format!("input[{index}].{name}");
    if parts.is_empty() {
        return Err(Refusal::error(
            format!(
                "Invalid '{param}': empty array. Expected an array with minimum length 1, but got an empty array instead."
            ),
            Some("empty_array"),
            param,
        ));
    }
    for (number, part) in parts.iter().enumerate() {
        let kind = text(part, "type").unwrap_or_default();
        if !allowed.contains(&kind) {
            return Err(invalid_value(kind, allowed, &format!("{param}[{number}]")));
        }
        no_file(part)?;
    }
    Ok(())
}

/// No account of this world has files, so every file is another account's.
fn no_file(part: &Value) -> Result<(), Refusal> {
    let named = ["file_id", "image_url"].iter().find_map(|name| {
        let text = text(part, name)?;
        (*name == "file_id" || text.starts_with("sediment://")).then_some(text)
    });
    match named {
        Some(file) => Err(Refusal {
            status: http::StatusCode::NOT_FOUND,
            ..Refusal::error(format!("File '{file}' not found."), None, "input")
        }),
        None => Ok(()),
    }
}

fn invalid_value(value: &str, allowed: &[&str], param: &str) -> Refusal {
    let allowed: Vec<String> = allowed.iter().map(|value| format!("'{value}'")).collect();
    let allowed = match allowed.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, [one])) => format!("{one} and {last}"),
        Some((last, rest)) => format!("{}, and {last}", rest.join(", ")),
        None => String::new(),
    };
    Refusal::error(
        format!("Invalid value: '{value}'. Supported values are: {allowed}."),
        Some("invalid_value"),
        param,
    )
}

fn check_id(kind: &str, id: &str, param: &str) -> Result<(), Refusal> {
    if id.len() > LONGEST_ID {
        return Err(Refusal::error(
            format!(
                "Invalid '{param}': string too long. Expected a string with maximum length {LONGEST_ID}, but got a \
                 string with length {} instead.",
                id.len()
            ),
            Some("string_above_max_length"),
            param,
        ));
    }
    let prefix = PREFIXES
        .iter()
        .find(|(of, _)| *of == kind)
        .map_or("", |(_, prefix)| prefix);
    if id.is_empty() || !id.starts_with(prefix) {
        return Err(Refusal::error(
            format!("Invalid '{param}': '{id}'. Expected an ID that begins with '{prefix}'."),
            Some("invalid_value"),
            param,
        ));
    }
    Ok(())
}

/// What two items that were made one after the other have in common in their ids: the pretend model's are
/// `rs_pretend_STEM` and `fc_pretend_STEM`.
fn stem(item: &Value) -> Option<&str> {
    let (_, stem) = text(item, "id")?.split_once("_pretend_")?;
    Some(stem)
}

/// What is nothing that the model came to.
fn is_told_to_the_model(item: &Value) -> bool {
    matches!(text(item, "role"), Some("user" | "developer" | "system"))
        || kind(item).ends_with("_output")
        || kind(item) == "compaction_trigger"
}

/// A reasoning item and what came of it stay together, as long as they have their ids (E10, E11).
fn minted_together(input: &[Value]) -> Result<(), Refusal> {
    for (index, item) in input.iter().enumerate() {
        let (kind, id) = (kind(item), text(item, "id").unwrap_or_default());
        let Some(stem) = stem(item) else { continue };
        let refusal = |about: Refused, what: String| {
            let message =
                format!("Item '{id}' of type '{kind}' was provided without its required {what}.");
            Err(Refusal {
                about,
                ..Refusal::error(message, None, "input")
            })
        };
        if kind == "reasoning" {
            let follows = input.get(index + 1).is_some_and(|next| {
                self::kind(next) != "reasoning"
                    && !is_told_to_the_model(next)
                    && text(next, "id").is_none_or(|_| self::stem(next) == Some(stem))
            });
            if !follows {
                return refusal(Refused::Unfollowed, "following item".into());
            }
        } else if stem.ends_with('r')
            && matches!(kind, "function_call" | "custom_tool_call" | "message")
        {
            let before = index.checked_sub(1).and_then(|before| input.get(before));
            let is_there = before.is_some_and(|before| {
                self::kind(before) == "reasoning"
                    && text(before, "id").is_none_or(|_| self::stem(before) == Some(stem))
            });
            if !is_there {
                let fellow = format!("'reasoning' item: 'rs_pretend_{stem}'");
                return refusal(Refused::Request, fellow);
            }
        }
    }
    Ok(())
}

/// Each output has its call before it, each call its output after it (E12).
fn paired(input: &[Value]) -> Result<(), Refusal> {
    for (call, output) in PAIRS {
        let spoken = call.replace('_', " ");
        let mut open: Map<String, Value> = Map::new();
        let mut called = HashSet::new();
        for item in input {
            let Some(id) = text(item, "call_id") else {
                continue;
            };
            if kind(item) == call {
                called.insert(id);
                open.insert(id.to_owned(), Value::Null);
            } else if kind(item) == output {
                if !called.contains(id) {
                    return Err(Refusal::error(
                        format!("No tool call found for {spoken} output with call_id {id}."),
                        None,
                        "input",
                    ));
                }
                open.remove(id);
            }
        }
        if let Some((id, _)) = open.iter().next() {
            return Err(Refusal::error(
                format!("No tool output found for {spoken} {id}."),
                None,
                "input",
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::check;
    use serde_json::{Value, json};

    fn said(input: Value) -> String {
        match check(input.as_array().unwrap()) {
            Ok(()) => "taken".to_owned(),
            Err(refusal) => format!(
                "{} {} {}",
                refusal.status.as_u16(),
                refusal.object()["code"].as_str().unwrap_or("-"),
                refusal.object()["message"].as_str().unwrap_or_default()
            ),
        }
    }

    #[test]
    fn items_are_taken_as_the_clients_send_them() {
        let reasoning = json!({"type": "reasoning", "id": "rs_pretend_1_1r", "summary": [], "content": null, "encrypted_content": "x"});
        let call = json!({"type": "function_call", "id": "fc_pretend_1_1r", "call_id": "c", "name": "bash", "arguments": "{}"});
        let output = json!({"type": "function_call_output", "id": "fco_1", "call_id": "c", "output": "done"});
        let user = json!({"role": "user", "content": [{"type": "input_text", "text": "hi"}]});
        assert_eq!(said(json!([user, reasoning, call, output])), "taken");
        // Without any ids, as opencode sends them; and after a strip of the reasoning and all the ids.
        let bare = |item: &Value| {
            let mut item = item.clone();
            item.as_object_mut().unwrap().remove("id");
            item
        };
        assert_eq!(
            said(json!([user, bare(&reasoning), bare(&call), bare(&output)])),
            "taken"
        );
        assert_eq!(said(json!([user, bare(&call), bare(&output)])), "taken");
        assert_eq!(said(json!([user, {"type": "compaction_trigger"}])), "taken");
    }

    #[test]
    fn what_is_out_of_place_is_refused_in_the_backends_words() {
        let call = json!({"type": "function_call", "id": "fc_pretend_1_1r", "call_id": "c", "name": "bash", "arguments": "{}"});
        let output = json!({"type": "function_call_output", "call_id": "c", "output": "done"});
        let cases = [
            json!([{"type": "reasoning", "id": "rs_1", "summary": []}]),
            json!([{"type": "compaction", "id": "cmp_1"}]),
            json!([{"type": "reasoning", "encrypted_content": "x", "summary": [], "content": [{"type": "reasoning_text"}]}]),
            json!([{"type": "message", "id": "item_1", "role": "user", "content": "x"}]),
            json!([{"type": "message", "id": "", "role": "user", "content": "x"}]),
            json!([{"type": "message", "id": "m".repeat(65), "role": "user", "content": "x"}]),
            json!([{"type": "compaction_trigger"}, {"role": "user", "content": "x"}]),
            json!([call, output]),
            json!([{"type": "reasoning", "id": "rs_pretend_1_1r", "summary": [], "encrypted_content": "x"}]),
            json!([{"type": "reasoning", "id": "rs_pretend_1_1r", "summary": [], "encrypted_content": "x"}, {"role": "user", "content": "x"}]),
            json!([output]),
            json!([{"type": "function_call", "call_id": "c", "name": "bash", "arguments": "{}"}]),
            json!([{"type": "item_reference", "id": "rs_2"}]),
            json!([{"role": "user", "content": [{"type": "input_file", "file_id": "file-1"}]}]),
            json!([{"role": "assistant", "content": [{"type": "input_text", "text": "x"}]}]),
            json!([{"type": "function_call_output", "call_id": "c", "output": []}]),
        ];
        insta::assert_snapshot!(cases.map(said).join("\n"), @r"
        404 - Item with id 'rs_1' not found. Items are not persisted when `store` is set to false. Try again with `store` set to true, or remove this item from your input.
        400 missing_required_parameter Missing required parameter: 'input[0].encrypted_content'.
        400 array_above_max_length Invalid 'input[0].content': array too long. Expected an array with maximum length 0, but got an array with length 1 instead.
        400 invalid_value Invalid 'input[0].id': 'item_1'. Expected an ID that begins with 'msg'.
        400 invalid_value Invalid 'input[0].id': ''. Expected an ID that begins with 'msg'.
        400 string_above_max_length Invalid 'input[0].id': string too long. Expected a string with maximum length 64, but got a string with length 65 instead.
        400 invalid_value Invalid input: 'compaction_trigger' must be the last item.
        400 - Item 'fc_pretend_1_1r' of type 'function_call' was provided without its required 'reasoning' item: 'rs_pretend_1_1r'.
        400 - Item 'rs_pretend_1_1r' of type 'reasoning' was provided without its required following item.
        400 - Item 'rs_pretend_1_1r' of type 'reasoning' was provided without its required following item.
        400 - No tool call found for function call output with call_id c.
        400 - No tool output found for function call c.
        404 - Item with id 'rs_2' not found. Items are not persisted when `store` is set to false. Try again with `store` set to true, or remove this item from your input.
        404 - File 'file-1' not found.
        400 invalid_value Invalid value: 'input_text'. Supported values are: 'output_text' and 'refusal'.
        400 empty_array Invalid 'input[0].output': empty array. Expected an array with minimum length 1, but got an empty array instead.
        ");
        let old = said(json!([{"type": "context_compaction", "encrypted_content": "x"}]));
        assert!(old.starts_with("400 invalid_value Invalid value: 'context_compaction'. Supported values are: 'additional_tools', "), "{old}");
    }
}
