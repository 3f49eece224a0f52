//! What a run came to, counted from the lines of its log as they are written. Nothing is decided by
//! it.

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// How many requests an account answered.
    pub requests: u64,
    /// The accounts that were limited when they were asked, by their names for people.
    pub limited: Vec<String>,
    /// The account that answered last.
    pub last: Option<String>,
    /// The session of the last request that named one.
    pub session: Option<String>,
}

impl Tally {
    /// This account was asked, and is limited.
    pub(super) fn met_limit(&mut self, account: &str) {
        if !self.limited.iter().any(|known| known == account) {
            self.limited.push(account.to_owned());
        }
    }

    /// A request of this session is over; none answered it, where it is the relay's own answer.
    pub(super) fn met_end(&mut self, account: Option<&str>, session: Option<&str>) {
        if let Some(account) = account {
            self.requests += 1;
            self.last = Some(account.to_owned());
        }
        if let Some(session) = session {
            self.session = Some(session.to_owned());
        }
    }
}
