//! `codex-ratelimit-mark`: one response in; the verdict out, and recorded in the store.

use std::io::{self, IsTerminal, Read, Write};
use std::time::Duration;

use http::header::RETRY_AFTER;
use http::{HeaderMap, HeaderValue, StatusCode};
use jiff::tz::TimeZone;
use serde::Serialize;

use super::args::{self, Common};
use super::console::{self, LARGEST_INPUT};
use super::exit::{Code, Error};
use super::record::Who;
use super::shell::{self, Shell};
use crate::account::handle::Handle;
use crate::account::limit::{Class, Limit, Reading, Response, Source, Verdict};
use crate::account::mark::Mark;
use crate::account::observation::{Asking, Observation};
use crate::account::time::UnixMillis;
use crate::account::{Account, Scope, response};
use crate::store::{self, Absent};
use crate::sys::signals::outlive_interrupt;
use crate::sys::stdio;

/// What `--help` says after the options.
const MORE: &str = "\
Input:
  Told apart by how it begins. Of several HTTP responses in a row the last one
  counts. With --retry-after, --until, --status or --clear none is read.

Output:
  A record, one JSON object on a line: v, index, email, label, verdict and,
  for a limit, scope, until, source and class. The verdicts are
    ok                  the account was served
    limited             until then: a quota is used up, or it asked too fast
    unauthorized        the access token was refused; it is renewed next time
    login-required      the login is dead
    no-entitlement      the account has no right to this
    workspace-gone      the workspace was deactivated
    model-not-included  the account is not served with this model
    foreign-content     the session carries what this account can't read
    network             something on the way answered: the same for all
    server              the server is in trouble, by no account's fault
    content             what was asked was flagged: ask as no other account
    other               it says nothing about the account

Exit status:
  0   It was understood; with --exit-code: ok, content or other
  1   The input is empty, or there is no such account
  2   The arguments are wrong
  65  The input is no response; with --exit-code: foreign-content
  69  With --exit-code: server or network
  74  Input or output failed
  75  With --exit-code: limited
  77  With --exit-code: any other verdict; others can read the store
  78  The store is corrupt

Examples:
  curl -sS -i \"$url\" | codex-ratelimit-mark work
  curl -sS -i \"$url\" | codex-ratelimit-mark --tee work 3>verdict | tail -n 1
  codex-ratelimit-mark --status 429 --retry-after 90s work";

/// Say what a response means for an account, and record it
///
/// Reads a response from standard input: raw HTTP as curl -i prints it, headers alone, a JSON body
/// alone, an event stream, or what opencode or Codex printed. From then on codex-account-pick passes
/// over an account that is limited, until the limit ends.
#[derive(Debug, clap::Parser)]
#[command(
    name = "codex-ratelimit-mark",
    version,
    long_version = crate::cli::VERSION,
    override_usage = "\
codex-ratelimit-mark [-qhV] [--store FILE] [--model NAME] [--scope NAME]
                            [--tee] [--exit-code] [--asked-at TIME]
                            [--status CODE]
                            [--retry-after DURATION | --until TIME | --clear]
                            ACCOUNT",
    after_long_help = MORE,
    term_width = 80
)]
pub struct RatelimitMark {
    /// The account that got the response: index, label, email or id
    account: String,
    /// The model that was asked: it is covered by a limit of one family
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
    /// With --retry-after, --until and --clear: the limit's scope
    #[arg(long, value_name = "NAME", value_parser = scope, default_value = Scope::DEFAULT, hide_default_value = true)]
    scope: String,
    /// Copy standard input to standard output; the record goes to
    /// descriptor 3 if that can be written to, else to standard error
    #[arg(long, conflicts_with_all = ["retry_after", "until", "status", "clear"])]
    tee: bool,
    /// Exit with the verdict: 75 limited, 69 server or network, 65 foreign-content,
    /// 0 ok, content or other, 77 else
    #[arg(long)]
    exit_code: bool,
    /// Limited for this long: 120, 90s, 15m, 5h, 7d
    #[arg(long, value_name = "DURATION", value_parser = args::duration, conflicts_with_all = ["until", "clear"])]
    retry_after: Option<Duration>,
    /// Limited until this time: Unix seconds or milliseconds, or RFC 3339
    #[arg(long, value_name = "TIME", value_parser = args::time, conflicts_with_all = ["status", "clear"])]
    until: Option<UnixMillis>,
    /// When the request went out: Unix seconds or milliseconds, or RFC 3339;
    /// without it, when this command started
    #[arg(long, value_name = "TIME", value_parser = args::time, conflicts_with_all = ["until", "clear"])]
    asked_at: Option<UnixMillis>,
    /// The response had this status; with --retry-after, that header too
    #[arg(long, value_name = "CODE", value_parser = status, conflicts_with = "clear")]
    status: Option<StatusCode>,
    /// Lift the limit
    #[arg(long)]
    clear: bool,
    #[command(flatten)]
    common: Common,
}

fn status(text: &str) -> Result<StatusCode, String> {
    StatusCode::from_bytes(text.as_bytes()).map_err(|_| "not a status, like 429".to_owned())
}

fn scope(text: &str) -> Result<String, String> {
    match text.trim() {
        "" => Err("not a scope, like default".to_owned()),
        _ => Ok(text.to_owned()),
    }
}

/// What is to be recorded.
enum Statement {
    /// What a response said.
    Reading(Reading),
    /// Limited until then, by hand.
    Until(UnixMillis),
    /// Not limited, by hand.
    Clear,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct MarkRecord<'a> {
    #[serde(flatten)]
    who: Who<'a>,
    verdict: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<UnixMillis>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<&'a Source>,
    #[serde(skip_serializing_if = "Option::is_none")]
    class: Option<&'a Class>,
    #[serde(skip_serializing_if = "Option::is_none")]
    window_minutes: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'a str>,
}

impl super::Command for RatelimitMark {
    const NAME: &'static str = "codex-ratelimit-mark";
    type Around = Shell;

    fn common(&self) -> &Common {
        &self.common
    }

    fn run(self, shell: &Shell) -> Result<Code, Error> {
        // In a pipeline it starts with the command that asks.
        let asked_at = self.asked_at.unwrap_or_else(|| shell.now());
        // Before any file of ours could get that number.
        let record_to = self.tee.then(descriptor_3);
        if self.tee && !io::stdin().is_terminal() {
            outlive_interrupt();
        }
        let accounts = shell.accounts()?;
        // A wrong name is told before a long answer is read, but its pipeline goes on.
        let known = shell
            .read(accounts.as_ref())
            .and_then(|document| shell::find(&document.accounts, &self.account));
        let mut copied = Ok(());
        let statement = match (self.tee, &known) {
            (false, Err(_)) => return known.map(|_| Code::Done),
            (false, Ok(_)) => self.statement(shell)?,
            (true, _) => {
                let input;
                (input, copied) = copy_input(shell)?;
                known?;
                Statement::Reading(response::read(&input, shell.now(), &TimeZone::system())?)
            }
        };
        let (line, verdict) = store::update(accounts.as_ref(), Absent::Refuse, |document| {
            let index = shell::find(&document.accounts, &self.account)?;
            let account = &mut document.accounts[index];
            self.record(index, account, &statement, asked_at, shell.now())
        })??;
        match record_to {
            None => shell.print(&line)?,
            Some(mut out) => out.write_all(line.as_bytes()).map_err(Error::output)?,
        }
        copied?;
        Ok(if self.exit_code { verdict } else { Code::Done })
    }
}

impl RatelimitMark {
    fn statement(&self, shell: &Shell) -> Result<Statement, Error> {
        let now = shell.now();
        if let Some(status) = self.status {
            let bare = Response {
                status: Some(status),
                headers: &self.headers(),
                body: b"",
            };
            return Ok(Statement::Reading(bare.read(now)));
        }
        if let Some(until) = self.retry_after.map(|wait| now.plus(wait)).or(self.until) {
            return Ok(self.limited_until(until, now));
        }
        if self.clear {
            return Ok(Statement::Clear);
        }
        let input = shell.read_input("a response")?;
        Ok(Statement::Reading(response::read(
            &input,
            now,
            &TimeZone::system(),
        )?))
    }

    /// What is known of the headers beside --status.
    fn headers(&self) -> HeaderMap {
        let wait = self.retry_after.map(|wait| wait.as_secs_f64().to_string());
        let value = wait.and_then(|secs| HeaderValue::try_from(secs).ok());
        value
            .map(|value| (RETRY_AFTER, value))
            .into_iter()
            .collect()
    }

    /// A time that is past is no hint when the limit ends, as it is none in a response.
    fn limited_until(&self, until: UnixMillis, now: UnixMillis) -> Statement {
        if until > now {
            return Statement::Until(until);
        }
        let limit = Limit::unexplained(Scope::new(self.scope.clone()));
        Statement::Reading(Reading::of(Verdict::Limited(limit)))
    }

    /// Records it in the account; gives the line to print and the verdict as an exit code.
    fn record(
        &self,
        index: usize,
        account: &mut Account,
        statement: &Statement,
        asked_at: UnixMillis,
        now: UnixMillis,
    ) -> Result<(String, Code), Error> {
        let (verdict, code, scope, dead) = match statement {
            Statement::Reading(reading) => {
                let scope = account.record(&Observation {
                    asking: Asking {
                        who: Handle::from(&*account),
                        model: self.model.clone(),
                        at: asked_at,
                    },
                    reading: reading.clone(),
                    seen_at: now,
                });
                let dead = match &reading.verdict {
                    Verdict::LoginRequired { code } => Some(code.as_str()),
                    _ => None,
                };
                (
                    reading.verdict.word(),
                    exit_code(&reading.verdict),
                    scope,
                    dead,
                )
            }
            Statement::Until(until) => {
                let scope = Scope::new(self.scope.clone());
                account.record_by_hand(scope.clone(), *until, self.model.as_deref(), now);
                ("limited", Code::TryLater, Some(scope), None)
            }
            Statement::Clear => {
                account.clear_limit(&self.scope);
                let scope = Scope::new(self.scope.clone());
                ("ok", Code::Done, Some(scope), None)
            }
        };
        let scope = scope.as_ref();
        let mark: Option<&Mark> = scope.and_then(|scope| account.limits().get(scope));
        let mut line = console::json_line(&MarkRecord {
            who: Who::new(index, account),
            verdict,
            scope: scope.map(Scope::as_str),
            until: mark.map(|mark| mark.until),
            source: mark.map(|mark| &mark.source),
            class: mark.map(|mark| &mark.class),
            window_minutes: mark.and_then(|mark| mark.window_minutes),
            code: dead,
        })?;
        line.push('\n');
        Ok((line, code))
    }
}

/// The verdict as an exit code, for `--exit-code` (DESIGN §2).
fn exit_code(verdict: &Verdict) -> Code {
    match verdict {
        Verdict::Ok | Verdict::Content | Verdict::Other => Code::Done,
        Verdict::Limited(_) => Code::TryLater,
        Verdict::Network | Verdict::Server => Code::Unavailable,
        Verdict::ForeignContent(_) => Code::Malformed,
        Verdict::LoginRequired { .. }
        | Verdict::Unauthorized { .. }
        | Verdict::NoEntitlement
        | Verdict::WorkspaceGone
        | Verdict::ModelNotIncluded(_) => Code::Refused,
    }
}

/// Where the record goes when standard output is taken: descriptor 3 if the caller opened it to be
/// written to.
fn descriptor_3() -> Box<dyn Write> {
    match stdio::descriptor_3() {
        Some(out) => Box::new(out),
        None => Box::new(io::stderr()),
    }
}

/// Copies standard input to standard output as it arrives, and keeps it to be judged; also how the
/// copying went. What can't be written, or has no reader any more, is judged all the same.
fn copy_input(shell: &Shell) -> Result<(Vec<u8>, Result<(), Error>), Error> {
    shell.say_what_is_awaited("a response");
    let (mut input, mut output) = (io::stdin().lock(), io::stdout().lock());
    let mut kept = Vec::new();
    let mut copied = Ok(());
    let mut chunk = [0; 64 * 1024];
    loop {
        let read = match input.read(&mut chunk) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(Error::input(error)),
        };
        let bytes = &chunk[..read];
        if copied.is_ok() {
            copied = output.write_all(bytes).and_then(|()| output.flush());
        }
        let room = LARGEST_INPUT - kept.len();
        kept.extend_from_slice(&bytes[..read.min(room)]);
    }
    let copied = match copied {
        Err(error) if !stdio::reader_is_gone(&error) => Err(Error::output(error)),
        _ => Ok(()),
    };
    Ok((kept, copied))
}
