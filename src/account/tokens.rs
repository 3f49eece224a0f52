//! The tokens of a login, and the one place that decides which of two are later and what takes the
//! place of what. Tokens are used up one by the other, so the later ones are the good ones. Who the
//! login is of is not decided here, and neither is whether the issuer is asked.

use std::cmp::Ordering;
use std::time::Duration;

use super::claims::Claims;
use super::secret::{AccessToken, IdToken, RefreshToken};
use super::time::UnixMillis;

/// What a login gave, or the last refresh of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tokens {
    /// The refresh token; used up by a refresh and replaced in the same change.
    pub refresh: RefreshToken,
    /// The access token.
    pub access: Option<AccessToken>,
    /// The id token.
    pub id: Option<IdToken>,
    /// When the access token expires, if that is known and it was not refused since.
    pub expires_at: Option<UnixMillis>,
    /// When they were got, if that is known.
    pub refreshed_at: Option<UnixMillis>,
}

impl Tokens {
    /// Tokens of which nothing is known but the one that can be refreshed.
    #[must_use]
    pub fn new(refresh: RefreshToken) -> Self {
        Self {
            refresh,
            access: None,
            id: None,
            expires_at: None,
            refreshed_at: None,
        }
    }

    /// Which were got later, if that can be told: by the moment, or else by the expiry, which a
    /// token that was refused still says itself. What is not known is neither earlier nor later.
    #[must_use]
    pub fn order(&self, other: &Self) -> Option<Ordering> {
        let both = |one: Option<UnixMillis>, other: Option<UnixMillis>| Some(one?.cmp(&other?));
        both(self.refreshed_at, other.refreshed_at).or_else(|| both(self.expiry(), other.expiry()))
    }

    fn expiry(&self) -> Option<UnixMillis> {
        self.expires_at.or_else(|| self.claims().expires_at)
    }

    /// Whether these are later than `others` of one chain. Where that can't be told, those are of
    /// which no time is known.
    #[must_use]
    pub fn is_later_than(&self, others: &Self) -> bool {
        let has_time = |it: &Self| it.refreshed_at.is_some() || it.expires_at.is_some();
        let order = self.order(others);
        order.unwrap_or_else(|| has_time(self).cmp(&has_time(others))) == Ordering::Greater
    }

    /// Whether these were got for `others`, of a chain whose tokens in `used_up` are used up, or
    /// later.
    #[must_use]
    pub fn follow(&self, others: &Self, used_up: &[RefreshToken]) -> bool {
        let was_traded = self.refresh != others.refresh && used_up.contains(&others.refresh);
        was_traded || self.is_later_than(others)
    }

    /// Puts newer ones in the place of these. An id token stays until there is another; and the
    /// newer ones were got no earlier than these.
    pub fn replace(&mut self, newer: Self) {
        *self = Self {
            id: newer.id.or(self.id.take()),
            refreshed_at: newer.refreshed_at.max(self.refreshed_at),
            ..newer
        };
    }

    /// Whether somebody who holds these has to be given `others` in their place.
    #[must_use]
    pub fn are_replaced_by(&self, others: &Self) -> bool {
        self.refresh != others.refresh || self.access != others.access
    }

    /// The access token, if it can still be used for at least this long.
    #[must_use]
    pub fn fresh(&self, now: UnixMillis, left: Duration) -> Option<&AccessToken> {
        let is_fresh = self.expires_at > Some(now.plus(left));
        self.access.as_ref().filter(|_| is_fresh)
    }

    /// What they say about their owner and themselves.
    #[must_use]
    pub fn claims(&self) -> Claims {
        Claims::of_login(
            self.id.as_ref().map(IdToken::expose),
            self.access.as_ref().map(AccessToken::expose),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(refresh: &str, refreshed_at: u64, expires_at: u64) -> Tokens {
        Tokens {
            refreshed_at: UnixMillis::known(refreshed_at),
            expires_at: UnixMillis::known(expires_at),
            ..Tokens::new(RefreshToken::new(refresh))
        }
    }

    #[test]
    fn what_is_not_known_is_neither_earlier_nor_later() {
        for (one, other, order) in [
            ((10, 0), (20, 0), Some(Ordering::Less)),
            ((0, 10), (0, 20), Some(Ordering::Less)),
            ((10, 30), (20, 20), Some(Ordering::Less)),
            ((0, 30), (20, 20), Some(Ordering::Greater)),
            ((10, 0), (0, 20), None),
            ((0, 0), (0, 20), None),
            ((0, 0), (0, 0), None),
        ] {
            let one = tokens("one", one.0, one.1);
            let other = tokens("other", other.0, other.1);
            assert_eq!(one.order(&other), order, "{one:?} {other:?}");
            assert_eq!(other.order(&one), order.map(Ordering::reverse));
        }
    }

    #[test]
    fn what_was_got_for_a_used_up_token_follows_it_whatever_the_times_say() {
        let (old, new) = (tokens("old", 20, 20), tokens("new", 10, 10));
        let used_up = [old.refresh.clone()];
        assert!(new.follow(&old, &used_up));
        assert!(!new.follow(&old, &[]));
        // A reply that left the refresh token out.
        assert!(!tokens("old", 20, 20).follow(&old, &used_up));
        assert!(tokens("old", 21, 0).follow(&old, &used_up));
        assert!(tokens("old", 21, 0).follow(&tokens("old", 0, 0), &used_up));
    }

    #[test]
    fn an_id_token_stays_until_there_is_another() {
        let mut kept = tokens("old", 20, 0);
        kept.id = Some(IdToken::new("id"));
        kept.access = Some(AccessToken::new("access"));
        kept.replace(tokens("new", 0, 30));
        assert_eq!(kept.refresh.expose(), "new");
        assert_eq!(kept.access, None);
        assert_eq!(kept.id, Some(IdToken::new("id")));
        assert_eq!(kept.refreshed_at, UnixMillis::known(20));
    }
}
