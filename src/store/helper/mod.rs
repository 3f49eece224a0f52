//! A store that a helper keeps (codex-store-helper(7)): a program of its own that moves a text and
//! holds locks, as git's remote helpers do for it. The document stays ours: no helper looks into it.

pub(super) mod error;
mod known;
mod link;
mod process;
mod scratch;
mod seal;
mod watch;
mod wire;

use std::sync::{Arc, Mutex, Once, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use known::Known;
use link::Link;
use process::{Connection, Fault};
use scratch::HelperScratch;
use wire::{Answer, Request};

use super::error::Error as StoreError;
use super::format::Document;
use super::locator::{Locator, StoreUrl};
use super::lock::{Held, Lock, Patience, Waiting, lock_file};
use super::scratch::{Scratch, ScratchFile};
use super::version::Version;
use super::{Absent, Store, places};

pub use error::Error;
pub use wire::Kind;

/// Who came too late begins again after this.
const AGAIN: Duration = Duration::from_millis(20);

/// A store that a helper keeps.
pub struct HelperStore {
    link: Arc<Link>,
    known: Arc<Known>,
    /// Held by the one change of this process: others would only wait in the helper.
    changing: Mutex<()>,
    watching: Once,
}

impl HelperStore {
    /// The store at this URL. `waiting` is told when its lock takes long. Nothing is started yet.
    #[must_use]
    pub fn new(url: StoreUrl, waiting: Waiting) -> Self {
        Self {
            link: Arc::new(Link::new(url, waiting)),
            known: Arc::default(),
            changing: Mutex::default(),
            watching: Once::new(),
        }
    }

    /// The document of an answer. `known`: what it need not have sent.
    fn document(
        &self,
        answer: Answer,
        known: Option<(String, Document)>,
    ) -> Result<Option<Document>, StoreError> {
        let Some(version) = answer.version else {
            self.known.saw(None);
            return Ok(None);
        };
        let document = match (answer.document, known) {
            (Some(text), _) => {
                Document::parse(text.as_bytes()).map_err(|source| StoreError::Format {
                    at: self.locator(),
                    source,
                })?
            }
            (None, Some((_, document))) => {
                self.known.saw(Some(&version));
                return Ok(Some(document));
            }
            // Proof: an answer without it is one to a request that names what is known.
            (None, None) => return Ok(None),
        };
        self.known.read(version, document.clone());
        Ok(Some(document))
    }

    /// One try. `sent`: what an earlier one may have committed already.
    fn try_change(
        &self,
        absent: Absent,
        change: &mut dyn FnMut(&mut Document),
        wait: Duration,
        sent: &mut Option<Document>,
    ) -> Result<(), StoreError> {
        let known = self.known.document();
        let (connection, answer) = self.link.open(&Request::Begin {
            wait: millis(wait),
            unless: known.as_ref().map(|(version, _)| version.as_str()),
        })?;
        let changed = self.document(answer, known).and_then(|before| {
            if before.is_some() && before == *sent {
                return Ok(None);
            }
            let mut document = before
                .clone()
                .or_else(|| (absent == Absent::Create).then(Document::default))
                .ok_or_else(|| StoreError::Missing { at: self.locator() })?;
            change(&mut document);
            Ok((before.as_ref() != Some(&document)).then_some(document))
        });
        match changed {
            Ok(Some(document)) => self.commit(connection, document, sent),
            Ok(None) => {
                self.abort(connection);
                Ok(())
            }
            Err(error) => {
                self.abort(connection);
                Err(error)
            }
        }
    }

    fn commit(
        &self,
        mut connection: Connection,
        document: Document,
        sent: &mut Option<Document>,
    ) -> Result<(), StoreError> {
        let text = String::from_utf8_lossy(&document.to_bytes()).into_owned();
        let request = Request::Commit { document: &text };
        match self.link.ask_of(&mut connection, &request) {
            Ok(answer) => {
                self.link.keep(connection);
                if let Some(version) = answer.version {
                    self.known.read(version, document);
                }
                Ok(())
            }
            Err(fault) => {
                let was_refused = matches!(fault, Fault::Refused(_));
                let mut error = self.link.error(fault);
                if was_refused {
                    self.link.keep(connection);
                } else if error.kind == Kind::Unavailable {
                    error.kind = Kind::Unclear;
                }
                if error.kind == Kind::Unclear {
                    *sent = Some(document);
                }
                Err(error.into())
            }
        }
    }

    fn abort(&self, mut connection: Connection) {
        // One that does not answer ends, and its transaction with it.
        if self.link.ask_of(&mut connection, &Request::Abort).is_ok() {
            self.link.keep(connection);
        }
    }
}

impl Store for HelperStore {
    fn read(&self) -> Result<Option<Document>, StoreError> {
        let known = self.known.document();
        let unless = known.as_ref().map(|(version, _)| version.as_str());
        let answer = self.link.ask(&Request::Read { unless })?;
        self.document(answer, known)
    }

    fn transact(
        &self,
        absent: Absent,
        change: &mut dyn FnMut(&mut Document),
    ) -> Result<(), StoreError> {
        let alone = self.changing.lock();
        let _alone = alone.unwrap_or_else(PoisonError::into_inner);
        let begun = Instant::now();
        let mut sent = None;
        let mut unclear = None;
        loop {
            let left = Patience::USUAL.most.saturating_sub(begun.elapsed());
            let Err(error) = self.try_change(absent, change, left, &mut sent) else {
                return Ok(());
            };
            let again = match &error {
                StoreError::Helper(error) if error.kind == Kind::Unclear => {
                    unclear = Some(error.clone());
                    true
                }
                StoreError::Helper(error) => {
                    error.kind == Kind::Conflict
                        || (error.kind == Kind::Unavailable && sent.is_some())
                }
                _ => false,
            };
            if !again || left.is_zero() {
                // What can't be told is more than that it can't be told now.
                return Err(unclear.map_or(error, StoreError::Helper));
            }
            thread::sleep(AGAIN);
        }
    }

    fn hold(&self, name: &str, patience: Patience) -> Result<Box<dyn Held>, StoreError> {
        let begun = Instant::now();
        // Other stores on this machine, and the clients' own files, meet here.
        let here = places::of_login(&format!("{name}.lock"))
            .map(|path| lock_file(path, patience, self.link.waiting()))
            .transpose()?;
        let wait = patience.most.saturating_sub(begun.elapsed());
        let (connection, _) = self.link.open(&Request::Hold {
            name,
            wait: millis(wait),
        })?;
        Ok(Box::new(HeldThere {
            link: Arc::clone(&self.link),
            connection: Some(connection),
            name: name.to_owned(),
            _here: here,
        }))
    }

    fn scratch(&self, name: &str) -> Result<Box<dyn Scratch>, StoreError> {
        let link = Arc::clone(&self.link);
        Ok(Box::new(HelperScratch::new(link, name)))
    }

    fn scratch_here(&self, name: &str) -> Option<Box<dyn Scratch>> {
        let path = places::of_login(name)?;
        Some(Box::new(ScratchFile::at(path)))
    }

    fn exists(&self) -> Result<bool, StoreError> {
        let look = Request::Watch {
            version: None,
            wait: 0,
        };
        Ok(self.link.ask(&look)?.version.is_some())
    }

    fn version(&self) -> Option<Version> {
        self.watching
            .call_once(|| watch::start(&self.link, &self.known));
        self.known.counted()
    }

    fn locator(&self) -> Locator {
        self.link.at().clone()
    }
}

/// A lock that a helper has for us, and the one on this machine.
struct HeldThere {
    link: Arc<Link>,
    connection: Option<Connection>,
    name: String,
    _here: Option<Lock>,
}

impl Held for HeldThere {}

impl std::fmt::Debug for HeldThere {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HeldThere")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl Drop for HeldThere {
    fn drop(&mut self) {
        let Some(mut connection) = self.connection.take() else {
            return;
        };
        let release = Request::Release { name: &self.name };
        // A helper that does not answer ends, and the lock with it.
        if self.link.ask_of(&mut connection, &release).is_ok() {
            self.link.keep(connection);
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
