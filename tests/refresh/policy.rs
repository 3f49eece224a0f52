//! The policy of the refresh as a state machine: one login in two stores and in Codex's file, and
//! whatever can happen to it, in any order. No token is presented twice but where its answer was
//! lost, the login never dies by us and is never out of reach, and every command ends.
//!
//! A few sequences here; many of them by `tests/soak`.

use std::fs;
use std::process::{Child, Stdio};
use std::thread;
use std::time::Duration;

use codex_accounts::rehearse::{Answer, Interval, Progress, Script, Style, TokenAnswer};
use serde_json::Value;

use super::super::support::CLOCK;
use super::super::support::faults::is_soak;
use super::super::support::numbers::Numbers;
use super::super::support::shown::Shown;
use super::super::support::stage::Stage;
use super::clients::{CODEX, codex_text, read, renew_as_a_client};

const REFRESH: &str = "codex-token-refresh";
const COPY: &str = "copy/accounts.json";

/// What can happen.
#[derive(Debug)]
enum Event {
    /// A command runs.
    Run(String),
    /// Two run at once.
    Both(String, String),
    /// A command is killed after so many milliseconds.
    Kill(String, u64),
    /// Codex renews the login by itself, if its token is the last one.
    Codex,
    /// The issuer answers the next request so.
    Issuer(TokenAnswer),
    /// So many seconds go by.
    Wait(u64),
}

fn event(numbers: &mut Numbers) -> Event {
    let mut refresh = || {
        let flags = numbers.one(&[
            "",
            "--force",
            "--if-expiring 2h",
            "--older-than 1m",
            "--all",
        ]);
        let store = numbers.one(&["", "", "--store copy/accounts.json"]);
        format!("{REFRESH} {flags} {store}")
    };
    let (one, other) = (refresh(), refresh());
    match numbers.below(14) {
        0..4 => Event::Run(one),
        4 | 5 => Event::Both(one, other),
        6 => Event::Kill(one, numbers.below(60)),
        7 => Event::Codex,
        8 => Event::Issuer(TokenAnswer::Refuse(Style::Error500.into())),
        9 => Event::Issuer(TokenAnswer::Grant(Answer::Close {
            code: None,
            after: Progress::Nothing,
        })),
        10 => Event::Run("codex-account-pick --format access-token".to_owned()),
        11 => {
            Event::Run("printf 'HTTP/1.1 401 No\\r\\n\\r\\n' | codex-ratelimit-mark one".to_owned())
        }
        _ => Event::Wait(
            [61, 1000, 5000, 20_000][usize::try_from(numbers.below(4)).expect("an index")],
        ),
    }
}

struct World {
    stage: Stage,
    clock: u64,
    /// An answer may have been lost, and with it the login: nobody could help.
    is_excused: bool,
    /// What happened, for the one who has to find out why.
    told: Vec<String>,
}

impl World {
    fn new() -> Self {
        let stage = Stage::new(1);
        stage.pretend.change(|script| {
            script.device.pending = 0;
            script.device.interval = Interval::Number(0);
        });
        let world = Self {
            stage,
            clock: CLOCK,
            is_excused: false,
            told: Vec::new(),
        };
        world.share();
        world
    }

    /// The login of the store is in the other store and in Codex's file too.
    fn share(&self) {
        let (home, stage) = (&self.stage.home, &self.stage);
        home.write(COPY, stage.store_bytes());
        let stored = |field| stage.stored(0, field);
        let (refresh, access, id) = (
            stored("refreshToken"),
            stored("accessToken"),
            stored("idToken"),
        );
        home.write(
            CODEX,
            codex_text(&refresh, &access, &id, "2026-05-01T00:00:00Z"),
        );
    }

    fn run(&mut self, command: &str) -> Shown {
        let clock = self.clock;
        let command =
            format!("CODEX_ACCOUNTS_CLOCK={clock}; export CODEX_ACCOUNTS_CLOCK; {command}");
        let shown = self.stage.home.sh(&command);
        self.judge(shown.code, &shown.stderr);
        shown
    }

    fn start(&self, command: &str) -> Child {
        let mut shell = self.stage.home.std_command("sh");
        shell.args(["-c", &format!("exec {command}")]);
        shell.env("CODEX_ACCOUNTS_CLOCK", self.clock.to_string());
        shell
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        shell.spawn().expect("it starts")
    }

    fn end(&mut self, child: Child) {
        let output = child.wait_with_output().expect("an end");
        let stderr = String::from_utf8(output.stderr).expect("text");
        self.judge(output.status.code().unwrap_or(-1), &stderr);
    }

    fn judge(&mut self, code: i32, stderr: &str) {
        self.told.push(format!("  exit {code}: {stderr}"));
        let told = self.told.join("\n");
        assert!([0, 69, 75, 77].contains(&code), "{told}");
        assert!(!stderr.contains("pretend-"), "a token is said: {told}");
        assert!(
            self.is_excused || self.is_alive(),
            "the login died by us: {told}"
        );
    }

    fn is_alive(&self) -> bool {
        self.stage.pretend.current(0).is_some()
    }

    fn happens(&mut self, event: &Event) {
        self.told.push(format!("{}: {event:?}", self.clock));
        match event {
            Event::Run(command) => drop(self.run(command)),
            Event::Both(one, other) => {
                let both = [one, other].map(|command| self.start(command));
                both.into_iter().for_each(|child| self.end(child));
            }
            Event::Kill(command, after) => {
                let mut child = self.start(command.trim());
                thread::sleep(Duration::from_millis(*after));
                let _ = child.kill();
                let _ = child.wait();
                self.is_excused = true;
            }
            Event::Codex => self.codex_renews(),
            Event::Issuer(answer) => {
                self.is_excused |= matches!(answer, TokenAnswer::Grant(_));
                let answers = |script: &mut Script| {
                    script.token_answers.push_back(answer.clone());
                };
                self.stage.pretend.change(answers);
            }
            Event::Wait(seconds) => self.clock += seconds,
        }
        if !self.is_alive() {
            self.logs_in_again();
        }
    }

    fn codex_renews(&mut self) {
        let auth: Value = serde_json::from_str(&read(&self.stage.home, CODEX)).expect("JSON");
        let token = auth["tokens"]["refresh_token"].as_str().expect("a token");
        let current = self.stage.pretend.current(0).map(|it| it.refresh_token);
        let waits = self
            .stage
            .pretend
            .change(|script| script.token_answers.len());
        if current.as_deref() != Some(token) || waits > 0 {
            return;
        }
        let tokens = renew_as_a_client(&self.stage, token);
        let text = |field: &str| tokens[field].as_str().expect("a token");
        let (refresh, access, id) = (
            text("refresh_token"),
            text("access_token"),
            text("id_token"),
        );
        self.stage.home.write(
            CODEX,
            codex_text(refresh, access, id, "2026-05-05T00:00:00Z"),
        );
    }

    /// What the person does about a login that was lost where nobody could help.
    fn logs_in_again(&mut self) {
        assert!(self.is_excused, "{}", self.told.join("\n"));
        let shown = self.run("codex-oauth-login --device");
        assert_eq!(shown.code, 0, "{}", self.told.join("\n"));
        self.told.push("logged in again".to_owned());
        self.share();
        self.is_excused = false;
    }

    /// Everything is well again: the login can be used, or the person is told that it can't.
    fn ends_well(&mut self) {
        self.stage
            .pretend
            .change(|script| script.token_answers.clear());
        self.clock += 24 * 60 * 60;
        let main = self.run(&format!("{REFRESH} --force"));
        if main.code == 77 && self.is_excused {
            self.stage.pretend.kill(0);
            self.logs_in_again();
        } else {
            assert_eq!(main.code, 0, "{}", self.told.join("\n"));
        }
        let told = self.told.join("\n");
        let current = self.stage.current(0).refresh_token;
        assert_eq!(self.stage.stored(0, "refreshToken"), current, "{told}");
        assert!(read(&self.stage.home, CODEX).contains(&current), "{told}");
        let copy = self.run(&format!("{REFRESH} --force --store {COPY}"));
        assert_eq!(copy.code, 0, "{}", self.told.join("\n"));
        let kept = fs::read_to_string(self.stage.home.path().join(COPY)).expect("a store");
        let current = self.stage.current(0).refresh_token;
        assert!(kept.contains(&current), "{}", self.told.join("\n"));
    }
}

#[test]
fn whatever_happens_no_login_dies_by_us_and_none_is_out_of_reach() {
    let (sequences, events) = if is_soak() { (150, 25) } else { (6, 12) };
    let mut asked = 0;
    for sequence in 0..sequences {
        let mut numbers = Numbers(0x2545_f491_4f6c_dd1d ^ (sequence + 1));
        let mut world = World::new();
        for _ in 0..events {
            let event = event(&mut numbers);
            world.happens(&event);
        }
        world.ends_well();
        asked += world.stage.exchanges();
    }
    println!("{sequences} sequences of {events} events, {asked} requests, no login lost");
}
