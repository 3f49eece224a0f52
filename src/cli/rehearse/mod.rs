//! `codex-rehearse`: a command run against a pretend issuer and backend, with pretend accounts; and
//! alone, the main job shown on a screen. Nothing leaves this machine, and nothing of the person's
//! own is touched.

use std::ffi::OsString;
use std::num::NonZero;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::args::{self, Common};
use super::child;
use super::exit::{Code, Error};
use super::proxy;
use super::shell::Shell;
use crate::clock::Clock;
use crate::rehearse::{Blobs, Script, Style};
use crate::sys;
use stage::Stage;

mod agent;
mod browser;
mod control;
mod demonstration;
mod ending;
mod stage;

/// What `--help` says after the options, as the page has it.
const MORE: &str = "\
Output:
  The command's. After it, standard error says what was asked of whom.

Exit status:
  That of the command; 128 and the signal's number if a signal ended it. Before
  it runs:
  1   There is no such command
  2   The arguments are wrong
  74  There is no room for the stage

Examples:
  codex-rehearse --limit one=2h -- sh script
  codex-rehearse --limit one=2h@3 -- codex-launch opencode
  codex-rehearse --change --limit two=10m";

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
    override_usage = "codex-rehearse [-qhV] [--accounts N]
                      [--limit ID=DURATION[:STYLE][@N]]...
                      [--usage ID=PERCENT[,PERCENT]]... [--kill ID]...
                      [--slow DURATION] [--portable] [--]
                      [COMMAND [ARGUMENT ...]]
       codex-rehearse --change [--limit ID=DURATION[:STYLE][@N]]...
                      [--usage ID=PERCENT[,PERCENT]]... [--kill ID]...
                      [--slow DURATION] [--portable]",
    mut_arg("store", |store| store.help("Refused: a rehearsal has a store of its own")),
    after_long_help = MORE,
    term_width = 80
)]
pub struct Rehearse {
    /// So many accounts: one, two, three, ...
    #[arg(long, value_name = "N", default_value_t = 2, hide_default_value = true, value_parser = clap::value_parser!(u8).range(1..=50))]
    accounts: u8,
    /// The account is limited for so long, and says so in this style; from its Nth request on
    #[arg(long, value_name = "ID=DURATION[:STYLE][@N]", value_parser = limit)]
    limit: Vec<(String, Limit)>,
    /// So much of its 5 hours, and of its week, is used
    #[arg(long, value_name = "ID=PERCENT[,PERCENT]", value_parser = usage)]
    usage: Vec<(String, f64, Option<f64>)>,
    /// Its login is dead
    #[arg(long, value_name = "ID")]
    kill: Vec<String>,
    /// Answers come in pieces, so far apart
    #[arg(long, value_name = "DURATION", value_parser = args::duration)]
    slow: Option<Duration>,
    /// Accounts can read what another one sealed
    #[arg(long)]
    portable: bool,
    /// Change the rehearsal that this is run in
    #[arg(long, conflicts_with_all = ["accounts", "command"])]
    change: bool,
    /// Follow a login page's redirects, as the pretend browser does
    #[arg(long, value_name = "URL", hide = true)]
    follow: Option<String>,
    /// Ask a question where the environment says, as the pretend agent does
    #[arg(long, value_name = "QUESTION", hide = true)]
    ask: Option<String>,
    /// The command and its arguments; default: a demonstration
    #[arg(value_name = "COMMAND", trailing_var_arg = true)]
    command: Vec<OsString>,
    #[command(flatten)]
    common: Common,
}

/// A limit that is asked for.
#[derive(Clone, Copy, Debug)]
struct Limit {
    length: Duration,
    style: Style,
    /// The request that it begins with, counted from one.
    from: u32,
}

fn limit(text: &str) -> Result<(String, Limit), String> {
    let (name, rest) = text.split_once('=').ok_or("not ID=DURATION[:STYLE][@N]")?;
    let (rest, from) = match rest.rsplit_once('@') {
        Some((rest, from)) => (
            rest,
            from.parse::<NonZero<u32>>().map_err(|_| "not @N")?.get(),
        ),
        None => (rest, 1),
    };
    let (length, style) = match rest.split_once(':') {
        Some((length, style)) => (length, style.parse().map_err(|e| format!("{e}"))?),
        None => (rest, Style::UsageLimit),
    };
    let length = args::duration(length)?;
    Ok((
        name.to_owned(),
        Limit {
            length,
            style,
            from,
        },
    ))
}

fn usage(text: &str) -> Result<(String, f64, Option<f64>), String> {
    let (name, rest) = text.split_once('=').ok_or("not ID=PERCENT[,PERCENT]")?;
    let (short, weekly) = match rest.split_once(',') {
        Some((short, weekly)) => (short, Some(args::percent(weekly)?)),
        None => (rest, None),
    };
    Ok((name.to_owned(), args::percent(short)?, weekly))
}

impl super::Command for Rehearse {
    const NAME: &'static str = "codex-rehearse";
    type Around = Shell;

    fn common(&self) -> &Common {
        &self.common
    }

    fn run(self, shell: &Shell) -> Result<Code, Error> {
        if let Some(url) = &self.follow {
            return browser::follow(url);
        }
        if let Some(question) = &self.ask {
            return agent::ask(shell, question);
        }
        if self.common.store.is_some() {
            return Err(Error::hinted(
                Code::Usage,
                "--store has no use here: a rehearsal has a store of its own",
                "name the store in the command, after '--'",
            ));
        }
        if self.change {
            return control::send();
        }
        let (script, killed) = self.script(shell.clock())?;
        let names = stage::names(&script);
        let stage = Stage::new(script)?;
        let Some((program, arguments)) = self.command.split_first() else {
            return demonstration::play(&stage, &killed);
        };
        stage.log_all_in(shell)?;
        for index in killed {
            stage.pretend.kill(index);
        }
        stage.pretend.on_control(control::carry_out);
        let runtime = proxy::runtime()?;
        let mut command = sys::child::command(program);
        let ended = child::run(&runtime, stage.set(&mut command).args(arguments));
        for line in ending::lines(&names, &stage.pretend.seen()) {
            shell.note(&line);
        }
        ended
    }
}

impl Rehearse {
    /// The script of the rehearsal, and the accounts whose login is to end.
    fn script(&self, clock: Clock) -> Result<(Script, Vec<usize>), Error> {
        let now = UNIX_EPOCH + Duration::from_millis(clock.now().as_millis());
        let mut script = Script::at(now, self.accounts.into());
        script.stopped_at = matches!(clock, Clock::Fixed(_)).then_some(now);
        script.any_port = true;
        let killed = self.set_out(&mut script, now)?;
        Ok((script, killed))
    }

    /// Makes the script as the options have it, and says which accounts' logins are to end. An option that is not given
    /// changes nothing, one that is wrong neither.
    fn set_out(&self, script: &mut Script, now: SystemTime) -> Result<Vec<usize>, Error> {
        let mut changed = script.clone();
        if let Some(pace) = self.slow {
            changed.pace = pace;
        }
        if self.portable {
            changed.blobs = Blobs::Portable;
        }
        for (name, short, weekly) in &self.usage {
            let index = find(script, name)?;
            let windows = &mut changed.accounts[index].windows;
            if let Some(window) = &mut windows.primary {
                window.used_percent = *short;
            }
            if let (Some(window), Some(weekly)) = (&mut windows.secondary, weekly) {
                window.used_percent = *weekly;
            }
        }
        for (name, limit) in &self.limit {
            let account = &mut changed.accounts[find(script, name)?];
            match limit.from {
                1 => account.limit_at(now, limit.length, limit.style),
                from => account.limit_after(from - 1, limit.length, limit.style),
            }
        }
        let killed = self
            .kill
            .iter()
            .map(|name| find(script, name))
            .collect::<Result<_, _>>()?;
        *script = changed;
        Ok(killed)
    }
}

/// A pretend account by its index, its label, its email or its id.
fn find(script: &Script, name: &str) -> Result<usize, Error> {
    let index = name.parse().ok().filter(|n| *n < script.accounts.len());
    let labels = stage::names(script);
    let mut accounts = script.accounts.iter().zip(labels);
    let known = || {
        accounts.position(|(account, label)| {
            label == name || account.email == name || account.account_id == name
        })
    };
    index.or_else(known).ok_or_else(|| {
        Error::hinted(
            Code::Usage,
            format!("there is no pretend account '{name}'"),
            "they are called one, two, three, ...; --accounts says how many",
        )
    })
}
