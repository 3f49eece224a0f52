//! `codex-session-strip`: a request without what only another account can read.

use super::support::Home;

fn strip(arguments: &str, input: impl Into<Vec<u8>>) -> (i32, String, String) {
    let shown = Home::new().sh_with(&format!("codex-session-strip {arguments}"), input);
    (shown.code, shown.stdout, shown.stderr)
}

const SUMMARY: &str = r#"{"type":"compaction","id":"cmp_1","encrypted_content":"gAAAAs"}"#;
const REASONING: &str = r#"{"type":"reasoning","id":"rs_1","encrypted_content":"gAAAAr"}"#;

#[test]
fn a_summary_goes_only_where_it_is_asked_for() {
    let body = format!("{{\"input\":[{SUMMARY},{REASONING}],\"n\":1.0}}");
    let (code, stdout, stderr) = strip("", body.clone());
    assert_eq!(
        (code, stdout),
        (0, format!("{{\"input\":[{SUMMARY}],\"n\":1.0}}"))
    );
    assert_eq!(stderr, "codex-session-strip: stripped reasoning=1\n");
    let (code, stdout, stderr) = strip("--compaction", body);
    assert_eq!(code, 0);
    assert!(
        stdout.starts_with(r#"{"input":[{"type":"message","role":"developer","#),
        "{stdout}"
    );
    assert!(stdout.ends_with("]}],\"n\":1.0}"), "{stdout}");
    assert_eq!(
        stderr,
        "codex-session-strip: stripped reasoning=1 compaction=1\n"
    );
}

#[test]
fn a_body_with_nothing_to_strip_comes_out_as_it_went_in() {
    for body in [
        " {\"input\" : [ {\"type\":\"message\",\"id\":\"msg_1\"} ], \"x\":1.00, \"\u{e9}\":\"\\u00e9\"}\r\n",
        "{}",
        "{\"input\":\"reasoning\"}",
    ] {
        assert_eq!(strip("", body), (0, body.to_owned(), String::new()));
    }
}

#[test]
fn what_can_be_read_in_two_ways_is_refused() {
    let deep = format!(
        "{{\"input\":[{REASONING}],\"x\":{}{}}}",
        "[".repeat(200_000),
        "]".repeat(200_000)
    );
    for (body, message) in [
        (
            &*format!("{{\"input\":[{REASONING}],\"input\":[]}}"),
            "a key comes twice in one object",
        ),
        (
            r#"{"input":[{"type":"reasoning","type":"message"}]}"#,
            "a key comes twice in one object",
        ),
        (
            &format!(r#"{{"inpu\u0074":[{REASONING}]}}"#),
            "the text is not JSON, or has a key with escapes in it",
        ),
        (&deep, "the values of the text are nested too deep"),
        ("[]", "the text is no JSON object"),
        (
            "(\u{b5}/\u{fd} zstd",
            "the text is not JSON, or has a key with escapes in it",
        ),
    ] {
        let expected = format!("codex-session-strip: error: {message}\n");
        assert_eq!(strip("", body), (65, String::new(), expected));
    }
    let (code, stdout, _) = strip("", b"{\"input\":\"\xff\"}".to_vec());
    assert_eq!((code, &*stdout), (65, ""));
    let error = "codex-session-strip: error: the input is empty\n".to_owned();
    assert_eq!(strip("", "\n"), (1, String::new(), error));
}

#[test]
fn ten_megabytes_pass() {
    let output = format!(
        r#"{{"type":"function_call_output","output":"{}"}}"#,
        "x\\n".repeat(1000)
    );
    let turns =
        |items: &[&str]| format!("{{\"input\":[{}]}}", vec![items.join(","); 3500].join(","));
    let body = turns(&[REASONING, &output]);
    assert!(body.len() > 10 << 20);
    let (code, stdout, stderr) = strip("", body);
    assert!(code == 0 && stdout == turns(&[&output]), "{code}: {stderr}");
    assert_eq!(stderr, "codex-session-strip: stripped reasoning=3500\n");
}

#[test]
fn who_reads_no_further_is_no_failure() {
    let body = format!(
        "{{\"input\":[{REASONING}],\"x\":\"{}\"}}",
        "y".repeat(1 << 20)
    );
    let home = Home::new();
    let shown = home.sh_with("{ codex-session-strip; echo $? >&2; } | head -c 1", body);
    assert_eq!((&*shown.stdout, shown.stderr.trim()), ("{", "0"));
}
