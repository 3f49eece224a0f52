//! The pretend model: what it answers to what it is given.
//!
//! It says whose it is, calls the tools that the prompt asks it to call, and remembers words where a real model would:
//! in what it says, in its sealed reasoning, and in its summaries. So a test sees what was lost on the way.
//!
//! A prompt can hold, in brackets: `[run COMMAND]` calls the tool that runs commands, `[call NAME {JSON}]` any other;
//! `[invent]` makes it think of a word and say it, `[recall]` makes it say the words it still knows, `[tokens N]` makes
//! its answer cost so many tokens. Calls are made one after the other, each once the one before has its output. Arguments
//! that a tool wants encrypted are sealed, and what an agent is told so is its prompt.

use super::blob::Blob;
use super::events::{Cost, message};
use super::request::ModelRequest;
use serde_json::{Value, json};

/// What the model knows of where it is.
pub(super) struct Setting<'a> {
    /// Whose key it seals with.
    pub(super) org: &'a str,
    /// Tells this response's ids from those of others.
    pub(super) serial: u64,
    /// What it says when nothing else is asked of it.
    pub(super) text: &'a str,
    /// Whether it can read what others sealed.
    pub(super) portable: bool,
}

/// What it generates.
pub(super) struct Generated {
    pub(super) items: Vec<Value>,
    pub(super) cost: Cost,
}

/// A thing that the prompt asks for.
#[derive(Debug, PartialEq, Eq)]
enum Wish {
    Run(String),
    Call(String, String),
    Invent,
    Recall,
    Tokens(u64),
}

pub(super) fn answer(request: &ModelRequest, setting: &Setting<'_>) -> Generated {
    let (prompt, since) = prompt(&request.input, setting);
    let wishes = wishes(&prompt);
    let known = known(&request.input, setting);
    let tokens = wishes.iter().find_map(|wish| match wish {
        Wish::Tokens(tokens) => Some(*tokens),
        _ => None,
    });
    if request.compacts() {
        let id = format!("cmp_pretend_{}_1", setting.serial);
        let sealed = seal(setting, &id, "compaction", &known);
        let item = json!({"id": id, "type": "compaction", "encrypted_content": sealed});
        return Generated {
            items: vec![item],
            cost: cost(request, None, 1),
        };
    }
    let invented = wishes
        .contains(&Wish::Invent)
        .then(|| format!("heron{}", setting.serial));
    let call = next_call(&wishes, request, since);
    let mut items = Vec::new();
    let mut stem = format!("{}_1", setting.serial);
    if request.wants_reasoning() {
        stem.push('r');
        let id = format!("rs_pretend_{stem}");
        let words: Vec<String> = known.iter().cloned().chain(invented.clone()).collect();
        items.push(json!({
            "id": id, "type": "reasoning", "summary": [],
            "encrypted_content": seal(setting, &id, "reasoning", &words),
        }));
    }
    let words = match call {
        Some((name, arguments)) => {
            let mut call = json!({
                "id": format!("fc_pretend_{stem}"),
                "type": "function_call",
                "status": "completed",
                "call_id": format!("call_pretend_{}", setting.serial),
                "name": name,
                "arguments": arguments,
            });
            seal_arguments(&mut call, request, setting);
            items.push(call);
            1
        }
        None => {
            let mut text = setting.text.to_owned();
            if wishes.contains(&Wish::Recall) {
                let words = if known.is_empty() {
                    "nothing".into()
                } else {
                    known.join(" and ")
                };
                text += &format!(", who remembers {words}");
            }
            if let Some(word) = invented {
                text += &format!(". The word is {word}.");
            }
            let words = text.split_inclusive(' ').count();
            items.push(message(&format!("msg_pretend_{stem}"), &text));
            words
        }
    };
    Generated {
        items,
        cost: cost(request, tokens, words),
    }
}

/// One token a word is as good as any other count.
fn cost(request: &ModelRequest, asked: Option<u64>, words: usize) -> Cost {
    let output = u64::try_from(words).unwrap_or(u64::MAX);
    Cost {
        input: asked.unwrap_or_else(|| request.tokens()),
        output,
    }
}

fn seal(setting: &Setting<'_>, id: &str, kind: &str, words: &[String]) -> String {
    let blob = Blob {
        org: setting.org.to_owned(),
        item: id.to_owned(),
        kind: kind.to_owned(),
        words: words.to_vec(),
    };
    blob.seal()
}

/// Seals the arguments of a call that its tool wants encrypted (PROTOCOL-SWITCH §1).
fn seal_arguments(call: &mut Value, request: &ModelRequest, setting: &Setting<'_>) {
    let name = call["name"].as_str().unwrap_or_default();
    let Some((namespace, tool)) = request.tool(name) else {
        return;
    };
    let text = call["arguments"].as_str().unwrap_or_default();
    let mut arguments: Value = serde_json::from_str(text).unwrap_or_default();
    let mut sealed = Vec::new();
    for (name, schema) in tool["parameters"]["properties"]
        .as_object()
        .into_iter()
        .flatten()
    {
        if schema["encrypted"] == true
            && let Some(said) = arguments[name].as_str()
        {
            arguments[name] = seal(setting, name, "argument", &[said.to_owned()]).into();
            sealed.push(name.clone());
        }
    }
    if let Some(namespace) = namespace {
        call["namespace"] = namespace.into();
    }
    if !sealed.is_empty() {
        call["arguments"] = arguments.to_string().into();
        call["encrypted_function_args"] = sealed.into();
    }
}

/// What an agent was told by another, as far as it can be read.
fn told(item: &Value, setting: &Setting<'_>) -> Option<String> {
    let parts = item["content"]
        .as_array()
        .filter(|_| item["type"] == "agent_message")?;
    let sealed = parts
        .iter()
        .find_map(|part| part["encrypted_content"].as_str())?;
    let blob = Blob::open(sealed).filter(|blob| setting.portable || blob.org == setting.org)?;
    blob.words.first().cloned()
}

/// The last thing that a person said, or another agent, and how many calls have had their output since.
fn prompt(input: &[Value], setting: &Setting<'_>) -> (String, usize) {
    if let Some((at, said)) = input
        .iter()
        .enumerate()
        .rev()
        .find_map(|(at, item)| Some((at, told(item, setting)?)))
    {
        return (said, outputs(&input[at + 1..]));
    }
    let at = input.iter().rposition(|item| item["role"] == "user");
    let since = &input[at.map_or(0, |at| at + 1)..];
    (
        at.map_or_else(String::new, |at| text_of(&input[at])),
        outputs(since),
    )
}

fn outputs(items: &[Value]) -> usize {
    let outputs = items
        .iter()
        .filter(|item| item["type"] == "function_call_output");
    outputs.count()
}

fn text_of(message: &Value) -> String {
    match &message["content"] {
        Value::String(text) => text.clone(),
        content => {
            let parts = content.as_array().into_iter().flatten();
            parts.filter_map(|part| part["text"].as_str()).collect()
        }
    }
}

/// The words that can be known from what is there: said in the open, or sealed and readable.
fn known(input: &[Value], setting: &Setting<'_>) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    for item in input {
        let sealed = item["encrypted_content"].as_str().and_then(Blob::open);
        let sealed = sealed.filter(|blob| setting.portable || blob.org == setting.org);
        let said = text_of(item);
        let said = said
            .split("The word is ")
            .skip(1)
            .filter_map(|rest| rest.split('.').next());
        for word in sealed
            .map(|blob| blob.words)
            .unwrap_or_default()
            .into_iter()
            .chain(said.map(str::to_owned))
        {
            if !words.contains(&word) {
                words.push(word);
            }
        }
    }
    words
}

/// The call that is due, if the tool for it is offered.
fn next_call(wishes: &[Wish], request: &ModelRequest, done: usize) -> Option<(String, String)> {
    let tools = request.tools();
    let mut calls = wishes.iter().filter_map(|wish| match wish {
        Wish::Run(command) => run(command, &tools),
        Wish::Call(name, arguments) => tools
            .contains(&name.as_str())
            .then(|| (name.clone(), arguments.clone())),
        _ => None,
    });
    calls.nth(done)
}

/// A command, as the client's own tool takes it.
fn run(command: &str, tools: &[&str]) -> Option<(String, String)> {
    let forms = [
        ("exec_command", json!({"cmd": command})),
        (
            "bash",
            json!({"command": command, "description": "what was asked for"}),
        ),
        ("shell_command", json!({"command": command})),
        ("shell", json!({"command": ["sh", "-c", command]})),
    ];
    let (name, arguments) = forms.into_iter().find(|(name, _)| tools.contains(name))?;
    Some((name.to_owned(), arguments.to_string()))
}

/// What stands in brackets and is a wish.
fn wishes(prompt: &str) -> Vec<Wish> {
    let mut wishes = Vec::new();
    for (at, _) in prompt.match_indices('[') {
        let inside = &prompt[at + 1..];
        let short = inside.split(']').next().unwrap_or_default();
        let (verb, rest) = short.split_once(' ').unwrap_or((short, ""));
        wishes.extend(match verb {
            "run" => Some(Wish::Run(rest.to_owned())),
            "call" => call(inside.strip_prefix("call ").unwrap_or_default()),
            "invent" => Some(Wish::Invent),
            "recall" => Some(Wish::Recall),
            "tokens" => rest.parse().ok().map(Wish::Tokens),
            _ => None,
        });
    }
    wishes
}

/// `NAME {JSON}]`, where the JSON may hold brackets.
fn call(text: &str) -> Option<Wish> {
    let (name, rest) = text.split_once(' ')?;
    let mut values = serde_json::Deserializer::from_str(rest).into_iter::<Value>();
    let arguments = values.next()?.ok()?;
    rest[values.byte_offset()..]
        .starts_with(']')
        .then(|| Wish::Call(name.to_owned(), arguments.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rehearse::request::tests::request;

    fn answered(body: Value, org: &str) -> Vec<Value> {
        let setting = Setting {
            org,
            serial: 7,
            text: "answered",
            portable: false,
        };
        answer(&request(body), &setting).items
    }

    fn body(input: Value) -> Value {
        json!({
            "input": input, "include": ["reasoning.encrypted_content"], "reasoning": {"effort": "medium"},
            "tools": [{"name": "bash"}],
        })
    }

    fn user(text: &str) -> Value {
        json!({"role": "user", "content": [{"type": "input_text", "text": text}]})
    }

    #[test]
    fn wishes_are_read_from_the_prompt() {
        assert_eq!(
            wishes(
                r#"do [run echo hi] and [call read {"a":[1]}] [tokens 9] [invent] [recall] [other] [call x"#
            ),
            [
                Wish::Run("echo hi".into()),
                Wish::Call("read".into(), r#"{"a":[1]}"#.into()),
                Wish::Tokens(9),
                Wish::Invent,
                Wish::Recall,
            ]
        );
    }

    #[test]
    fn calls_are_made_one_after_the_other_and_then_it_says_so() {
        let prompt = user("[run one] [run two]");
        let mut input = vec![prompt];
        for command in ["one", "two"] {
            let items = answered(body(json!(input)), "mine");
            let [reasoning, call] = &items[..] else {
                panic!("{items:?}")
            };
            assert_eq!(reasoning["type"], "reasoning");
            assert!(
                call["arguments"].as_str().unwrap().contains(command),
                "{call}"
            );
            let output =
                json!({"type": "function_call_output", "call_id": call["call_id"], "output": "x"});
            input.extend([reasoning.clone(), call.clone(), output]);
        }
        let items = answered(body(json!(input)), "mine");
        assert_eq!(text_of(&items[1]), "answered");
        // Who offers no tool is told in words at once.
        let items = answered(json!({"input": [user("[run one]")]}), "mine");
        assert_eq!(text_of(&items[0]), "answered");
    }

    #[test]
    fn a_word_is_remembered_as_long_as_it_can_be_read() {
        let items = answered(body(json!([user("[invent]")])), "mine");
        assert_eq!(text_of(&items[1]), "answered. The word is heron7.");
        let summary = |org: &str| {
            let input =
                json!([user("[invent]"), items[0], items[1], {"type": "compaction_trigger"}]);
            answered(body(input), org).remove(0)
        };
        let recalled = |made_by: &str, read_by: &str| {
            let items = answered(
                body(json!([user("x"), summary(made_by), user("[recall]")])),
                read_by,
            );
            text_of(&items[1])
        };
        assert_eq!(recalled("mine", "mine"), "answered, who remembers heron7");
        assert_eq!(
            recalled("mine", "theirs"),
            "answered, who remembers nothing"
        );
    }
}
