//! The backend: who may ask, and what there is to be asked.

use super::*;

#[test]
fn the_backend_wants_a_good_token_and_its_account() {
    let (pretend, tokens) = one();
    let code = |got: Got| {
        assert_eq!(got.status, 401);
        got.json()["error"]["code"].clone()
    };
    assert_eq!(call(&pretend, &tokens).status, 200);
    assert_eq!(
        code(call_as(&pretend, "unknown", "account-one")),
        Value::Null
    );
    let other = call_as(&pretend, &tokens.access_token, "account-two");
    assert_eq!(other.status, 403);
    assert_eq!(other.json()["detail"]["code"], "invalid_workspace_selected");
    assert_eq!(
        other.header("x-openai-authorization-error"),
        Some("invalid_workspace_selected")
    );
    pretend.change(|script| script.access_lifetime = Duration::ZERO);
    let late = pretend.issue(0).unwrap();
    assert_eq!(code(call(&pretend, &late)), "token_expired");
    // The log knows whose it was all the same.
    let whose: Vec<_> = pretend.seen().iter().map(|seen| seen.account).collect();
    assert_eq!(whose, [Some(0), None, Some(0), Some(0)]);
}

#[test]
fn a_good_answer_is_a_whole_event_stream() {
    let (pretend, tokens) = one();
    let got = call(&pretend, &tokens);
    assert_eq!(got.status, 200);
    assert_eq!(
        got.header("content-type"),
        Some("text/event-stream; charset=utf-8")
    );
    assert_eq!(got.header("x-codex-primary-used-percent"), Some("12.5"));
    assert_eq!(
        got.header("x-codex-secondary-window-minutes"),
        Some("10080")
    );
    assert_eq!(
        got.kinds(),
        [
            "response.created",
            "response.in_progress",
            "response.output_item.added",
            "response.content_part.added",
            "response.output_text.delta",
            "response.output_text.delta",
            "response.output_text.delta",
            "response.output_text.done",
            "response.content_part.done",
            "response.output_item.done",
            "response.completed",
        ]
    );
    let events = got.events();
    for (number, event) in events.iter().enumerate() {
        assert_eq!(event["sequence_number"], number);
    }
    let said: String = events
        .iter()
        .filter_map(|event| event["delta"].as_str())
        .collect();
    assert_eq!(said, "answered by one@example.com");
    let response = &events.last().unwrap()["response"];
    assert_eq!(response["model"], "gpt-5.5");
    assert_eq!(response["output"][0]["content"][0]["text"], *said);
    let usage = &response["usage"];
    assert_eq!(usage["output_tokens"], 3);
    assert!(usage["input_tokens"].as_u64().unwrap() > 10, "{usage}");
}

#[test]
fn answers_come_from_the_queue_then_from_the_text_then_from_the_account() {
    let (pretend, tokens) = one();
    pretend.change(|script| {
        let account = &mut script.accounts[0];
        account.text = Some("the text".into());
        account.next.push_back(Answer::good("the first"));
        account
            .next
            .push_back(Answer::raw(418, &[("x-pot", "a"), ("x-pot", "b")], "tea"));
    });
    let first = call(&pretend, &tokens);
    assert!(first.body.contains("the first"));
    assert!(
        first
            .header("x-codex-turn-state")
            .unwrap()
            .contains("account-one")
    );
    let pot = call(&pretend, &tokens);
    assert_eq!((pot.status, pot.body.as_str()), (418, "tea"));
    assert_eq!(pot.headers.get_all("x-pot").iter().count(), 2);
    assert!(call(&pretend, &tokens).body.contains("the text"));

    pretend.change(|script| {
        script.accounts[0].standing = Standing::Always(Answer::raw(9999, &[], ""));
    });
    assert_eq!(call(&pretend, &tokens).status, 500);
}

#[test]
fn usage_tells_the_windows() {
    let (pretend, tokens) = one();
    pretend.change(|script| {
        script.accounts[0].windows = Windows {
            primary: Some(Window::weekly(42.5, HOUR)),
            secondary: None,
        };
    });
    let usage = usage(&pretend, &tokens).json();
    assert_eq!(usage["plan_type"], "plus");
    assert_eq!(usage["email"], "one@example.com");
    let limit = &usage["rate_limit"];
    assert_eq!(limit["allowed"], true);
    assert_eq!(limit["primary_window"]["used_percent"], 42.5);
    assert_eq!(limit["primary_window"]["limit_window_seconds"], 604_800);
    assert_eq!(limit["secondary_window"], Value::Null);
}

#[test]
fn a_path_can_be_answered_otherwise() {
    let (pretend, tokens) = one();
    pretend.change(|script| {
        script.answers_at.insert(
            "/backend-api/wham/usage".into(),
            Answer::raw(403, &[], "no"),
        );
    });
    assert_eq!(usage(&pretend, &tokens).status, 403);
    assert_eq!(call(&pretend, &tokens).status, 200);
}

#[test]
fn the_other_endpoints_answer() {
    let (pretend, tokens) = one();
    let get = |path: &str| {
        let request = agent()
            .get(format!("{}{path}", pretend.upstream()))
            .header("authorization", format!("Bearer {}", tokens.access_token))
            .header("chatgpt-account-id", "account-one");
        got(request.call())
    };
    let models = get("/codex/models?client_version=0.169.0");
    assert!(models.header("x-models-etag").is_some());
    assert_eq!(models.json()["models"][0]["slug"], "gpt-6.1-sol");
    assert_eq!(get("/codex/usage").json()["plan_type"], "plus");
    let check = get("/wham/accounts/check").json();
    assert_eq!(check["accounts"][0]["account_id"], "account-one");
    assert_eq!(get("/nothing").status, 404);
    // Gone since August 2026.
    let request = agent()
        .post(format!("{}/codex/responses/compact", pretend.upstream()))
        .header("authorization", format!("Bearer {}", tokens.access_token))
        .header("chatgpt-account-id", "account-one");
    assert_eq!(got(request.send(QUESTION)).status, 404);
}

#[test]
fn a_backend_without_websocket_sends_back_to_http() {
    let mut script = Script::default();
    script.socket.offered = false;
    let pretend = Pretend::start(script).unwrap();
    let mut stream = connect(&pretend);
    write!(
        stream,
        "GET /backend-api/codex/responses HTTP/1.1\r\nhost: pretend\r\nconnection: upgrade\r\n\
         upgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: AA==\r\n\r\n"
    )
    .unwrap();
    let head = read_until(&mut BufReader::new(stream), "\r\n\r\n");
    assert!(head.starts_with("HTTP/1.1 426 "), "{head}");
}

#[test]
fn usage_tells_of_credit_of_a_budget_and_of_resets_in_store() {
    let (pretend, tokens) = one();
    pretend.change(|script| script.accounts[0].credits = Credits::of("489.25"));
    let told = usage(&pretend, &tokens).json();
    assert_eq!(told["credits"]["balance"], "489.25");
    assert_eq!(told["spend_control"]["reached"], false);
    assert_eq!(told["rate_limit_reset_credits"]["available_count"], 0);
    pretend.change(|script| {
        let account = &mut script.accounts[0];
        account.windows.primary = Some(Window {
            minutes: 43_200,
            ..Window::short(40.0, 500 * HOUR)
        });
        account.budget = Some(Budget {
            used_percent: 100.0,
            resets_at: SystemTime::now() + HOUR,
        });
    });
    let told = usage(&pretend, &tokens).json();
    assert_eq!(told["rate_limit"], Value::Null);
    assert_eq!(told["spend_control"]["reached"], true);
    let limit = &told["spend_control"]["individual_limit"];
    assert!(in_an_hour(limit["reset_at"].as_u64().unwrap()), "{limit}");
    pretend.change(|script| script.accounts[0].budget = None);
    let window = &usage(&pretend, &tokens).json()["rate_limit"]["primary_window"];
    assert_eq!(window["limit_window_seconds"], 30 * 24 * 3600);
}

#[test]
fn a_reset_in_store_is_spent_once_and_only_where_a_window_is() {
    let (pretend, tokens) = one();
    pretend.change(|script| {
        script.accounts[0].banked = ["r-1", "r-2"]
            .map(|id| BankedReset {
                id: id.into(),
                expires_at: SystemTime::now() + HOUR,
                redeemed_by: None,
            })
            .into();
    });
    let url = format!("{}/wham/rate-limit-reset-credits", pretend.upstream());
    let redeem = |request: &str, credit: &str| {
        let body = json!({"redeem_request_id": request, "credit_id": credit});
        let request = agent()
            .post(format!("{url}/consume"))
            .header("authorization", format!("Bearer {}", tokens.access_token))
            .header("chatgpt-account-id", "account-one");
        text(&got(request.send(body.to_string())).json(), "code")
    };
    let available = || {
        let request = agent()
            .get(&url)
            .header("authorization", format!("Bearer {}", tokens.access_token))
            .header("chatgpt-account-id", "account-one");
        got(request.call()).json()["available_count"].clone()
    };
    assert_eq!(redeem("q-1", "r-1"), "nothing_to_reset");
    pretend.change(|script| script.accounts[0].limit(HOUR, Style::UsageLimit));
    assert_eq!(redeem("q-1", "r-9"), "no_credit");
    assert_eq!(available(), 2);
    assert_eq!(redeem("q-1", "r-1"), "reset");
    assert_eq!(call(&pretend, &tokens).status, 200);
    assert_eq!(redeem("q-1", "r-1"), "already_redeemed");
    assert_eq!(available(), 1);
}
