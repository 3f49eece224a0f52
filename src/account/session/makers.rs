//! Who made which blob, and who refused it. All of it is bounded: what is forgotten is found out
//! again, by a request more.

use std::collections::{HashMap, HashSet, VecDeque};

use super::blob::Blob;
use super::key::SessionKey;
use crate::account::handle::Handle;

/// So many blobs are known by their maker.
const MOST_MADE: usize = 4096;

/// So many blobs are known to be unreadable, for all sessions and accounts together.
const MOST_REFUSED: usize = 1 << 16;

/// The makers of blobs, and the accounts that can't read them.
#[derive(Debug, Default)]
pub struct Makers {
    makers: HashMap<Blob, Handle>,
    /// The blobs of `makers`, oldest first.
    made: VecDeque<Blob>,
    /// Oldest first.
    refused: VecDeque<Refused>,
}

/// What one account refused in one session.
#[derive(Debug)]
struct Refused {
    session: SessionKey,
    /// The account, by [`Handle::key`].
    by: u64,
    blobs: HashSet<Blob>,
}

impl Makers {
    /// An account made this blob: it was in an answer of its.
    pub fn made(&mut self, blob: Blob, by: &Handle) {
        if self.makers.insert(blob, by.clone()).is_none() {
            self.made.push_back(blob);
        }
        if self.made.len() > MOST_MADE
            && let Some(oldest) = self.made.pop_front()
        {
            self.makers.remove(&oldest);
        }
    }

    /// The account that made these blobs: all of those whose maker is known, and one at least.
    pub fn maker_of(&self, blobs: impl IntoIterator<Item = Blob>) -> Option<&Handle> {
        let mut known = blobs.into_iter().filter_map(|blob| self.makers.get(&blob));
        let maker = known.next()?;
        known
            .all(|other| other.key() == maker.key())
            .then_some(maker)
    }

    /// An account refused a request of this session, and took it without these blobs. It does read
    /// those that it made itself, unless there are no others that it can have meant.
    pub fn refused(&mut self, session: &SessionKey, by: &Handle, blobs: &[Blob]) {
        let is_foreign = |blob: &&Blob| {
            let maker = self.makers.get(blob);
            maker.is_none_or(|maker| maker.key() != by.key())
        };
        let foreign: HashSet<Blob> = blobs.iter().filter(is_foreign).copied().collect();
        let mut refused = if foreign.is_empty() {
            blobs.iter().copied().collect()
        } else {
            foreign
        };
        let is_known = |it: &Refused| it.session == *session && it.by == by.key();
        if let Some(at) = self.refused.iter().position(is_known)
            && let Some(before) = self.refused.remove(at)
        {
            refused.extend(before.blobs);
        }
        if !refused.is_empty() {
            self.refused.push_back(Refused {
                session: session.clone(),
                by: by.key(),
                blobs: refused,
            });
        }
        self.forget_the_oldest();
    }

    /// The blobs of this session that the account is known not to read.
    #[must_use]
    pub fn unreadable(&self, session: &SessionKey, by: &Handle) -> Option<&HashSet<Blob>> {
        let is_it = |it: &&Refused| it.session == *session && it.by == by.key();
        self.refused
            .iter()
            .find(is_it)
            .map(|refused| &refused.blobs)
    }

    fn forget_the_oldest(&mut self) {
        let mut count: usize = self.refused.iter().map(|it| it.blobs.len()).sum();
        while count > MOST_REFUSED
            && let Some(oldest) = self.refused.pop_front()
        {
            count -= oldest.blobs.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::{Account, AccountId, secret::RefreshToken};

    fn handle(id: &str) -> Handle {
        Handle::from(&Account {
            chatgpt_account_id: Some(AccountId::new(id)),
            ..Account::new(RefreshToken::new(format!("token of {id}")))
        })
    }

    fn blobs(names: &str) -> Vec<Blob> {
        names.split(' ').map(Blob::of).collect()
    }

    fn session(name: &'static str) -> SessionKey {
        let mut headers = http::HeaderMap::new();
        headers.insert("session-id", http::HeaderValue::from_static(name));
        SessionKey::of(&headers).unwrap()
    }

    #[test]
    fn the_maker_is_known_where_the_known_agree() {
        let (a, b) = (handle("a"), handle("b"));
        let mut makers = Makers::default();
        for blob in blobs("a1 a2") {
            makers.made(blob, &a);
        }
        makers.made(Blob::of("b1"), &b);
        assert_eq!(makers.maker_of(blobs("x a1 a2")), Some(&a));
        assert_eq!(makers.maker_of(blobs("b1")), Some(&b));
        assert_eq!(makers.maker_of(blobs("a1 b1")), None);
        assert_eq!(makers.maker_of(blobs("x")), None);
    }

    #[test]
    fn the_oldest_makers_are_forgotten() {
        let mut makers = Makers::default();
        let numbered = |number: usize| Blob::of(&number.to_string());
        for number in 0..=MOST_MADE {
            makers.made(numbered(number), &handle("a"));
            makers.made(numbered(number), &handle("a"));
        }
        assert_eq!(makers.maker_of([numbered(0)]), None);
        assert_eq!(makers.maker_of([numbered(1)]), Some(&handle("a")));
        assert_eq!(
            (makers.made.len(), makers.makers.len()),
            (MOST_MADE, MOST_MADE)
        );
    }

    #[test]
    fn what_an_account_made_itself_it_is_not_taken_to_have_refused() {
        let (a, b) = (handle("a"), handle("b"));
        let (one, two) = (session("one"), session("two"));
        let mut makers = Makers::default();
        makers.made(Blob::of("b1"), &b);
        makers.refused(&one, &b, &blobs("a1 b1"));
        let unreadable = |makers: &Makers, session, by| {
            let blobs = makers.unreadable(session, by).cloned().unwrap_or_default();
            let mut blobs: Vec<Blob> = blobs.into_iter().collect();
            blobs.sort();
            blobs
        };
        let sorted = |names| {
            let mut blobs = blobs(names);
            blobs.sort();
            blobs
        };
        assert_eq!(unreadable(&makers, &one, &b), sorted("a1"));
        assert_eq!(unreadable(&makers, &one, &a), []);
        assert_eq!(unreadable(&makers, &two, &b), []);
        // Refused again without the foreign ones, it must be its own.
        makers.refused(&one, &b, &blobs("b1"));
        assert_eq!(unreadable(&makers, &one, &b), sorted("a1 b1"));
    }

    #[test]
    fn the_oldest_refusals_are_forgotten() {
        let mut makers = Makers::default();
        let (one, two) = (session("one"), session("two"));
        makers.refused(&one, &handle("b"), &blobs("a1"));
        let many: Vec<Blob> = (0..MOST_REFUSED)
            .map(|n| Blob::of(&n.to_string()))
            .collect();
        makers.refused(&two, &handle("b"), &many);
        assert!(makers.unreadable(&one, &handle("b")).is_none());
        assert!(makers.unreadable(&two, &handle("b")).is_some());
        makers.refused(&two, &handle("b"), &blobs("one more"));
        assert!(makers.refused.is_empty());
    }
}
