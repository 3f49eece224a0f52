//! The choice as a command makes it: what was asked for becomes a request, the decision is recorded,
//! and where every account is limited it can wait.

use std::time::{Duration, Instant};

use super::AccountPick;
use crate::account::Account;
use crate::account::pick::{self, Decision, Nothing, Request, Wishes};
use crate::account::time::UnixMillis;
use crate::cli::exit::{Code, Error};
use crate::cli::shell::{self, Shell};
use crate::cli::when;
use crate::store::{self, Absent, Document, Store};

/// How often --wait looks whether somebody lifted a limit.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// The account that was picked.
pub(super) struct Picked {
    pub(super) index: usize,
    pub(super) account: Account,
    pub(super) switched: bool,
}

/// All accounts are limited, and this one comes back first.
struct FirstBack {
    index: usize,
    name: String,
    until: UnixMillis,
}

impl AccountPick {
    /// Picks, and waits for an account if that was asked for.
    pub(super) fn pick(
        &self,
        shell: &Shell,
        store: &dyn Store,
        dead: &[Account],
    ) -> Result<Picked, Error> {
        let started = Instant::now();
        let mut told = false;
        loop {
            let first = match self.pick_once(shell, store, dead)? {
                Ok(picked) => return Ok(picked),
                Err(first) => first,
            };
            let Some(patience) = self.patience(started.elapsed()) else {
                return Err(self.all_limited(&first, shell.now()));
            };
            if !told {
                shell.note(&format!(
                    "waiting for account {} '{}', until {}",
                    first.index,
                    first.name,
                    first.until.rfc3339()
                ));
                told = true;
            }
            let left = first.until.since(shell.now());
            std::thread::sleep(left.min(LOOK_AGAIN).min(patience));
        }
    }

    /// How much longer to wait.
    fn patience(&self, waited: Duration) -> Option<Duration> {
        let most = self.wait?.unwrap_or(Duration::MAX);
        most.checked_sub(waited).filter(|left| !left.is_zero())
    }

    /// Picks as things are now, or says who comes back first.
    fn pick_once(
        &self,
        shell: &Shell,
        store: &dyn Store,
        dead: &[Account],
    ) -> Result<Result<Picked, FirstBack>, Error> {
        let now = self.now(shell);
        let mut document = shell.read(store)?;
        let (mut decision, news) = self.decide(&mut document, dead, now)?;
        if news && self.records() {
            // Others may have changed it since: decide again on what is there under the lock.
            (decision, _) = store::update(store, Absent::Refuse, |current| {
                let decided = self.decide(current, dead, now);
                document = current.clone();
                decided
            })
            .map_err(hint_at_peek)??;
        }
        match decision {
            Decision::Use { index, switch } => Ok(Ok(Picked {
                index,
                account: document.accounts.swap_remove(index),
                switched: switch.is_some(),
            })),
            Decision::Limited { index, until } => Ok(Err(FirstBack {
                index,
                name: document.accounts[index].name().to_owned(),
                until,
            })),
            Decision::Nothing(nothing) => Err(match &self.account {
                None => nothing_usable(nothing),
                Some(name) => {
                    let index = shell::find(&document.accounts, name)?;
                    not_usable(index, &document.accounts[index], nothing)
                }
            }),
        }
    }

    /// Decides and applies the decision to the document. Whether that is worth a write.
    fn decide(
        &self,
        document: &mut Document,
        dead: &[Account],
        now: UnixMillis,
    ) -> Result<(Decision, bool), Error> {
        for account in &mut document.accounts {
            let known = dead
                .iter()
                .find(|it| it.tokens.refresh == account.tokens.refresh);
            // What the store says of it is more exact.
            if let Some(known) = known.filter(|_| account.login_required.is_none()) {
                account.login_required.clone_from(&known.login_required);
            }
        }
        let request = self.request(document, now)?;
        let decision = pick::pick(&document.accounts, document.active_index, &request, now);
        let (picked, mut news) = match &decision {
            Decision::Use { index, switch } => {
                self.format.check(&document.accounts[*index])?;
                let news = pick::apply(
                    &mut document.accounts,
                    &mut document.active_index,
                    *index,
                    switch.clone(),
                    now,
                );
                (Some(*index), news)
            }
            Decision::Limited { .. } | Decision::Nothing(_) => (None, false),
        };
        news |= self.set_lease(&mut document.accounts, picked, now);
        Ok((decision, news))
    }

    /// Whether anything may be written.
    pub(super) fn records(&self) -> bool {
        !self.peek && self.at.is_none()
    }

    pub(super) fn request<'a>(
        &'a self,
        document: &Document,
        now: UnixMillis,
    ) -> Result<Request<'a>, Error> {
        let accounts = &document.accounts;
        let find = |name: &String| shell::find(accounts, name);
        Ok(Request {
            wishes: self.wishes().or(document.policy.wishes()),
            model: self.model.as_deref(),
            only: self.account.as_ref().map(find).transpose()?,
            exclude: self.exclude.iter().map(find).collect::<Result<_, _>>()?,
            busy: self.busy(accounts, now),
            session: self.session.as_deref(),
            keep: None,
        })
    }

    fn wishes(&self) -> Wishes {
        Wishes {
            strategy: self.strategy,
            reserve: self.reserve,
            credits: None,
        }
    }

    pub(super) fn now(&self, shell: &Shell) -> UnixMillis {
        self.at.unwrap_or_else(|| shell.now())
    }

    fn all_limited(&self, first: &FirstBack, now: UnixMillis) -> Error {
        let FirstBack { index, name, until } = first;
        let when = until.rfc3339();
        let message = match self.account {
            Some(_) => format!("account {index} '{name}' is limited until {when}"),
            None => format!(
                "every account is limited; account {index} '{name}' comes back first, at {when}"
            ),
        };
        let wait = when::span(until.since(now));
        let hint = match self.wait {
            Some(_) => format!("that is in {wait}"),
            None => format!("that is in {wait}; --wait waits for it"),
        };
        Error::hinted(Code::TryLater, message, hint)
    }
}

/// A store that can be read and not written is good for a pick that is not noted.
fn hint_at_peek(error: store::Error) -> Error {
    use std::io::ErrorKind::{PermissionDenied, ReadOnlyFilesystem};
    match &error {
        store::Error::Io { source, .. }
            if matches!(source.kind(), PermissionDenied | ReadOnlyFilesystem) =>
        {
            Error::hinted(Code::Io, error.to_string(), "--peek picks without writing")
        }
        _ => error.into(),
    }
}

/// That there is no account, and that waiting does not help.
fn nothing_usable(nothing: Nothing) -> Error {
    match nothing {
        Nothing::NoAccounts => Error::no_accounts(),
        Nothing::NoneAllowed => Error::hinted(
            Code::No,
            "every account is disabled or excluded",
            "codex-accounts enable ACCOUNT",
        ),
        Nothing::ModelNotIncluded => Error::hinted(
            Code::Refused,
            "no account is served with this model",
            "codex-account-pick --explain says until when that is believed",
        ),
        Nothing::CreditKept => Error::hinted(
            Code::TryLater,
            "the plan of every account is spent, and no credit is to be used",
            "codex-accounts policy --default --credits last",
        ),
        Nothing::LoginRequired => Error::hinted(
            Code::Refused,
            "no account can be used without a new login",
            LOG_IN_AGAIN,
        ),
    }
}

/// Why the one account that was asked for can't be used, and waiting does not help.
fn not_usable(index: usize, account: &Account, nothing: Nothing) -> Error {
    let name = account.name();
    if nothing == Nothing::ModelNotIncluded {
        let message = format!("account {index} '{name}' is not served with this model");
        return Error::new(Code::Refused, message);
    }
    if nothing == Nothing::CreditKept {
        let message = format!("the plan of account {index} '{name}' is spent");
        let hint = format!("codex-accounts policy --credits last {index}");
        return Error::hinted(Code::TryLater, message, hint);
    }
    if let Some(dead) = account.login_required.as_ref().filter(|_| account.enabled) {
        let message = format!("account {index} '{name}' needs a new login ({})", dead.code);
        let hint = format!("codex-accounts add {index}");
        return Error::hinted(Code::Refused, message, hint);
    }
    if account.enabled {
        return Error::new(Code::No, format!("account {index} '{name}' is excluded"));
    }
    let message = format!("account {index} '{name}' is disabled");
    Error::hinted(Code::No, message, format!("codex-accounts enable {index}"))
}

const LOG_IN_AGAIN: &str = "log in again with 'codex-accounts add'";
