//! Sessions of the real clients across accounts, from end to end: the client as people have it, the relay as they run it,
//! and a backend that refuses what the real one refuses.

use codex_accounts::rehearse::{Refused, Script, Standing, Style};
use serde_json::Value;

use super::support::Home;
use super::support::pretend::Servers;
use super::support::relay::HOUR;
use super::support::server::Server;
use super::support::shown::Shown;

/// A client, and how a session of its goes on from turn to turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Client {
    Codex,
    Opencode,
}

/// Where the relay is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Relay {
    /// One runs all the time, and remembers what it saw.
    Lasting,
    /// Each turn has one of its own.
    EachTurn,
}

/// How a client speaks to the relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// Each request by itself: what is asked of whom is the same each time.
    Http,
    /// A connection that warms up and is made anew.
    Socket,
}

/// The clients, in each of their ways.
const RUNS: [(Client, Way); 3] = [
    (Client::Codex, Way::Http),
    (Client::Codex, Way::Socket),
    (Client::Opencode, Way::Http),
];

/// The machine that sessions run on.
struct World {
    home: Home,
    way: Way,
    pretend: Servers,
    relay: Option<Server>,
}

/// A session of a client, from turn to turn.
struct Session<'a> {
    client: Client,
    world: &'a World,
    id: Option<String>,
}

impl World {
    fn new(relay: Relay, way: Way, script: Script) -> World {
        let mut home = Home::with_clients();
        let pretend = home.with_servers(script);
        let arguments: &[&str] = match way {
            Way::Http => &["-v", "--no-websocket"],
            Way::Socket => &["-v"],
        };
        let relay = (relay == Relay::Lasting).then(|| home.serve("codex-proxy", arguments));
        World {
            home,
            way,
            pretend,
            relay,
        }
    }

    fn session(&self, client: Client) -> Session<'_> {
        Session {
            client,
            world: self,
            id: None,
        }
    }

    fn launch(&self) -> assert_cmd::Command {
        let mut command = self.home.command("codex-launch");
        if let Some(relay) = &self.relay {
            let ready = |name: &str| relay.ready[name].as_str().expect("a text");
            command.env("CODEX_PROXY_KEY", ready("key"));
            command.args(["--proxy", ready("url")]);
        } else if self.way == Way::Http {
            command.arg("--no-websocket");
        }
        command
    }

    fn change(&self, change: impl FnOnce(&mut Script)) {
        self.pretend.change(change);
    }

    /// That these accounts were asked, in order; over a connection it is enough that the answers came.
    fn assert_asked(&self, expected: &[&str]) {
        let asked = self.asked();
        let fits = expected.contains(&asked.as_str());
        assert!(
            fits || self.way == Way::Socket,
            "{asked}, and not {expected:?}"
        );
    }

    /// Which accounts were asked, in order, those of a title left out; in brackets where the account could not read
    /// something.
    fn asked(&self) -> String {
        let seen = self.pretend.seen();
        let asked = seen
            .iter()
            .filter(|seen| seen.asks_the_model() && !is_title(&seen.body));
        let names = asked.map(|seen| {
            let name = ["a", "b", "c"][seen.account.expect("an account")];
            match (seen.refused, seen.status) {
                (Some(Refused::Foreign | Refused::ForeignOutput), _) => format!("[{name}]"),
                (_, Some(429)) => format!("({name})"),
                _ => name.to_owned(),
            }
        });
        names.collect::<Vec<String>>().join(" ")
    }
}

impl Session<'_> {
    /// Says something, and returns what the client answers.
    fn say(&mut self, prompt: &str) -> String {
        let mut command = self.world.launch();
        match (self.client, &self.id) {
            (Client::Codex, id) => {
                command.args([
                    "codex",
                    "exec",
                    "--skip-git-repo-check",
                    "-m",
                    "gpt-5.5",
                    "--json",
                ]);
                if let Some(id) = id {
                    command.args(["resume", id]);
                }
            }
            (Client::Opencode, id) => {
                command.args([
                    "opencode",
                    "run",
                    "--format",
                    "json",
                    "-m",
                    "openai/gpt-5.5",
                ]);
                if let Some(id) = id {
                    command.args(["--session", id]);
                }
            }
        }
        let shown = self.world.home.run(command.arg(prompt).write_stdin(""));
        assert_eq!(shown.code, 0, "{shown}");
        let events = events(&shown);
        let id = events.iter().find_map(|event| match self.client {
            Client::Codex => event["thread_id"].as_str(),
            Client::Opencode => event["sessionID"].as_str(),
        });
        self.id = id.map(str::to_owned);
        answer(self.client, &events)
    }
}

fn events(shown: &Shown) -> Vec<Value> {
    let lines = shown.stdout.lines();
    lines
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect()
}

/// opencode asks for a title beside the first turn.
fn is_title(body: &[u8]) -> bool {
    String::from_utf8_lossy(body).contains("Generate a title for this conversation")
}

/// The last text of a client's events, none of which may be an error.
fn answer(client: Client, events: &[Value]) -> String {
    let mut said = String::new();
    for event in events {
        let kind = event["type"].as_str().unwrap_or_default();
        let fails = kind == "error" || kind == "turn.failed" || event["item"]["type"] == "error";
        assert!(!fails, "{event}");
        let text = match client {
            Client::Codex if event["item"]["type"] == "agent_message" => &event["item"]["text"],
            Client::Opencode if kind == "text" => &event["part"]["text"],
            _ => continue,
        };
        said = text.as_str().expect("a text").to_owned();
    }
    said
}

const A: &str = "answered by one@example.com";
const B: &str = "answered by two@example.com";
const C: &str = "answered by three@example.com";

/// So many requests that opencode makes beside those of its turns, before the first of these ends.
fn titles(client: Client) -> u32 {
    u32::from(client == Client::Opencode)
}

#[test]
fn a_session_stays_with_its_account_as_long_as_that_can_serve() {
    for (client, way) in RUNS {
        let world = World::new(Relay::Lasting, way, Script::with_accounts(2));
        let mut session = world.session(client);
        for prompt in ["who are you", "[run echo hi]", "and now"] {
            assert_eq!(session.say(prompt), A, "{client:?}");
        }
        world.assert_asked(&["a a a a"]);
    }
}

#[test]
fn a_limit_at_the_first_request_is_not_noticed() {
    for (client, way) in RUNS {
        let mut script = Script::with_accounts(2);
        script.accounts[0].limit(HOUR, Style::UsageLimit);
        let world = World::new(Relay::Lasting, way, script);
        let mut session = world.session(client);
        for prompt in ["[run echo hi]", "and now"] {
            assert_eq!(session.say(prompt), B, "{client:?}");
        }
        // opencode's title may have met the limit first.
        world.assert_asked(&["(a) b b b", "b b b"]);
    }
}

/// Two accounts, of which the first serves one request of a turn.
fn limited_at_a_tools_output(client: Client, way: Way, accounts: usize) -> Script {
    let mut script = Script::with_accounts(accounts);
    let before = 1 + titles(client) + u32::from(way == Way::Socket);
    script.accounts[0].limit_after(before, HOUR, Style::UsageLimit);
    script
}

#[test]
fn a_limit_at_the_output_of_a_tool_ended_the_session() {
    for (client, way) in RUNS {
        let world = World::new(
            Relay::Lasting,
            way,
            limited_at_a_tools_output(client, way, 2),
        );
        let mut session = world.session(client);
        assert_eq!(session.say("[run echo hi]"), B, "{client:?}");
        assert_eq!(session.say("and now"), B, "{client:?}");
        // The second turn is sent without what is known to be refused.
        world.assert_asked(&["a (a) [b] b b"]);
    }
}

#[test]
fn a_session_that_is_resumed_behind_another_relay_goes_on_as_another_account() {
    for (client, way) in RUNS {
        let world = World::new(
            Relay::EachTurn,
            way,
            limited_at_a_tools_output(client, way, 2),
        );
        let mut session = world.session(client);
        assert_eq!(session.say("[run echo hi]"), B, "{client:?}");
        assert_eq!(session.say("and now"), B, "{client:?}");
        world.assert_asked(&["a (a) [b] b [b] b"]);
    }
}

#[test]
fn two_limits_in_one_session_and_three_accounts() {
    for (client, way) in RUNS {
        let world = World::new(
            Relay::Lasting,
            way,
            limited_at_a_tools_output(client, way, 3),
        );
        let mut session = world.session(client);
        assert_eq!(session.say("[run echo hi] [run echo ho]"), B, "{client:?}");
        world.change(|script| script.accounts[1].limit(HOUR, Style::UsageLimit));
        assert_eq!(session.say("[run echo hi]"), C, "{client:?}");
        world.assert_asked(&["a (a) [b] b b (b) [c] c c"]);
    }
}

#[test]
fn back_with_the_first_account_when_its_limit_is_over() {
    for (client, way) in RUNS {
        let world = World::new(
            Relay::Lasting,
            way,
            limited_at_a_tools_output(client, way, 2),
        );
        let mut session = world.session(client);
        assert_eq!(session.say("[run echo hi]"), B, "{client:?}");
        world.change(|script| {
            script.accounts[0].standing = Standing::Good;
            script.accounts[1].limit(HOUR, Style::UsageLimit);
        });
        let cleared = world.home.sh("codex-ratelimit-mark --clear 0");
        assert_eq!(cleared.code, 0, "{cleared}");
        assert_eq!(session.say("and now"), A, "{client:?}");
        assert!(
            world.asked().ends_with(" a"),
            "{client:?}: {}",
            world.asked()
        );
    }
}

#[test]
fn sessions_at_the_same_time_do_not_mix() {
    let way = Way::Socket;
    let world = World::new(Relay::Lasting, way, Script::with_accounts(2));
    let mut sessions = [world.session(Client::Codex), world.session(Client::Codex)];
    let mut both = |prompt: &str| {
        std::thread::scope(|scope| {
            sessions
                .iter_mut()
                .map(|session| scope.spawn(|| session.say(prompt)))
                .collect::<Vec<_>>()
                .into_iter()
                .map(|saying| saying.join().expect("an answer"))
                .collect::<Vec<String>>()
        })
    };
    assert_eq!(both("[run echo hi]"), [A, A]);
    world.change(|script| script.accounts[0].limit(HOUR, Style::UsageLimit));
    assert_eq!(both("[run echo ho]"), [B, B]);
    assert_eq!(both("and now"), [B, B]);
}

#[test]
fn a_summary_of_another_account_is_left_out_last_of_all() {
    let way = Way::Http;
    let world = World::new(Relay::Lasting, way, Script::with_accounts(2));
    let mut session = world.session(Client::Codex);
    let said = session.say("[invent] [tokens 260000]");
    assert!(
        said.starts_with(A) && said.contains("The word is heron"),
        "{said}"
    );
    // Before this turn it is summarised, by the account whose session it is.
    let said = session.say("[recall]");
    assert!(
        said.starts_with(&format!("{A}, who remembers heron")),
        "{said}"
    );
    world.assert_asked(&["a a a"]);
    world.change(|script| script.accounts[0].limit(HOUR, Style::UsageLimit));
    assert_eq!(session.say("who are you"), B);
    // As it is; then without the summary, which the refusal named.
    world.assert_asked(&["a a a (a) [b] b"]);
}
