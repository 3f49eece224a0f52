//! What the server tells of itself.

use super::*;

#[test]
fn requests_are_seen_as_they_were_sent() {
    let (pretend, tokens) = one();
    // Noise, since it is to be long when it is packed.
    let mut state = 1_u64;
    let noise: String = (0..2 << 20)
        .map(|_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            char::from(b'!'.max((state >> 57) as u8)).to_ascii_lowercase()
        })
        .filter(|sign| sign.is_ascii_graphic() && !matches!(sign, '"' | '\\'))
        .collect();
    let body = zstd::encode_all(QUESTION.replace("Who are you?", &noise).as_bytes(), 0).unwrap();
    assert!(body.len() > 1 << 20, "{}", body.len());
    let request = agent()
        .post(format!("{}/codex/responses?a=b", pretend.upstream()))
        .header("authorization", format!("bearer {}", tokens.access_token))
        .header("chatgpt-account-id", "account-one")
        .header("content-encoding", "zstd");
    assert_eq!(got(request.send(&body[..])).status, 200);

    let seen: Seen = pretend.seen().remove(0);
    assert!(seen.is("POST", "/backend-api/codex/responses"));
    assert_eq!(seen.query, "a=b");
    assert_eq!(seen.header("Content-Encoding"), Some("zstd"));
    assert_eq!((seen.account, seen.status), (Some(0), Some(200)));
    assert_eq!(seen.body_length, body.len());
    assert_eq!(seen.body, body[..1 << 20]);
    assert!(seen.at / 1000 <= now() && seen.at / 1000 >= now() - 60);

    pretend.change(|script| script.remember = false);
    assert_eq!(call(&pretend, &tokens).status, 200);
    assert_eq!(pretend.seen().len(), 1);
}

#[test]
fn waiting_ends_with_the_request_or_with_the_time() {
    let (pretend, tokens) = one();
    assert!(!pretend.wait_for(Duration::from_millis(1), |seen| !seen.is_empty()));
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| pretend.wait_for(LONG, |seen| seen.len() == 2));
        call(&pretend, &tokens);
        call(&pretend, &tokens);
        assert!(waiting.join().unwrap());
    });
}

#[test]
fn a_test_that_panics_leaves_the_server_usable() {
    let (pretend, tokens) = one();
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        pretend.change(|_| panic!("on purpose"));
    }));
    assert!(panicked.is_err());
    assert_eq!(call(&pretend, &tokens).status, 200);
}

#[test]
fn dropping_ends_everything() {
    let (pretend, tokens) = styled(Style::NoHead, HOUR);
    let address = address(&pretend);
    let silent = raw_call(&pretend, &tokens);
    assert!(pretend.wait_for(LONG, |seen| seen.len() == 1));
    pretend.change(|script| script.pace = HOUR);
    let mut streaming = raw_call(&pretend, &tokens);
    read_until(&mut streaming, "\r\n\r\n");
    let idle = connect(&pretend);
    drop(pretend);
    assert_eq!(read_to_end(silent), b"");
    read_to_end(streaming);
    read_to_end(idle);
    assert_eq!(
        TcpStream::connect(address).unwrap_err().kind(),
        ErrorKind::ConnectionRefused
    );
}

#[test]
fn tokens_do_not_print_themselves() {
    let (pretend, tokens) = one();
    let printed = format!("{tokens:?} {pretend:?}");
    for secret in [
        &tokens.id_token,
        &tokens.access_token,
        &tokens.refresh_token,
    ] {
        assert!(secret.contains("pretend"));
        assert!(!printed.contains(secret.as_str()));
    }
}

#[test]
fn styles_have_names_and_descriptions() {
    for style in Style::ALL {
        assert_eq!(style.to_string().parse(), Ok(*style));
        assert!(
            !style.about().is_empty() && !style.about().starts_with(' '),
            "{style}"
        );
    }
    assert_eq!("nothing".parse::<Style>(), Err(UnknownStyle));
    let names = UnknownStyle.to_string();
    assert!(
        names.starts_with("unknown style; there are usage-limit, "),
        "{names}"
    );
    assert!(names.ends_with("garbage"));
}
