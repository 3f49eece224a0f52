//! `codex-account-pick`: nothing in; the account to use now out, in the form asked for.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::args::{self, Common};
use super::exit::{Code, Error};
use super::holder;
use super::record::Who;
use super::shell::{self, Shell};
use crate::account::pick::{self, Decision, Nothing, Reason, Request, Strategy};
use crate::account::secret::AccessToken;
use crate::account::time::UnixMillis;
use crate::account::{Account, Extra, Lease, LoginRequired};
use crate::clock::Clock;
use crate::net::endpoint::Endpoint;
use crate::oauth::issuer::Issuer;
use crate::oauth::refresh::{self, Need, USUAL_MARGIN};
use crate::store::{self, Absent, Document, Store, log};
use form::Format;

mod form;

/// How often --wait looks whether somebody lifted a limit.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// What `--help` says after the options.
const MORE: &str = "\
Strategies:
  sticky       The active account until it is not usable, then the next one.
               It keeps the prompt cache warm, and is the default
  round-robin  The next usable account, every time
  least-used   The one with the least of its week used, then of its shorter
               window, then the one that was not used for longest
  step=N       The active account until N points of its week went since it
               became active, then the next one

Output:
  A record, one JSON object on a line: v, index, chatgptAccountId, email,
  label, switched and more. With --explain, a record for each account.
  The other formats are what a program takes: headers for curl -H @-,
  curl-config for curl -K -, opencode for OPENCODE_AUTH_CONTENT, codex for
  Codex's auth.json. They hold an access token that is good for five minutes
  at least, and no refresh token.

Exit status:
  0   An account was printed
  1   There is no account, or none that is allowed
  2   The arguments are wrong
  65  The token can't be written in a header
  69  The token could not be renewed
  74  Input or output failed
  75  Every account is limited; standard error says until when
  77  No account can be used without a new login
  78  The store is corrupt, or a setting is bad

Examples:
  account=$(codex-account-pick --model gpt-5.5 | jq .index)
  codex-account-pick --format curl-config | curl -sS -K - \"$url\"
  codex-account-pick --explain | jq -c '[.label, .reason]'";

/// Pick the account to use now
///
/// Prints the account that the strategy chooses among the usable ones, and records that it is the
/// active one now. An account is usable if it is enabled, needs no login, and is not limited for
/// the model. There is no chance in the choice.
#[derive(Debug, clap::Parser)]
#[command(
    name = "codex-account-pick",
    version,
    long_version = crate::cli::VERSION,
    override_usage = "\
codex-account-pick [-qhV] [--store FILE] [--strategy STRATEGY]
                          [--model NAME] [--session KEY] [--account ACCOUNT]
                          [--exclude ACCOUNT]... [--reserve PERCENT]
                          [--lease DURATION] [--pid PID] [--wait[=MAX]]
                          [--peek] [--explain] [--at TIME]
                          [--format FORMAT] [--force]",
    after_long_help = MORE,
    term_width = 80
)]
pub struct AccountPick {
    /// sticky, round-robin, least-used or step=N
    #[arg(long, value_name = "STRATEGY", value_parser = args::strategy, default_value = "sticky", hide_default_value = true)]
    strategy: Strategy,
    /// The model it is for: limits of other models do not count
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
    /// The same account for the same key, as long as it is usable
    #[arg(long, value_name = "KEY")]
    session: Option<String>,
    /// This account or none: index, label, email or id
    #[arg(long, value_name = "ACCOUNT")]
    account: Option<String>,
    /// Not this account; may be repeated
    #[arg(long, value_name = "ACCOUNT")]
    exclude: Vec<String>,
    /// Accounts with this little left of a window come last
    #[arg(long, value_name = "PERCENT", value_parser = args::percent, default_value = "0", hide_default_value = true)]
    reserve: f64,
    /// Keep others off the account for so long; 0 gives it back
    #[arg(long, value_name = "DURATION", value_parser = args::duration)]
    lease: Option<Duration>,
    /// The process that holds the lease; default: the parent
    #[arg(long, value_name = "PID", value_parser = clap::value_parser!(u32).range(1..))]
    pid: Option<u32>,
    /// Wait until an account is usable, at most so long
    #[arg(long, value_name = "MAX", value_parser = args::duration, num_args = 0..=1, require_equals = true)]
    wait: Option<Option<Duration>>,
    /// Record nothing
    #[arg(long, conflicts_with = "lease")]
    peek: bool,
    /// Print why each account was chosen or passed over; record nothing
    #[arg(long, conflicts_with_all = ["wait", "lease", "format"])]
    explain: bool,
    /// Decide as of this time; record nothing
    #[arg(long, value_name = "TIME", value_parser = args::time, conflicts_with_all = ["wait", "lease"])]
    at: Option<UnixMillis>,
    /// json, id, access-token, headers, curl-config, opencode or codex
    #[arg(
        long,
        value_name = "FORMAT",
        value_enum,
        default_value = "json",
        hide_default_value = true,
        hide_possible_values = true
    )]
    format: Format,
    /// Write a token even to a terminal
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    common: Common,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ExplainRecord<'a> {
    #[serde(flatten)]
    who: Who<'a>,
    chosen: bool,
    reason: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<UnixMillis>,
}

impl super::Command for AccountPick {
    const NAME: &'static str = "codex-account-pick";

    fn common(&self) -> &Common {
        &self.common
    }

    fn run(self, shell: &Shell) -> Result<Code, Error> {
        let store = shell.accounts()?;
        if self.explain {
            return self.print_reasons(shell, store.as_ref());
        }
        if self.format.is_secret() {
            shell.allow_secrets(self.force)?;
        }
        let picked = if self.format.is_secret() {
            self.pick_with_token(shell, store.as_ref())?
        } else {
            self.pick(shell, store.as_ref(), &[])?
        };
        self.format.print(shell, &picked)?;
        Ok(Code::Done)
    }
}

/// The account that was picked.
struct Picked {
    index: usize,
    account: Account,
    switched: bool,
}

/// All accounts are limited, and this one comes back first.
struct FirstBack {
    index: usize,
    name: String,
    until: UnixMillis,
}

impl AccountPick {
    /// Picks, and waits for an account if that was asked for.
    fn pick(&self, shell: &Shell, store: &dyn Store, dead: &[Account]) -> Result<Picked, Error> {
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
            let before;
            (decision, before) = store::update(store, Absent::Refuse, |current| {
                let before = current.active_index;
                let decided = self.decide(current, dead, now);
                document = current.clone();
                decided.map(|(decision, _)| (decision, before))
            })??;
            log_switch(store, &document, before, &decision, now);
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
            Decision::Nothing(nothing) => Err(nothing_usable(nothing, self.account.as_deref())),
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
                .find(|it| it.refresh_token == account.refresh_token);
            if let Some(known) = known {
                account.login_required.clone_from(&known.login_required);
            }
        }
        let request = self.request(&document.accounts, now)?;
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
    fn records(&self) -> bool {
        !self.peek && self.at.is_none()
    }

    fn request(&self, accounts: &[Account], now: UnixMillis) -> Result<Request<'_>, Error> {
        let find = |name: &String| shell::find(accounts, name);
        Ok(Request {
            strategy: self.strategy,
            model: self.model.as_deref(),
            only: self.account.as_ref().map(find).transpose()?,
            exclude: self.exclude.iter().map(find).collect::<Result<_, _>>()?,
            busy: self.busy(accounts, now),
            reserve_percent: self.reserve,
            session: self.session.as_deref(),
        })
    }

    /// The process that holds the lease: the one that runs the pipeline. Nobody knows which one
    /// that was when a decision is replayed.
    fn holder(&self) -> Option<u32> {
        self.pid.or_else(|| self.at.is_none().then(parent))
    }

    /// The accounts that others hold: their lease runs, and its process does too. When a decision
    /// is replayed, it is their time alone that counts.
    fn busy(&self, accounts: &[Account], now: UnixMillis) -> BTreeSet<usize> {
        let by_other = |lease: &Lease| Some(lease.pid) != self.holder();
        let lives = |lease: &Lease| self.at.is_some() || holder::is_running(lease);
        let held = |lease: &Lease| lease.until > now && by_other(lease) && lives(lease);
        (0..accounts.len())
            .filter(|&index| accounts[index].lease.as_ref().is_some_and(held))
            .collect()
    }

    /// Leases the picked account, if that was asked for. A process holds one account: what it held
    /// before it gives back, also where there is none for it now. Whether anything changed.
    fn set_lease(&self, accounts: &mut [Account], picked: Option<usize>, now: UnixMillis) -> bool {
        let Some((length, pid)) = self.lease.zip(self.holder()) else {
            return false;
        };
        let process_start = holder::process_start(pid);
        let mut changed = false;
        for (index, account) in accounts.iter_mut().enumerate() {
            let lease = if picked == Some(index) && !length.is_zero() {
                Some(Lease {
                    until: now.plus(length),
                    pid,
                    process_start,
                    extra: Extra::new(),
                })
            } else {
                account.lease.clone().filter(|lease| lease.pid != pid)
            };
            changed |= account.lease != lease;
            account.lease = lease;
        }
        changed
    }

    fn now(&self, shell: &Shell) -> UnixMillis {
        self.at.unwrap_or_else(|| shell.now())
    }

    /// Picks an account whose token can be used: one whose login turns out to be dead is passed
    /// over, as it will be from now on.
    fn pick_with_token(&self, shell: &Shell, store: &dyn Store) -> Result<Picked, Error> {
        let issuer = Issuer::new(Endpoint::issuer()?);
        // The store knows of them too, but opencode's auth.json does not.
        let mut dead = Vec::new();
        loop {
            let mut picked = self.pick(shell, store, &dead)?;
            if !self.records() {
                still_valid(&picked.account, shell.clock())
                    .ok_or_else(|| expired(&picked.account))?;
                return Ok(picked);
            }
            match fresh(shell, store, &issuer, &picked.account) {
                Ok(account) => return Ok(Picked { account, ..picked }),
                Err(refresh::Error::LoginRequired { name, code, .. }) if self.account.is_none() => {
                    shell.note(&format!("'{name}' needs a new login ({code})"));
                    picked.account.login_required = Some(LoginRequired {
                        code,
                        at: shell.now(),
                        extra: Extra::new(),
                    });
                    dead.push(picked.account);
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn print_reasons(&self, shell: &Shell, store: &dyn Store) -> Result<Code, Error> {
        let now = self.now(shell);
        let document = shell.read(store)?;
        if document.accounts.is_empty() {
            return Err(nothing_usable(Nothing::NoAccounts, None));
        }
        let request = self.request(&document.accounts, now)?;
        let reasons = pick::explain(&document.accounts, document.active_index, &request, now);
        for (index, reason) in reasons.into_iter().enumerate() {
            shell.emit(&ExplainRecord {
                who: Who::new(index, &document.accounts[index]),
                chosen: reason == Reason::Chosen,
                reason: reason.word(),
                until: reason.until(),
            })?;
        }
        Ok(Code::Done)
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
        let wait = until.since(now).as_secs_f64().ceil();
        let hint = match self.wait {
            Some(_) => format!("that is in {wait} s"),
            None => format!("that is in {wait} s; --wait waits for it"),
        };
        Error::hinted(Code::TryLater, message, hint)
    }
}

/// Writes a committed switch down for `codex-accounts log`, which is worth no failure.
fn log_switch(
    store: &dyn Store,
    document: &Document,
    before: usize,
    decision: &Decision,
    now: UnixMillis,
) {
    if let Decision::Use {
        switch: Some(reason),
        ..
    } = decision
    {
        let _ = log::record_switch(store.path(), document, before, reason.clone(), now);
    }
}

/// A token that can be used for a while. If it can't be renewed now, one that has not expired yet
/// will do.
fn fresh(
    shell: &Shell,
    store: &dyn Store,
    issuer: &Issuer,
    account: &Account,
) -> Result<Account, refresh::Error> {
    let need = Need::ExpiresWithin(USUAL_MARGIN);
    match refresh::refresh(store, issuer, account, need, shell.clock()) {
        Ok(refreshed) => {
            shell.notes(&refreshed.notes);
            Ok(refreshed.account)
        }
        Err(refresh::Error::Issuer { source, .. })
            if still_valid(account, shell.clock()).is_some() =>
        {
            shell.note(&format!("the token is near its end: {source}"));
            Ok(account.clone())
        }
        Err(error) => Err(error),
    }
}

fn still_valid(account: &Account, clock: Clock) -> Option<&AccessToken> {
    account.fresh_token(clock.now(), Duration::ZERO)
}

fn expired(account: &Account) -> Error {
    Error::hinted(
        Code::No,
        format!("the access token of '{}' has expired", account.name()),
        "without --peek and --at it is renewed",
    )
}

#[cfg(unix)]
fn parent() -> u32 {
    std::os::unix::process::parent_id()
}

#[cfg(not(unix))]
fn parent() -> u32 {
    std::process::id()
}

fn nothing_usable(nothing: Nothing, asked_for: Option<&str>) -> Error {
    match (nothing, asked_for) {
        (Nothing::NoAccounts, _) => Error::no_accounts(),
        (Nothing::NoneAllowed, Some(name)) => Error::hinted(
            Code::No,
            format!("account '{name}' is disabled or excluded"),
            format!("codex-accounts enable '{name}'"),
        ),
        (Nothing::NoneAllowed, None) => Error::hinted(
            Code::No,
            "every account is disabled or excluded",
            "codex-accounts enable ACCOUNT",
        ),
        (Nothing::LoginRequired, _) => Error::hinted(
            Code::Refused,
            "no account can be used without a new login",
            "log in again with 'codex-accounts add'",
        ),
    }
}
