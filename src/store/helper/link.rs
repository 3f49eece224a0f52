//! The helpers that a process has: one is started where none is free, and those that are free are
//! kept for the next request.

use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use super::error::Error;
use super::process::{Connection, Fault, helper_of};
use super::seal::{self, Seal};
use super::wire::{Answer, Kind, Refusal, Request};
use crate::store::locator::{Locator, StoreUrl};
use crate::store::lock::{Patience, Waiting};
use crate::store::notice::Notice;

/// So many are kept while they have nothing to do.
const MOST_IDLE: usize = 2;

/// An engine that can't be reached is left alone so long: who has many requests has none of them
/// wait for it.
const REST: Duration = Duration::from_secs(1);

/// See the module.
pub(super) struct Link {
    url: StoreUrl,
    at: Locator,
    waiting: Waiting,
    idle: Mutex<Vec<Connection>>,
    /// The key that the URL names, once it is read.
    seal: OnceLock<Seal>,
    resting: Mutex<Option<(Instant, Error)>>,
}

impl Link {
    pub(super) fn new(url: StoreUrl, waiting: Waiting) -> Self {
        Self {
            at: Locator::Helper(url.clone()),
            url,
            waiting,
            idle: Mutex::default(),
            seal: OnceLock::new(),
            resting: Mutex::default(),
        }
    }

    pub(super) const fn at(&self) -> &Locator {
        &self.at
    }

    pub(super) const fn waiting(&self) -> Waiting {
        self.waiting
    }

    /// Asks, and keeps the helper for later.
    pub(super) fn ask(&self, request: &Request<'_>) -> Result<Answer, Error> {
        let (connection, answer) = self.open(request)?;
        self.keep(connection);
        Ok(answer)
    }

    /// Asks a helper that is free, and hands it out with its answer: what follows goes to the same
    /// one.
    pub(super) fn open(&self, request: &Request<'_>) -> Result<(Connection, Answer), Error> {
        if let Some((until, error)) = &*lock(&self.resting)
            && Instant::now() < *until
        {
            return Err(error.clone());
        }
        let opened = self.open_one(request);
        *lock(&self.resting) = match &opened {
            Err(error) if error.kind == Kind::Unavailable => {
                Some((Instant::now() + REST, error.clone()))
            }
            _ => None,
        };
        opened
    }

    fn open_one(&self, request: &Request<'_>) -> Result<(Connection, Answer), Error> {
        loop {
            let idle = lock(&self.idle).pop();
            let was_idle = idle.is_some();
            let mut connection = match idle {
                Some(connection) => connection,
                None => self.start()?,
            };
            match self.ask_of(&mut connection, request) {
                Ok(answer) => return Ok((connection, answer)),
                // It may have ended long ago; the next one has not.
                Err(Fault::Ended) if was_idle && request.can_be_repeated() => {}
                Err(fault) => {
                    if let Fault::Refused(_) = fault {
                        self.keep(connection);
                    }
                    return Err(self.error(fault));
                }
            }
        }
    }

    /// Starts one.
    pub(super) fn start(&self) -> Result<Connection, Error> {
        Connection::start(&self.url).map_err(|refusal| self.refused(refusal))
    }

    /// Asks one that has been asked something before.
    pub(super) fn ask_of(
        &self,
        connection: &mut Connection,
        request: &Request<'_>,
    ) -> Result<Answer, Fault> {
        let seal = self.seal().map_err(Fault::Sealed)?;
        let closed = seal.close(request).map_err(Fault::Sealed)?;
        let sent = closed
            .as_deref()
            .map_or(*request, |text| request.with(text));
        let slow = || (self.waiting)(&Notice::WaitingAt(&self.at));
        let answer = connection.ask(&sent, Patience::USUAL.quiet, slow)?;
        seal.open(request, answer).map_err(Fault::Sealed)
    }

    fn seal(&self) -> Result<&Seal, Refusal> {
        if let Some(seal) = self.seal.get() {
            return Ok(seal);
        }
        let (key_file, _) = seal::key_file(self.url.expose());
        let seal = Seal::of(key_file.as_deref())?;
        Ok(self.seal.get_or_init(|| seal))
    }

    /// Keeps one that has nothing to do.
    pub(super) fn keep(&self, connection: Connection) {
        let mut idle = lock(&self.idle);
        if idle.len() < MOST_IDLE {
            idle.push(connection);
        }
    }

    pub(super) fn error(&self, fault: Fault) -> Error {
        self.refused(fault.of(&helper_of(&self.url)))
    }

    fn refused(&self, refusal: Refusal) -> Error {
        Error {
            at: self.at.clone(),
            kind: refusal.kind,
            message: refusal.message,
            hint: refusal.hint,
        }
    }
}

/// What is behind these is whole between any two statements.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
