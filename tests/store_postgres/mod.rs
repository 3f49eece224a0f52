//! `codex-store-postgres` with a real PostgreSQL: what its page promises beyond
//! `codex-store-helper(7)`, which `tests/store-helper` looks at.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

use serde_json::{Value, json};

use super::support::postgres::{self, Postgres};
use super::support::{Home, canary};

mod connection;
mod tables;
mod trouble;

/// A helper that is asked line by line. It ends with its input.
struct Helper {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Helper {
    fn new(home: &Home, url: &str) -> Helper {
        let mut command = home.std_command(postgres::helper());
        command.env("CODEX_STORE_URL", url);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("the helper");
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().expect("its output"));
        let mut helper = Helper {
            child,
            input,
            output,
        };
        assert_eq!(helper.answer()["helper"], "codex-store-postgres");
        helper
    }

    /// Asks for something, and gives what comes back.
    fn ask(&mut self, request: Value) -> Value {
        self.send(request);
        self.answer()
    }

    fn send(&mut self, request: Value) {
        let input = self.input.as_mut().expect("its input");
        writeln!(input, "{request}").expect("a request");
    }

    fn answer(&mut self) -> Value {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("a line");
        let answer: Value = serde_json::from_str(&line).expect("JSON");
        if answer["message"].is_string() {
            canary::assert_none(&line);
        }
        answer
    }

    /// Replaces the document.
    fn put(&mut self, document: &str) -> Value {
        let begun = self.ask(json!({"do": "begin", "wait": 10_000}));
        assert_eq!(begun["ok"], "begin", "{begun}");
        self.ask(json!({"do": "commit", "document": document}))
    }

    fn read(&mut self) -> Value {
        self.ask(json!({"do": "read"}))
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        drop(self.input.take());
        let _ = self.child.wait();
    }
}

/// The kind of an error, and its text.
fn error(answer: &Value) -> String {
    let text = |name: &str| answer[name].as_str().unwrap_or_default();
    format!("{}: {}", text("error"), text("message"))
}
