//! The issuer: logins, tokens, devices.

use super::*;

#[test]
fn authorize_takes_nothing_that_is_not_as_the_clients_send_it() {
    let pretend = Pretend::start(Script::with_accounts(1)).unwrap();
    for (name, value) in [
        ("client_id", "another"),
        ("response_type", "token"),
        ("redirect_uri", "http://example.com:1455/auth/callback"),
        ("redirect_uri", "https://localhost:1455/auth/callback"),
        ("redirect_uri", "http://localhost:1455/callback"),
        ("redirect_uri", "http://localhost:1456/auth/callback"),
        ("redirect_uri", "nonsense"),
        ("code_challenge", "short"),
        ("code_challenge_method", "plain"),
        ("scope", "openid"),
        ("state", ""),
    ] {
        let got = get(&authorize_url(&pretend, &[(name, value)]));
        assert_eq!(got.status, 400, "{name}={value}");
        assert_eq!(got.json()["error"], "invalid_request");
    }
    let fallback = [("redirect_uri", "http://127.0.0.1:1457/auth/callback")];
    assert_eq!(get(&authorize_url(&pretend, &fallback)).status, 302);

    pretend.change(|script| script.any_port = true);
    let any = [("redirect_uri", "http://[::1]:40123/auth/callback")];
    assert_eq!(get(&authorize_url(&pretend, &any)).status, 302);
}

#[test]
fn the_browser_answers_as_the_same_account_until_asked_to_log_in() {
    let pretend = Pretend::start(Script::with_accounts(2)).unwrap();
    let login = |change: &[(&str, &str)]| {
        let code = &callback(&pretend, change)["code"];
        let reply = exchange(&pretend, code, CALLBACK, VERIFIER).json();
        text(&claims(&text(&reply, "id_token")), "email")
    };
    let again = [("prompt", "login")];
    assert_eq!(login(&[]), "one@example.com");
    assert_eq!(login(&[]), "one@example.com");
    assert_eq!(login(&again), "two@example.com");
    assert_eq!(login(&[]), "two@example.com");
    assert_eq!(login(&again), "one@example.com");
}

#[test]
fn a_login_can_be_denied_or_come_back_wrong() {
    let pretend = Pretend::start(Script::with_accounts(2)).unwrap();
    pretend.change(|script| {
        script.consents = [Consent::deny(), Consent::WrongState, Consent::NoCode].into();
    });
    let denied = callback(&pretend, &[]);
    assert_eq!(denied["error"], "access_denied");
    assert_eq!(denied["error_description"], "The pretend person said no");
    assert_eq!(denied["state"], "the state");
    assert_ne!(callback(&pretend, &[])["state"], "the state");
    assert!(!callback(&pretend, &[]).contains_key("code"));
    // None of them was a login: the first account is still to come.
    assert_eq!(pretend.change(|script| script.browser), None);
    assert!(callback(&pretend, &[]).contains_key("code"));
    assert_eq!(pretend.change(|script| script.browser), Some(0));
}

#[test]
fn a_code_is_good_once_with_its_own_redirect_and_verifier() {
    let pretend = Pretend::start(Script::with_accounts(1)).unwrap();
    let code = || callback(&pretend, &[])["code"].clone();
    let refused = |got: Got| {
        assert_eq!(got.status, 400);
        assert_eq!(got.json()["error"], "invalid_grant");
    };
    let good = code();
    assert_eq!(exchange(&pretend, &good, CALLBACK, VERIFIER).status, 200);
    refused(exchange(&pretend, &good, CALLBACK, VERIFIER));
    refused(exchange(
        &pretend,
        &code(),
        &CALLBACK.replace("localhost", "127.0.0.1"),
        VERIFIER,
    ));
    refused(exchange(
        &pretend,
        &code(),
        CALLBACK,
        &VERIFIER.replace('d', "e"),
    ));
    refused(exchange(&pretend, &code(), CALLBACK, "short"));
    refused(exchange(&pretend, "no code", CALLBACK, VERIFIER));
    // A wrong attempt uses the code up.
    let spoilt = code();
    refused(exchange(&pretend, &spoilt, CALLBACK, "wrong"));
    refused(exchange(&pretend, &spoilt, CALLBACK, VERIFIER));
}

#[test]
fn tokens_hold_the_claims_of_the_account() {
    let pretend = Pretend::start(Script::with_accounts(1)).unwrap();
    pretend.change(|script| script.accounts[0].residency = Some("eu".into()));
    let code = &callback(&pretend, &[])["code"];
    let reply = exchange(&pretend, code, CALLBACK, VERIFIER).json();
    assert_eq!(reply["expires_in"], 3600);
    assert!(text(&reply, "refresh_token").contains("pretend"));
    let id = claims(&text(&reply, "id_token"));
    assert_eq!(id["email"], "one@example.com");
    let access = claims(&text(&reply, "access_token"));
    assert_eq!(
        access["https://api.openai.com/profile"]["email"],
        "one@example.com"
    );
    for claims in [id, access] {
        assert!(in_an_hour(claims["exp"].as_u64().unwrap()));
        let auth = &claims["https://api.openai.com/auth"];
        assert_eq!(auth["chatgpt_account_id"], "account-one");
        assert_eq!(auth["chatgpt_user_id"], "user-one");
        assert_eq!(auth["chatgpt_plan_type"], "plus");
        assert_eq!(auth["chatgpt_compute_residency"], "eu");
        assert!(auth["organizations"][0]["id"].is_string());
    }
}

#[test]
fn a_used_refresh_token_kills_the_whole_login() {
    let (pretend, first) = one();
    let other_login = pretend.issue(0).unwrap();
    let reply = refresh(&pretend, &first.refresh_token).json();
    let second = text(&reply, "refresh_token");
    assert_ne!(second, first.refresh_token);
    assert_eq!(call(&pretend, &first).status, 200);

    // The second form: JSON, as Codex sends it.
    let body = json!({
        "client_id": CLIENT_ID, "grant_type": "refresh_token",
        "refresh_reason": "proactive_expiry", "refresh_token": first.refresh_token,
    });
    let reused = post_json(&token_url(&pretend), &body);
    assert_eq!(reused.status, 401);
    assert_eq!(reused.json()["error"]["code"], "refresh_token_reused");

    let dead = refresh(&pretend, &second);
    assert_eq!(dead.status, 401);
    assert_eq!(dead.json()["error"]["code"], "refresh_token_invalidated");
    for access_token in [first.access_token, text(&reply, "access_token")] {
        let got = call_as(&pretend, &access_token, "account-one");
        assert_eq!(
            (got.status, &got.json()["error"]["code"]),
            (401, &json!("token_invalidated"))
        );
    }
    // Another login of the same account is another family.
    assert_eq!(pretend.current(0), Some(other_login.clone()));
    assert_eq!(call(&pretend, &other_login).status, 200);
    assert_eq!(refresh(&pretend, &other_login.refresh_token).status, 200);
}

#[test]
fn revoke_and_kill_end_a_login() {
    let (pretend, tokens) = one();
    let url = format!("{}/oauth/revoke", pretend.issuer());
    let revoke = |token: &str| {
        let body =
            json!({"token": token, "token_type_hint": "refresh_token", "client_id": CLIENT_ID});
        assert_eq!(post_json(&url, &body).status, 200);
    };
    revoke("never issued");
    assert_eq!(call(&pretend, &tokens).status, 200);
    revoke(&tokens.refresh_token);
    assert_eq!(call(&pretend, &tokens).status, 401);
    let got = refresh(&pretend, &tokens.refresh_token);
    assert_eq!(
        (got.status, &got.json()["error"]["code"]),
        (401, &json!("refresh_token_revoked"))
    );

    let tokens = pretend.issue(0).unwrap();
    pretend.kill(0);
    assert_eq!(pretend.current(0), None);
    assert_eq!(call(&pretend, &tokens).status, 401);
}

#[test]
fn a_token_reply_can_leave_things_out() {
    let (pretend, tokens) = one();
    pretend.change(|script| {
        script.token_reply.refresh_token = false;
        script.token_reply.id_token = false;
        script.token_reply.expires_in = false;
    });
    // Nothing took the old token's place, so it stays good.
    for _ in 0..2 {
        let got = refresh(&pretend, &tokens.refresh_token);
        assert_eq!(got.status, 200);
        let reply = got.json();
        let mut keys: Vec<&String> = reply.as_object().unwrap().keys().collect();
        keys.sort();
        assert_eq!(keys, ["access_token", "token_type"]);
    }
    assert_eq!(
        pretend.current(0).unwrap().refresh_token,
        tokens.refresh_token
    );
}

#[test]
fn the_token_endpoint_fails_as_scripted() {
    let (pretend, tokens) = one();
    for code in DEAD_TOKEN_CODES {
        for (shape, path) in [
            (ErrorShape::Text, "/error"),
            (ErrorShape::Object, "/error/code"),
            (ErrorShape::TopLevel, "/code"),
        ] {
            let answer = TokenAnswer::Refuse(Answer::token_error(400, code, shape));
            pretend.change(|script| script.token_answers.push_back(answer));
            let got = refresh(&pretend, &tokens.refresh_token);
            assert_eq!(
                (got.status, got.json().pointer(path).unwrap()),
                (400, &json!(code))
            );
        }
    }
    for (style, status) in [
        (Style::NoHint, 429),
        (Style::Error500, 500),
        (Style::Error502, 502),
    ] {
        pretend
            .change(|script| script.accounts[0].refresh = Some(TokenAnswer::Refuse(style.into())));
        assert_eq!(refresh(&pretend, &tokens.refresh_token).status, status);
    }
    // None of these used the token up.
    assert_eq!(pretend.current(0), Some(tokens));
}

#[test]
fn a_reply_that_is_lost_has_used_the_token_up() {
    let (pretend, tokens) = one();
    let lost = TokenAnswer::Grant(Style::CloseMidBody.into());
    pretend.change(|script| script.token_answers.push_back(lost));
    let response = agent()
        .post(token_url(&pretend))
        .send_form([
            ("grant_type", "refresh_token"),
            ("refresh_token", &tokens.refresh_token),
            ("client_id", CLIENT_ID),
        ])
        .unwrap();
    assert_eq!(response.status(), 200);
    assert!(response.into_body().read_to_string().is_err());
    assert_ne!(pretend.current(0), Some(tokens.clone()));
    assert_eq!(refresh(&pretend, &tokens.refresh_token).status, 401);
}

#[test]
fn a_delayed_request_is_carried_out_at_once_and_answered_late() {
    let (pretend, tokens) = one();
    pretend.change(|script| script.delays.insert("/oauth/token".into(), HOUR));
    let mut stream = connect(&pretend);
    let form = format!(
        "grant_type=refresh_token&refresh_token={}&client_id={CLIENT_ID}",
        tokens.refresh_token
    );
    write!(
        stream,
        "POST /oauth/token HTTP/1.1\r\nhost: pretend\r\ncontent-length: {}\r\n\
         content-type: application/x-www-form-urlencoded\r\n\r\n{form}",
        form.len()
    )
    .unwrap();
    assert!(pretend.wait_for(LONG, |seen| {
        seen.iter().any(|seen| seen.is("POST", "/oauth/token"))
    }));
    assert_ne!(pretend.current(0), Some(tokens));
    assert_eq!(pretend.seen()[0].status, None);
}

#[test]
fn a_device_is_let_in_after_the_polls_that_come_too_early() {
    let pretend = Pretend::start(Script::with_accounts(1)).unwrap();
    pretend.change(|script| {
        script.device.pending = 2;
        script.device.pending_status = 404;
    });
    let url = |name: &str| format!("{}/api/accounts/deviceauth/{name}", pretend.issuer());
    let start = || post_json(&url("usercode"), &json!({"client_id": CLIENT_ID}));
    let poll = |start: &Value, code: &str| {
        let body = json!({"device_auth_id": start["device_auth_id"], "user_code": start[code]});
        post_json(&url("token"), &body)
    };

    let login = start().json();
    assert_eq!(login["interval"], "1");
    assert_eq!(poll(&login, "user_code").status, 404);
    assert_eq!(poll(&login, "user_code").status, 404);
    let code = poll(&login, "user_code").json();
    let (code, verifier) = (
        text(&code, "authorization_code"),
        text(&code, "code_verifier"),
    );
    let redirect_uri = format!("{}/deviceauth/callback", pretend.issuer());
    assert_eq!(
        exchange(&pretend, &code, &redirect_uri, &verifier).status,
        200
    );

    pretend.change(|script| {
        script.device.pending = 0;
        script.device.expires = true;
        script.device.interval = Interval::Number(7);
        script.device.short_name = true;
    });
    let late = start().json();
    assert_eq!(late["interval"], 7);
    assert_eq!(poll(&late, "usercode").status, 400);

    pretend.change(|script| script.device.offered = false);
    assert_eq!(start().status, 404);
}
