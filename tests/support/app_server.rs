//! `codex app-server`, as an editor drives it: one JSON object a line, in and out.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Stdio};
use std::sync::mpsc::{Receiver, channel};

use serde_json::{Value, json};

use super::Home;
use super::stage::LONG;

/// See the module. Ends with the test.
pub(crate) struct AppServer {
    child: Child,
    stdin: Option<ChildStdin>,
    said: Receiver<Value>,
    /// All that it has said so far.
    pub(crate) heard: Vec<Value>,
    calls: u64,
}

impl AppServer {
    /// Starts it by this line, and makes its acquaintance.
    pub(crate) fn start(home: &Home, program: &str, arguments: &[&str]) -> Self {
        let mut child = home
            .std_command(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("it starts");
        let stdout = child.stdout.take().expect("stdout is a pipe");
        let (sender, said) = channel();
        std::thread::spawn(move || {
            let lines = BufReader::new(stdout).lines().map_while(Result::ok);
            for message in lines.filter_map(|line| serde_json::from_str(&line).ok()) {
                if sender.send(message).is_err() {
                    break;
                }
            }
        });
        let mut server = Self {
            stdin: child.stdin.take(),
            child,
            said,
            heard: Vec::new(),
            calls: 0,
        };
        let info = json!({"name": "editor", "version": "1"});
        server.call("initialize", json!({"clientInfo": info}));
        server.send(&json!({"method": "initialized"}));
        server
    }

    /// Begins a conversation; its id.
    pub(crate) fn begin(&mut self, model: &str) -> String {
        let begun = self.call("thread/start", json!({"model": model}));
        begun["thread"]["id"].as_str().expect("an id").to_owned()
    }

    /// Says something in a conversation, and does not wait for the answer; the id of the turn.
    pub(crate) fn say(&mut self, thread: &str, text: &str) -> String {
        let input = json!([{"type": "text", "text": text}]);
        let begun = self.call("turn/start", json!({"threadId": thread, "input": input}));
        begun["turn"]["id"].as_str().expect("an id").to_owned()
    }

    /// Says something while the answer to something else runs.
    pub(crate) fn steer(&mut self, thread: &str, turn: &str, text: &str) {
        let input = json!([{"type": "text", "text": text}]);
        let params = json!({"threadId": thread, "expectedTurnId": turn, "input": input});
        self.call("turn/steer", params);
    }

    /// Waits for the end of the turn; its status, and the last that was said in it.
    pub(crate) fn end_of_turn(&mut self) -> (String, String) {
        let from = self.heard.len();
        let end = self.wait_for(|message| message["method"] == "turn/completed");
        let status = end["params"]["turn"]["status"].as_str().expect("a status");
        let said = self.heard[from..].iter().rev().find_map(|message| {
            let item = &message["params"]["item"];
            let is_said = message["method"] == "item/completed" && item["type"] == "agentMessage";
            is_said.then(|| item["text"].as_str().expect("a text").to_owned())
        });
        (status.to_owned(), said.unwrap_or_default())
    }

    /// Calls a method; its result.
    pub(crate) fn call(&mut self, method: &str, params: Value) -> Value {
        self.calls += 1;
        let id = self.calls;
        self.send(&json!({"id": id, "method": method, "params": params}));
        let answer = self.wait_for(|message| message["id"] == id);
        assert!(answer["error"].is_null(), "{method}: {answer}");
        answer["result"].clone()
    }

    /// Waits until it says such a thing.
    pub(crate) fn wait_for(&mut self, is_it: impl Fn(&Value) -> bool) -> Value {
        loop {
            let message = self.said.recv_timeout(LONG);
            let message =
                message.unwrap_or_else(|error| panic!("{error}: {:#?}", self.heard.last()));
            self.heard.push(message.clone());
            if is_it(&message) {
                return message;
            }
        }
    }

    fn send(&mut self, message: &Value) {
        let stdin = self.stdin.as_mut().expect("it is there");
        writeln!(stdin, "{message}").expect("it reads");
        stdin.flush().expect("it reads");
    }
}

impl Drop for AppServer {
    fn drop(&mut self) {
        // It ends with its stdin; a test that failed does not wait for that.
        drop(self.stdin.take());
        if std::thread::panicking() {
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
    }
}
