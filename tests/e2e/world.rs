//! The machine that the sessions of a case run on, and what came of each step.

use std::fmt::Write as _;

use codex_accounts::rehearse::{Answer, Progress, Script, Seen, Standing, Style};
use serde_json::{Value, json};

use super::steps::{Case, Relay, Run, Step, letter};
use crate::support::Home;
use crate::support::pretend::Servers;
use crate::support::relay::HOUR;
use crate::support::server::Server;
use crate::support::shown::Shown;
use crate::support::stage::wait_until;

/// See the module.
struct World<'a> {
    case: &'a Case,
    run: Run,
    home: Home,
    pretend: Servers,
    relay: Option<Server>,
    /// The account whose own login the client has, where it runs without us.
    directly: Option<usize>,
    by_latest: bool,
}

/// A session of a client, from turn to turn.
#[derive(Default)]
struct Session {
    id: Option<String>,
}

/// Plays a case with one client; the row of the table that it comes to.
pub(super) fn play(case: &Case, run: Run) -> String {
    let mut world = World::new(case, run);
    let mut session = Session::default();
    let mut together = [Session::default(), Session::default()];
    let mut answers = Vec::new();
    for step in &case.steps {
        match step {
            Step::Say { prompt, answer } => {
                let said = session.say(&world, prompt);
                world.assert_said(answer, &said);
                answers.push(said);
            }
            Step::Together { prompt, answer } => {
                let saying = |session: &mut Session| session.say(&world, prompt);
                for said in at_once(&mut together, saying) {
                    world.assert_said(answer, &said);
                    answers.push(said);
                }
            }
            Step::Review { prompt, answer } => {
                let said = Session::default().turn(&world, Some("review"), prompt);
                let said = said.unwrap_or_else(|shown| panic!("{shown}"));
                world.assert_said(answer, &said);
                answers.push(said);
            }
            Step::Fails { prompt, text } => {
                let shown = session.turn(&world, None, prompt).expect_err("a failure");
                assert!(shown.stdout.contains(text), "{run:?}: {shown}");
                answers.push("fails".to_owned());
            }
            step => world.take(step, session.id.is_none()),
        }
    }
    let asked = world.asked();
    let most = world.pretend.most_for_one_refusal();
    let noted = world.noted();
    let said = answers
        .join(" / ")
        .replace("answered by ", "")
        .replace("@example.com", "");
    format!("{asked} | {said} | {noted} | {most}")
}

/// The same in two sessions at the same time.
fn at_once(
    sessions: &mut [Session; 2],
    say: impl Fn(&mut Session) -> String + Sync,
) -> Vec<String> {
    std::thread::scope(|scope| {
        let saying: Vec<_> = sessions
            .iter_mut()
            .map(|session| scope.spawn(|| say(session)))
            .collect();
        let said = saying.into_iter().map(|it| it.join().expect("an answer"));
        said.collect()
    })
}

impl<'a> World<'a> {
    fn new(case: &'a Case, run: Run) -> World<'a> {
        let mut home = Home::with_clients();
        let mut script = Script::with_accounts(case.accounts);
        // Without us, Codex goes by WebSocket where there is one.
        script.socket.offered = run == Run::CodexSocket;
        let pretend = home.with_servers(script);
        let arguments: &[&str] = match run {
            Run::CodexSocket => &["-v"],
            Run::CodexHttp | Run::Opencode => &["-v", "--no-websocket"],
        };
        let relay = (case.relay == Relay::Lasting).then(|| home.serve("codex-proxy", arguments));
        World {
            case,
            run,
            home,
            pretend,
            relay,
            directly: None,
            by_latest: false,
        }
    }

    fn take(&mut self, step: &Step, is_first: bool) {
        // What the client asks in the first turn beside the turn's own requests: a title; the warming up.
        let beside = u32::from(is_first && self.run != Run::CodexHttp);
        match step {
            Step::Limit { account, after } => self.pretend.change(|script| {
                let account = &mut script.accounts[*account];
                match after {
                    Some(count) => account.limit_after(count + beside, HOUR, Style::UsageLimit),
                    None => account.limit(HOUR, Style::UsageLimit),
                }
            }),
            Step::Cut { account, after } => self.pretend.change(|script| {
                let good = (0..after + beside - 1).map(|_| Answer::Good(None));
                let cut = Answer::Close {
                    code: None,
                    after: Progress::Reasoning,
                };
                script.accounts[*account].next.extend(good.chain([cut]));
            }),
            Step::Lift(account) => {
                self.pretend
                    .change(|script| script.accounts[*account].standing = Standing::Good);
                let cleared = format!("codex-ratelimit-mark --clear {account}");
                let shown = self.home.sh(&cleared);
                assert_eq!(shown.code, 0, "{shown}");
            }
            Step::Directly(account) => {
                self.directly = *account;
                let is_alone = account.is_some();
                self.pretend.change(|script| script.nameless = is_alone);
            }
            Step::ByLatest => self.by_latest = true,
            Step::Asked(expected) => {
                let asked = self.asked();
                // Over a connection it is enough that the answers came.
                let fits = self.run == Run::CodexSocket || expected.contains(&asked);
                assert!(fits, "{:?}: {asked}, and not {expected:?}", self.run);
            }
            Step::Store(expected) => {
                let what = format!("{:?}: the store says {expected}", self.run);
                wait_until(&what, || self.noted() == *expected);
            }
            Step::Say { .. } | Step::Together { .. } | Step::Review { .. } | Step::Fails { .. } => {
            }
        }
    }

    fn assert_said(&self, expected: &str, said: &str) {
        let fits = match expected.strip_suffix('…') {
            Some(beginning) => said.starts_with(beginning),
            None => said == expected,
        };
        assert!(fits, "{:?}: {said}, and not {expected}", self.run);
    }

    /// The client, behind the relay or as an account's own login.
    fn client(&self) -> assert_cmd::Command {
        if let Some(account) = self.directly {
            return self.own_login(account);
        }
        let mut command = self.home.command("codex-launch");
        if let Some(relay) = &self.relay {
            let ready = |name: &str| relay.ready[name].as_str().expect("a text");
            command.env("CODEX_PROXY_KEY", ready("key"));
            command.args(["--proxy", ready("url")]);
        } else if self.run == Run::CodexHttp {
            command.arg("--no-websocket");
        }
        command.arg(self.program());
        command
    }

    fn program(&self) -> &'static str {
        match self.run {
            Run::CodexHttp | Run::CodexSocket => "codex",
            Run::Opencode => "opencode",
        }
    }

    /// The client alone, with a login of this account in its own place.
    fn own_login(&self, account: usize) -> assert_cmd::Command {
        let tokens = self.pretend.issue(account).expect("an account");
        let id = self
            .pretend
            .change(|script| script.accounts[account].account_id.clone());
        let address = format!("{}/codex", self.pretend.upstream());
        let mut command = self.home.command(self.program());
        match self.run {
            Run::Opencode => {
                let login = json!({"openai": {
                    "type": "oauth", "refresh": tokens.refresh_token, "access": tokens.access_token,
                    "expires": 4_102_444_800_000_u64, "accountId": id,
                }});
                let options = json!({"provider": {"openai": {"options": {"baseURL": address}}}});
                command.env("OPENCODE_AUTH_CONTENT", login.to_string());
                command.env("OPENCODE_CONFIG_CONTENT", options.to_string());
            }
            // A login of ChatGPT insists on https; a key does not, and goes to the account that it is of.
            Run::CodexHttp | Run::CodexSocket => {
                command.env("CODEX_API_KEY", tokens.access_token);
                command.env("RUST_LOG", "off");
                command.args(["-c", "model_provider=openai"]);
                command.args(["-c", &format!("openai_base_url=\"{address}\"")]);
            }
        }
        command
    }

    /// Which accounts were asked, in order, those of a title left out; in brackets where the account could not take
    /// something of the session.
    fn asked(&self) -> String {
        let seen = self.pretend.seen();
        let asked: Vec<&Seen> = seen
            .iter()
            .filter(|seen| seen.asks_the_model() && !is_title(&seen.body))
            .collect();
        let first = asked.first().map(|seen| &seen.session);
        let names = asked.iter().map(|seen| {
            let name = letter(seen.account.expect("an account"));
            let further = if Some(&seen.session) == first {
                ""
            } else {
                "'"
            };
            match (seen.refused, seen.status) {
                (Some(why), _) if why.is_of_session() => format!("[{name}{further}]"),
                (Some(_), _) => format!("!{name}{further}"),
                (_, Some(429)) => format!("({name}{further})"),
                _ => format!("{name}{further}"),
            }
        });
        names.collect::<Vec<String>>().join(" ")
    }

    /// What the store has of each account, as far as it keeps that from being used.
    fn noted(&self) -> String {
        let store = self.home.store();
        let accounts = store["accounts"].as_array().expect("accounts");
        let mut noted = String::new();
        for (index, account) in accounts.iter().enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            let _ = write!(noted, "{separator}{} {}", letter(index), standing(account));
        }
        noted
    }
}

fn standing(account: &Value) -> String {
    let limits = account["limits"].as_object().into_iter().flatten();
    let mut words: Vec<String> = limits
        .map(|(scope, limit)| {
            let class = limit["class"].as_str().unwrap_or("limited");
            match scope.as_str() {
                "default" => class.to_owned(),
                scope => format!("{scope}: {class}"),
            }
        })
        .collect();
    if account["loginRequired"].is_object() {
        words.push("login required".to_owned());
    }
    if account["enabled"] == false {
        words.push("disabled".to_owned());
    }
    if words.is_empty() {
        words.push("-".to_owned());
    }
    words.join(" ")
}

impl Session {
    /// Says something, and returns what the client answers.
    fn say(&mut self, world: &World<'_>, prompt: &str) -> String {
        let said = self.turn(world, None, prompt);
        said.unwrap_or_else(|shown| panic!("{:?}: {shown}", world.run))
    }

    /// What the client says to this, or what it shows when it gives up. `kind` is a command of `codex exec`.
    fn turn(
        &mut self,
        world: &World<'_>,
        kind: Option<&str>,
        prompt: &str,
    ) -> Result<String, Shown> {
        let mut command = world.client();
        let model = &*world.case.model;
        match world.run {
            Run::CodexHttp | Run::CodexSocket => {
                command.args(["exec", "--skip-git-repo-check", "-m", model, "--json"]);
                command.args(kind);
                match &self.id {
                    Some(_) if world.by_latest => command.args(["resume", "--last"]),
                    Some(id) => command.args(["resume", id]),
                    None => &mut command,
                };
                command.arg(prompt).write_stdin("");
            }
            Run::Opencode => {
                command.args(["run", "--format", "json", "-m", &format!("openai/{model}")]);
                match &self.id {
                    Some(_) if world.by_latest => command.arg("--continue"),
                    Some(id) => command.args(["--session", id]),
                    None => &mut command,
                };
                // As an argument it would be put in quotes.
                command.write_stdin(prompt);
            }
        }
        let shown = world.home.run(&mut command);
        if shown.code != 0 {
            return Err(shown);
        }
        let events = events(&shown);
        let id = events.iter().find_map(|event| match world.run {
            Run::Opencode => event["sessionID"].as_str(),
            Run::CodexHttp | Run::CodexSocket => event["thread_id"].as_str(),
        });
        let id = id.map(str::to_owned);
        assert!(
            self.id.is_none() || self.id == id,
            "another session: {shown}"
        );
        self.id = id;
        Ok(answer(world, &events))
    }
}

/// The last text of a client's events, none of which may be an error.
fn answer(world: &World<'_>, events: &[Value]) -> String {
    let mut said = String::new();
    for event in events {
        let kind = event["type"].as_str().unwrap_or_default();
        let fails = kind == "error" || kind == "turn.failed" || event["item"]["type"] == "error";
        let text = event.to_string();
        let is_known = world.case.notices.iter().any(|it| text.contains(it));
        assert!(!fails || is_known, "{:?}: {event}", world.run);
        let text = match world.run {
            Run::Opencode if kind == "text" => &event["part"]["text"],
            Run::CodexHttp | Run::CodexSocket if event["item"]["type"] == "agent_message" => {
                &event["item"]["text"]
            }
            _ => continue,
        };
        said = text.as_str().expect("a text").to_owned();
    }
    said
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
