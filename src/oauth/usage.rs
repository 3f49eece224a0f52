//! Asking the backend how much of an account's quota is used (PROTOCOL §3, §4). What the answer
//! means, [`crate::account::limit`] says.

use std::time::Duration;

use http::{Response, StatusCode};
use serde_json::Value;
use thiserror::Error;

use super::issuer::Issuer;
use super::refresh::{self, Need, USUAL_MARGIN, refresh};
use crate::account::handle::Handle;
use crate::account::limit::banked::{self, BankedReset};
use crate::account::limit::{self, Reading, Verdict};
use crate::account::observation::{Asking, Observation};
use crate::account::time::UnixMillis;
use crate::account::{Account, credentials};
use crate::clock::Clock;
use crate::net::agent::{Agent, Unreachable};
use crate::net::endpoint::Endpoint;
use crate::store::locator::Locator;
use crate::store::{self, Store};

const PATIENCE: Duration = Duration::from_secs(30);

/// The backend, asked about usage.
#[derive(Debug)]
pub struct Backend {
    endpoint: Endpoint,
    agent: Agent,
}

/// The usage of an account.
#[derive(Debug)]
pub struct Fetched {
    /// The account, as the store has it now.
    pub account: Account,
    /// What the backend said.
    pub reading: Reading,
    /// What the person should know; see [`refresh::Refreshed`].
    pub notes: Vec<String>,
}

/// Why the usage is not known.
#[derive(Debug, Error)]
pub enum Error {
    /// There is no fresh token to ask with, or the store can't be used.
    #[error(transparent)]
    Refresh(#[from] refresh::Error),
    /// The backend could not be asked.
    #[error("the usage of '{name}' is not known: {source}")]
    Unreachable {
        /// What the account is called.
        name: String,
        /// What happened.
        source: Unreachable,
    },
    /// Not even a token that was just renewed was accepted.
    #[error("the backend does not accept the token of '{name}'")]
    NotAccepted {
        /// What the account is called.
        name: String,
        /// The store to log in to again, where it is not the usual one.
        store: Option<Locator>,
    },
    /// It does not tell this account. That says nothing about the login (PROTOCOL §4).
    #[error("the backend does not tell the usage of '{name}' ({verdict}, status {status})")]
    Refused {
        /// What the account is called.
        name: String,
        /// What its answer means.
        verdict: &'static str,
        /// The status of its answer.
        status: u16,
    },
    /// It answered with something that is no usage.
    #[error(
        "the backend answered with something else than the usage of '{name}' (status {status})"
    )]
    Nonsense {
        /// What the account is called.
        name: String,
        /// The status of its answer.
        status: u16,
    },
}

impl Backend {
    /// The backend at this address.
    #[must_use]
    pub fn new(endpoint: Endpoint) -> Self {
        let agent = Agent::new(&endpoint, PATIENCE);
        Self { endpoint, agent }
    }

    /// Asks with the account's token, at the older place where the newer one is not there.
    fn ask(&self, account: &Account) -> Result<Response<Vec<u8>>, Error> {
        let answer = self.get("/wham/usage", account)?;
        if answer.status() == StatusCode::NOT_FOUND {
            return self.get("/codex/usage", account);
        }
        Ok(answer)
    }

    /// The banked resets of an account that can be spent, the one that expires first first.
    ///
    /// # Errors
    /// When the backend can't be asked, or answers with something else.
    pub fn banked(&self, account: &Account) -> Result<Vec<BankedReset>, Error> {
        let answer = self.get("/wham/rate-limit-reset-credits", account)?;
        let status = answer.status();
        if status == StatusCode::NOT_FOUND {
            return Ok(Vec::new());
        }
        let list: Option<Value> = serde_json::from_slice(answer.body()).ok();
        let list = list.filter(|_| status.is_success());
        let list = list.and_then(|list| banked::read_list(&list));
        list.ok_or_else(|| Error::Nonsense {
            name: account.name().to_owned(),
            status: status.as_u16(),
        })
    }

    fn get(&self, path: &str, account: &Account) -> Result<Response<Vec<u8>>, Error> {
        let headers = credentials::headers(account);
        let answer = self.agent.get(&self.endpoint.at(path), headers);
        answer.map_err(|source| Error::Unreachable {
            name: account.name().to_owned(),
            source,
        })
    }

    /// Posts JSON as the account.
    pub(super) fn post(
        &self,
        path: &str,
        account: &Account,
        body: &Value,
    ) -> Result<Response<Vec<u8>>, Unreachable> {
        let headers = credentials::headers(account);
        self.agent
            .post_json_with(&self.endpoint.at(path), headers, body)
    }
}

/// Asks for an account's usage, with a fresh token, and records it.
///
/// # Errors
/// When there is no fresh token, the backend can't be asked or does not tell, or the store is
/// unusable. The usage that the store has stays as it is then.
pub fn fetch(
    store: &dyn Store,
    issuer: &Issuer,
    backend: &Backend,
    before: &Account,
    clock: Clock,
) -> Result<Fetched, Error> {
    let fresh = Need::ExpiresWithin(USUAL_MARGIN);
    let mut refreshed = refresh(store, issuer, before, fresh, clock)?;
    let mut notes = std::mem::take(&mut refreshed.notes);
    let mut asked_at = clock.now();
    let mut answer = backend.ask(&refreshed.account)?;
    if answer.status() == StatusCode::UNAUTHORIZED {
        refreshed = refresh(store, issuer, &refreshed.account, Need::Now, clock)?;
        notes.append(&mut refreshed.notes);
        asked_at = clock.now();
        answer = backend.ask(&refreshed.account)?;
    }
    let now = clock.now();
    let mut reading = read(&answer, store, refreshed.account.name(), now)?;
    if reading.banked_resets.is_some()
        && let Ok(list) = backend.banked(&refreshed.account)
    {
        // The count is told with the usage; when the first expires, only the list says.
        reading.banked_resets = banked::summary(&list).map(Box::new);
    }
    let observation = Observation {
        asking: Asking {
            who: Handle::from(&refreshed.account),
            model: None,
            at: asked_at,
        },
        reading,
        seen_at: now,
    };
    let account = refresh::change(store, &refreshed.account, |kept| {
        kept.record(&observation);
    })?;
    Ok(Fetched {
        account,
        reading: observation.reading,
        notes,
    })
}

fn read(
    answer: &Response<Vec<u8>>,
    store: &dyn Store,
    name: &str,
    now: UnixMillis,
) -> Result<Reading, Error> {
    let usage = serde_json::from_slice::<Value>(answer.body()).ok();
    if let (true, Some(usage @ Value::Object(_))) = (answer.status().is_success(), &usage) {
        return Ok(limit::read_usage(usage, now));
    }
    let name = name.to_owned();
    let status = answer.status().as_u16();
    let response = limit::Response {
        status: Some(answer.status()),
        headers: answer.headers(),
        body: answer.body(),
    };
    Err(match response.read(now).verdict {
        Verdict::Unauthorized { .. } | Verdict::LoginRequired { .. } => Error::NotAccepted {
            name,
            store: store::named(store),
        },
        refused @ (Verdict::NoEntitlement | Verdict::WorkspaceGone) => Error::Refused {
            name,
            verdict: refused.word(),
            status,
        },
        other @ Verdict::Other if status == 403 => Error::Refused {
            name,
            verdict: other.word(),
            status,
        },
        _ => Error::Nonsense { name, status },
    })
}
