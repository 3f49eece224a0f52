//! `codex-oauth-login`: nothing in; one record for each account that logged in out.

use std::future::pending;
use std::io::{self, BufRead as _, IsTerminal as _, Read as _, Write as _};
use std::thread;
use std::time::Duration;

use tokio::sync::mpsc::{self, Receiver, Sender};
use url::Url;

use super::args::{self, Common};
use super::exit::{Code, Error};
use super::record::AccountRecord;
use super::shell::Shell;
use crate::account::identity::Admission;
use crate::account::{Account, label};
use crate::client::opencode::AuthFile;
use crate::net::browser;
use crate::net::callback::Ports;
use crate::net::endpoint::Endpoint;
use crate::oauth::issuer::Issuer;
use crate::oauth::login::{self, Admitted, Person, Reception, Unusable};
use crate::oauth::{device, device::Invitation};
use crate::sys::signals::Shield;

/// A longer line is no answer to anything; it is read in pieces.
const LONGEST_LINE: u64 = 64 << 10;

/// Log in, and keep the account
///
/// Opens the issuer's page in the browser, waits until the browser comes back, and puts the account
/// into the store. An account that is known there already is renewed in its place.
#[derive(Debug, clap::Parser)]
#[command(
    name = "codex-oauth-login",
    version,
    long_version = crate::cli::VERSION,
    override_usage = "codex-oauth-login [-qhV] [--store FILE] [--device | --no-browser]\n       \
[--port PORT] [--label NAME] [--max N] [--timeout DURATION]",
    term_width = 80
)]
pub struct OauthLogin {
    #[command(flatten)]
    options: Options,
    #[command(flatten)]
    common: Common,
}

/// How to log in: for every command that does.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// Show a code to type in a browser anywhere
    #[arg(long, conflicts_with_all = ["no_browser", "port"])]
    device: bool,
    /// Open no browser: show the address, and read from standard input
    /// what the browser comes back with
    #[arg(long)]
    no_browser: bool,
    /// Where the browser comes back to; default: 1455, or else 1457
    #[arg(long, value_name = "PORT")]
    port: Option<u16>,
    /// What the account is to be called
    #[arg(long, value_name = "NAME")]
    label: Option<String>,
    /// Have no more accounts than this; default: 10
    #[arg(
        long,
        value_name = "N",
        value_parser = clap::value_parser!(u16).range(1..),
        default_value_t = Options::USUAL_MAX,
        hide_default_value = true
    )]
    max: u16,
    /// Give up after this; default: 10m, with --device 15m
    #[arg(long, value_name = "DURATION", value_parser = args::duration)]
    timeout: Option<Duration>,
}

impl Options {
    const USUAL_MAX: u16 = 10;
}

impl Default for Options {
    /// Those of a command line without any.
    fn default() -> Self {
        Self {
            device: false,
            no_browser: false,
            port: None,
            label: None,
            max: Self::USUAL_MAX,
            timeout: None,
        }
    }
}

impl super::Command for OauthLogin {
    const NAME: &'static str = "codex-oauth-login";
    type Around = Shell;

    fn common(&self) -> &Common {
        &self.common
    }

    fn run(self, shell: &Shell) -> Result<Code, Error> {
        log_in(shell, &self.options, |admitted| {
            let (document, index) = (&admitted.document, admitted.admission.index());
            shell.emit(&AccountRecord::new(document, index, shell.now()))
        })
    }
}

/// Logs one account in, and on a terminal as many more as the person wants. `admitted` is told of
/// each one once it is in the store; what is said to the person is said here.
///
/// # Errors
/// When a login fails. The store keeps those before it, and is otherwise as it was.
pub fn log_in(
    shell: &Shell,
    options: &Options,
    mut admitted: impl FnMut(&Admitted) -> Result<(), Error>,
) -> Result<Code, Error> {
    let issuer = Issuer::new(Endpoint::issuer()?);
    let opencode = AuthFile::of_person(shell.waiting())?;
    let mut accounts = shell.read(shell.accounts()?.as_ref())?.accounts;
    if let Some(label) = &options.label {
        if label.is_empty() {
            return Err(Error::new(Code::Usage, "a label must not be empty"));
        }
        label::check(&accounts, None, label)
            .map_err(|error| Error::new(Code::Usage, error.to_string()))?;
    }
    refuse_more(&accounts, options.max)?;
    let mut lines = Lines::default();
    let way = options.way(&mut lines);
    let mut reception = Reception {
        issuer: &issuer,
        store: shell.store(),
        opencode: &opencode,
        label: options.label.as_deref(),
        clock: shell.clock(),
    };
    loop {
        let login = options.log_in_once(shell, &reception, way, &mut lines)?;
        announce(shell, &login, reception.label);
        admitted(&login)?;
        // It was the name of that one.
        reception.label = None;
        accounts = login.document.accounts;
        let question = format!(
            "You have {} account(s). Add another? [y/N]: ",
            accounts.len()
        );
        if !is_conversation() || accounts.len() >= usize::from(options.max) {
            return Ok(Code::Done);
        }
        let name = accounts[login.admission.index()].name();
        shell.note(&format!("the browser may still be logged in as {name}"));
        if !lines.confirm(&question, Answer::No) {
            return Ok(Code::Done);
        }
    }
}

/// An account that needs a login may have it, however many there are.
fn refuse_more(accounts: &[Account], max: u16) -> Result<(), Error> {
    let needs_login = |account: &Account| account.login_required.is_some();
    if accounts.len() < usize::from(max) || accounts.iter().any(needs_login) {
        return Ok(());
    }
    let there_are = match accounts.len() {
        1 => "there is 1 account".to_owned(),
        count => format!("there are {count} accounts"),
    };
    Err(Error::hinted(
        Code::No,
        format!("{there_are} already"),
        format!("--max {} lets one more in", accounts.len() + 1),
    ))
}

/// How the person gets to the issuer, and its answer back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// A browser is opened here, and comes back.
    Browser,
    /// The person opens one somewhere, and brings the answer.
    Paste,
    /// The person types a code somewhere, and the issuer is asked.
    Device,
}

impl Options {
    fn way(&self, lines: &mut Lines) -> Way {
        const OFFER: &str =
            "A browser can't be opened from here. Log in with a code on another device? [Y/n]: ";
        match (self.device, self.no_browser) {
            (true, _) => Way::Device,
            (_, true) => Way::Paste,
            _ if !is_conversation() || !is_remote() => Way::Browser,
            _ if lines.confirm(OFFER, Answer::Yes) => Way::Device,
            _ => Way::Paste,
        }
    }

    fn log_in_once(
        &self,
        shell: &Shell,
        reception: &Reception,
        way: Way,
        lines: &mut Lines,
    ) -> Result<Admitted, login::Error> {
        if way == Way::Device {
            let patience = self.timeout.unwrap_or(device::PATIENCE);
            return reception.by_device(patience, |invitation| show_code(shell, invitation));
        }
        let mut person = AtBrowser {
            shell,
            lines,
            opens: way == Way::Browser,
            pastes: way == Way::Paste,
        };
        let ports = self.port.map_or(Ports::Registered, Ports::Only);
        let patience = self.timeout.unwrap_or(login::PATIENCE);
        reception.by_browser(ports, patience, &mut person)
    }
}

fn show_code(shell: &Shell, invitation: &Invitation) {
    let Invitation { url, user_code, .. } = invitation;
    let message = format!("open {url} on any device and enter this code:");
    shell.tell_line(&message, user_code);
    shell.note("never enter a code that somebody else gave you");
}

/// Says what became of a login.
fn announce(shell: &Shell, login: &Admitted, label: Option<&str>) {
    for (index, account) in login.document.accounts.iter().enumerate().take(login.along) {
        let name = account.name();
        shell.note(&format!("imported from opencode: {name}, account {index}"));
    }
    let (name, index) = (login.account().name(), login.admission.index());
    shell.note(&match login.admission {
        Admission::Added(_) => format!("logged in as {name}, account {index}"),
        Admission::Renewed(_) => format!("renewed the login of {name}, account {index}"),
    });
    match (label, login.account().label.as_deref()) {
        (Some(_), None) => shell.note("the label was given to another account meanwhile"),
        (Some(wished), Some(has)) if wished != has => {
            let command = shell.command(&format!("codex-accounts label {index} NAME"));
            shell.note(&format!("it keeps its label; to change it: {command}"));
        }
        _ => {}
    }
}

/// Whether somebody sits there who can be asked.
fn is_conversation() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Whether this is a session on another machine, where no browser can be opened.
fn is_remote() -> bool {
    let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    is_set("SSH_CONNECTION")
        && !["DISPLAY", "WAYLAND_DISPLAY", "BROWSER"]
            .into_iter()
            .any(is_set)
}

/// The person at a browser login.
struct AtBrowser<'a> {
    shell: &'a Shell,
    lines: &'a mut Lines,
    /// Whether a browser is opened for them.
    opens: bool,
    /// Whether they are asked for what the browser comes back with.
    pastes: bool,
}

impl Person for AtBrowser<'_> {
    fn brings_answer(&self) -> bool {
        !self.opens
    }

    fn is_there(&self) -> bool {
        is_conversation()
    }

    fn show(&mut self, url: &Url) {
        if self.opens && browser::open(url) {
            self.shell
                .note_page("log in with the browser; its page is", url);
            return;
        }
        self.shell
            .tell_page("open this page in a browser and log in:", url);
        // Other input than a person's is left alone where none was asked for.
        self.pastes |= self.is_there();
        if self.is_there() {
            self.shell.note(
                "if the browser can't come back here, paste the address that it ends at, \
                 or the code in it",
            );
        }
    }

    async fn line(&mut self) -> Option<String> {
        match self.pastes {
            true => self.lines.next().await,
            false => pending().await,
        }
    }

    fn reject(&mut self, why: Unusable) {
        self.shell.tell(&format!("{why}; try again"));
    }
}

/// What no answer counts as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Yes,
    No,
}

/// The lines of standard input. A thread reads them from when one is first wanted, since a login
/// can end while a line is awaited; the line goes to whoever wants the next one.
#[derive(Default)]
struct Lines(Option<Receiver<String>>);

impl Lines {
    /// The next line; `None` at the end of input.
    async fn next(&mut self) -> Option<String> {
        self.receiver().recv().await
    }

    /// Asks on standard error. The end of input is a no.
    fn confirm(&mut self, question: &str, usual: Answer) -> bool {
        let mut out = io::stderr().lock();
        // Who can't see the question does not answer it.
        let _ = write!(out, "{question}").and_then(|()| out.flush());
        match self.receiver().blocking_recv() {
            None => {
                let _ = writeln!(out);
                false
            }
            Some(line) => match line.trim().to_lowercase().as_str() {
                "" => usual == Answer::Yes,
                answer => matches!(answer, "y" | "yes"),
            },
        }
    }

    fn receiver(&mut self) -> &mut Receiver<String> {
        self.0.get_or_insert_with(|| {
            let (lines, receiver) = mpsc::channel(1);
            // Signals are the main thread's, which holds them back while it must.
            let _shield = Shield::raise();
            // Without one there are no lines, as at the end of input.
            let _ = thread::Builder::new().spawn(move || read_lines(&lines));
            receiver
        })
    }
}

/// Reads until the input ends or fails, which is the same to whoever waits for a line.
fn read_lines(lines: &Sender<String>) {
    let mut input = io::stdin().lock();
    loop {
        let mut line = Vec::new();
        match (&mut input).take(LONGEST_LINE).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        let line = String::from_utf8_lossy(&line).into_owned();
        if lines.blocking_send(line).is_err() {
            return;
        }
    }
}
