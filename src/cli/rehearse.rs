//! `codex-rehearse`: a command run against a pretend issuer and backend, with pretend accounts; and
//! alone, the main job shown in a dozen lines. Nothing leaves this machine, and nothing of the
//! person's own is touched.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use http::{HeaderMap, HeaderValue, Request};

use super::args::{self, Common};
use super::child;
use super::exit::{Code, Error};
use super::proxy::{self, Rotation};
use super::record::rfc3339;
use super::shell::Shell;
use crate::account::identity;
use crate::account::secret::{AccessToken, IdToken, RefreshToken};
use crate::account::{Account, Scope};
use crate::net::agent::Agent;
use crate::net::endpoint::Endpoint;
use crate::proxy::log::Log;
use crate::proxy::{Proxy, Settings};
use crate::rehearse::{Pretend, Script, Seen, Style};
use crate::store::{self, Absent, Document, FileStore, Store};

/// How long a pretend browser or the demonstration waits for an answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// The limit of the demonstration: that of the captured 429 (PROTOCOL §4).
const SHOWN_LIMIT: Duration = Duration::from_secs(13_872);

/// Rehearse: run a command with pretend accounts, and spend nothing
///
/// Starts a pretend issuer and backend on loopback, logs pretend accounts in, and runs the command
/// with all of this suite's settings pointing there. Without a command it shows what happens when
/// an account is limited.
#[derive(Debug, clap::Parser)]
#[command(
    name = "codex-rehearse",
    version,
    long_version = crate::cli::VERSION,
    override_usage = "codex-rehearse [-qhV] [--store FILE] [--accounts N]
                      [--limit NAME=DURATION[:STYLE]]...
                      [--usage NAME=PERCENT[,PERCENT]]... [--kill NAME]...
                      [--slow DURATION] [--] [COMMAND [ARGUMENT ...]]",
    term_width = 80
)]
pub struct Rehearse {
    /// So many accounts: one, two, three, ...
    #[arg(long, value_name = "N", default_value_t = 2, hide_default_value = true, value_parser = clap::value_parser!(u8).range(1..=50))]
    accounts: u8,
    /// The account is limited for so long, and says so in this style
    #[arg(long, value_name = "NAME=DURATION[:STYLE]", value_parser = limit)]
    limit: Vec<(String, Duration, Style)>,
    /// So much of its 5 hours, and of its week, is used
    #[arg(long, value_name = "NAME=PERCENT[,PERCENT]", value_parser = usage)]
    usage: Vec<(String, f64, Option<f64>)>,
    /// Its login is dead
    #[arg(long, value_name = "NAME")]
    kill: Vec<String>,
    /// Answers come in pieces, so far apart
    #[arg(long, value_name = "DURATION", value_parser = args::duration)]
    slow: Option<Duration>,
    /// Follow a login page's redirects, as the pretend browser does
    #[arg(long, value_name = "URL", hide = true)]
    follow: Option<String>,
    /// The command and its arguments; default: a demonstration
    #[arg(value_name = "COMMAND", trailing_var_arg = true)]
    command: Vec<OsString>,
    #[command(flatten)]
    common: Common,
}

fn limit(text: &str) -> Result<(String, Duration, Style), String> {
    let (name, rest) = text.split_once('=').ok_or("not NAME=DURATION[:STYLE]")?;
    let (length, style) = match rest.split_once(':') {
        Some((length, style)) => (length, style.parse().map_err(|e| format!("{e}"))?),
        None => (rest, Style::UsageLimit),
    };
    Ok((name.to_owned(), args::duration(length)?, style))
}

fn usage(text: &str) -> Result<(String, f64, Option<f64>), String> {
    let (name, rest) = text.split_once('=').ok_or("not NAME=PERCENT[,PERCENT]")?;
    let (short, weekly) = match rest.split_once(',') {
        Some((short, weekly)) => (short, Some(args::percent(weekly)?)),
        None => (rest, None),
    };
    Ok((name.to_owned(), args::percent(short)?, weekly))
}

impl super::Command for Rehearse {
    const NAME: &'static str = "codex-rehearse";

    fn common(&self) -> &Common {
        &self.common
    }

    fn run(self, shell: &Shell) -> Result<Code, Error> {
        if let Some(url) = &self.follow {
            return follow(url);
        }
        let mut stage = Stage::new(self.script()?)?;
        if self.command.is_empty() {
            return demonstrate(shell, &stage);
        }
        stage.log_all_in(shell)?;
        for name in &self.kill {
            let index = stage.pretend.change(|script| find(script, name))?;
            stage.pretend.kill(index);
        }
        let mut command = self.command.iter();
        let program = command.next().cloned().unwrap_or_default();
        let runtime = proxy::runtime()?;
        child::run(
            &runtime,
            Command::new(program)
                .args(command)
                .envs(stage.environment()),
        )
    }
}

impl Rehearse {
    fn script(&self) -> Result<Script, Error> {
        let mut script = Script::with_accounts(self.accounts.into());
        script.any_port = true;
        script.pace = self.slow.unwrap_or_default();
        for (name, short, weekly) in &self.usage {
            let index = find(&script, name)?;
            let windows = &mut script.accounts[index].windows;
            if let Some(window) = &mut windows.primary {
                window.used_percent = *short;
            }
            if let (Some(window), Some(weekly)) = (&mut windows.secondary, weekly) {
                window.used_percent = *weekly;
            }
        }
        for (name, length, style) in &self.limit {
            let index = find(&script, name)?;
            script.accounts[index].limit(*length, *style);
        }
        Ok(script)
    }
}

/// A pretend account by its number or its name.
fn find(script: &Script, name: &str) -> Result<usize, Error> {
    let number = name.parse().ok().filter(|n| *n < script.accounts.len());
    let mut names = script.accounts.iter();
    number
        .or_else(|| names.position(|account| account.email.split('@').next() == Some(name)))
        .ok_or_else(|| {
            Error::hinted(
                Code::Usage,
                format!("there is no pretend account '{name}'"),
                "they are called one, two, three, ...; --accounts says how many",
            )
        })
}

/// The pretend servers, and a folder in the place of the person's home.
struct Stage {
    pretend: Pretend,
    folder: tempfile::TempDir,
}

impl Stage {
    fn new(script: Script) -> Result<Self, Error> {
        let io =
            |error: io::Error| Error::new(Code::Io, format!("no stage to rehearse on: {error}"));
        let stage = Self {
            pretend: Pretend::start(script).map_err(io)?,
            folder: tempfile::Builder::new()
                .prefix("codex-rehearse-")
                .tempdir()
                .map_err(io)?,
        };
        stage.write_browser().map_err(io)?;
        Ok(stage)
    }

    /// The pretend browser: this program again, since no other is known to be there.
    fn write_browser(&self) -> io::Result<()> {
        let this = std::env::current_exe()?;
        let this = this.display().to_string().replace('\'', r"'\''");
        let path = self.browser();
        fs::write(&path, format!("#!/bin/sh\nexec '{this}' --follow \"$1\"\n"))?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700))
    }

    fn browser(&self) -> PathBuf {
        self.folder.path().join("browser")
    }

    fn store(&self, shell: &Shell) -> FileStore {
        FileStore::new(self.store_path(), shell.waiting())
    }

    fn store_path(&self) -> PathBuf {
        self.folder
            .path()
            .join("opencode/openai-codex-accounts.json")
    }

    /// What points the suite, and the clients it launches, at this stage.
    fn environment(&self) -> Vec<(&'static str, OsString)> {
        let folder = self.folder.path();
        let commands = child::folder();
        let path = std::env::var_os("PATH").unwrap_or_default();
        let path = std::env::join_paths(commands.into_iter().chain(std::env::split_paths(&path)))
            .unwrap_or(path);
        vec![
            ("PATH", path),
            ("CODEX_ACCOUNTS_FILE", self.store_path().into()),
            ("CODEX_ACCOUNTS_ISSUER", self.pretend.issuer().into()),
            ("CODEX_ACCOUNTS_UPSTREAM", self.pretend.upstream().into()),
            ("BROWSER", self.browser().into()),
            ("XDG_DATA_HOME", folder.into()),
            ("XDG_STATE_HOME", folder.join("state").into()),
            ("CODEX_HOME", folder.join("codex").into()),
        ]
    }

    /// Puts all pretend accounts into the store, as logins would.
    fn log_all_in(&mut self, shell: &Shell) -> Result<(), Error> {
        fs::create_dir_all(self.folder.path().join("codex"))
            .map_err(store::Error::io(self.folder.path()))?;
        let now = shell.now();
        let count = self.pretend.change(|script| script.accounts.len());
        store::update(&self.store(shell), Absent::Create, |document| {
            for tokens in (0..count).filter_map(|index| self.pretend.issue(index)) {
                let mut account = Account::new(RefreshToken::new(tokens.refresh_token));
                account.access_token = Some(AccessToken::new(tokens.access_token));
                account.id_token = Some(IdToken::new(tokens.id_token));
                account.expires_at = now.plus(tokens.expires_in);
                account.refreshed_at = now;
                identity::learn_owner(&mut account);
                identity::admit(&mut document.accounts, account, now);
            }
        })?;
        Ok(())
    }
}

/// Opens a page and follows where it leads, on this machine only.
fn follow(url: &str) -> Result<Code, Error> {
    let mut next = url.to_owned();
    // As many redirects as browsers follow.
    for _ in 0..20 {
        let endpoint = Endpoint::parse("--follow", &next)?;
        if !endpoint.is_local() {
            return Err(Error::new(Code::Usage, "--follow stays on this machine"));
        }
        let agent = Agent::new(&endpoint, PATIENCE);
        let answer = agent.get(&next, HeaderMap::new())?;
        let location = answer.headers().get(http::header::LOCATION);
        let Some(location) = location.and_then(|location| location.to_str().ok()) else {
            return Ok(Code::Done);
        };
        let base = url::Url::parse(&next);
        next = base
            .and_then(|base| base.join(location))
            .map_err(|_| Error::new(Code::Malformed, "the page leads nowhere"))?
            .into();
    }
    Err(Error::new(Code::Malformed, "the page leads in a circle"))
}

/// Shows the main job: two logins, a limit, and who answers.
fn demonstrate(shell: &Shell, stage: &Stage) -> Result<Code, Error> {
    let say = |label: &str, text: &str| shell.print(&format!("{label:<9} {text}\n"));
    say(
        "stage",
        "a pretend issuer and backend on loopback; nothing leaves this machine",
    )?;
    let count = stage.pretend.change(|script| script.accounts.len());
    for _ in 0..count {
        log_in(stage)?;
    }
    let document = read(shell, stage)?;
    for account in &document.accounts {
        say("login", &format!("{} ({})", account.name(), plan(account)))?;
    }
    stage.pretend.change(|script| {
        let first = &mut script.accounts[0];
        if matches!(first.standing, crate::rehearse::Standing::Good) {
            first.limit(SHOWN_LIMIT, Style::UsageLimit);
        }
    });
    for number in ["request 1", "request 2"] {
        let before = stage.pretend.seen().len();
        let (status, text) = ask(shell, stage)?;
        say(number, "POST /codex/responses, through codex-proxy")?;
        for seen in stage.pretend.seen().iter().skip(before) {
            say("", &asked(seen, &document))?;
        }
        say("", &format!("the client got {status}: {text}"))?;
    }
    let after = read(shell, stage)?;
    for (index, account) in after.accounts.iter().enumerate() {
        say("store", &stored(&after, index, account))?;
    }
    say(
        "for real",
        "codex-accounts add, for each account; then: codex-launch opencode",
    )?;
    Ok(Code::Done)
}

/// One login by the real command, in the pretend browser.
fn log_in(stage: &Stage) -> Result<(), Error> {
    let command = "codex-oauth-login";
    let output = Command::new(child::beside(command))
        .args(["--port", &free_port()?.to_string()])
        .envs(stage.environment())
        .stdin(Stdio::null())
        .output()
        .map_err(|error| Error::new(Code::Io, format!("can't run {command}: {error}")))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(Error::new(
        Code::Io,
        format!("the login did not succeed: {}", said.trim()),
    ))
}

fn free_port() -> Result<u16, Error> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .map(|address| address.port())
        .map_err(|error| Error::new(Code::Io, format!("no port: {error}")))
}

/// Asks as a coding agent would, through a relay as `codex-proxy` starts one.
fn ask(shell: &Shell, stage: &Stage) -> Result<(u16, String), Error> {
    let key = proxy::random_key()?;
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let settings = Settings {
        upstream: Endpoint::parse(Endpoint::UPSTREAM_SETTING, &stage.pretend.upstream())?,
        issuer: Endpoint::parse(Endpoint::ISSUER_SETTING, &stage.pretend.issuer())?,
        ..Rotation::default().settings(shell, listen, key.clone(), Log::nowhere(false))?
    };
    let runtime = proxy::runtime()?;
    let relay = runtime
        .block_on(Proxy::start(Box::new(stage.store(shell)), settings))
        .map_err(|error| proxy::cannot_listen(listen, &error))?;
    let url = Endpoint::parse("relay", &relay.url())?;
    let body = r#"{"model":"gpt-5.5","stream":true,"store":false,"input":"say who you are"}"#;
    let mut request = Request::post(url.at("/responses"))
        .header("content-type", "application/json")
        .body(body.as_bytes().to_vec())
        .map_err(|error| Error::new(Code::Io, error.to_string()))?;
    if let Ok(bearer) = HeaderValue::try_from(format!("Bearer {}", key.expose())) {
        request
            .headers_mut()
            .insert(http::header::AUTHORIZATION, bearer);
    }
    let answer = Agent::new(&url, PATIENCE).send(request)?;
    runtime.block_on(relay.stop());
    let text = String::from_utf8_lossy(answer.body()).into_owned();
    Ok((answer.status().as_u16(), output_text(&text)))
}

/// The text of an answer: that of a stream, or the message of an error.
fn output_text(answer: &str) -> String {
    let events = answer
        .lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .filter_map(|data| serde_json::from_str::<serde_json::Value>(data).ok());
    let text = events
        .filter(|event| event["type"] == "response.output_text.done")
        .find_map(|event| event["text"].as_str().map(str::to_owned));
    text.or_else(|| {
        let error = serde_json::from_str::<serde_json::Value>(answer).ok()?;
        error["error"]["message"].as_str().map(str::to_owned)
    })
    .unwrap_or_default()
}

fn asked(seen: &Seen, document: &Document) -> String {
    let name = seen
        .account
        .and_then(|index| document.accounts.get(index))
        .map_or("the issuer", Account::name);
    match seen.status {
        Some(429) => format!("asked {name}: 429, usage limit reached"),
        Some(status) => format!("asked {name}: {status}"),
        None => format!("asked {name}: no answer"),
    }
}

fn stored(document: &Document, index: usize, account: &Account) -> String {
    let mut line = account.name().to_owned();
    if let Some(mark) = account.limits().get(Scope::DEFAULT) {
        line.push_str(&format!(": limited until {}", rfc3339(mark.until)));
    }
    if index == document.active_index {
        line.push_str(": active");
        if let Some(reason) = &account.last_switch_reason {
            line.push_str(&format!(", because of {}", reason.word()));
        }
    }
    line
}

fn plan(account: &Account) -> &str {
    account.plan_type.as_deref().unwrap_or("unknown plan")
}

fn read(shell: &Shell, stage: &Stage) -> Result<Document, Error> {
    Ok(stage.store(shell).read()?.unwrap_or_default())
}
