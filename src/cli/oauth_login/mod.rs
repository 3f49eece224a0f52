//! `codex-oauth-login`: nothing in; one record for each account that logged in out.

use std::io::{self, IsTerminal as _};
use std::time::Duration;

use at_browser::AtBrowser;
use lines::{Answer, Lines};

use crate::account::handle::Handle;
use crate::account::identity::Admission;
use crate::account::{Account, label, select};
use crate::cli::args::{self, Common};
use crate::cli::exit::{Code, Error};
use crate::cli::record::AccountRecord;
use crate::cli::shell::{self, Shell};
use crate::cli::when;
use crate::client::opencode::AuthFile;
use crate::net::browser::Opened;
use crate::net::callback::Ports;
use crate::net::endpoint::Endpoint;
use crate::oauth::issuer::Issuer;
use crate::oauth::login::{self, Admitted, Reception};
use crate::oauth::{device, device::Invitation};
use crate::store::{self, Absent};

mod at_browser;
mod lines;

/// What `--help` says after the options, as the page has it.
const MORE: &str = "\
Input:
  With --no-browser, and on a terminal: the address that the browser ends at,
  its query, the code and the state as code#state, or the code alone.

Output:
  A record, one JSON object on a line, for each account that logged in: the keys
  of 'codex-accounts list --json'. It holds no secret.

Exit status:
  0   Logged in
  1   There are as many accounts as --max allows, or the person gave up
  2   The arguments are wrong, or the label is none
  65  What was pasted is no answer to this login
  69  The issuer can't be reached, or offers no device codes
  74  The ports are taken by other programs
  75  The login timed out
  77  The login was denied, or the issuer did not accept it
  78  The store is corrupt, or a setting is bad

Examples:
  codex-oauth-login work
  codex-oauth-login --device | jq -r .email";

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
[--port PORT] [--max N] [--timeout DURATION] [ACCOUNT | --label NAME]",
    after_long_help = MORE,
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
    /// An account to log in again; or else what a new one is to be called
    #[arg(value_name = "ACCOUNT", conflicts_with = "label")]
    account: Option<String>,
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
            account: None,
            device: false,
            no_browser: false,
            port: None,
            label: None,
            max: Self::USUAL_MAX,
            timeout: None,
        }
    }
}

impl crate::cli::Command for OauthLogin {
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
    let whose = options.whose(&accounts)?;
    if !matches!(whose, Whose::Known(_)) {
        refuse_more(&accounts, options.max)?;
    }
    let mut lines = Lines::default();
    let way = options.way(&mut lines);
    let mut reception = Reception {
        issuer: &issuer,
        store: shell.store(),
        opencode: &opencode,
        label: whose.label(),
        clock: shell.clock(),
    };
    loop {
        let mut login = options.log_in_once(shell, &reception, way, &mut lines)?;
        announce(shell, &login, reception.label);
        if let Whose::Known(wanted) = whose
            && wanted != login.admission.index()
        {
            let name = accounts[wanted].name();
            shell.tell(&format!("that was not {name}, whose login is as it was"));
        }
        if is_conversation() && login.account().label.is_none() {
            ask_for_label(shell, &mut login, &mut lines)?;
        }
        admitted(&login)?;
        if let Whose::Known(_) = whose {
            return Ok(Code::Done);
        }
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

/// Whose login is wanted.
enum Whose<'a> {
    /// Anybody's.
    Any,
    /// A new one's, who is to be called so; a known one keeps its label.
    Called(&'a str),
    /// That of the account at this index.
    Known(usize),
}

impl Whose<'_> {
    fn label(&self) -> Option<&str> {
        match self {
            Self::Called(label) => Some(label),
            Self::Any | Self::Known(_) => None,
        }
    }
}

impl Options {
    /// An account is known by its name; a name that nobody has is the label of a new one.
    fn whose(&self, accounts: &[Account]) -> Result<Whose<'_>, Error> {
        if let Some(name) = &self.account {
            match shell::find(accounts, name) {
                Ok(index) => return Ok(Whose::Known(index)),
                Err(error) if is_ambiguous(&error) => return Err(error),
                Err(_) => {}
            }
        }
        let Some(label) = self.account.as_deref().or(self.label.as_deref()) else {
            return Ok(Whose::Any);
        };
        check_label(accounts, None, label)
            .map_err(|why| Error::new(Code::Usage, why))
            .map(|()| Whose::Called(label))
    }
}

const fn is_ambiguous(error: &Error) -> bool {
    matches!(
        error,
        Error::Select {
            source: select::Error::Ambiguous { .. },
            ..
        }
    )
}

fn check_label(accounts: &[Account], index: Option<usize>, label: &str) -> Result<(), String> {
    if label.is_empty() {
        return Err("a label must not be empty".to_owned());
    }
    label::check(accounts, index, label).map_err(|error| error.to_string())
}

/// Asks what the account is to be called, until it can be called so or the person wants no label.
fn ask_for_label(shell: &Shell, login: &mut Admitted, lines: &mut Lines) -> Result<(), Error> {
    let index = login.admission.index();
    let name = login.account().name();
    let question = format!("A label for {name}, like 'work'; Enter for none: ");
    let label = loop {
        let label = lines.ask(&question).unwrap_or_default();
        match check_label(&login.document.accounts, Some(index), label.trim()) {
            Ok(()) => break label.trim().to_owned(),
            Err(_) if label.trim().is_empty() => return Ok(()),
            Err(why) => shell.tell(&why),
        }
    };
    let who = Handle::from(login.account());
    login.document = store::update(shell.store(), Absent::Refuse, |document| {
        if let Some(index) = who.find(&document.accounts)
            && label::check(&document.accounts, Some(index), &label).is_ok()
        {
            document.accounts[index].label = Some(label.clone());
        }
        document.clone()
    })?;
    Ok(())
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
            return reception.by_device(patience, |invitation| {
                show_code(shell, invitation);
                shell.note(&format!("waiting, {}", when::span(patience)));
            });
        }
        let patience = self.timeout.unwrap_or(login::PATIENCE);
        let mut person = AtBrowser {
            shell,
            lines,
            opens: way == Way::Browser,
            pastes: way == Way::Paste,
            patience,
            opened: Opened::Not,
            reminds_at: None,
        };
        let ports = self.port.map_or(Ports::Registered, Ports::Only);
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
