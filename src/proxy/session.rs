//! Sessions on their way through several accounts (DESIGN §2, "A session across accounts"): which
//! account a session is with, and how a request is sent to an account that was found not to read
//! all of it. What can be cut out of a request, and who made what, is `account::session`'s.
//!
//! A request goes out as the client wrote it, unless this account refused blobs of this session
//! before. Nothing here asks anybody.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::pool::Kept;
use crate::account::handle::Handle;
use crate::account::limit::{Foreign, Unreadable};
use crate::account::session::{Blob, Body, Counts, Cut, Extent, Makers, SessionKey};

/// So many sessions are remembered by their account, the last ones.
const MOST_SESSIONS: usize = 1024;

/// What is remembered of all sessions, while the relay runs.
#[derive(Debug, Default)]
pub(super) struct Sessions(Mutex<Memory>);

#[derive(Debug, Default)]
struct Memory {
    makers: Makers,
    /// Who served a session last, for each model: not every account has every one.
    served: HashMap<(SessionKey, Option<String>), Kept>,
    /// The keys of `served`, oldest first.
    order: VecDeque<(SessionKey, Option<String>)>,
}

impl Sessions {
    /// The account that a session is with: for this model, or for none in particular.
    pub(super) fn account_of(&self, key: &SessionKey, model: Option<&str>) -> Option<Kept> {
        let memory = self.memory();
        let of = |model: Option<&str>| {
            memory
                .served
                .get(&(key.clone(), model.map(str::to_owned)))
                .cloned()
        };
        of(model).or_else(|| of(None))
    }

    /// An account served a session.
    pub(super) fn served(&self, key: &SessionKey, model: Option<&str>, by: &Kept) {
        let mut memory = self.memory();
        for model in [model.map(str::to_owned), None] {
            let place = (key.clone(), model);
            if memory.served.insert(place.clone(), by.clone()).is_none() {
                memory.order.push_back(place);
            }
            if memory.order.len() > 2 * MOST_SESSIONS
                && let Some(oldest) = memory.order.pop_front()
            {
                memory.served.remove(&oldest);
            }
        }
    }

    /// An account made these blobs: they were in an answer of its.
    pub(super) fn made(&self, blobs: &[Blob], by: &Handle) {
        if !blobs.is_empty() {
            let mut memory = self.memory();
            blobs.iter().for_each(|blob| memory.makers.made(*blob, by));
        }
    }

    fn maker_of(&self, blobs: impl IntoIterator<Item = Blob>) -> Option<Handle> {
        self.memory().makers.maker_of(blobs).cloned()
    }

    fn unreadable(&self, key: &SessionKey, by: &Handle) -> Option<HashSet<Blob>> {
        self.memory().makers.unreadable(key, by).cloned()
    }

    fn refused(&self, key: &SessionKey, by: &Handle, blobs: &[Blob]) {
        self.memory().makers.refused(key, by, blobs);
    }

    /// What is behind the lock is whole between any two statements.
    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What takes a request to an account, as far as its text matters.
pub(super) trait Carrier {
    /// The request as the client wrote it, if it is text that can be read.
    fn text(&self) -> Option<Cow<'_, [u8]>>;

    /// What is sent from now on; `None`: what the client wrote.
    fn send(&mut self, text: Option<String>);
}

/// The session of one request, and how it was sent to each account.
#[derive(Debug, Default)]
pub(super) struct Carried {
    key: Option<SessionKey>,
    /// By [`Handle::key`].
    cuts: HashMap<u64, (Level, Vec<Blob>)>,
}

/// How much was cut out for an account that refused the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Level {
    Unfollowed,
    AllButCompactions,
    All,
}

/// What can be done about a refusal: the same account once more without what was cut out, or before
/// that the account that made it all, if it can be asked.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Recovery {
    pub(super) cut: Counts,
    pub(super) maker: Option<Handle>,
}

impl Carried {
    pub(super) fn new(key: Option<SessionKey>) -> Self {
        Self {
            key,
            ..Self::default()
        }
    }

    /// The account that the session is with.
    pub(super) fn account(&self, sessions: &Sessions, model: Option<&str>) -> Option<Kept> {
        sessions.account_of(self.key.as_ref()?, model)
    }

    /// Sees to it that an account is sent what it is known to read. What was cut out for that.
    pub(super) fn fit(
        &self,
        sessions: &Sessions,
        who: &Handle,
        carrier: &mut impl Carrier,
    ) -> Option<Counts> {
        let cut = self.cut_for(sessions, who, carrier);
        let counts = cut.as_ref().map(|cut| cut.counts);
        carrier.send(cut.map(|cut| cut.body));
        counts
    }

    fn cut_for(&self, sessions: &Sessions, who: &Handle, carrier: &impl Carrier) -> Option<Cut> {
        match self.cuts.get(&who.key()) {
            Some((Level::All, _)) => cut(carrier, Extent::All),
            Some((Level::AllButCompactions, _)) => cut(carrier, Extent::AllButCompactions),
            Some((Level::Unfollowed, blobs)) => {
                let blobs = blobs.iter().copied().collect();
                cut(carrier, Extent::These(&blobs))
            }
            None => {
                let blobs = sessions.unreadable(self.key.as_ref()?, who)?;
                cut(carrier, Extent::These(&blobs))
            }
        }
    }

    /// An account refused what another made: from now on it is sent less. `None`: there is nothing
    /// to be done about it.
    pub(super) fn recover(
        &mut self,
        sessions: &Sessions,
        who: &Handle,
        foreign: &Foreign,
        carrier: &mut impl Carrier,
    ) -> Option<Recovery> {
        let text = carrier.text()?;
        let body = Body::read(&text).ok()?;
        // What no account takes is not taken by who made it either.
        let may_go_back = self.cuts.is_empty() && foreign.what != Unreadable::Unfollowed;
        let (level, cut) = match foreign.what {
            Unreadable::Unfollowed => self.without_dead_end(sessions, who, foreign, &body)?,
            _ => self.deeper(who, foreign, &body)?,
        };
        let maker = sessions.maker_of(body.blobs());
        drop(text);
        carrier.send(Some(cut.body));
        self.cuts.insert(who.key(), (level, cut.blobs));
        Some(Recovery {
            cut: cut.counts,
            maker: maker.filter(|maker| may_go_back && maker.key() != who.key()),
        })
    }

    /// What to cut out for an account that refused what it was sent. A summary is the last to go:
    /// only when it is named, or what was sent was without all else.
    fn deeper(&self, who: &Handle, foreign: &Foreign, body: &Body<'_>) -> Option<(Level, Cut)> {
        let names_summary = foreign
            .item
            .as_ref()
            .is_some_and(|id| id.starts_with("cmp_"));
        let level = match self.level(who) {
            None | Some(Level::Unfollowed) if !names_summary => Level::AllButCompactions,
            Some(Level::All) => return None,
            _ => Level::All,
        };
        let most = || body.cut(Extent::All).map(|cut| (Level::All, cut));
        match level {
            Level::All => most(),
            level => body
                .cut(Extent::AllButCompactions)
                .map_or_else(most, |cut| Some((level, cut))),
        }
    }

    /// What to cut out where reasoning led to nothing: that, and what this account is known not to
    /// read. Where another account made it, the rest of what that thought would be refused next.
    fn without_dead_end(
        &self,
        sessions: &Sessions,
        who: &Handle,
        foreign: &Foreign,
        body: &Body<'_>,
    ) -> Option<(Level, Cut)> {
        let level = self.level(who);
        let dead_end = body.cut(Extent::Unfollowed(foreign.item.as_deref()))?.blobs;
        let maker = sessions.maker_of(dead_end.iter().copied());
        if level.is_none() && maker.is_none_or(|maker| maker.key() == who.key()) {
            let known = self.key.as_ref();
            let known = known.and_then(|key| sessions.unreadable(key, who));
            let mut blobs = known.unwrap_or_default();
            blobs.extend(dead_end);
            let cut = body.cut(Extent::These(&blobs))?;
            return Some((Level::Unfollowed, cut));
        }
        let cut = || body.cut(Extent::AllButCompactions);
        matches!(level, None | Some(Level::Unfollowed))
            .then(|| Some((Level::AllButCompactions, cut()?)))?
    }

    fn level(&self, who: &Handle) -> Option<Level> {
        self.cuts.get(&who.key()).map(|(level, _)| *level)
    }

    /// An account took the request: what had to be cut out for it is left out beforehand from now
    /// on, and the session is with it.
    pub(super) fn accepted(&self, sessions: &Sessions, by: &Kept, model: Option<&str>) {
        let Some(key) = &self.key else {
            return;
        };
        self.refused(sessions, &by.who);
        sessions.served(key, model, by);
    }

    /// What was cut out for an account is left out beforehand from now on.
    pub(super) fn refused(&self, sessions: &Sessions, who: &Handle) {
        if let (Some(key), Some((_, blobs))) = (&self.key, self.cuts.get(&who.key())) {
            sessions.refused(key, who, blobs);
        }
    }
}

fn cut(carrier: &impl Carrier, extent: Extent<'_>) -> Option<Cut> {
    Body::read(&carrier.text()?).ok()?.cut(extent)
}
