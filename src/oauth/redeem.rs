//! Spending a banked reset of an account (PROTOCOL §4). Each is asked for with a request id that is
//! kept on disk until there is an answer: asked again with it, the backend spends no second one.
//! Nothing here spends one by itself: a person or a script asked for it.

use std::io;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use thiserror::Error;

use super::issuer::Issuer;
use super::refresh;
use super::usage::{self, Backend, Fetched};
use crate::account::handle::Handle;
use crate::account::limit::Verdict;
use crate::account::limit::banked::{BankedReset, Redeemed};
use crate::account::{Account, usage::Window};
use crate::clock::Clock;
use crate::store::locator::Locator;
use crate::store::lock::{Held, Patience};
use crate::store::scratch::Scratch;
use crate::store::{self, Store};

const CONSUME: &str = "/wham/rate-limit-reset-credits/consume";

/// Why no reset was spent, or it is not known whether one was.
#[derive(Debug, Error)]
pub enum Error {
    /// The usage could not be asked for, or the store can't be used.
    #[error(transparent)]
    Usage(#[from] usage::Error),
    /// The account's lock was not had, or its change not kept.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// An earlier request is on disk, and can't be read.
    #[error("the request of an earlier attempt can't be read: '{at}'")]
    Journal {
        /// Where it is.
        at: Locator,
    },
    /// The request could not be kept, so it was not made.
    #[error("the request can't be kept in '{at}': {source}")]
    NotKept {
        /// Where it would be.
        at: Locator,
        /// Why.
        source: io::Error,
    },
    /// There was no answer that says what came of it. Asking again spends no second one.
    #[error("whether a reset of '{name}' was spent is not known: {reason}")]
    Unclear {
        /// What the account is called.
        name: String,
        /// What happened.
        reason: String,
    },
    /// The backend did not do it, and did not say why in its own words.
    #[error("the backend spends no reset of '{name}' (status {status})")]
    Refused {
        /// What the account is called.
        name: String,
        /// The status of its answer.
        status: u16,
    },
}

/// What was asked for, kept until there is an answer.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Request {
    redeem_request_id: String,
    credit_id: String,
}

/// What is to be done.
#[derive(Debug)]
pub enum Plan {
    /// Nothing can be: for this reason.
    Nothing(Redeemed),
    /// This can be spent.
    Spend(Box<Spend>),
}

/// A reset that can be spent.
#[derive(Debug)]
pub struct Spend {
    account: Account,
    /// Held until it is done: one request of an account at a time.
    _lock: Box<dyn Held>,
    journal: Box<dyn Scratch>,
    request: Request,
    /// The reset; `None` where an earlier attempt without an answer is made again.
    pub reset: Option<BankedReset>,
    /// What the person should know.
    pub notes: Vec<String>,
}

/// What came of it.
#[derive(Debug)]
pub struct Done {
    /// The account, as the store has it now.
    pub account: Account,
    /// The backend's word.
    pub outcome: Redeemed,
    /// How many windows begin anew, where it says so.
    pub windows: Option<u64>,
    /// What the person should know.
    pub notes: Vec<String>,
}

/// Looks what can be spent: the reset that expires first, if a window is used up.
///
/// # Errors
/// When the backend can't be asked, or the account's lock is not had.
pub fn plan(
    store: &dyn Store,
    issuer: &Issuer,
    backend: &Backend,
    before: &Account,
    clock: Clock,
) -> Result<Plan, Error> {
    let name = format!("redeem-{:016x}", Handle::from(before).key());
    let lock = store.hold(&name, Patience::USUAL)?;
    let journal = store.scratch(&format!("{name}.request"))?;
    let earlier = earlier(journal.as_ref())?;
    let Fetched {
        account,
        reading,
        notes,
    } = usage::fetch(store, issuer, backend, before, clock)?;
    let spend = |account, request, reset| {
        Plan::Spend(Box::new(Spend {
            account,
            _lock: lock,
            journal,
            request,
            reset,
            notes,
        }))
    };
    if let Some(request) = earlier {
        return Ok(spend(account, request, None));
    }
    let is_limited = matches!(reading.verdict, Verdict::Limited(_));
    if !is_limited && !reading.windows.iter().any(Window::exhausted) {
        return Ok(Plan::Nothing(Redeemed::NothingToReset));
    }
    let Some(reset) = backend.banked(&account)?.into_iter().next() else {
        return Ok(Plan::Nothing(Redeemed::NoCredit));
    };
    let request = Request {
        redeem_request_id: uuid(),
        credit_id: reset.id.clone(),
    };
    Ok(spend(account, request, Some(reset)))
}

/// The request of an earlier attempt that got no answer.
fn earlier(journal: &dyn Scratch) -> Result<Option<Request>, Error> {
    let unreadable = || Error::Journal {
        at: journal.locator(),
    };
    let Some(bytes) = journal.read().map_err(|_| unreadable())? else {
        return Ok(None);
    };
    let request = serde_json::from_slice(&bytes).map_err(|_| unreadable())?;
    Ok(Some(request))
}

impl Spend {
    /// Whether an earlier attempt without an answer is made again.
    #[must_use]
    pub const fn is_again(&self) -> bool {
        self.reset.is_none()
    }

    /// Spends it.
    ///
    /// # Errors
    /// When there is no answer, or none that says what came of it.
    pub fn spend(
        mut self,
        store: &dyn Store,
        issuer: &Issuer,
        backend: &Backend,
        clock: Clock,
    ) -> Result<Done, Error> {
        let text = json!(self.request);
        let kept = self.journal.put(text.to_string().as_bytes());
        kept.map_err(|source| Error::NotKept {
            at: self.journal.locator(),
            source,
        })?;
        let (outcome, windows) = self.ask(backend, &text)?;
        let mut account = self.account;
        if matches!(outcome, Redeemed::Reset | Redeemed::Already) {
            account = refresh::change(store, &account, Account::windows_began_anew)
                .map_err(usage::Error::from)?;
        }
        // Only what is kept of it may be forgotten.
        if let Err(error) = self.journal.clear() {
            let note = format!("'{}' can't be removed: {error}", self.journal.locator());
            self.notes.push(note);
        }
        match usage::fetch(store, issuer, backend, &account, clock) {
            Ok(fetched) => account = fetched.account,
            Err(error) => self.notes.push(error.to_string()),
        }
        Ok(Done {
            account,
            outcome,
            windows,
            notes: self.notes,
        })
    }

    fn ask(&self, backend: &Backend, request: &Value) -> Result<(Redeemed, Option<u64>), Error> {
        let name = || self.account.name().to_owned();
        let unclear = |reason: String| Error::Unclear {
            name: name(),
            reason,
        };
        let answer = backend.post(CONSUME, &self.account, request);
        let answer = answer.map_err(|error| unclear(error.to_string()))?;
        let status = answer.status();
        let said: Value = serde_json::from_slice(answer.body()).unwrap_or(Value::Null);
        match Redeemed::read(&said) {
            Some(outcome) if status.is_success() => Ok((outcome, said["windows_reset"].as_u64())),
            // It was not done, whatever the reason: another attempt may name another reset.
            _ if matches!(status.as_u16(), 400 | 403 | 404 | 422) => {
                // If it stays, it is asked again, and refused again.
                let _ = self.journal.clear();
                Err(Error::Refused {
                    name: name(),
                    status: status.as_u16(),
                })
            }
            _ => Err(unclear(format!("status {}", status.as_u16()))),
        }
    }
}

/// A random UUID (RFC 9562 §5.4).
fn uuid() -> String {
    let mut bytes = [0; 16];
    // Without chance it would still be one of its own for this reset: the backend refuses it then.
    let _ = getrandom::fill(&mut bytes);
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let parts = [
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..],
    ];
    parts.join("-")
}
