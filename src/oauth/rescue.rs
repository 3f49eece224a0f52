//! What a refresh could not bring to its end, kept for the next one: new tokens that the store may
//! not have, because its disk is full or somebody broke it meanwhile, and used-up tokens that a
//! client's file may still hold in their place. The tokens they were got for are used up, so nothing
//! else would help.
//!
//! It lies beside the account's refresh lock, and is touched with that lock only; who
//! looks without it looks whether there is something. It is written to its full size before
//! anything is asked for, so that filling it later needs no space. Accounts of which too little is
//! known can share a lock: so it holds records, and each is of one account.

use std::io;

use serde::{Deserialize, Serialize};

use crate::account::secret::RefreshToken;
use crate::account::{Account, identity};
use crate::store::locator::Locator;
use crate::store::scratch::{Reserved, Scratch};
use crate::store::{self, Store};

/// More than the accounts of one lock ever take, in bytes; the tokens of one are a few KiB.
const ROOM: usize = 64 << 10;

/// Where what is left to do is kept.
#[derive(Debug)]
pub struct Rescue {
    place: Box<dyn Scratch>,
}

/// A place that is ready to be filled.
#[derive(Debug)]
pub struct Ready {
    place: Box<dyn Reserved>,
}

/// What is left to do for one account.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The refresh tokens that are used up, and may still be in somebody's file.
    pub consumed: Vec<RefreshToken>,
    /// The account with the tokens that take their place.
    pub account: Account,
}

impl Record {
    /// Whether it is this account's, and nobody else's.
    #[must_use]
    pub fn is_of(&self, account: &Account) -> bool {
        self.consumed.contains(&account.tokens.refresh) || identity::same(&self.account, account)
    }
}

impl Rescue {
    /// That of the account whose refresh lock has this name.
    ///
    /// # Errors
    /// When the store has no place for it.
    pub fn of(store: &dyn Store, lock: &str) -> Result<Self, store::Error> {
        let place = store.scratch(&format!("{lock}.rescued"))?;
        Ok(Self { place })
    }

    /// What is left to do. What a refresh was killed over before it had anything is nothing.
    #[must_use]
    pub fn records(&self) -> Vec<Record> {
        let text = self.place.read().ok().flatten().unwrap_or_default();
        serde_json::from_slice(&text).unwrap_or_default()
    }

    /// Keeps what is left to do now. Where that is nothing, nothing stays.
    ///
    /// # Errors
    /// When it can't be written; it is then as it was.
    pub fn keep(&self, records: &[Record]) -> io::Result<()> {
        if !records.is_empty() {
            return self.place.put(&serde_json::to_vec(records)?);
        }
        self.place.clear()
    }

    /// Makes room for what may be left to do, beside what is.
    ///
    /// # Errors
    /// When there is none: then nothing should be asked for either.
    pub fn prepare(&self, records: &[Record]) -> io::Result<Ready> {
        let place = self.place.reserve(&padded(records)?)?;
        Ok(Ready { place })
    }

    /// Where it is.
    #[must_use]
    pub fn locator(&self) -> Locator {
        self.place.locator()
    }
}

impl Ready {
    /// Fills it.
    ///
    /// # Errors
    /// When even that fails.
    pub fn fill(&mut self, records: &[Record]) -> io::Result<()> {
        self.place.fill(&padded(records)?)
    }
}

/// JSON with white space at its end, which covers what was there before.
fn padded(records: &[Record]) -> io::Result<Vec<u8>> {
    let mut text = match records {
        [] => Vec::new(),
        records => serde_json::to_vec(records)?,
    };
    text.resize(text.len().max(ROOM), b' ');
    Ok(text)
}
