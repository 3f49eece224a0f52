//! What the relay does to HTTP itself: nothing, between a client and an upstream that are both
//! written by hand (RFC 9110, RFC 9112).

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::mpsc;

use codex_accounts::rehearse::Script;

use super::support::Home;
use super::support::relay::Setting;
use super::support::stage::wait_until;
use super::support::wire::{Then, Turn, Wire};

const EMPTY: &str = "HTTP/1.1 204 No Content\r\n\r\n";

/// A relay before an upstream that does this.
fn relay_to(turns: impl IntoIterator<Item = Turn>) -> (Setting, Wire) {
    let wire = Wire::new(turns);
    let mut home = Home::new();
    let pretend = home.with_servers(Script::with_accounts(1));
    home.set("CODEX_ACCOUNTS_UPSTREAM", &wire.url);
    (Setting::of(home, pretend, &[]), wire)
}

fn say(text: &str) -> Turn {
    Turn::new(text, Then::Stay)
}

/// A client's connection.
struct Client {
    reader: BufReader<TcpStream>,
    /// `Host` and the key.
    lines: String,
    prefix: String,
}

/// An answer as it came.
#[derive(Debug)]
struct Answer {
    head: String,
    body: String,
}

impl Answer {
    fn status(&self) -> &str {
        self.head.split(' ').nth(1).expect("a status")
    }

    fn has(&self, line: &str) -> bool {
        self.head.lines().any(|it| it.eq_ignore_ascii_case(line))
    }
}

impl Client {
    fn new(setting: &Setting) -> Client {
        let url = setting.ready("url").strip_prefix("http://").expect("a URL");
        let (address, prefix) = url.split_once('/').expect("a path");
        Client {
            reader: BufReader::new(TcpStream::connect(address).expect("a connection")),
            lines: format!(
                "Host: {address}\r\nAuthorization: Bearer {}\r\n",
                setting.ready("key")
            ),
            prefix: format!("/{prefix}"),
        }
    }

    /// Sends a request; `rest` are more headers, the blank line and the body.
    fn send(&mut self, method: &str, path: &str, rest: impl AsRef<[u8]>) {
        let head = format!("{method} {}{path} HTTP/1.1\r\n{}", self.prefix, self.lines);
        let stream = self.reader.get_mut();
        stream.write_all(head.as_bytes()).expect("a question");
        stream.write_all(rest.as_ref()).expect("a question");
    }

    fn head(&mut self) -> String {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let read = self.reader.read_until(b'\n', &mut head).expect("a line");
            assert_ne!(read, 0, "ends in {}", String::from_utf8_lossy(&head));
        }
        // Obsolete text is bytes; here it is enough to see that they are there.
        String::from_utf8_lossy(&head).into_owned()
    }

    /// An answer without a body.
    fn bare(&mut self) -> Answer {
        let (head, body) = (self.head(), String::new());
        Answer { head, body }
    }

    /// An answer with a body of known length, or of chunks, which come as they are.
    fn answer(&mut self) -> Answer {
        let head = self.head();
        let lower = head.to_ascii_lowercase();
        let body = if lower.contains("transfer-encoding: chunked") {
            self.chunks()
        } else {
            let length = lower
                .lines()
                .find_map(|line| line.strip_prefix("content-length: ")?.parse().ok())
                .unwrap_or(0);
            let mut body = vec![0; length];
            self.reader.read_exact(&mut body).expect("the body");
            String::from_utf8(body).expect("text")
        };
        Answer { head, body }
    }

    /// To the end of the last chunk and its trailers.
    fn chunks(&mut self) -> String {
        let mut body = String::new();
        loop {
            let mut size = String::new();
            self.reader.read_line(&mut size).expect("a size");
            let size = usize::from_str_radix(size.trim_end(), 16).expect("a size");
            if size == 0 {
                break;
            }
            let mut chunk = vec![0; size + 2];
            self.reader.read_exact(&mut chunk).expect("a chunk");
            body.push_str(std::str::from_utf8(&chunk[..size]).expect("text"));
        }
        let mut line = String::new();
        while self.reader.read_line(&mut line).expect("a trailer") > 2 {
            body.push_str(&std::mem::take(&mut line));
        }
        body
    }

    /// Everything up to the end of the connection.
    fn rest(mut self) -> String {
        let mut rest = Vec::new();
        // A reset is an end too.
        let _ = self.reader.read_to_end(&mut rest);
        String::from_utf8_lossy(&rest).into_owned()
    }
}

#[test]
fn an_answer_of_known_length_keeps_its_length() {
    let (setting, wire) = relay_to([say("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")]);
    let mut client = Client::new(&setting);
    client.send("GET", "/models?client_version=1%2B2", "\r\n");
    let answer = client.answer();
    assert_eq!(answer.status(), "200");
    assert!(answer.has("content-length: 5"), "{answer:?}");
    assert_eq!(answer.body, "hello");
    let asked = &wire.asked()[0];
    assert!(
        asked
            .head
            .starts_with("GET /backend-api/codex/models?client_version=1%2B2 HTTP/1.1\r\n"),
        "{}",
        asked.head.lines().next().unwrap_or_default()
    );
    assert_eq!(asked.header("content-length"), [""; 0]);
}

#[test]
fn chunks_pass_with_their_trailers() {
    let (setting, wire) = relay_to([say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\
         Content-Length: 3\r\nTrailer: x-sum\r\n\r\n5\r\nhello\r\n0\r\nx-sum: 7\r\n\r\n")]);
    let mut client = Client::new(&setting);
    client.send(
        "GET",
        "/models",
        "TE: trailers, deflate;q=0.5\r\nConnection: te\r\n\r\n",
    );
    let answer = client.answer();
    assert!(answer.has("trailer: x-sum"), "{answer:?}");
    assert!(!answer.head.contains("ontent-"), "two lengths: {answer:?}");
    assert_eq!(answer.body, "hellox-sum: 7\r\n");
    assert_eq!(wire.asked()[0].header("te"), ["trailers"]);
    assert_eq!(wire.asked()[0].header("connection"), ["te"]);
}

#[test]
fn a_head_is_answered_by_a_head() {
    let (setting, wire) = relay_to([
        say("HTTP/1.1 200 OK\r\nContent-Length: 1234\r\nETag: \"a\"\r\n\r\n"),
        say("HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\n\r\n"),
        say(EMPTY),
    ]);
    let mut client = Client::new(&setting);
    client.send("HEAD", "/models", "\r\n");
    let answer = client.bare();
    assert!(answer.has("content-length: 1234"), "{answer:?}");
    client.send("GET", "/models", "If-None-Match: \"a\"\r\n\r\n");
    let answer = client.bare();
    assert_eq!(answer.status(), "304");
    assert!(answer.has("etag: \"a\""), "{answer:?}");
    client.send("DELETE", "/responses/1", "\r\n");
    assert_eq!(client.bare().status(), "204");
    assert!(wire.asked()[0].head.starts_with("HEAD "));
    assert_eq!(wire.asked()[1].header("if-none-match"), ["\"a\""]);
}

#[test]
fn a_body_arrives_whole_however_it_was_cut() {
    let (setting, wire) = relay_to([say(EMPTY), say(EMPTY), say(EMPTY)]);
    let mut client = Client::new(&setting);
    client.send(
        "POST",
        "/responses",
        "Transfer-Encoding: chunked\r\n\r\n3\r\n{\"a\r\n1;x=y\r\n\"\r\n3\r\n:1}\r\n0\r\nx-t: 1\r\n\r\n",
    );
    assert_eq!(client.bare().status(), "204");
    client.send("POST", "/responses", "Content-Length: 0\r\n\r\n");
    assert_eq!(client.bare().status(), "204");
    client.send(
        "POST",
        "/responses",
        "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    );
    assert_eq!(client.bare().status(), "204");
    let asked = wire.asked();
    assert_eq!(asked[0].body, b"{\"a\":1}");
    assert_eq!(asked[0].header("content-length"), ["7"]);
    assert_eq!(asked[1].header("content-length"), ["0"]);
    assert_eq!(asked[2].header("content-length"), ["0"]);
}

#[test]
fn a_client_that_waits_for_leave_gets_it() {
    let (setting, wire) = relay_to([say(EMPTY)]);
    let mut client = Client::new(&setting);
    client.send(
        "POST",
        "/responses",
        "Content-Length: 2\r\nExpect: 100-continue\r\n\r\n",
    );
    assert_eq!(client.head(), "HTTP/1.1 100 Continue\r\n\r\n");
    client.reader.get_mut().write_all(b"{}").expect("a body");
    assert_eq!(client.bare().status(), "204");
    assert_eq!(wire.asked()[0].body, b"{}");
    assert_eq!(wire.asked()[0].header("expect"), [""; 0]);
}

#[test]
fn what_comes_before_an_answer_is_not_taken_for_it() {
    let (setting, _wire) = relay_to([say(
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n\
         HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    )]);
    let mut client = Client::new(&setting);
    client.send("POST", "/responses", "Content-Length: 2\r\n\r\n{}");
    let answer = client.answer();
    assert_eq!((answer.status(), answer.body.as_str()), ("200", "ok"));
}

#[test]
fn odd_but_legal_headers_pass() {
    let long = "v".repeat(16 << 10);
    let (setting, wire) = relay_to([Turn::new(
        [
            b"HTTP/1.1 200 Fine\r\nX-Twice: 1\r\nX-Twice: 2\r\nX-Empty:\r\n".as_slice(),
            b"X-Obs: caf\xe9\r\nX-!#$%&'*+.^_`|~: \t a  b \r\n",
            b"Keep-Alive: timeout=5\r\nConnection: X-Hop\r\nX-Hop: 1\r\n",
            b"Set-Cookie: of=an-account\r\nContent-Length: 0\r\n\r\n",
        ]
        .concat(),
        Then::Stay,
    )]);
    let mut client = Client::new(&setting);
    let odd = format!(
        "x-twice: 1\r\nX-Twice: 2\r\nx-empty:\r\nx-!#$%&'*+.^_`|~: \t a  b \r\n\
         x-long: {long}\r\nconnection: x-hop, keep-alive\r\nx-hop: 1\r\ncookie: a=b\r\n\r\n"
    );
    client.send("GET", "/models", odd);
    let answer = client.answer();
    for line in [
        "x-twice: 1",
        "x-twice: 2",
        "x-empty: ",
        "x-obs: caf\u{fffd}",
        "x-!#$%&'*+.^_`|~: a  b",
    ] {
        assert!(answer.has(line), "{line}: {answer:?}");
    }
    for gone in ["keep-alive", "x-hop", "set-cookie"] {
        assert!(!answer.head.contains(gone), "{gone}: {answer:?}");
    }
    let asked = &wire.asked()[0];
    assert_eq!(asked.header("x-twice"), ["1", "2"]);
    assert_eq!(asked.header("x-empty"), [""]);
    assert_eq!(asked.header("x-!#$%&'*+.^_`|~"), ["a  b"]);
    assert_eq!(asked.header("x-long"), [long]);
    for gone in ["x-hop", "cookie", "connection"] {
        assert_eq!(asked.header(gone), [""; 0], "{gone}");
    }
}

#[test]
fn connections_are_kept_on_both_sides() {
    const REQUESTS: usize = 20;
    let (setting, wire) = relay_to((0..REQUESTS).map(|_| say(EMPTY)));
    let mut client = Client::new(&setting);
    for _ in 1..REQUESTS {
        client.send("GET", "/models", "\r\n");
        assert_eq!(client.bare().status(), "204");
    }
    client.send("GET", "/models", "Connection: close\r\n\r\n");
    assert!(client.rest().starts_with("HTTP/1.1 204"));
    // Now and then a request comes before the last connection is free again.
    let connections = wire.asked().last().expect("a request").connection;
    assert!(connections < REQUESTS, "one for each request");
}

#[test]
fn requests_sent_ahead_are_answered_in_order() {
    let (setting, _wire) = relay_to(["a", "b"].map(|body| {
        say(&format!(
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n{body}"
        ))
    }));
    let mut client = Client::new(&setting);
    client.send("GET", "/models", "\r\n");
    client.send("GET", "/models", "\r\n");
    assert_eq!(client.answer().body, "a");
    assert_eq!(client.answer().body, "b");
}

#[test]
fn an_upstream_that_closes_what_it_kept_is_asked_anew() {
    let (setting, wire) = relay_to((0..3).map(|_| Turn::new(EMPTY, Then::Close)));
    for _ in 0..3 {
        let mut client = Client::new(&setting);
        client.send("POST", "/responses", "Content-Length: 2\r\n\r\n{}");
        assert_eq!(client.bare().status(), "204");
    }
    assert_eq!(wire.asked().len(), 3);
}

#[test]
fn an_answer_that_ends_with_its_connection_is_whole() {
    let (setting, _wire) = relay_to([Turn::new(
        "HTTP/1.1 200 OK\r\nX-Odd: 1\r\n\r\nuntil the end",
        Then::Close,
    )]);
    let mut client = Client::new(&setting);
    client.send("GET", "/models", "\r\n");
    assert_eq!(client.answer().body, "until the end");
}

#[test]
fn an_answer_that_breaks_off_ends_as_a_failure_for_the_client() {
    let event =
        "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\"}\n\n";
    let head =
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
    let chunk = format!("{head}{:x}\r\n{event}\r\n", event.len());
    let (break_off, told) = mpsc::channel();
    let (setting, wire) = relay_to([Turn::new(chunk, Then::Reset(told))]);
    let mut client = Client::new(&setting);
    client.send(
        "POST",
        "/responses",
        "Connection: close\r\nContent-Length: 2\r\n\r\n{}",
    );
    client.head();
    break_off.send(()).expect("an upstream");
    let got = client.rest();
    assert!(got.contains("output_text.delta"), "{got}");
    assert!(got.contains("response.failed"), "it looks whole: {got}");
    assert_eq!(wire.asked().len(), 1, "the client has seen content");
    assert_eq!(setting.store()["accounts"][0].get("limits"), None);
}

#[test]
fn a_reset_before_the_head_is_asked_again() {
    let (reset, told) = mpsc::channel();
    reset.send(()).expect("a channel");
    let answer = say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
    let (setting, wire) = relay_to([Turn::new("", Then::Reset(told)), answer]);
    let mut client = Client::new(&setting);
    client.send("POST", "/responses", "Content-Length: 2\r\n\r\n{}");
    assert_eq!(client.answer().body, "hi");
    assert_eq!(wire.asked().len(), 2);
    assert_eq!(setting.store()["accounts"][0].get("limits"), None);
}

#[test]
fn an_answer_larger_than_memory_may_be_passes_through() {
    const PIECE: usize = 1 << 20;
    const PIECES: usize = 300;
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n",
        PIECE * PIECES
    );
    let (setting, _wire) = relay_to([Turn::new(head, Then::Repeat(vec![b'x'; PIECE], PIECES))]);
    let mut client = Client::new(&setting);
    client.send("GET", "/files/1", "\r\n");
    client.head();
    let mut left = (PIECE * PIECES) as u64;
    while left > 0 {
        let mut piece = client.reader.by_ref().take(left.min(PIECE as u64));
        let read = std::io::copy(&mut piece, &mut std::io::sink()).expect("a piece");
        assert_ne!(read, 0, "{left} bytes are missing");
        left -= read;
    }
    let pid = &setting.relay.ready["pid"];
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("a process");
    let most = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let most = most.and_then(|most| most.split_whitespace().next()?.parse::<u64>().ok());
    assert!(most.expect("a size in KiB") < 100 << 10, "{most:?} KiB");
}

#[test]
fn when_the_client_goes_the_upstream_is_let_go() {
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n";
    let event =
        "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\"}\n\n";
    let created = "event: response.created\ndata: {\"type\":\"response.created\"}\n\n";
    for (what, turn, has_head) in [
        ("it has not answered", say(""), false),
        (
            "only its head is there",
            say(&[head, created].concat()),
            false,
        ),
        ("its stream is quiet", say(&[head, event].concat()), true),
        (
            "its stream goes on",
            Turn::new(head, Then::Forever(event.into())),
            true,
        ),
    ] {
        let (setting, wire) = relay_to([turn]);
        let mut client = Client::new(&setting);
        client.send("POST", "/responses", "Content-Length: 2\r\n\r\n{}");
        wait_until("it is asked", || wire.asked().len() == 1);
        if has_head {
            client.head();
        }
        drop(client);
        wait_until(&format!("the upstream is let go when {what}"), || {
            wire.gone() == 1
        });
    }
}

#[test]
fn who_is_slow_with_a_head_or_says_nothing_is_let_go() {
    let (setting, _wire) = relay_to([]);
    std::thread::scope(|scope| {
        let slow = scope.spawn(|| {
            let mut client = Client::new(&setting);
            client.send("POST", "/responses", "x: 1\r\n");
            client.rest()
        });
        let silent = scope.spawn(|| Client::new(&setting).rest());
        assert_eq!(silent.join().expect("an end"), "");
        let said = slow.join().expect("an end");
        assert!(said.is_empty() || said.contains(" 408 "), "{said}");
    });
}

#[test]
fn what_is_no_request_is_turned_away() {
    let (setting, wire) = relay_to([]);
    let code = |rest: &str| {
        let mut client = Client::new(&setting);
        client.send("POST", "/responses", rest);
        let rest = client.rest();
        rest.split(' ').nth(1).map(str::to_owned)
    };
    let many: String = (0..200).map(|n| format!("x-{n}: 1\r\n")).collect();
    let end = "Connection: close\r\n\r\n";
    for (rest, status) in [
        (format!("{many}{end}"), "431"),
        (format!("x: {}\r\n{end}", "v".repeat(1 << 20)), "431"),
        (format!("Content-Length: {}\r\n{end}", 65 << 20), "413"),
        (format!("Content-Length: -1\r\n{end}"), "400"),
        (format!("Content-Length: +2\r\n{end}{{}}"), "400"),
        (
            format!("Content-Length: 1\r\nContent-Length: 2\r\n{end}{{}}"),
            "400",
        ),
        (format!("Transfer-Encoding: gzip\r\n{end}{{}}"), "400"),
        (
            format!("Transfer-Encoding : chunked\r\n{end}0\r\n\r\n"),
            "400",
        ),
        (format!("x: a\r\n b\r\n{end}"), "400"),
        (format!("no colon\r\n{end}"), "400"),
    ] {
        let shown: String = rest.chars().take(60).collect();
        assert_eq!(code(&rest).as_deref(), Some(status), "{shown}");
    }
    assert!(wire.asked().is_empty(), "{:?}", wire.asked());
}

#[test]
fn a_request_in_chunks_that_are_none_is_not_passed_on() {
    let (setting, wire) = relay_to([]);
    for chunks in [
        "zz\r\n{}\r\n0\r\n\r\n",
        "-2\r\n{}\r\n0\r\n\r\n",
        "fffffffffffffffff\r\n",
    ] {
        let mut client = Client::new(&setting);
        client.send(
            "POST",
            "/responses",
            format!("Transfer-Encoding: chunked\r\n\r\n{chunks}"),
        );
        assert!(client.rest().starts_with("HTTP/1.1 400"), "{chunks}");
    }
    assert!(wire.asked().is_empty(), "{:?}", wire.asked());
}
