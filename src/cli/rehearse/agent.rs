//! The pretend coding agent: asks one question where `OPENAI_BASE_URL` points, as `codex-launch`
//! sets it, and prints what it is told.

use std::env;
use std::time::Duration;

use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Request};
use serde_json::{Value, json};

use crate::cli::exit::{Code, Error};
use crate::cli::shell::Shell;
use crate::net::agent::Agent;
use crate::net::endpoint::Endpoint;

const ADDRESS_SETTING: &str = "OPENAI_BASE_URL";
const KEY_SETTING: &str = "OPENAI_API_KEY";

/// How long it waits for an answer.
const PATIENCE: Duration = Duration::from_secs(20);

pub(super) fn ask(shell: &Shell, question: &str) -> Result<Code, Error> {
    let relay = Endpoint::parse(ADDRESS_SETTING, &setting(ADDRESS_SETTING)?)?;
    let bearer = HeaderValue::try_from(format!("Bearer {}", setting(KEY_SETTING)?))
        .map_err(|_| Error::new(Code::Config, format!("{KEY_SETTING} is no key")))?;
    let body = json!({
        "model": "gpt-5.5", "stream": true, "store": false, "instructions": "Be brief.",
        "input": [{"role": "user", "content": [{"type": "input_text", "text": question}]}],
    });
    let request = Request::post(relay.at("/responses"))
        .header(CONTENT_TYPE, "application/json")
        .header(AUTHORIZATION, bearer)
        .body(body.to_string().into_bytes())
        .map_err(|error| Error::new(Code::Io, error.to_string()))?;
    let answer = Agent::new(&relay, PATIENCE).send(request)?;
    let text = String::from_utf8_lossy(answer.body());
    shell.print(&format!("{}\n", told(&text)))?;
    Ok(Code::Done)
}

fn setting(name: &str) -> Result<String, Error> {
    env::var(name).map_err(|_| Error::new(Code::Config, format!("{name} is not set")))
}

/// The text of an answer: that of a stream, or the message of an error.
fn told(answer: &str) -> String {
    let data = answer
        .lines()
        .filter_map(|line| line.strip_prefix("data: "));
    let events = data.filter_map(|data| serde_json::from_str::<Value>(data).ok());
    let text = events
        .filter(|event| event["type"] == "response.output_text.done")
        .find_map(|event| event["text"].as_str().map(str::to_owned));
    text.or_else(|| {
        let error = serde_json::from_str::<Value>(answer).ok()?;
        error["error"]["message"].as_str().map(str::to_owned)
    })
    .unwrap_or_default()
}
