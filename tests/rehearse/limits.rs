//! Limits and other refusals, each as it looks.

use super::*;

#[test]
fn each_style_has_its_status_and_its_words() {
    for (style, status, words) in [
        (Style::UsageLimit, 429, r#""type":"usage_limit_reached""#),
        (Style::ResetsIn, 429, r#""resets_in_seconds":3600"#),
        (Style::WindowsOnly, 429, "usage_limit_reached"),
        (Style::WeeklyPrimary, 429, "usage_limit_reached"),
        (Style::RetryAfter, 429, "usage_limit_reached"),
        (Style::RetryAfterDate, 429, "usage_limit_reached"),
        (Style::RetryAfterMs, 429, "usage_limit_reached"),
        (Style::BodyRetryAfter, 429, r#""retry_after":3600"#),
        (Style::BodyRetryAfterMs, 429, r#""retry_after_ms":3600000"#),
        (Style::NoHint, 429, "usage_limit_reached"),
        (Style::Throttle, 429, "Please try again in 60m0s."),
        (Style::WorkspaceMember, 429, "usage_limit_reached"),
        (Style::ModelFamily, 429, "usage_limit_reached"),
        (Style::NotIncluded, 429, "usage_not_included"),
        (Style::NotIncluded403, 403, "usage_not_included"),
        (Style::InsufficientQuota, 429, "insufficient_quota"),
        (Style::Limit404, 404, "usage_limit_reached"),
        (Style::Overloaded, 503, "server_is_overloaded"),
        (Style::Error500, 500, "server_error"),
        (Style::Error502, 502, "<h1>502 Bad Gateway</h1>"),
        (Style::Error529, 529, "overloaded"),
        (Style::Expired, 401, "token_expired"),
        (Style::Invalidated, 401, "has been invalidated"),
        (
            Style::WorkspaceGone402,
            402,
            r#"{"detail":{"code":"deactivated_workspace"}}"#,
        ),
        (
            Style::WorkspaceGone403,
            403,
            r#"{"detail":{"code":"deactivated_workspace"}}"#,
        ),
        (
            Style::ModelUnsupported,
            400,
            "model is not supported when using Codex with a ChatGPT account",
        ),
        (Style::FailedFirst, 200, r#""code":"usage_limit_reached""#),
        (Style::FailedCreated, 200, r#""code":"usage_limit_reached""#),
        (Style::FailedOutput, 200, r#""code":"usage_limit_reached""#),
        (
            Style::FailedThrottle,
            200,
            r#""code":"rate_limit_exceeded""#,
        ),
        (Style::ErrorFirst, 200, r#""type":"usage_limit_reached""#),
        (Style::ErrorCreated, 200, r#""type":"usage_limit_reached""#),
        (Style::ErrorOutput, 200, r#""type":"usage_limit_reached""#),
        (Style::ThirtyDays, 429, "usage_limit_reached"),
        (Style::WindowsUnsized, 429, "usage_limit_reached"),
        (Style::ModelCooldown, 429, r#""reset_seconds":3600"#),
        (Style::WrongWorkspace, 403, "invalid_workspace_selected"),
        (Style::WorkspaceDenied, 403, "codex_workspace_access_denied"),
        (Style::Region, 401, "not authorized in this region"),
        (
            Style::ModelEvent,
            200,
            "model is not supported when using Codex",
        ),
        (Style::Lite, 400, r#""code":"unsupported_value""#),
        (Style::Challenge, 403, "Just a moment..."),
        (Style::Edge429, 429, "<html>"),
        (Style::TooLarge, 413, "<html>"),
        (Style::Country, 403, "unsupported_country_region_territory"),
        (Style::Cyber, 400, "cyber_policy"),
        (Style::CyberEvent, 200, "cyber_policy"),
        (Style::ContextLength, 400, "context_length_exceeded"),
        (Style::ContextLengthEvent, 200, "context_length_exceeded"),
        (Style::Capacity, 503, "Selected model is at capacity"),
        (Style::CapacityEvent, 200, "Selected model is at capacity"),
        (Style::OverloadedEvent, 200, "server_is_overloaded"),
        (Style::OverloadedFailed, 200, "server_is_overloaded"),
        (Style::FailedAtOnce, 200, r#""code":"usage_limit_reached""#),
        (
            Style::IncompleteCreated,
            200,
            r#""reason":"usage_limit_reached""#,
        ),
        (
            Style::IncompleteOutput,
            200,
            r#""reason":"usage_limit_reached""#,
        ),
        (
            Style::IncompleteTokens,
            200,
            r#""reason":"max_output_tokens""#,
        ),
        (Style::LastOne, 200, r#""limit_reached":true"#),
        (Style::InPieces, 200, "response.completed"),
        (Style::EmptyStream, 200, ""),
        (Style::CommentsOnly, 200, ": keep-alive"),
        (Style::NoOutput, 200, "response.created"),
        (Style::NoTerminal, 200, "response.output_text.delta"),
        (Style::ShortFailed, 200, r#""code":"usage_limit_reached""#),
    ] {
        let (pretend, tokens) = styled(style, HOUR);
        let got = call(&pretend, &tokens);
        assert_eq!(got.status, status, "{style}");
        assert!(got.body.contains(words), "{style}: {}", got.body);
        assert_eq!(
            got.header("retry-after").is_some(),
            matches!(style, Style::RetryAfter | Style::RetryAfterDate),
            "{style}"
        );
        assert_eq!(
            call(&pretend, &tokens).status,
            200,
            "{style} was for one call"
        );
    }
}

#[test]
fn the_captured_limit_has_everything_but_a_retry_after() {
    let (pretend, tokens) = styled(Style::UsageLimit, HOUR);
    let got = call(&pretend, &tokens);
    for (name, value) in [
        ("x-codex-active-limit", "premium"),
        ("x-codex-plan-type", "plus"),
        ("x-codex-primary-used-percent", "100"),
        ("x-codex-primary-window-minutes", "300"),
        ("x-codex-primary-reset-after-seconds", "3600"),
        ("x-codex-secondary-used-percent", "31"),
        ("x-codex-secondary-window-minutes", "10080"),
        ("x-codex-credits-has-credits", "False"),
        ("x-codex-credits-unlimited", "False"),
        ("x-codex-credits-balance", "0"),
        ("content-type", "application/json"),
    ] {
        assert_eq!(got.header(name), Some(value), "{name}");
    }
    let error = &got.json()["error"];
    let resets_at = error["resets_at"].as_u64().unwrap();
    assert!(in_an_hour(resets_at));
    assert_eq!(
        got.header("x-codex-primary-reset-at"),
        Some(resets_at.to_string().as_str())
    );
    assert_eq!(error["resets_in_seconds"], 3600);
    assert_eq!(error["plan_type"], "plus");
}

#[test]
fn a_limit_beyond_five_hours_is_the_weekly_windows() {
    let (pretend, tokens) = styled(Style::WindowsOnly, 72 * HOUR);
    let got = call(&pretend, &tokens);
    assert_eq!(got.header("x-codex-primary-used-percent"), Some("12.5"));
    assert_eq!(got.header("x-codex-secondary-used-percent"), Some("100"));
    assert_eq!(
        got.header("x-codex-secondary-reset-after-seconds"),
        Some("259200")
    );
}

#[test]
fn weekly_turns_up_as_primary() {
    let (pretend, tokens) = styled(Style::WeeklyPrimary, HOUR);
    let got = call(&pretend, &tokens);
    assert_eq!(got.header("x-codex-primary-window-minutes"), Some("10080"));
    assert_eq!(got.header("x-codex-primary-used-percent"), Some("100"));
    assert_eq!(got.header("x-codex-secondary-window-minutes"), Some("0"));
    assert_eq!(got.header("x-codex-secondary-reset-at"), Some(""));
}

#[test]
fn retry_after_comes_in_three_forms() {
    let header = |style, name: &str| {
        let (pretend, tokens) = styled(style, Duration::from_millis(1_898));
        call(&pretend, &tokens).header(name).unwrap().to_owned()
    };
    assert_eq!(header(Style::RetryAfter, "retry-after"), "2");
    assert_eq!(header(Style::RetryAfterMs, "retry-after-ms"), "1898");
    let date = httpdate::parse_http_date(&header(Style::RetryAfterDate, "retry-after")).unwrap();
    assert!(date.duration_since(UNIX_EPOCH).unwrap().as_secs() > now());
}

#[test]
fn a_throttle_leaves_the_windows_alone() {
    let (pretend, tokens) = styled(Style::Throttle, Duration::from_millis(1_898));
    let got = call(&pretend, &tokens);
    assert_eq!(got.header("x-codex-primary-used-percent"), Some("12.5"));
    let message = text(&got.json()["error"], "message");
    assert!(
        message.ends_with("Please try again in 1.898s."),
        "{message}"
    );
}

#[test]
fn a_model_family_has_windows_of_its_own() {
    let (pretend, tokens) = one();
    pretend.change(|script| {
        script.accounts[0].standing = Standing::LimitedUntil {
            until: SystemTime::now() + HOUR,
            style: Style::ModelFamily,
            model: Some("gpt-5.3-codex-spark".into()),
        };
    });
    // The calls here are for another model.
    assert_eq!(call(&pretend, &tokens).status, 200);
    let usage = usage(&pretend, &tokens).json();
    assert_eq!(usage["rate_limit"]["limit_reached"], false);
    let family = &usage["additional_rate_limits"][0];
    assert_eq!(family["metered_feature"], "codex_bengalfox");
    assert_eq!(family["rate_limit"]["limit_reached"], true);

    pretend.change(|script| script.accounts[0].limit(HOUR, Style::ModelFamily));
    let got = call(&pretend, &tokens);
    assert_eq!(got.header("x-codex-active-limit"), Some("codex_bengalfox"));
    assert_eq!(
        got.header("x-codex-bengalfox-limit-name"),
        Some("gpt-5.3-codex-spark")
    );
    assert_eq!(
        got.header("x-codex-bengalfox-primary-used-percent"),
        Some("100")
    );
    assert_eq!(got.header("x-codex-primary-used-percent"), Some("12.5"));
}

#[test]
fn a_stream_fails_where_its_style_says() {
    let created = ["response.created", "response.in_progress"];
    let output = [
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
    ];
    for (style, before, last) in [
        (Style::FailedFirst, &[][..], "response.failed"),
        (Style::FailedCreated, &[&created[..]][..], "response.failed"),
        (
            Style::FailedOutput,
            &[&created[..], &output[..]][..],
            "response.failed",
        ),
        (
            Style::FailedThrottle,
            &[&created[..]][..],
            "response.failed",
        ),
        (Style::ErrorFirst, &[][..], "error"),
        (Style::ErrorCreated, &[&created[..]][..], "error"),
        (
            Style::ErrorOutput,
            &[&created[..], &output[..]][..],
            "error",
        ),
    ] {
        let (pretend, tokens) = styled(style, HOUR);
        let got = call(&pretend, &tokens);
        let expected = [before.concat(), vec![last]].concat();
        assert_eq!(got.kinds(), expected, "{style}");
        let end = got.events().pop().unwrap();
        if last == "error" {
            assert_eq!(end["status"], 429);
            assert_eq!(end["headers"]["x-codex-primary-used-percent"], "100");
            assert!(in_an_hour(end["error"]["resets_at"].as_u64().unwrap()));
        } else {
            assert_eq!(end["response"]["status"], "failed");
        }
    }
}

#[test]
fn a_standing_limit_ends_by_itself() {
    let (pretend, tokens) = one();
    pretend.change(|script| script.accounts[0].limit(HOUR, Style::UsageLimit));
    for _ in 0..2 {
        assert_eq!(call(&pretend, &tokens).status, 429);
    }
    let window = usage(&pretend, &tokens).json()["rate_limit"].clone();
    assert_eq!(window["limit_reached"], true);
    assert_eq!(window["primary_window"]["used_percent"], 100.0);
    assert!(in_an_hour(
        window["primary_window"]["reset_at"].as_u64().unwrap()
    ));

    pretend.change(|script| {
        let Standing::LimitedUntil { until, .. } = &mut script.accounts[0].standing else {
            panic!("not limited");
        };
        *until = SystemTime::now();
    });
    assert_eq!(call(&pretend, &tokens).status, 200);
}
