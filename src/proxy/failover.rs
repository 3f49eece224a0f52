//! What to do with an answer before anything of it went to the client: pass it on, ask again, or
//! ask as another account. The verdict says whose fault it is, and that alone decides what may be
//! tried (the table of DESIGN §2). A state machine over verdicts: nothing is asked here, and no
//! account is known.

use std::time::Duration;

use crate::account::limit::{Class, Limit, Verdict};
use crate::account::time::UnixMillis;

/// A throttle shorter than this is waited out on the same account.
const SHORT_THROTTLE: Duration = Duration::from_secs(3);

/// How often a short throttle is waited out, before it is taken for a long one.
const MOST_WAITS: u32 = 2;

/// After how long a server in trouble is asked again, as the same account.
const SERVER_AGAIN: [Duration; 2] = [Duration::from_millis(250), Duration::from_millis(1000)];

/// After how long it is tried again where the network refused.
const NETWORK_AGAIN: Duration = Duration::from_secs(1);

/// So many accounts may fail one request for another reason than a used-up quota.
const MOST_OTHERS: u32 = 4;

/// So many accounts are asked for one request.
const MOST_ACCOUNTS: u32 = 16;

/// How often a session may be brought into a form that an account can read: back to who made what
/// is in it, without what can't be read, and without what is left of that.
const MOST_RECOVERIES: u32 = 3;

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
    /// The session holds what the account can't read: ask again without that, or as who made it.
    Recover,
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
            Self::Recover => "recover",
            Self::Next => "next",
        }
    }
}

/// What was tried for one request.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tries {
    /// How many accounts were turned to.
    accounts: u32,
    /// How many of them failed for another reason than a used-up quota.
    others: u32,
    /// How often a server in trouble was asked again.
    server_again: usize,
    server_hopped: bool,
    network_again: bool,
    throttle_waits: u32,
    throttle_hopped: bool,
    /// The token of the present account was renewed.
    refreshed: bool,
    invalidation_hopped: bool,
    recoveries: u32,
}

impl Tries {
    /// Another account is asked from now on: its token was not renewed yet.
    pub const fn turn_to_another(&mut self) {
        self.accounts += 1;
        self.refreshed = false;
    }

    /// Whether the token of the present account was renewed for this request.
    #[must_use]
    pub const fn has_fresh_token(&self) -> bool {
        self.refreshed
    }

    /// Decides, and takes note of the decision.
    pub fn step(&mut self, verdict: &Verdict, now: UnixMillis) -> Step {
        match verdict {
            Verdict::Ok | Verdict::Content | Verdict::Other => Step::PassOn,
            Verdict::Limited(limit) if limit.class == Class::Throttle => self.throttled(limit, now),
            Verdict::Limited(_) => self.next(),
            Verdict::Unauthorized { invalidated } => self.unauthorized(*invalidated),
            // Only the issuer knows whether a login is dead: it is asked by a refresh.
            Verdict::LoginRequired { .. } => self.unauthorized(false),
            Verdict::NoEntitlement | Verdict::WorkspaceGone | Verdict::ModelNotIncluded(_) => {
                self.leave()
            }
            Verdict::ForeignContent(_) => self.recover(),
            Verdict::Network => self.network(),
            Verdict::Server => self.server(),
        }
    }

    /// The account can't serve, for another reason than a used-up quota.
    pub const fn leave(&mut self) -> Step {
        self.others += 1;
        if self.others == MOST_OTHERS {
            return Step::PassOn;
        }
        self.next()
    }

    const fn next(&mut self) -> Step {
        // Another account that refuses is another refusal.
        self.recoveries = 0;
        if self.accounts >= MOST_ACCOUNTS {
            return Step::PassOn;
        }
        Step::Next
    }

    fn throttled(&mut self, limit: &Limit, now: UnixMillis) -> Step {
        let wait = limit.reset.as_ref().map(|reset| reset.at.since(now));
        match wait.filter(|wait| *wait < SHORT_THROTTLE) {
            Some(wait) if self.throttle_waits < MOST_WAITS => {
                self.throttle_waits += 1;
                Step::Wait(wait)
            }
            _ => self.hop(),
        }
    }

    /// The account is asked too fast, and it was waited for enough. That is about pace: going
    /// through all accounts would only throttle them all.
    pub const fn hop(&mut self) -> Step {
        if self.throttle_hopped {
            return Step::PassOn;
        }
        self.throttle_hopped = true;
        self.leave()
    }

    /// Rapid rotation through accounts is reported to get all of them invalidated (PROTOCOL §4).
    const fn unauthorized(&mut self, invalidated: bool) -> Step {
        if !self.refreshed {
            self.refreshed = true;
            return Step::Refresh;
        }
        if invalidated {
            if self.invalidation_hopped {
                return Step::PassOn;
            }
            self.invalidation_hopped = true;
        }
        self.leave()
    }

    const fn recover(&mut self) -> Step {
        if self.recoveries == MOST_RECOVERIES {
            return Step::PassOn;
        }
        self.recoveries += 1;
        Step::Recover
    }

    /// The way is the same for all accounts.
    const fn network(&mut self) -> Step {
        if self.network_again {
            return Step::PassOn;
        }
        self.network_again = true;
        Step::Again(NETWORK_AGAIN)
    }

    /// The server is the same for all accounts, but they may be served in different places: one
    /// other account is worth a try.
    fn server(&mut self) -> Step {
        if let Some(after) = SERVER_AGAIN.get(self.server_again) {
            self.server_again += 1;
            return Step::Again(*after);
        }
        if self.server_hopped {
            return Step::PassOn;
        }
        self.server_hopped = true;
        self.leave()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::account::Scope;
    use crate::account::limit::{Foreign, ModelNotIncluded, Offer, Reset, Source, Unreadable};

    const NOW: UnixMillis = UnixMillis::from_secs(1000);

    fn limited(class: Class, wait: Option<Duration>) -> Verdict {
        Verdict::Limited(Limit {
            class,
            reset: wait.map(|wait| Reset {
                at: NOW.plus(wait),
                source: Source::Message,
            }),
            ..Limit::unexplained(Scope::default_scope())
        })
    }

    fn not_included() -> Verdict {
        Verdict::ModelNotIncluded(ModelNotIncluded {
            offer: Offer::Plan,
            model: None,
        })
    }

    fn foreign() -> Verdict {
        Verdict::ForeignContent(Foreign {
            item: None,
            what: Unreadable::Item,
        })
    }

    /// The steps for these verdicts, one after the other.
    fn steps(verdicts: &[Verdict]) -> Vec<Step> {
        let mut tries = Tries::default();
        tries.turn_to_another();
        let answer = |verdict| {
            let step = tries.step(verdict, NOW);
            if step == Step::Next {
                tries.turn_to_another();
            }
            step
        };
        verdicts.iter().map(answer).collect()
    }

    const AGAIN: [Step; 2] = [
        Step::Again(Duration::from_millis(250)),
        Step::Again(Duration::from_millis(1000)),
    ];

    #[test]
    fn a_short_throttle_is_waited_out_and_a_long_one_hops_once() {
        let second = Duration::from_secs(1);
        let short = limited(Class::Throttle, Some(second));
        let long = limited(Class::Throttle, Some(20 * second));
        let wait = Step::Wait(second);
        assert_eq!(
            steps(&vec![short; 4]),
            [wait, wait, Step::Next, Step::PassOn]
        );
        assert_eq!(steps(&vec![long; 2]), [Step::Next, Step::PassOn]);
    }

    #[test]
    fn a_quota_goes_through_sixteen_accounts() {
        let mut expected = vec![Step::Next; 15];
        expected.push(Step::PassOn);
        assert_eq!(steps(&vec![limited(Class::Quota, None); 16]), expected);
    }

    #[test]
    fn what_is_wrong_with_an_account_goes_through_four() {
        let expected = [Step::Next, Step::Next, Step::Next, Step::PassOn];
        for verdict in [
            Verdict::NoEntitlement,
            Verdict::WorkspaceGone,
            not_included(),
        ] {
            assert_eq!(steps(&vec![verdict; 4]), expected);
        }
    }

    #[test]
    fn a_refused_token_is_renewed_once_for_each_account() {
        let refused = Verdict::Unauthorized { invalidated: false };
        assert_eq!(
            steps(&vec![refused; 4]),
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
    fn a_server_in_trouble_is_asked_twice_more_and_once_as_another() {
        let [first, second] = AGAIN;
        assert_eq!(
            steps(&vec![Verdict::Server; 4]),
            [first, second, Step::Next, Step::PassOn]
        );
    }

    #[test]
    fn the_network_is_tried_once_more_and_no_other_account() {
        assert_eq!(
            steps(&vec![Verdict::Network; 2]),
            [Step::Again(NETWORK_AGAIN), Step::PassOn]
        );
    }

    #[test]
    fn what_was_flagged_is_asked_once() {
        assert_eq!(steps(&[Verdict::Content]), [Step::PassOn]);
    }

    fn any_verdict() -> impl Strategy<Value = Verdict> {
        let wait = proptest::option::of((0..10_000_u64).prop_map(Duration::from_millis));
        prop_oneof![
            Just(Verdict::Ok),
            Just(Verdict::Content),
            Just(Verdict::Other),
            Just(Verdict::Network),
            Just(Verdict::Server),
            Just(Verdict::NoEntitlement),
            Just(Verdict::WorkspaceGone),
            Just(not_included()),
            Just(foreign()),
            any::<bool>().prop_map(|invalidated| Verdict::Unauthorized { invalidated }),
            Just(Verdict::LoginRequired {
                code: "refresh_token_expired".to_owned()
            }),
            Just(limited(Class::Quota, None)),
            wait.prop_map(|wait| limited(Class::Throttle, wait)),
        ]
    }

    /// What happened to one request, by the steps it took.
    #[derive(Default)]
    struct Played {
        asked: usize,
        accounts: usize,
        others: usize,
        refreshes_of_account: usize,
        invalidation_hops: usize,
        server_hops: usize,
        over: bool,
    }

    impl Played {
        fn take(&mut self, verdict: &Verdict, step: Step) {
            self.asked += 1;
            match step {
                Step::PassOn => self.over = true,
                Step::Refresh => self.refreshes_of_account += 1,
                Step::Next => {
                    let quota = matches!(verdict, Verdict::Limited(l) if l.class == Class::Quota);
                    self.others += usize::from(!quota);
                    self.server_hops += usize::from(*verdict == Verdict::Server);
                    let invalidated = Verdict::Unauthorized { invalidated: true };
                    self.invalidation_hops += usize::from(*verdict == invalidated);
                    self.accounts += 1;
                    self.refreshes_of_account = 0;
                }
                Step::Again(_) | Step::Wait(_) | Step::Recover => {}
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn whatever_is_answered_there_is_an_end_and_the_bounds_hold(
            verdicts in proptest::collection::vec(any_verdict(), 60)
        ) {
            let mut tries = Tries::default();
            tries.turn_to_another();
            let mut played = Played { accounts: 1, ..Played::default() };
            for verdict in &verdicts {
                let step = tries.step(verdict, NOW);
                played.take(verdict, step);
                if step == Step::Next {
                    tries.turn_to_another();
                }
                prop_assert!(played.accounts <= MOST_ACCOUNTS as usize);
                prop_assert!(played.others < MOST_OTHERS as usize);
                prop_assert!(played.refreshes_of_account <= 1, "two refreshes of one account");
                prop_assert!(played.invalidation_hops <= 1);
                prop_assert!(played.server_hops <= 1);
                let never_asked_twice = matches!(
                    verdict,
                    Verdict::Ok | Verdict::Content | Verdict::Other
                );
                prop_assert!(!never_asked_twice || played.over);
                prop_assert!(*verdict != Verdict::Network || step != Step::Next);
                if played.over {
                    break;
                }
            }
            prop_assert!(played.over, "no end");
            // Sixteen accounts, each with one refresh and its recoveries, and what is asked again of
            // whomever.
            prop_assert!(played.asked <= 16 * (2 + MOST_RECOVERIES as usize) + 2 + 2 + 1);
        }
    }
}
