//! Logging a person in: with a browser that comes back to this machine, with what they paste from
//! one elsewhere, or with a code that they type on another device (PROTOCOL §1). What the issuer
//! gives is in the store before anybody is told that it worked.
//!
//! It must not print or open anything: what a person sees is the caller's.

use std::future::pending;
use std::time::{Duration, Instant};

use thiserror::Error;
use tokio::time::timeout;
use url::Url;

use super::device::{self, Invitation};
use super::issuer::{self, Issuer, Tokens};
use crate::account::identity::{self, Admission};
use crate::account::printable::printable;
use crate::account::secret::{RefreshToken, Secret};
use crate::account::{Account, label};
use crate::client::contract::LoginFile as _;
use crate::client::opencode::AuthFile;
use crate::clock::Clock;
use crate::net::callback::{self, Answer, Bound, Event, Guest, Outcome, Ports, Server};
use crate::net::page::Page;
use crate::store::{self, Absent, Document, Store};
use crate::sys::signals::Shield;

/// How long a person may take in the browser (DESIGN §2).
pub const PATIENCE: Duration = Duration::from_secs(10 * 60);

/// More of what the issuer says in words is not repeated.
const LONGEST_REASON: usize = 200;

/// Why somebody was not logged in.
#[derive(Debug, Error)]
pub enum Error {
    /// The person or the issuer said no.
    #[error("the login was denied: {reason}")]
    Denied {
        /// In the issuer's words.
        reason: String,
    },
    /// The issuer sent the browser back with empty hands.
    #[error("the issuer gave neither a code nor a reason")]
    NoCode,
    /// Another program wanted the port.
    #[error("the login was cancelled by another program")]
    Cancelled,
    /// The person pasted nothing.
    #[error("the login was given up")]
    NoAnswer,
    /// The person took too long.
    #[error("login timed out")]
    TimedOut,
    /// What the person pasted is no answer to this login.
    #[error(transparent)]
    Unusable(#[from] Unusable),
    /// No browser could come back.
    #[error(transparent)]
    Callback(#[from] callback::Error),
    /// There is no login with a device code.
    #[error(transparent)]
    Device(#[from] device::Error),
    /// The issuer gave no tokens.
    #[error(transparent)]
    Issuer(#[from] issuer::Error),
    /// The store can't be used.
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// What was pasted is of no use. It is not repeated: there may be a code in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Unusable {
    /// It is no code, nor anything with one in it.
    #[error("what was pasted holds no code")]
    NoCode,
    /// It answers an earlier login, or somebody else's.
    #[error("what was pasted belongs to another login: its state does not match")]
    OtherLogin,
}

/// Where logins come in: their tokens go to the store, and with the first one into a store that was
/// not there goes what opencode has.
#[derive(Clone, Copy)]
pub struct Reception<'a> {
    /// Who gives tokens.
    pub issuer: &'a Issuer,
    /// Where they go.
    pub store: &'a dyn Store,
    /// What opencode has.
    pub opencode: &'a AuthFile,
    /// What the account is to be called.
    pub label: Option<&'a str>,
    /// When it is.
    pub clock: Clock,
}

/// A login that is in the store.
#[derive(Debug)]
pub struct Admitted {
    /// The store with it.
    pub document: Document,
    /// What became of it.
    pub admission: Admission,
    /// So many of the first accounts came along from opencode.
    pub along: usize,
}

impl Admitted {
    /// The account that logged in.
    #[must_use]
    pub fn account(&self) -> &Account {
        &self.document.accounts[self.admission.index()]
    }
}

/// The person at a browser login.
pub trait Person {
    /// Whether they bring the answer themselves, so that no browser needs to come back here.
    fn brings_answer(&self) -> bool;

    /// Whether they are at a terminal, and can be told what to do differently.
    fn is_there(&self) -> bool;

    /// Whether a browser was opened for them, which comes back by itself: what they type is no code
    /// unless it looks like an answer, and that they type nothing more is no end.
    fn has_browser(&self) -> bool;

    /// Shows them where to log in.
    fn show(&mut self, url: &Url);

    /// The next line that they paste; `None` if there are no more. Never ready if they are not
    /// asked for one.
    fn line(&mut self) -> impl Future<Output = Option<String>>;

    /// Tells them why their line is of no use.
    fn reject(&mut self, why: Unusable);
}

impl Reception<'_> {
    /// Logs a person in who has a browser. It may come back to one of `ports`, or they bring what
    /// it was sent back with.
    ///
    /// # Errors
    /// When they are not logged in. The store is then as it was.
    pub fn by_browser(
        &self,
        ports: Ports,
        patience: Duration,
        person: &mut impl Person,
    ) -> Result<Admitted, Error> {
        let bound = match Bound::new(ports) {
            Err(callback::Error::Taken(_)) if person.brings_answer() => Bound::nowhere(ports),
            bound => bound?,
        };
        let can_return = bound.is_somewhere();
        let attempt = self
            .issuer
            .attempt(&bound.redirect(), self.knows_somebody()?);
        let state = attempt.state.secret().clone();
        let mut server = Server::start(bound, &state).map_err(callback::Error::from)?;
        person.show(&attempt.url);
        let mut guest = None;
        let admitted =
            wait(&mut server, &state, can_return, patience, person).and_then(|(outcome, came)| {
                guest = came;
                let code = code(outcome)?;
                self.admit(|issuer| issuer.exchange(attempt, code))
            });
        if let Some(guest) = guest {
            guest.show(page(&admitted));
        }
        server.close();
        admitted
    }

    /// Logs a person in who types a code on another device; `show` tells them.
    ///
    /// # Errors
    /// When they are not logged in. The store is then as it was.
    pub fn by_device(
        &self,
        patience: Duration,
        show: impl FnOnce(&Invitation),
    ) -> Result<Admitted, Error> {
        let invitation = Invitation::ask(self.issuer)?;
        show(&invitation);
        let grant = invitation.wait(self.issuer, patience)?;
        let (code, verifier) = (grant.code.expose(), grant.verifier.expose());
        self.admit(|issuer| issuer.exchange_device(code.to_owned(), verifier.to_owned()))
    }

    /// Whether the browser's session may already be that of an account we have.
    fn knows_somebody(&self) -> Result<bool, store::Error> {
        Ok(match self.store.read()? {
            Some(document) => !document.accounts.is_empty(),
            None => self.opencode.has_login(),
        })
    }

    /// Trades a code for tokens and commits them. Nothing that ends the process comes in between. A
    /// login that can't be kept is ended: nobody would have it.
    fn admit(
        &self,
        redeem: impl FnOnce(&Issuer) -> Result<Tokens, issuer::Error>,
    ) -> Result<Admitted, Error> {
        let _shield = Shield::raise();
        let login = redeem(self.issuer)?.into_account(self.clock.now())?;
        let token = login.tokens.refresh.clone();
        let committed = self.commit(login);
        if committed.is_err() && !self.is_kept(&token) {
            // That it can't be told changes nothing about what went wrong.
            let _ = self.issuer.revoke(&token);
        }
        Ok(committed?)
    }

    /// Whether the store has this token, as far as can be seen.
    fn is_kept(&self, token: &RefreshToken) -> bool {
        let document = self.store.read();
        let accounts = document.ok().flatten().unwrap_or_default().accounts;
        accounts.iter().any(|it| it.tokens.refresh == *token)
    }

    fn commit(&self, login: Account) -> Result<Admitted, store::Error> {
        let now = self.clock.now();
        let along = self.comes_along()?;
        store::update(self.store, Absent::Create, |document| {
            let accounts = &mut document.accounts;
            let mut came_along = 0;
            // Another process may have created it meanwhile, and taken them along itself.
            if accounts.is_empty() {
                for mut account in along.iter().cloned() {
                    account
                        .shared_with
                        .insert(self.opencode.client().to_owned());
                    identity::admit(accounts, account, now);
                }
                came_along = accounts.len();
            }
            let admission = identity::admit(accounts, login.clone(), now);
            if let Some(label) = self.label
                // Somebody may have given it away meanwhile; the login is worth more than its name.
                && label::check(accounts, Some(admission.index()), label).is_ok()
                // What a known one is called was the person's choice too.
                && accounts[admission.index()].label.is_none()
            {
                accounts[admission.index()].label = Some(label.to_owned());
            }
            Admitted {
                document: document.clone(),
                admission,
                along: came_along,
            }
        })
    }

    /// What opencode has, if there is no store yet.
    fn comes_along(&self) -> Result<Vec<Account>, store::Error> {
        if self.store.read()?.is_some() {
            return Ok(Vec::new());
        }
        // A file of opencode's that can't be read holds no login for us, as everywhere.
        let document = self.opencode.read().ok().flatten();
        Ok(document.unwrap_or_default().accounts)
    }
}

/// Waits for the answer to a login: from the browser that comes back, or from the person.
fn wait(
    server: &mut Server,
    state: &str,
    can_return: bool,
    patience: Duration,
    person: &mut impl Person,
) -> Result<(Outcome, Option<Guest>), Error> {
    let started = Instant::now();
    let mut more_lines = true;
    loop {
        let left = patience.saturating_sub(started.elapsed());
        let line = timeout_of(left, async {
            match more_lines {
                true => person.line().await,
                false => pending().await,
            }
        });
        match server.wait(line) {
            Event::Callback(outcome, guest) => return Ok((outcome, Some(guest))),
            Event::Cancelled => return Err(Error::Cancelled),
            Event::Other(Err(TimedOut)) => return Err(Error::TimedOut),
            // Input that ended by itself says nothing as long as a browser can come.
            Event::Other(Ok(None))
                if can_return && (!person.is_there() || person.has_browser()) =>
            {
                more_lines = false;
            }
            Event::Other(Ok(None)) => return Err(Error::NoAnswer),
            Event::Other(Ok(Some(line))) if line.trim().is_empty() => {}
            Event::Other(Ok(Some(line))) => match pasted(&line, state, person.has_browser()) {
                Ok(outcome) => return Ok((outcome, None)),
                Err(why) if person.is_there() => person.reject(why),
                Err(why) => return Err(why.into()),
            },
        }
    }
}

struct TimedOut;

/// tokio's timers exist only where its runtime runs, so they are made when they are first asked.
async fn timeout_of<T>(left: Duration, future: impl Future<Output = T>) -> Result<T, TimedOut> {
    timeout(left, future).await.map_err(|_| TimedOut)
}

/// Reads what a person pasted: the address that the browser was sent back to, its query,
/// `code#state`, or the code alone. Where there is a state it has to be that of this login;
/// `needs_state` where a slip of the finger is more likely than a code alone.
fn pasted(line: &str, state: &str, needs_state: bool) -> Result<Outcome, Unusable> {
    let line = line.trim();
    let answer = match line.split_once('?') {
        Some((_, query)) => Answer::of_query(query.split('#').next().unwrap_or_default()),
        None => match Answer::of_query(line) {
            Answer {
                state: None,
                outcome: Outcome::Nothing,
            } => typed(line)?,
            answer => answer,
        },
    };
    if answer.state.is_none() && needs_state {
        return Err(Unusable::NoCode);
    }
    if answer.state.is_some() && !answer.has_state(state) {
        return Err(Unusable::OtherLogin);
    }
    match answer.outcome {
        Outcome::Nothing => Err(Unusable::NoCode),
        outcome => Ok(outcome),
    }
}

/// Reads `code#state`, or a code alone.
fn typed(line: &str) -> Result<Answer, Unusable> {
    let (code, state) = match line.split_once('#') {
        Some((code, state)) => (code, Some(Secret::new(state))),
        None => (line, None),
    };
    if code.is_empty() || line.contains(|c: char| c.is_whitespace() || c == '/') {
        return Err(Unusable::NoCode);
    }
    Ok(Answer {
        state,
        outcome: Outcome::Code(Secret::new(code)),
    })
}

/// The code that a login ended with.
fn code(outcome: Outcome) -> Result<String, Error> {
    match outcome {
        Outcome::Code(code) => Ok(code.expose().to_owned()),
        Outcome::Error { code, description } => Err(Error::Denied {
            reason: reason(&description.unwrap_or(code)),
        }),
        Outcome::Nothing => Err(Error::NoCode),
    }
}

/// Anybody can call back with the state, so these words may be anybody's.
fn reason(text: &str) -> String {
    printable(text).chars().take(LONGEST_REASON).collect()
}

/// What the browser ends on.
fn page(admitted: &Result<Admitted, Error>) -> Page {
    match admitted {
        Ok(admitted) => {
            let (name, index) = (admitted.account().name(), admitted.admission.index());
            let (heading, what) = match admitted.admission {
                Admission::Added(_) => ("Logged in", format!("{name} is account {index} now.")),
                Admission::Renewed(_) => (
                    "Login renewed",
                    format!("{name}, which is account {index}, has a new login."),
                ),
            };
            let next = "You can close this page and go back to the terminal.";
            Page::good(heading, [what, next.to_owned()])
        }
        Err(error) => Page::bad(
            // The callback itself was in order; a browser might hide the text of an error.
            http::StatusCode::OK,
            "Not logged in",
            [
                sentence(&error.to_string()),
                "Your accounts are as they were. To try again, close this page and start the \
                 login again in the terminal."
                    .to_owned(),
            ],
        ),
    }
}

/// A message as a sentence.
fn sentence(message: &str) -> String {
    let mut chars = message.chars();
    let first = chars.next().map(char::to_uppercase);
    first
        .into_iter()
        .flatten()
        .chain(chars)
        .chain(['.'])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_forms_of_an_answer_can_be_pasted() {
        for line in [
            "http://localhost:1455/auth/callback?code=c-1&scope=x+y&state=right",
            "  http://localhost:1455/auth/callback?state=right&code=c-1 \n",
            "?code=c-1&state=right",
            "code=c-1&state=right",
            "code=c-1",
            "127.0.0.1:1455/auth/callback?code=c-1&state=right#",
            "c-1#right",
            "c-1",
        ] {
            let code = Outcome::Code(Secret::new("c-1"));
            assert_eq!(pasted(line, "right", false), Ok(code), "{line}");
        }
    }

    #[test]
    fn beside_a_browser_a_slip_of_the_finger_is_no_code() {
        for line in ["n", "y", "code=c-1"] {
            assert_eq!(pasted(line, "right", true), Err(Unusable::NoCode), "{line}");
        }
        let code = Outcome::Code(Secret::new("c-1"));
        assert_eq!(pasted("c-1#right", "right", true), Ok(code));
    }

    #[test]
    fn what_is_pasted_from_another_login_is_no_answer() {
        for line in [
            "http://localhost:1455/auth/callback?code=c&state=wrong",
            "?error=access_denied&state=wrong",
            "c#wrong",
            "c#",
        ] {
            assert_eq!(
                pasted(line, "right", false),
                Err(Unusable::OtherLogin),
                "{line}"
            );
        }
    }

    #[test]
    fn what_holds_no_code_is_no_answer() {
        for line in [
            "http://localhost:1455/auth/callback?state=right",
            "http://localhost:1455/auth/callback",
            "localhost/auth",
            "state=right",
            "#right",
            "two words",
        ] {
            assert_eq!(
                pasted(line, "right", false),
                Err(Unusable::NoCode),
                "{line}"
            );
        }
    }

    #[test]
    fn a_refusal_can_be_pasted_too_and_shows_no_control_characters() {
        let line = "error=access_denied&error_description=No%1B[2J%0Away&state=right";
        let error = code(pasted(line, "right", false).unwrap()).unwrap_err();
        assert_eq!(error.to_string(), "the login was denied: No[2Jway");
    }
}
