//! The relay where bodies are encoded: they pass as they are, and what they say is read all the same.

use std::io::Write;

use codex_accounts::rehearse::{Answer, Script, Standing, Style};
use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};

use super::support::relay::{HOUR, Setting, first_answers};
use super::support::request::{QUESTION, question_for};

const LIMIT: &str = r#"{"error":{"type":"usage_limit_reached","resets_in_seconds":3600}}"#;

fn encoded(coding: &str, text: &str) -> Vec<u8> {
    let done = match coding {
        "gzip" => {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
            encoder
                .write_all(text.as_bytes())
                .and_then(|()| encoder.finish())
        }
        "deflate" => {
            let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
            encoder
                .write_all(text.as_bytes())
                .and_then(|()| encoder.finish())
        }
        _ => zstd::encode_all(text.as_bytes(), 0),
    };
    done.expect("memory")
}

fn answer(status: u16, kind: &str, coding: &str, body: Vec<u8>) -> Answer {
    let headers = [("content-type", kind), ("content-encoding", coding)];
    Answer::raw(status, &headers, body)
}

#[test]
fn a_limit_in_an_encoded_error_is_seen() {
    for coding in ["gzip", "deflate", "zstd"] {
        let body = encoded(coding, LIMIT);
        let script = first_answers(answer(404, "application/json", coding, body));
        let setting = Setting::new(script, &[]);
        assert!(setting.ask().body.contains("two@"), "{coding}");
        let store = setting.store();
        let source = &store["accounts"][0]["limits"]["default"]["source"];
        assert_eq!(source, "body.resets_in_seconds", "{coding}");
    }
}

#[test]
fn a_limit_that_an_encoded_stream_begins_with_is_seen() {
    let event = format!(
        "event: response.created\ndata: {{\"type\":\"response.created\"}}\n\n\
         event: error\ndata: {{\"type\":\"error\",{}\n\n",
        &LIMIT[1..]
    );
    for coding in ["gzip", "deflate", "zstd"] {
        let body = encoded(coding, &event);
        let script = first_answers(answer(200, "text/event-stream", coding, body));
        let setting = Setting::new(script, &[]);
        assert!(setting.ask().body.contains("two@"), "{coding}");
    }
}

#[test]
fn a_stream_in_a_coding_nobody_here_knows_passes_at_once() {
    let body = b"\x01\x02\x03".to_vec();
    let mut script = Script::with_accounts(1);
    script.accounts[0].standing =
        Standing::Always(answer(200, "text/event-stream", "compress", body.clone()));
    let setting = Setting::new(script, &[]);
    let request = setting.request("/responses", &[]);
    let mut got = request.send(QUESTION).expect("an answer");
    assert_eq!(got.headers()["content-encoding"], "compress");
    assert_eq!(got.body_mut().read_to_vec().expect("a body"), body);
}

#[test]
fn a_limit_at_the_very_end_of_a_stream_is_seen() {
    // Without the blank line that ends an event.
    let event = format!("data: {{\"type\":\"error\",{}", &LIMIT[1..]);
    let kind = [("content-type", "text/event-stream")];
    let setting = Setting::new(first_answers(Answer::raw(200, &kind, event)), &[]);
    assert!(setting.ask().body.contains("two@"));
}

#[test]
fn the_model_of_an_encoded_question_is_seen() {
    let mut script = Script::with_accounts(1);
    script.accounts[0].limit(HOUR, Style::ModelFamily);
    let setting = Setting::new(script, &[]);
    let ask = |model: &str| {
        let question = question_for(model);
        let request = setting.request("/responses", &[("content-encoding", "zstd")]);
        let answer = request.send(&encoded("zstd", &question)[..]);
        answer.expect("an answer").status().as_u16()
    };
    assert_eq!(ask("gpt-5.3-codex-spark"), 429);
    setting
        .pretend
        .change(|script| script.accounts[0].standing = Standing::Good);
    assert_eq!(ask("gpt-5.3-codex-spark"), 429, "it is limited here");
    assert_eq!(ask("gpt-5.5"), 200, "another family is not");
}
