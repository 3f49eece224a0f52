//! What is refused by the shape of the request alone (PROTOCOL-SWITCH §5): parameters, not items.

use super::Refusal;
use crate::rehearse::request::{ModelRequest, Way};
use serde_json::Value;

/// Parameters of the public API that this backend does not take.
const UNSUPPORTED: [&str; 9] = [
    "max_output_tokens",
    "temperature",
    "top_p",
    "truncation",
    "user",
    "metadata",
    "safety_identifier",
    "prompt_cache_retention",
    "background",
];

pub(super) fn check(request: &ModelRequest) -> Result<(), Refusal> {
    let body = &request.body;
    // Over a WebSocket there is nothing but streams, and opencode does not ask for one there.
    if request.way == Way::Http && body.get("stream") != Some(&Value::Bool(true)) {
        return Err(Refusal::detail("Stream must be set to true"));
    }
    if body.get("store") != Some(&Value::Bool(false)) {
        return Err(Refusal::detail("Store must be set to false"));
    }
    let given = |name: &&&str| body.get(**name).is_some_and(|value| !value.is_null());
    if let Some(name) = UNSUPPORTED.iter().find(given) {
        return Err(Refusal::detail(format!("Unsupported parameter: {name}")));
    }
    match body.get("service_tier") {
        None | Some(Value::Null) => {}
        Some(Value::String(tier)) if tier == "priority" => {}
        Some(tier) => {
            let tier = tier.as_str().unwrap_or_default();
            return Err(Refusal::detail(format!("Unsupported service_tier: {tier}")));
        }
    }
    if !body.get("input").is_some_and(Value::is_array) {
        return Err(Refusal::detail("Input must be a list"));
    }
    if request.has_role("system") {
        return Err(Refusal::detail("System messages are not allowed"));
    }
    // Codex puts them into the first item, and has none at all before a thread's first request.
    let instructed = body
        .get("instructions")
        .and_then(Value::as_str)
        .is_some_and(|text| !text.is_empty());
    if !instructed && !request.prewarm() && !request.has_role("developer") {
        return Err(Refusal::detail("Instructions are required"));
    }
    match body.get("previous_response_id").and_then(Value::as_str) {
        Some(id) if request.way == Way::Http => Err(Refusal::no_previous(id)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::rehearse::request::tests::request;
    use serde_json::{Value, json};

    #[test]
    fn what_is_not_as_the_clients_send_it_is_refused_in_the_backends_words() {
        let good = json!({
            "model": "gpt-5.5", "stream": true, "store": false, "instructions": "Be brief.", "input": [],
        });
        let with = |name: &str, value: Value| {
            let mut body = good.clone();
            body[name] = value;
            check(&request(body)).map_err(|refusal| refusal.object()["message"].clone())
        };
        assert_eq!(with("input", json!([])), Ok(()));
        assert_eq!(with("service_tier", json!("priority")), Ok(()));
        let developer = json!([{"role": "developer", "content": "Be brief."}]);
        let mut instructed = good.clone();
        instructed["instructions"] = Value::Null;
        instructed["input"] = developer;
        assert_eq!(check(&request(instructed)), Ok(()));
        for (name, value, words) in [
            ("stream", json!(false), "Stream must be set to true"),
            ("store", json!(true), "Store must be set to false"),
            ("store", Value::Null, "Store must be set to false"),
            (
                "max_output_tokens",
                json!(9),
                "Unsupported parameter: max_output_tokens",
            ),
            (
                "service_tier",
                json!("flex"),
                "Unsupported service_tier: flex",
            ),
            ("input", json!("hi"), "Input must be a list"),
            (
                "input",
                json!([{"role": "system", "content": "x"}]),
                "System messages are not allowed",
            ),
            ("instructions", json!(""), "Instructions are required"),
            (
                "previous_response_id",
                json!("resp_1"),
                "Previous response with id 'resp_1' not found.",
            ),
        ] {
            assert_eq!(with(name, value), Err(json!(words)));
        }
    }
}
