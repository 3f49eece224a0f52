//! Whatever a backend sends: the relay stays small and goes on, one question costs a bounded number of requests, and
//! neither of the real clients asks without end.

use std::io::Read;
use std::time::{Duration, Instant};

use bytes::Bytes;
use codex_accounts::rehearse::{Answer, Script, Standing};

use super::support::pretend::Servers;
use super::support::relay::Setting;
use super::support::request;

/// So much memory a relay may take, whatever comes, in KiB.
const MOST_MEMORY: u64 = 128 << 10;

/// So many requests one question may cost: the same account twice more, and another one.
const MOST_REQUESTS: usize = 4;

/// So long somebody reads who gets an answer without end.
const READING: Duration = Duration::from_secs(3);

const STREAM: &str = "text/event-stream";
const JSON: &str = "application/json";

/// Answers that no backend should give. `Raw` ones end, `Endless` ones do not.
fn answers() -> Vec<(&'static str, Answer)> {
    let event = |data: &str| format!("data: {data}\n\n");
    let whole = |kind: &str, body: String| Answer::raw(200, &[("content-type", kind)], body);
    let endless = |status: u16, kind: &str, chunk: &str| Answer::Endless {
        status: Some(status),
        headers: vec![("content-type".into(), kind.into())],
        chunk: Bytes::from(chunk.repeat(64)),
    };
    let deep = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let created = r#"{"type":"response.created","response":{"id":"resp_1"}}"#;
    vec![
        ("an empty body", whole(STREAM, String::new())),
        ("no content", Answer::raw(204, &[], "")),
        ("not modified", Answer::raw(304, &[], "")),
        ("a page", whole("text/html", "<html>hello</html>".into())),
        ("a picture", whole("image/png", "\u{1}PNG".repeat(1000))),
        ("JSON in the place of a stream", whole(JSON, "{}".into())),
        ("no type", Answer::raw(200, &[], "hello")),
        ("JSON 200,000 deep", whole(STREAM, event(&deep(200_000)))),
        (
            "a deep response",
            whole(
                STREAM,
                event(&format!(
                    r#"{{"type":"response.failed","response":{}}}"#,
                    deep(200_000)
                )),
            ),
        ),
        (
            "an event of 32 MiB",
            whole(
                STREAM,
                event(&format!(
                    r#"{{"type":"response.created","x":"{}"}}"#,
                    "x".repeat(32 << 20)
                )),
            ),
        ),
        ("a line of 32 MiB", whole(STREAM, "x".repeat(32 << 20))),
        (
            "a number that is none",
            whole(
                STREAM,
                event(r#"{"type":"error","status":1e999,"error":{"resets_at":-1e308}}"#),
            ),
        ),
        (
            "times out of all range",
            Answer::raw(
                429,
                &[
                    ("retry-after", "99999999999999999999999999"),
                    ("x-codex-primary-reset-at", "-9e99"),
                    ("x-codex-primary-used-percent", "NaN"),
                ],
                r#"{"error":{"type":"usage_limit_reached","resets_at":99999999999999999999,"resets_in_seconds":-1}}"#,
            ),
        ),
        (
            "bytes that are no text",
            Answer::raw(
                200,
                &[("content-type", STREAM)],
                Bytes::from_static(b"data: \xff\xfe\0\n\n"),
            ),
        ),
        (
            "a short end",
            whole(STREAM, event(r#"{"type":"response.completed"}"#)),
        ),
        (
            "an item that is none",
            whole(
                STREAM,
                event(r#"{"type":"response.output_item.done"}"#)
                    + &event(r#"{"type":"response.output_item.done","item":7}"#),
            ),
        ),
        (
            "an unknown encoding",
            Answer::raw(
                200,
                &[("content-type", STREAM), ("content-encoding", "sealed")],
                "hello",
            ),
        ),
        (
            "no gzip",
            Answer::raw(
                200,
                &[("content-type", STREAM), ("content-encoding", "gzip")],
                "hello",
            ),
        ),
        (
            "a way to somewhere else",
            Answer::raw(302, &[("location", "http://192.0.2.1/")], ""),
        ),
        (
            "a proxy's question",
            Answer::raw(407, &[("proxy-authenticate", "Basic")], ""),
        ),
        (
            "a header of 300 kB",
            Answer::raw(200, &[("x-long", &"x".repeat(300_000))], ""),
        ),
        (
            "a line without end",
            endless(200, STREAM, "data: xxxxxxxxxxxxxxxxxxxxxxxxxxxx"),
        ),
        ("comments without end", endless(200, STREAM, ": and on\n\n")),
        (
            "beginnings without end",
            endless(200, STREAM, &event(created)),
        ),
        (
            "events without sense and end",
            endless(200, STREAM, &event("{\"type\":1}")),
        ),
        ("a limit without end", endless(429, JSON, " {\"error\":[")),
        ("a refusal without end", endless(400, JSON, "[")),
        (
            "a refused token without end",
            endless(401, "text/html", "<p>"),
        ),
        ("trouble without end", endless(503, JSON, "{")),
        (
            "a head without end",
            Answer::Endless {
                status: None,
                headers: Vec::new(),
                chunk: Bytes::from("X-Header: and on\r\n".repeat(64)),
            },
        ),
        (
            "a line of a head without end",
            Answer::Endless {
                status: None,
                headers: Vec::new(),
                chunk: Bytes::from("x".repeat(1024)),
            },
        ),
    ]
}

fn script(answer: &Answer) -> Script {
    let mut script = Script::with_accounts(2);
    for account in &mut script.accounts {
        account.standing = Standing::Always(answer.clone());
    }
    script
}

/// How often the model was asked.
fn asked(pretend: &Servers) -> usize {
    pretend
        .seen()
        .iter()
        .filter(|seen| seen.asks_the_model())
        .count()
}

/// The most memory that a process has taken so far, in KiB.
fn most_memory(process: i32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).expect("a process");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let number = line.and_then(|line| line.trim().strip_suffix(" kB"));
    number.expect("a size").parse().expect("a number")
}

#[test]
fn the_relay_stays_small_and_asks_no_more_than_it_should() {
    for (what, answer) in answers() {
        let setting = Setting::new(script(&answer), &["--head-timeout", "2s"]);
        let begun = Instant::now();
        let question = request::question_for("gpt-5.5");
        let read = match setting.request("/responses", &[]).send(&question) {
            Ok(answer) => {
                let mut body = answer.into_body().into_reader();
                let mut buffer = [0; 1 << 16];
                let mut read = 0_usize;
                while begun.elapsed() < READING {
                    match body.read(&mut buffer) {
                        Ok(0) | Err(_) => break,
                        Ok(length) => read += length,
                    }
                }
                read
            }
            Err(_) => 0,
        };
        let asked = asked(&setting.pretend);
        assert!(asked <= MOST_REQUESTS, "{what}: {asked} requests");
        let memory = most_memory(setting.ready_pid().as_raw());
        assert!(memory < MOST_MEMORY, "{what}: {memory} KiB");
        println!(
            "| {what} | {asked} | {read} B | {memory} KiB | {:?} |",
            begun.elapsed()
        );
        // And it is well.
        setting.pretend.change(|script| {
            for account in &mut script.accounts {
                account.standing = Standing::Good;
            }
        });
        for account in 0..2 {
            setting.home.sh(&format!("codex-accounts clear {account}"));
        }
        let got = setting.send("/responses", &[("session-id", "after")], &question);
        assert!(
            got.body.contains("answered by"),
            "{what}: {} {}",
            got.status,
            got.body
        );
    }
}
