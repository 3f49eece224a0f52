//! A relay in front of the pretend backend, and a client that knows its key.

use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;

use codex_accounts::rehearse::{Answer, Script, Seen, Standing, Style};
use http::{HeaderMap, StatusCode};
use nix::unistd::Pid;
use serde_json::Value;
use ureq::typestate::WithBody;

use super::Home;
use super::pretend::Servers;
use super::request;
use super::server::Server;

pub(crate) const HOUR: Duration = Duration::from_secs(3600);

/// A relay in front of the pretend backend, and a client that knows its key.
pub(crate) struct Setting {
    pub(crate) home: Home,
    pub(crate) pretend: Servers,
    pub(crate) relay: Server,
}

/// What the client got.
pub(crate) struct Got {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Setting {
    pub(crate) fn new(script: Script, args: &[&str]) -> Self {
        let mut home = Home::new();
        let pretend = home.with_servers(script);
        Self::of(home, pretend, args)
    }

    pub(crate) fn of(home: Home, pretend: impl Into<Servers>, args: &[&str]) -> Self {
        let relay = home.serve("codex-proxy", args);
        Self {
            home,
            pretend: pretend.into(),
            relay,
        }
    }

    pub(crate) fn ready(&self, name: &str) -> &str {
        self.relay.ready[name].as_str().expect("a text")
    }

    /// The relay's process.
    pub(crate) fn ready_pid(&self) -> Pid {
        let pid = self.relay.ready["pid"].as_i64().expect("a process");
        Pid::from_raw(i32::try_from(pid).expect("a process"))
    }

    pub(crate) fn ask(&self) -> Got {
        self.ask_for("gpt-5.5")
    }

    pub(crate) fn ask_for(&self, model: &str) -> Got {
        self.send("/responses", &[], &request::question_for(model))
    }

    pub(crate) fn send(&self, path: &str, headers: &[(&str, &str)], body: &str) -> Got {
        let request = self.request(path, headers);
        let mut answer = request.send(body).expect("an answer of the relay");
        Got {
            status: answer.status(),
            headers: answer.headers().clone(),
            body: answer.body_mut().read_to_string().unwrap_or_default(),
        }
    }

    pub(crate) fn request(
        &self,
        path: &str,
        headers: &[(&str, &str)],
    ) -> ureq::RequestBuilder<WithBody> {
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .proxy(None)
            .build()
            .into();
        let mut request = agent
            .post(format!("{}{path}", self.ready("url")))
            .header("authorization", format!("Bearer {}", self.ready("key")));
        if !headers.iter().any(|(name, _)| *name == "session-id") {
            request = request.header("session-id", "s-1");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request
    }

    /// A question written by hand, with these lines for the length of its body.
    pub(crate) fn connect(&self, body: &str, length: &str) -> TcpStream {
        let url = self
            .ready("url")
            .strip_prefix("http://")
            .expect("an address");
        let (address, prefix) = url.split_once('/').expect("a path");
        let own = format!("Content-Length: {}\r\n", body.len());
        let length = if length.is_empty() { &own } else { length };
        let key = self.ready("key");
        let mut stream = TcpStream::connect(address).expect("a connection");
        let request = format!(
            "POST /{prefix}/responses HTTP/1.1\r\nHost: {address}\r\n\
             Authorization: Bearer {key}\r\n{length}\r\n{body}"
        );
        stream.write_all(request.as_bytes()).expect("a question");
        stream
    }

    /// How often the issuer was asked for tokens.
    pub(crate) fn exchanges(&self) -> usize {
        let seen = self.pretend.seen();
        seen.iter()
            .filter(|seen| seen.is("POST", "/oauth/token"))
            .count()
    }

    /// Which accounts were asked for an answer, in order.
    pub(crate) fn asked(&self) -> Vec<Option<usize>> {
        let is_question = |seen: &&Seen| seen.is("POST", "/backend-api/codex/responses");
        let seen = self.pretend.seen();
        seen.iter().filter(is_question).map(|s| s.account).collect()
    }

    /// Ends the relay, so that everything is in the store, and reads that.
    pub(crate) fn store(self) -> Value {
        assert!(self.relay.end().success());
        self.home.store()
    }
}

/// So many at once; what each came to.
pub(crate) fn at_once<T: Send>(count: usize, ask: impl Fn() -> T + Sync) -> Vec<T> {
    std::thread::scope(|scope| {
        let asking: Vec<_> = (0..count).map(|_| scope.spawn(&ask)).collect();
        asking
            .into_iter()
            .map(|one| one.join().expect("an answer"))
            .collect()
    })
}

/// Two accounts, of which the first answers like this every time.
pub(crate) fn first_answers(answer: impl Into<Answer>) -> Script {
    let mut script = Script::with_accounts(2);
    script.accounts[0].standing = Standing::Always(answer.into());
    script
}

/// Two accounts, of which the first is limited for an hour.
pub(crate) fn first_limited(style: Style) -> Script {
    let mut script = Script::with_accounts(2);
    script.accounts[0].limit(HOUR, style);
    script
}
