//! Who is asked next. The decision is [`pick`]'s; here the document is found that it is made in,
//! and what it changes is put into the store.

use std::sync::Arc;

use tokio::task;
use tokio::time::timeout;

use super::committing::Committing;
use super::narrowing::Narrowing;
use super::{Pool, STORE_PATIENCE};
use crate::account::handle::Handle;
use crate::account::observation::Observation;
use crate::account::pick::{self, Decision, Keep, Nothing, Request, Wishes};
use crate::account::time::UnixMillis;
use crate::account::usage::Window;
use crate::account::{Account, State};
use crate::store::Document;

/// What a request needs.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// The model, if it is known.
    pub model: Option<String>,
    /// The account that is to go on as long as it can serve, as the strategy lets it.
    pub keep: Option<Kept>,
    /// The accounts that were asked for this request and will not do.
    pub excluded: Vec<Handle>,
}

/// An account that a session has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The account.
    pub who: Handle,
    /// When it served the session last.
    pub since: UnixMillis,
}

/// Who is next, or why nobody is.
pub type Choice = Result<Box<Account>, Unavailable>;

/// Why there is no account to ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unavailable {
    /// All that could serve are limited; this one comes back first.
    Limited {
        /// What it is called.
        name: String,
        /// When it comes back.
        until: UnixMillis,
    },
    /// It is no use to wait.
    Nobody(Nothing),
}

impl Pool {
    /// Chooses, and records who is active if that changes.
    pub async fn choose(self: &Arc<Self>, wanted: &Wanted) -> Choice {
        let mut document = self.document().await;
        let active = document.active_index;
        let decision = decide(&document, wanted, self.wishes, &self.narrowing, self.now());
        if let Decision::Use {
            index,
            switch: None,
        } = decision
        {
            let account = &document.accounts[index];
            if !pick::is_news(account, self.now()) {
                return Ok(Box::new(account.clone()));
            }
        }
        let (choice, news) = carry_out(Arc::make_mut(&mut document), decision, self.now());
        if !news {
            return choice;
        }
        // That the active account was used again needs no waiting for.
        if document.active_index == active && !document.accounts.is_empty() {
            let (pool, wanted) = (Arc::clone(self), wanted.clone());
            drop(task::spawn(
                async move { pool.change_in_time(&wanted).await },
            ));
            return choice;
        }
        match self.change_in_time(wanted).await {
            Some(choice) => choice,
            None => self.choose_meanwhile(wanted),
        }
    }

    /// This account, if a session could go on with it.
    pub async fn usable(self: &Arc<Self>, who: &Handle, wanted: &Wanted) -> Option<Box<Account>> {
        let document = self.document().await;
        let (accounts, now) = (&document.accounts, self.now());
        let index = who.find(accounts)?;
        let keep = Keep { index, since: now };
        let request = Request {
            keep: Some(keep),
            ..request(&document, wanted, self.wishes, &self.narrowing)
        };
        let decision = pick::pick(accounts, document.active_index, &request, now);
        let is_it = decision
            == Decision::Use {
                index,
                switch: None,
            };
        is_it.then(|| Box::new(accounts[index].clone()))
    }

    /// Records what an answer said, and chooses who is next. Both count at once; the store gets them
    /// by one commit, which runs beside what is asked next.
    pub async fn fail_over(
        self: &Arc<Self>,
        observation: Observation,
        wanted: &Wanted,
    ) -> (Choice, Committing) {
        // Another command may have changed something while the answer was waited for.
        self.document().await;
        let choice = self.record_and(observation, |document| self.choose_in(document, wanted));
        let (pool, wanted) = (Arc::clone(self), wanted.clone());
        let commit = task::spawn(async move {
            let alone = Arc::clone(&pool.changing).lock_owned().await;
            let flush = task::spawn_blocking(move || {
                let _alone = alone;
                pool.flush(Some(&wanted))
            });
            flush.await.unwrap_or(false)
        });
        (choice, Committing::of(commit))
    }

    /// Whether an account has nothing left for a model, by what is known of it now.
    pub async fn is_spent(self: &Arc<Self>, who: &Handle, model: Option<&str>) -> bool {
        let (document, now) = (self.document().await, self.now());
        let account = who
            .find(&document.accounts)
            .map(|it| &document.accounts[it]);
        account.is_some_and(|account| {
            let usage = account.usage.iter().flat_map(|usage| &usage.windows);
            let is_over = |window: &Window| window.resets_at.is_some_and(|at| at <= now);
            account.state(model, now) != State::Ready
                || usage
                    .filter(|window| window.scope.is_none() && !is_over(window))
                    .any(Window::exhausted)
        })
    }

    /// Chooses, and remembers it, without the store.
    fn choose_meanwhile(&self, wanted: &Wanted) -> Choice {
        self.cached
            .amend(|document| self.choose_in(document, wanted))
    }

    /// The change that records who is next. `None`: it did not come to pass, or takes longer than a
    /// client should wait; one that has begun goes on then.
    ///
    /// One is made at a time, and the others wait without a thread: each of a store that is stuck
    /// would keep its own.
    async fn change_in_time(self: &Arc<Self>, wanted: &Wanted) -> Option<Choice> {
        let (pool, wanted) = (Arc::clone(self), wanted.clone());
        let change = async move {
            let alone = Arc::clone(&pool.changing).lock_owned().await;
            let change = task::spawn_blocking(move || {
                let _alone = alone;
                pool.change(|document| pool.choose_in(document, &wanted))
            });
            change.await.ok().flatten()
        };
        timeout(STORE_PATIENCE, change).await.ok()?
    }

    pub(super) fn choose_in(&self, document: &mut Document, wanted: &Wanted) -> Choice {
        let decision = decide(document, wanted, self.wishes, &self.narrowing, self.now());
        carry_out(document, decision, self.now()).0
    }
}

fn request<'a>(
    document: &Document,
    wanted: &'a Wanted,
    wishes: Wishes,
    narrowing: &Narrowing,
) -> Request<'a> {
    let find = |who: &Handle| who.find(&document.accounts);
    let keep = |kept: &Kept| {
        let (index, since) = (find(&kept.who)?, kept.since);
        Some(Keep { index, since })
    };
    Request {
        wishes: wishes.or(document.policy.wishes()),
        model: wanted.model.as_deref(),
        exclude: wanted
            .excluded
            .iter()
            .filter_map(find)
            .chain(narrowing.forbidden(&document.accounts))
            .collect(),
        keep: wanted.keep.as_ref().and_then(keep),
        ..Request::default()
    }
}

fn decide(
    document: &Document,
    wanted: &Wanted,
    wishes: Wishes,
    narrowing: &Narrowing,
    now: UnixMillis,
) -> Decision {
    let (accounts, active) = (&document.accounts, document.active_index);
    let mut request = request(document, wanted, wishes, narrowing);
    let decision = pick::pick(accounts, active, &request, now);
    if decision == Decision::Nothing(Nothing::NoneAllowed) {
        // All were asked. Those that turned out to be limited will be back; those that need a login
        // will not.
        request.exclude = narrowing.forbidden(accounts);
        let later = pick::pick(accounts, active, &request, now);
        if !matches!(later, Decision::Use { .. }) {
            return later;
        }
    }
    decision
}

/// Notes in a document who is active. Whether that is worth a write.
fn carry_out(document: &mut Document, decision: Decision, now: UnixMillis) -> (Choice, bool) {
    let accounts = &mut document.accounts;
    match decision {
        Decision::Use { index, switch } => {
            let active = &mut document.active_index;
            let news = pick::apply(accounts, active, index, switch, now);
            (Ok(Box::new(accounts[index].clone())), news)
        }
        Decision::Limited { index, until } => {
            let name = accounts[index].name().to_owned();
            (Err(Unavailable::Limited { name, until }), false)
        }
        Decision::Nothing(nothing) => (Err(Unavailable::Nobody(nothing)), false),
    }
}
