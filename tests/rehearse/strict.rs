//! The pretend backend is no kinder than the real one: what of PROTOCOL-SWITCH it refuses, how, and what its model
//! remembers.

use std::time::{Duration, Instant};

use codex_accounts::rehearse::{
    Answer, Blobs, Delivery, Foreign, Pretend, Reason, Refused, Script, Style,
};
use serde_json::{Value, json};

use crate::support::request::{codex, items, opencode, output, user, without_ids};

/// Two accounts that are logged in.
struct Two {
    pretend: Pretend,
    bearers: [String; 2],
}

struct Got {
    status: u16,
    headers: http::HeaderMap,
    body: String,
}

impl Got {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect("JSON")
    }

    fn events(&self) -> Vec<Value> {
        let data = self
            .body
            .lines()
            .filter_map(|line| line.strip_prefix("data: "));
        data.map(|data| serde_json::from_str(data).expect("an event"))
            .collect()
    }

    fn text(&self) -> String {
        let deltas = self.events();
        deltas
            .iter()
            .filter_map(|event| event["delta"].as_str())
            .collect()
    }
}

impl Two {
    fn new() -> Self {
        let pretend = Pretend::start(Script::with_accounts(2)).expect("a server");
        let bearers = [0, 1].map(|index| pretend.issue(index).expect("tokens").access_token);
        Self { pretend, bearers }
    }

    fn ask(&self, account: usize, body: &Value) -> Got {
        self.ask_with(account, body, &[])
    }

    fn ask_with(&self, account: usize, body: &Value, headers: &[(&str, &str)]) -> Got {
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .proxy(None)
            .build()
            .into();
        let mut request = agent
            .post(format!("{}/codex/responses", self.pretend.upstream()))
            .header("authorization", format!("Bearer {}", self.bearers[account]))
            .header(
                "chatgpt-account-id",
                ["account-one", "account-two"][account],
            )
            .header("session-id", "s-1");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut answer = request.send(body.to_string()).expect("an answer");
        Got {
            status: answer.status().as_u16(),
            headers: answer.headers().clone(),
            body: answer.body_mut().read_to_string().expect("a body"),
        }
    }

    /// A turn of account one that called a tool: all its items, ids and all, and the output.
    fn turn_with_a_call(&self) -> Vec<Value> {
        let prompt = user("[run echo hi]");
        let got = self.ask(0, &codex(std::slice::from_ref(&prompt)));
        let mut input = vec![prompt];
        input.extend(items(&got.body));
        let call = input.last().expect("a call").clone();
        assert_eq!(call["type"], "function_call", "{}", got.body);
        input.push(output(&call, "hi"));
        input
    }
}

#[test]
fn an_account_goes_on_with_what_it_made_itself_as_either_client_sends_it() {
    let two = Two::new();
    let input = two.turn_with_a_call();
    let got = two.ask(0, &codex(&input));
    assert_eq!(got.text(), "answered by one@example.com", "{}", got.body);
    let got = two.ask(0, &opencode(&without_ids(&input)));
    assert_eq!(got.text(), "answered by one@example.com", "{}", got.body);
}

#[test]
fn another_account_could_go_on_with_what_it_can_not_read() {
    let two = Two::new();
    let input = two.turn_with_a_call();
    for body in [codex(&input), opencode(&without_ids(&input))] {
        let got = two.ask(1, &body);
        assert_eq!(got.status, 400, "{}", got.body);
        let error = &got.json()["error"];
        assert_eq!(error["code"], "invalid_encrypted_content");
        let message = error["message"].as_str().expect("a message");
        assert!(
            message.starts_with("The encrypted content gAAA..."),
            "{message}"
        );
        assert!(
            message.ends_with("could not be decrypted or parsed."),
            "{message}"
        );
    }
    assert_eq!(two.pretend.seen()[1].refused, Some(Refused::Foreign));
    assert_eq!(two.pretend.most_for_one_refusal(), 2);
    // Without the reasoning it must be without the ids too.
    let stripped: Vec<Value> = input
        .into_iter()
        .filter(|item| item["type"] != "reasoning")
        .collect();
    let got = two.ask(1, &codex(&stripped));
    assert!(
        got.body
            .contains("was provided without its required 'reasoning' item"),
        "{}",
        got.body
    );
    let got = two.ask(1, &codex(&without_ids(&stripped)));
    assert_eq!(got.text(), "answered by two@example.com", "{}", got.body);

    two.pretend.change(|script| script.blobs = Blobs::Portable);
    let input = two.turn_with_a_call();
    assert_eq!(two.ask(1, &codex(&input)).status, 200);
}

#[test]
fn a_refusal_is_put_as_it_was_captured() {
    let two = Two::new();
    let input = two.turn_with_a_call();
    let refused = |foreign: Foreign| {
        two.pretend.change(|script| script.foreign = foreign);
        let got = two.ask(1, &codex(&input));
        let error = match foreign.delivery {
            Delivery::Status => got.json()["error"].clone(),
            Delivery::Failed => got.events().last().expect("an event")["response"]["error"].clone(),
            Delivery::Event => got.events().last().expect("an event")["error"].clone(),
        };
        (
            got.status,
            error["code"].clone(),
            error["message"].as_str().expect("a message").to_owned(),
        )
    };
    for (delivery, status) in [
        (Delivery::Status, 400),
        (Delivery::Failed, 200),
        (Delivery::Event, 200),
    ] {
        for (reason, words) in [
            (Reason::Key, "could not be decrypted or parsed."),
            (
                Reason::Organization,
                "organization_id did not match the target organization.",
            ),
            (Reason::Unsaid, "could not be verified."),
        ] {
            for codeless in [false, true] {
                let got = refused(Foreign {
                    reason,
                    delivery,
                    codeless,
                });
                assert_eq!(got.0, status);
                assert_eq!(got.1.is_null(), codeless);
                assert!(got.2.ends_with(words), "{}", got.2);
            }
        }
    }
}

#[test]
fn what_a_tool_sealed_is_refused_when_the_response_has_begun() {
    let two = Two::new();
    let mut input = two.turn_with_a_call();
    let sealed = input[1]["encrypted_content"].clone();
    let at = input.len() - 1;
    input[at]["output"] = json!([{"type": "encrypted_content", "encrypted_content": sealed}]);
    let input: Vec<Value> = without_ids(&input)
        .into_iter()
        .filter(|item| item["type"] != "reasoning")
        .collect();
    let got = two.ask(1, &opencode(&input));
    let events = got.events();
    assert_eq!(
        (got.status, &events[0]["type"]),
        (200, &json!("response.created"))
    );
    let end = events.last().expect("an event");
    assert_eq!(
        end["response"]["error"]["message"],
        "Encrypted function output content could not be decrypted or decoded."
    );
    assert!(
        end["sequence_number"].is_number() && end["response"]["id"].is_string(),
        "{end}"
    );
    assert_eq!(
        two.ask(0, &opencode(&input)).text(),
        "answered by one@example.com"
    );
}

#[test]
fn a_compaction_is_one_item_that_keeps_what_was_said() {
    let two = Two::new();
    let prompt = user("[invent]");
    let got = two.ask(0, &codex(std::slice::from_ref(&prompt)));
    let word = got
        .text()
        .split("The word is ")
        .nth(1)
        .expect("a word")
        .trim_end_matches('.')
        .to_owned();
    let mut input = vec![prompt.clone()];
    input.extend(items(&got.body));
    input.push(json!({"type": "compaction_trigger"}));
    let got = two.ask(0, &codex(&input));
    let made = items(&got.body);
    assert_eq!(made.len(), 1, "{}", got.body);
    assert!(made[0]["id"].as_str().expect("an id").starts_with("cmp_"));
    let end = got.events().pop().expect("an event");
    assert_eq!(
        (&end["type"], &end["response"]["output"]),
        (&json!("response.completed"), &json!([]))
    );

    let next = [user("Who are you?"), made[0].clone(), user("[recall]")];
    let got = two.ask(0, &codex(&next));
    assert_eq!(
        got.text(),
        format!("answered by one@example.com, who remembers {word}")
    );
    let got = two.ask(1, &codex(&next));
    let message = got.json()["error"]["message"].to_string();
    assert!(
        message.contains("The encrypted content for item cmp_"),
        "{message}"
    );
    let got = two.ask(1, &codex(&[user("Who are you?"), user("[recall]")]));
    assert_eq!(
        got.text(),
        "answered by two@example.com, who remembers nothing"
    );
}

#[test]
fn a_compaction_is_silent_as_long_as_it_is_scripted() {
    let two = Two::new();
    let silence = Duration::from_millis(300);
    two.pretend
        .change(|script| script.compaction_silence = silence);
    let start = Instant::now();
    let trigger = json!({"type": "compaction_trigger"});
    assert_eq!(two.ask(0, &codex(&[user("hi"), trigger])).status, 200);
    assert!(start.elapsed() >= silence);
    let start = Instant::now();
    assert_eq!(two.ask(0, &codex(&[user("hi")])).status, 200);
    assert!(start.elapsed() < silence, "only compactions are");
}

#[test]
fn a_model_is_there_for_the_plan_that_has_it() {
    let two = Two::new();
    two.pretend
        .change(|script| script.accounts[0].plan = "free".into());
    let mut body = codex(&[user("hi")]);
    body["model"] = "gpt-6-sol".into();
    let got = two.ask(0, &body);
    assert_eq!(
        got.json()["detail"],
        "The 'gpt-6-sol' model is not supported when using Codex with a ChatGPT account."
    );
    let lite = [("x-openai-internal-codex-responses-lite", "true")];
    assert_eq!(two.ask_with(1, &body, &lite).status, 200);
    two.pretend.change(|script| script.accounts[1].lite = false);
    let got = two.ask_with(1, &body, &lite);
    assert_eq!(got.json()["error"]["code"], "unsupported_value");
    assert_eq!(two.ask(1, &body).status, 200);
    let tags: Vec<_> = [0, 1]
        .map(|account| two.ask(account, &codex(&[user("hi")])).headers["x-models-etag"].clone())
        .into();
    assert_ne!(tags[0], tags[1]);
}

#[test]
fn a_turn_state_a_region_and_a_workspace_are_the_accounts_own() {
    let two = Two::new();
    let body = codex(&[user("hi")]);
    let got = two.ask(0, &body);
    let state = got.headers["x-codex-turn-state"]
        .to_str()
        .expect("text")
        .to_owned();
    let header = [("x-codex-turn-state", state.as_str())];
    assert_eq!(two.ask_with(0, &body, &header).status, 200);
    assert_eq!(two.ask_with(1, &body, &header).status, 400);

    two.pretend
        .change(|script| script.accounts[1].residency = Some("eu".into()));
    let got = two.ask(1, &body);
    assert_eq!(
        (got.status, got.body.as_str()),
        (401, "Workspace is not authorized in this region.")
    );
    let place = |place| [("x-openai-internal-codex-residency", place)];
    assert_eq!(two.ask_with(1, &body, &place("us")).status, 401);
    assert_eq!(two.ask_with(1, &body, &place("eu")).status, 200);
}

#[test]
fn shape_is_refused_before_a_limit_is_met() {
    let two = Two::new();
    two.pretend
        .change(|script| script.accounts[0].limit(Duration::from_secs(60), Style::UsageLimit));
    let mut body = codex(&[user("hi")]);
    assert_eq!(two.ask(0, &body).status, 429);
    body["temperature"] = json!(0.5);
    let got = two.ask(0, &body);
    assert_eq!(
        (got.status, got.body.as_str()),
        (400, r#"{"detail":"Unsupported parameter: temperature"}"#)
    );
    assert_eq!(two.pretend.seen()[1].refused, Some(Refused::Request));
}

#[test]
fn credit_pays_where_the_windows_are_used_up() {
    let two = Two::new();
    two.pretend.change(|script| {
        let account = &mut script.accounts[0];
        account.limit(Duration::from_secs(60), Style::UsageLimit);
        account.credits = codex_accounts::rehearse::Credits::of("489.25");
    });
    let body = codex(&[user("hi")]);
    let got = two.ask(0, &body);
    assert_eq!(
        (got.status, &got.headers["x-codex-credits-balance"]),
        (200, &"489.25".parse().expect("a value"))
    );
    two.pretend
        .change(|script| script.accounts[0].credits.overage_limit_reached = true);
    assert_eq!(two.ask(0, &body).status, 429);
}

#[test]
fn a_limit_can_begin_with_a_later_request() {
    let two = Two::new();
    two.pretend.change(|script| {
        script.accounts[0].limit_after(2, Duration::from_secs(60), Style::UsageLimit);
    });
    let statuses = [0; 4].map(|account| two.ask(account, &codex(&[user("hi")])).status);
    assert_eq!(statuses, [200, 200, 429, 429]);
}

#[test]
fn what_comes_in_one_read_comes_in_one_read() {
    let two = Two::new();
    let next = |answer: Answer| {
        two.pretend
            .change(|script| script.accounts[0].next.push_back(answer))
    };
    next(Style::InPieces.into());
    assert_eq!(
        two.ask(0, &codex(&[user("hi")])).text(),
        "answered by one@example.com"
    );
    next(Style::FailedAtOnce.into());
    let kinds: Vec<_> = two
        .ask(0, &codex(&[user("hi")]))
        .events()
        .iter()
        .map(|event| event["type"].clone())
        .collect();
    assert_eq!(kinds.last(), Some(&json!("response.failed")));
    assert!(kinds.contains(&json!("response.output_text.delta")));
    next(Style::CommentsOnly.into());
    let got = two.ask(0, &codex(&[user("hi")]));
    assert!(
        got.body.starts_with(": keep-alive\n\n") && got.events().is_empty(),
        "{}",
        got.body
    );
    next(Style::EmptyStream.into());
    let got = two.ask(0, &codex(&[user("hi")]));
    assert_eq!((got.status, got.body.as_str()), (200, ""));
    next(Style::ShortFailed.into());
    let event = two.ask(0, &codex(&[user("hi")])).events().remove(0);
    assert_eq!(event["sequence_number"], Value::Null);
    assert_eq!(event["response"]["id"], Value::Null);
}
