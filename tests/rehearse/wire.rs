//! What goes wrong on the wire.

use super::*;

#[test]
fn connections_end_as_scripted() {
    let sent = |style| {
        let (pretend, tokens) = styled(style, HOUR);
        let bytes = read_to_end(raw_call(&pretend, &tokens));
        assert_eq!(
            call(&pretend, &tokens).status,
            200,
            "{style} was for one call"
        );
        bytes
    };
    assert_eq!(sent(Style::CloseBeforeHead), b"");
    assert!(!sent(Style::Garbage).starts_with(b"HTTP"));
    let cut = String::from_utf8(sent(Style::CloseMidBody)).unwrap();
    assert!(cut.contains("response.output_text.delta"));
    assert!(!cut.contains("response.completed"));
    assert!(
        !cut.ends_with("0\r\n\r\n"),
        "the end of a chunked body was sent"
    );
}

#[test]
fn a_stalled_stream_stays_open() {
    let (pretend, tokens) = styled(Style::Stall, HOUR);
    let mut stream = raw_call(&pretend, &tokens);
    read_until(&mut stream, "\r\n\r\n");
    assert!(pretend.wait_for(LONG, |seen| {
        seen.iter().any(|seen| seen.status == Some(200))
    }));
    stream
        .get_ref()
        .set_read_timeout(Some(Duration::from_millis(50)))
        .unwrap();
    let error = stream.read_to_end(&mut Vec::new()).unwrap_err();
    assert!(matches!(
        error.kind(),
        ErrorKind::WouldBlock | ErrorKind::TimedOut
    ));
}

#[test]
fn a_head_that_never_comes_is_seen_without_a_status() {
    let (pretend, tokens) = styled(Style::NoHead, HOUR);
    let _stream = raw_call(&pretend, &tokens);
    assert!(pretend.wait_for(LONG, |seen| seen.len() == 1));
    let seen = &pretend.seen()[0];
    assert_eq!((seen.account, seen.status), (Some(0), None));
}

#[test]
fn the_first_event_does_not_wait_for_the_next() {
    let (pretend, tokens) = one();
    pretend.change(|script| script.pace = HOUR);
    let mut stream = raw_call(&pretend, &tokens);
    read_until(&mut stream, "\r\n\r\n");
    let first = read_until(&mut stream, "\n\n");
    assert!(first.contains("event: response.created"), "{first}");
}

#[test]
fn a_paced_stream_comes_to_its_end() {
    let (pretend, tokens) = one();
    pretend.change(|script| script.pace = Duration::from_millis(2));
    assert_eq!(
        call(&pretend, &tokens).kinds().last().unwrap(),
        "response.completed"
    );
}

#[test]
fn no_input_ends_the_server() {
    let (pretend, tokens) = one();
    for nonsense in [
        &b"\x00\xff\xfe nonsense\r\n\r\n"[..],
        b"GET http://[::1 HTTP/1.1\r\n\r\n",
        b"POST /oauth/token HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 3\r\n\r\n[1]",
        b"POST /oauth/token HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 3\r\n\r\n\xff{\"",
        b"POST /oauth/token HTTP/1.1\r\nhost: x\r\ncontent-length: 99\r\n\r\nbreaks off",
        b"GET /oauth/authorize?%ff=%00&redirect_uri=%0d%0a HTTP/1.1\r\nhost: x\r\n\r\n",
        b"POST /backend-api/codex/responses HTTP/1.1\r\nhost: x\r\nauthorization: Bearer\xff\r\ncontent-length: 0\r\n\r\n",
    ] {
        let mut stream = connect(&pretend);
        stream.write_all(nonsense).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        read_to_end(stream);
    }
    assert_eq!(call(&pretend, &tokens).status, 200);
}
