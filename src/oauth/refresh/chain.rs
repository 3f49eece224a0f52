//! What is known of a login's refreshes: its chains of tokens, which of them are used up, and what is
//! not brought to its end. It reads and writes nothing.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::account::handle::Fingerprint;
use crate::account::secret::RefreshToken;
use crate::account::time::UnixMillis;
use crate::account::{Account, identity};
use crate::store::locator::Locator;

/// So many used-up tokens of a chain are told from others.
const MOST_USED: usize = 16;

/// How long the issuer is left alone after it failed, and after it failed again and again.
const FIRST_WAIT: Duration = Duration::from_secs(30);
const LONGEST_WAIT: Duration = Duration::from_secs(15 * 60);

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
    /// Which machine asked: where there was no answer it may have the new tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<u64>,
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
    pub fn again(before: Option<Self>, now: UnixMillis, by: Option<u64>) -> Self {
        Self {
            at: now,
            times: before.map_or(0, |before| before.times).saturating_add(1),
            answered: false,
            by,
        }
    }

    /// Until when the issuer is left alone, by the machine that is `here`.
    #[must_use]
    pub fn wait_until(&self, here: Option<u64>) -> UnixMillis {
        // Its journal there is brought to its end when somebody uses the account there.
        if !self.answered && self.by.is_some() && self.by != here {
            return self.at.plus(LONGEST_WAIT);
        }
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

/// What is known where it is told in two places: that of all machines, and that of this one, which
/// may know of tokens that were not put there, and of files here that still have used-up ones.
#[must_use]
pub(super) fn together(mut there: Vec<Chain>, here: Vec<Chain>) -> Vec<Chain> {
    for ours in here {
        let is_same = |theirs: &&mut Chain| {
            theirs.head == ours.head
                || theirs.used.contains(&ours.head)
                || ours.used.contains(&theirs.head)
        };
        match there.iter_mut().find(is_same) {
            None => there.push(ours),
            Some(theirs) if ours.used.contains(&theirs.head) => *theirs = ours,
            Some(theirs) => {
                theirs.pending = theirs.pending.take().or(ours.pending);
                if theirs.head == ours.head {
                    theirs.asked = [theirs.asked, ours.asked]
                        .into_iter()
                        .flatten()
                        .max_by_key(|asked| asked.at);
                }
            }
        }
    }
    there
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
            let again = Asked::again(asked, now, None);
            waits.push(again.wait_until(None).since(now).as_secs());
            asked = Some(again);
        }
        assert_eq!(waits, [30, 60, 120, 240, 480, 900, 900]);
    }

    #[test]
    fn another_machine_that_got_no_answer_is_given_time_to_tell() {
        let now = UnixMillis::from_secs(1000);
        let asked = Asked::again(None, now, Some(1));
        let wait = |asked: Asked, here| asked.wait_until(here).since(now).as_secs();
        assert_eq!(wait(asked, Some(1)), 30);
        assert_eq!(wait(asked, Some(2)), 900);
        let answered = Asked {
            answered: true,
            ..asked
        };
        assert_eq!(wait(answered, Some(2)), 30);
    }

    #[test]
    fn the_later_of_two_chains_goes_on_and_nothing_pending_is_lost() {
        let begun = chain("one");
        let mut renewed = begun.clone();
        renewed.go_on(&RefreshToken::new("two"));
        renewed.pending = Some(Pending {
            consumed: vec![RefreshToken::new("one")],
            account: account("two"),
        });
        let mut later = renewed.clone();
        later.go_on(&RefreshToken::new("three"));
        later.pending = None;
        let pending = |chain: &Chain| Chain {
            pending: renewed.pending.clone(),
            ..chain.clone()
        };
        let nothing_pending = Chain {
            pending: None,
            ..renewed.clone()
        };
        for (there, here, both) in [
            (vec![], vec![renewed.clone()], vec![renewed.clone()]),
            (vec![renewed.clone()], vec![], vec![renewed.clone()]),
            // The store was not reached any more.
            (
                vec![begun.clone()],
                vec![renewed.clone()],
                vec![renewed.clone()],
            ),
            // Others went on; a file here may still have the first one.
            (
                vec![later.clone()],
                vec![renewed.clone()],
                vec![pending(&later)],
            ),
            (
                vec![nothing_pending],
                vec![renewed.clone()],
                vec![renewed.clone()],
            ),
            (
                vec![begun.clone()],
                vec![chain("x")],
                vec![begun.clone(), chain("x")],
            ),
        ] {
            assert_eq!(together(there, here), both);
        }
    }
}
