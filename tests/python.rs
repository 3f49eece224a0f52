//! Any other program: Python with OpenAI's own package, which reads the variables that
//! `codex-launch` sets.

use std::path::Path;
use std::time::Duration;

use codex_accounts::rehearse::{Script, Style};

use super::support::Home;
use super::support::asked::asked;

/// The Python that has the package, as `tests/run` installs it.
fn python() -> &'static Path {
    let python = Path::new(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/clients/.venv/bin/python"
    ));
    assert!(
        python.exists(),
        "OpenAI's package is not installed: run tests/run"
    );
    python
}

const SCRIPT: &str = r#"
import os
from openai import OpenAI

client = OpenAI()
question = {"model": "gpt-5.5", "store": False, "instructions": "Be brief.",
            "input": [{"role": "user", "content": "say who you are"}]}

with client.responses.stream(**question) as stream:
    pieces = [event.delta for event in stream if event.type == "response.output_text.delta"]
    print(pieces, stream.get_final_response().status)

for event in client.responses.create(stream=True, **question):
    if event.type == "response.completed":
        print(event.response.output_text)

print(os.environ["CODEX_PROXY_URL"] == os.environ["OPENAI_BASE_URL"] == str(client.base_url).rstrip("/"))
"#;

#[test]
fn a_stream_that_python_reads_goes_on_with_the_next_account() {
    let mut home = Home::new();
    let mut script = Script::with_accounts(2);
    script.accounts[0].limit(Duration::from_secs(3600), Style::UsageLimit);
    let pretend = home.with_servers(script);
    let script = home.write("script.py", SCRIPT);

    let shown = home.run(
        home.command("codex-launch")
            .arg("--")
            .args([python(), &script]),
    );
    insta::assert_snapshot!(shown, @r"
    ['answered ', 'by ', 'two@example.com'] completed
    answered by two@example.com
    True
    --- exit 0
    ");
    assert_eq!(asked(&pretend), [0, 1, 1]);
    assert_eq!(home.store()["activeIndex"], 1);
}
