//! The journal of a login's refreshes: what was asked, what came of it, and what is not brought to
//! its end yet. It lies where the lock of the login does, and is changed with that lock only; who
//! looks without it looks whether there is something.
//!
//! It is written before the issuer is asked, to its full size: what has to be put there afterwards
//! needs no room then, and a process that is killed leaves behind that it had asked. What can't be
//! read is not empty: the only copy of a token may be in it.

use std::io;

use thiserror::Error;

use super::chain::together;
use crate::account::identity;
use crate::store::locator::Locator;
use crate::store::scratch::{Reserved, Scratch};
use crate::store::{self, Store};
use crate::sys::process;

pub use super::chain::{Asked, Chain, Pending, find};

/// More than one journal ever takes, in bytes; the tokens of one login are a few KiB.
const ROOM: usize = 64 << 10;

/// So many chains are remembered: a login that is made anew begins another.
const MOST_CHAINS: usize = 8;

/// Where the journal is kept.
#[derive(Debug)]
pub struct Journal {
    place: Box<dyn Scratch>,
    /// A copy on this machine, where the place is on another: what the other does not get is not
    /// lost.
    here: Option<Box<dyn Scratch>>,
}

/// A journal that has room for what is to be filled in.
#[derive(Debug)]
pub struct Room(Vec<Box<dyn Reserved>>);

/// It can't be read, and is left as it is.
#[derive(Debug, Error)]
#[error("the journal '{place}' is left as it is: {source}")]
pub struct Unreadable {
    /// Where it is.
    pub place: Locator,
    /// What is wrong with it.
    pub source: io::Error,
}

/// This machine, as a journal names it.
#[must_use]
pub(super) fn here() -> Option<u64> {
    process::host().map(|name| identity::fingerprint(&[name.as_str()]))
}

impl Journal {
    /// That of the login whose lock has this name.
    ///
    /// # Errors
    /// When the store has no place for it.
    pub fn of(store: &dyn Store, lock: &str) -> Result<Self, store::Error> {
        let place = store.scratch(&format!("{lock}.journal"))?;
        let here = store.scratch_here(&format!("{lock}.journal"));
        Ok(Self { place, here })
    }

    /// The chains in it.
    ///
    /// # Errors
    /// When it can't be read.
    pub fn read(&self) -> Result<Vec<Chain>, Unreadable> {
        let there = read(self.place.as_ref())?;
        match &self.here {
            Some(here) => Ok(together(there, read(here.as_ref())?)),
            None => Ok(there),
        }
    }

    /// Keeps what is known now. Where that is nothing, nothing stays.
    ///
    /// # Errors
    /// When it can't be written; it is then as it was.
    pub fn keep(&self, chains: &[Chain]) -> io::Result<()> {
        let chains = bounded(chains);
        let text = serde_json::to_vec(chains)?;
        let keep = |place: &dyn Scratch| match chains {
            [] => place.clear(),
            _ => place.put(&text),
        };
        // The copy goes last: where that of all was not reached, it has what is to be done.
        keep(self.place.as_ref())?;
        self.here.as_deref().map_or(Ok(()), keep)
    }

    /// Keeps what is known now, with room for more.
    ///
    /// # Errors
    /// When there is none: then nothing should be asked for either.
    pub fn make_room(&self, chains: &[Chain]) -> io::Result<Room> {
        let text = padded(chains)?;
        let places = self.here.iter().chain([&self.place]);
        let rooms = places.map(|place| place.reserve(&text));
        Ok(Room(rooms.collect::<io::Result<_>>()?))
    }

    /// Where it is: on this machine, if it is there too.
    #[must_use]
    pub fn locator(&self) -> Locator {
        self.here.as_ref().unwrap_or(&self.place).locator()
    }
}

impl Room {
    /// Fills it. Where there are two, one is enough.
    ///
    /// # Errors
    /// When even that fails.
    pub fn fill(&mut self, chains: &[Chain]) -> io::Result<()> {
        let text = padded(chains)?;
        let filled: Vec<_> = self.0.iter_mut().map(|room| room.fill(&text)).collect();
        // Proof: there is room, so there is one.
        filled.into_iter().reduce(Result::or).unwrap_or(Ok(()))
    }
}

fn read(place: &dyn Scratch) -> Result<Vec<Chain>, Unreadable> {
    let unreadable = |source| Unreadable {
        place: place.locator(),
        source,
    };
    let text = place.read().map_err(unreadable)?.unwrap_or_default();
    if text.trim_ascii().is_empty() {
        return Ok(Vec::new());
    }
    // Nothing of the text is said: tokens are in it.
    serde_json::from_slice(&text).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        let what = format!("it is damaged at line {line}, column {column}");
        unreadable(io::Error::new(io::ErrorKind::InvalidData, what))
    })
}

/// The last ones.
fn bounded(chains: &[Chain]) -> &[Chain] {
    &chains[chains.len().saturating_sub(MOST_CHAINS)..]
}

/// JSON with white space at its end, which covers what was there before.
fn padded(chains: &[Chain]) -> io::Result<Vec<u8>> {
    let mut text = serde_json::to_vec(bounded(chains))?;
    text.resize(text.len().max(ROOM), b' ');
    Ok(text)
}
