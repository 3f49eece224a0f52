//! What to do with an answer before anything of it went to the client: pass it on, ask again, or
//! ask as the next account (DESIGN §2, `codex-proxy`). Decided from the verdict and from what was
//! tried for this request; nothing is asked here.

use std::time::Duration;

use crate::account::limit::{Class, Verdict};
use crate::account::time::UnixMillis;

/// A throttle shorter than this is waited out on the same account.
const SHORT_THROTTLE: Duration = Duration::from_secs(3);

/// How often a short throttle is waited out, before it is taken for a long one.
const MOST_WAITS: u32 = 2;

/// How often a server in trouble is asked again, and after how long.
const AGAIN_AFTER: [Duration; 2] = [Duration::from_millis(250), Duration::from_millis(1000)];

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The answer is the client's.
    PassOn,
    /// Ask again as the same account, after this long.
    Again(Duration),
    /// It was asked too fast: ask again as the same account, after this long at the earliest and
    /// not together with others.
    Wait(Duration),
    /// Renew the account's token and ask again as the same account.
    Refresh,
    /// Ask as the next account.
    Next,
}

impl Step {
    /// The word for it in the log.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::PassOn => "pass-on",
            Self::Again(_) => "again",
            Self::Wait(_) => "wait",
            Self::Refresh => "refresh",
            Self::Next => "next",
        }
    }
}

/// What was tried for one request.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tries {
    server: usize,
    throttle_waits: u32,
    throttle_hops: u32,
    refreshed: bool,
    invalidations: u32,
}

impl Tries {
    /// Another account is asked from now on: its token was not renewed yet.
    pub fn turn_to_another(&mut self) {
        self.refreshed = false;
    }

    /// Decides, and takes note of the decision. `None` is no answer, or one that broke off.
    pub fn step(&mut self, verdict: Option<&Verdict>, now: UnixMillis) -> Step {
        match verdict {
            None | Some(Verdict::Server) => self.again(),
            Some(Verdict::Limited(limit)) if limit.class == Class::Throttle => {
                let wait = limit.reset.as_ref().map(|reset| reset.at.since(now));
                self.throttled(wait)
            }
            Some(
                Verdict::Limited(_)
                | Verdict::WorkspaceGone
                | Verdict::NoEntitlement
                | Verdict::ModelNotIncluded(_),
            ) => Step::Next,
            Some(Verdict::Unauthorized { invalidated }) => self.unauthorized(*invalidated),
            // Only the issuer knows whether a login is dead: it is asked by a refresh.
            Some(Verdict::LoginRequired { .. }) => self.unauthorized(false),
            Some(
                Verdict::Ok
                | Verdict::ForeignContent(_)
                | Verdict::Network
                | Verdict::Content
                | Verdict::Other,
            ) => Step::PassOn,
        }
    }

    fn again(&mut self) -> Step {
        let Some(after) = AGAIN_AFTER.get(self.server) else {
            return Step::PassOn;
        };
        self.server += 1;
        Step::Again(*after)
    }

    /// A throttle is about pace: going through all accounts would only throttle them all.
    fn throttled(&mut self, wait: Option<Duration>) -> Step {
        if let Some(wait) = wait.filter(|wait| *wait < SHORT_THROTTLE)
            && self.throttle_waits < MOST_WAITS
        {
            self.throttle_waits += 1;
            return Step::Wait(wait);
        }
        if self.throttle_hops > 0 {
            return Step::PassOn;
        }
        self.hop();
        Step::Next
    }

    /// Another account is asked because of a throttle.
    pub const fn hop(&mut self) {
        self.throttle_hops += 1;
    }

    /// Rapid rotation through accounts is reported to get all of them invalidated (PROTOCOL §4).
    fn unauthorized(&mut self, invalidated: bool) -> Step {
        if !self.refreshed {
            self.refreshed = true;
            return Step::Refresh;
        }
        if invalidated {
            self.invalidations += 1;
            if self.invalidations > 1 {
                return Step::PassOn;
            }
        }
        Step::Next
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::Scope;
    use crate::account::limit::{Limit, Reset, Source};

    const NOW: UnixMillis = UnixMillis::from_secs(1000);

    fn limited(class: Class, wait: Option<Duration>) -> Verdict {
        Verdict::Limited(Limit {
            scope: Scope::default_scope(),
            models: Vec::new(),
            class,
            reset: wait.map(|wait| Reset {
                at: NOW.plus(wait),
                source: Source::Message,
            }),
            window_minutes: None,
        })
    }

    fn steps(verdicts: &[Verdict]) -> Vec<Step> {
        let mut tries = Tries::default();
        let answer = |verdict| {
            let step = tries.step(Some(verdict), NOW);
            if step == Step::Next {
                tries.turn_to_another();
            }
            step
        };
        verdicts.iter().map(answer).collect()
    }

    #[test]
    fn a_short_throttle_is_waited_out_and_a_long_one_hops_once() {
        let second = Duration::from_secs(1);
        let short = limited(Class::Throttle, Some(second));
        let long = limited(Class::Throttle, Some(20 * second));
        assert_eq!(
            steps(&[short.clone(), short.clone(), short.clone(), short]),
            [
                Step::Wait(second),
                Step::Wait(second),
                Step::Next,
                Step::PassOn
            ]
        );
        assert_eq!(steps(&[long.clone(), long]), [Step::Next, Step::PassOn]);
    }

    #[test]
    fn a_quota_goes_through_all_accounts() {
        let quota = limited(Class::Quota, None);
        assert_eq!(
            steps(&[quota.clone(), quota.clone(), quota]),
            [Step::Next, Step::Next, Step::Next]
        );
    }

    #[test]
    fn a_refused_token_is_renewed_once_for_each_account() {
        let refused = Verdict::Unauthorized { invalidated: false };
        assert_eq!(
            steps(&[refused.clone(), refused.clone(), refused.clone(), refused]),
            [Step::Refresh, Step::Next, Step::Refresh, Step::Next]
        );
    }

    #[test]
    fn an_invalidated_token_fails_over_at_most_once() {
        let invalidated = Verdict::Unauthorized { invalidated: true };
        assert_eq!(
            steps(&vec![invalidated; 4]),
            [Step::Refresh, Step::Next, Step::Refresh, Step::PassOn]
        );
    }

    #[test]
    fn a_server_in_trouble_is_asked_twice_more() {
        let steps = steps(&[Verdict::Server, Verdict::Server, Verdict::Server]);
        assert!(matches!(
            steps[..],
            [Step::Again(_), Step::Again(_), Step::PassOn]
        ));
    }
}
