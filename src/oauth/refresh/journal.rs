//! The journal of a login's refreshes: what was asked, what came of it, and what is not brought to
//! its end yet. It lies where the lock of the login does, and is changed with that lock only; who
//! looks without it looks whether there is something.
//!
//! It is written before the issuer is asked, to its full size: what has to be put there afterwards
//! needs no room then, and a process that is killed leaves behind that it had asked. What can't be
//! read is not empty: the only copy of a token may be in it.

use std::io;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::account::handle::Fingerprint;
use crate::account::secret::RefreshToken;
use crate::account::time::UnixMillis;
use crate::account::{Account, identity};
use crate::store::locator::Locator;
use crate::store::scratch::{Reserved, Scratch};
use crate::store::{self, Store};

/// More than one journal ever takes, in bytes; the tokens of one login are a few KiB.
const ROOM: usize = 64 << 10;

/// So many used-up tokens of a chain are told from others.
const MOST_USED: usize = 16;

/// So many chains are remembered: a login that is made anew begins another.
const MOST_CHAINS: usize = 8;

/// How long the issuer is left alone after it failed, and after it failed again and again.
const FIRST_WAIT: Duration = Duration::from_secs(30);
const LONGEST_WAIT: Duration = Duration::from_secs(15 * 60);

/// Where the journal is kept.
#[derive(Debug)]
pub struct Journal {
    place: Box<dyn Scratch>,
}

/// A journal that has room for what is to be filled in.
#[derive(Debug)]
pub struct Room(Box<dyn Reserved>);

/// It can't be read, and is left as it is.
#[derive(Debug, Error)]
#[error("the journal '{place}' is left as it is: {source}")]
pub struct Unreadable {
    /// Where it is.
    pub place: Locator,
    /// What is wrong with it.
    pub source: io::Error,
}

/// A chain of tokens, each of them got for the one before.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Chain {
    /// The store that has its last token, as a person names it.
    pub store: String,
    /// The tokens that are used up, the last of them last.
    #[serde(default)]
    pub used: Vec<Fingerprint>,
    /// The last one, as far as it is known.
    pub head: Fingerprint,
    /// That the issuer was asked for another, and none came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<Asked>,
    /// The issuer's code, where it called the last one dead and no store keeps that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dead: Option<String>,
    /// What is not brought to its end yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending: Option<Pending>,
}

/// That the issuer was asked in vain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Asked {
    /// When it was asked last.
    pub at: UnixMillis,
    /// How often in a row.
    pub times: u32,
    /// Whether it answered; if not, the token may be used up.
    pub answered: bool,
}

/// New tokens that may not be everywhere yet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pending {
    /// The refresh tokens that are used up, and may still be in somebody's file.
    pub consumed: Vec<RefreshToken>,
    /// The account with the tokens that take their place.
    pub account: Account,
}

impl Asked {
    /// Asked once more, now.
    #[must_use]
    pub fn again(before: Option<Self>, now: UnixMillis) -> Self {
        Self {
            at: now,
            times: before.map_or(0, |before| before.times).saturating_add(1),
            answered: false,
        }
    }

    /// Until when the issuer is left alone.
    #[must_use]
    pub fn wait_until(&self) -> UnixMillis {
        let doubled = FIRST_WAIT.saturating_mul(1 << self.times.saturating_sub(1).min(16));
        self.at.plus(doubled.min(LONGEST_WAIT))
    }
}

impl Chain {
    /// The chain of which nothing is known but this account's token.
    #[must_use]
    pub fn of(account: &Account, store: &Locator) -> Self {
        Self {
            store: store.absolute().to_string(),
            used: Vec::new(),
            head: Fingerprint::from(&account.tokens.refresh),
            asked: None,
            dead: None,
            pending: None,
        }
    }

    /// Whether a token of it is used up.
    #[must_use]
    pub fn has_used(&self, token: &RefreshToken) -> bool {
        self.used.contains(&Fingerprint::from(token))
    }

    /// Whether a token is of it.
    #[must_use]
    pub fn has(&self, token: &RefreshToken) -> bool {
        self.head == Fingerprint::from(token) || self.has_used(token)
    }

    /// Notes that a token took the place of the last one.
    pub fn go_on(&mut self, token: &RefreshToken) {
        let head = Fingerprint::from(token);
        if head != self.head {
            self.used.push(std::mem::replace(&mut self.head, head));
            self.used.retain(|used| *used != head);
            let many = self.used.len().saturating_sub(MOST_USED);
            self.used.drain(..many);
        }
        self.asked = None;
        self.dead = None;
    }

    /// The used-up tokens that may still be in somebody's file.
    #[must_use]
    pub fn left(&self) -> Vec<RefreshToken> {
        let pending = self.pending.as_ref();
        pending.map_or_else(Vec::new, |pending| pending.consumed.clone())
    }
}

/// The chain that an account's token is of, or whose pending tokens are this account's.
#[must_use]
pub fn find(chains: &[Chain], account: &Account, store: &Locator) -> Option<usize> {
    let here = store.absolute().to_string();
    let waits = |chain: &Chain| {
        let pending = chain.pending.as_ref().filter(|_| chain.store == here);
        pending.is_some_and(|pending| identity::same(&pending.account, account))
    };
    let has = |chain: &Chain| chain.has(&account.tokens.refresh);
    let by_token = chains.iter().position(has);
    by_token.or_else(|| chains.iter().position(waits))
}

impl Journal {
    /// That of the login whose lock has this name.
    ///
    /// # Errors
    /// When the store has no place for it.
    pub fn of(store: &dyn Store, lock: &str) -> Result<Self, store::Error> {
        let place = store.scratch(&format!("{lock}.journal"))?;
        Ok(Self { place })
    }

    /// The chains in it.
    ///
    /// # Errors
    /// When it can't be read.
    pub fn read(&self) -> Result<Vec<Chain>, Unreadable> {
        let unreadable = |source| Unreadable {
            place: self.place.locator(),
            source,
        };
        let text = self.place.read().map_err(unreadable)?.unwrap_or_default();
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

    /// Keeps what is known now. Where that is nothing, nothing stays.
    ///
    /// # Errors
    /// When it can't be written; it is then as it was.
    pub fn keep(&self, chains: &[Chain]) -> io::Result<()> {
        match bounded(chains) {
            [] => self.place.clear(),
            chains => self.place.put(&serde_json::to_vec(chains)?),
        }
    }

    /// Keeps what is known now, with room for more.
    ///
    /// # Errors
    /// When there is none: then nothing should be asked for either.
    pub fn make_room(&self, chains: &[Chain]) -> io::Result<Room> {
        Ok(Room(self.place.reserve(&padded(chains)?)?))
    }

    /// Where it is.
    #[must_use]
    pub fn locator(&self) -> Locator {
        self.place.locator()
    }
}

impl Room {
    /// Fills it.
    ///
    /// # Errors
    /// When even that fails.
    pub fn fill(&mut self, chains: &[Chain]) -> io::Result<()> {
        self.0.fill(&padded(chains)?)
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn account(token: &str) -> Account {
        Account::new(RefreshToken::new(token))
    }

    fn chain(token: &str) -> Chain {
        Chain::of(&account(token), &Locator::File("/store".into()))
    }

    #[test]
    fn a_chain_knows_its_tokens_and_no_other() {
        let mut chain = chain("one");
        for token in ["two", "three"] {
            chain.go_on(&RefreshToken::new(token));
        }
        for (token, used, has) in [
            ("one", true, true),
            ("three", false, true),
            ("four", false, false),
        ] {
            let token = RefreshToken::new(token);
            assert_eq!((chain.has_used(&token), chain.has(&token)), (used, has));
        }
        for number in 0..100 {
            chain.go_on(&RefreshToken::new(format!("n{number}")));
        }
        assert_eq!(chain.used.len(), MOST_USED);
    }

    #[test]
    fn the_wait_doubles_from_half_a_minute_to_a_quarter_of_an_hour() {
        let now = UnixMillis::from_secs(1000);
        let mut asked = None;
        let mut waits = Vec::new();
        for _ in 0..7 {
            let again = Asked::again(asked, now);
            waits.push(again.wait_until().since(now).as_secs());
            asked = Some(again);
        }
        assert_eq!(waits, [30, 60, 120, 240, 480, 900, 900]);
    }
}
