//! The rules, one by one.

use super::*;
use crate::account::State;
use crate::account::handle::Handle;
use crate::account::limit::Offer;
use crate::account::limit::{Reading, Reset};
use crate::account::secret::RefreshToken;
use crate::account::usage::Credits;

fn secs(secs: u64) -> UnixMillis {
    UnixMillis::from_secs(secs)
}

fn limited(reset: Option<u64>) -> Reading {
    Reading::of(Verdict::Limited(Limit {
        scope: Scope::default_scope(),
        models: Vec::new(),
        class: Class::Quota,
        reset: reset.map(|at| Reset {
            at: secs(at),
            source: Source::BodyResetsAt,
        }),
        window_minutes: Some(300),
    }))
}

fn served(minutes: u32, used_percent: f64) -> Reading {
    Reading {
        windows: vec![Window {
            scope: None,
            minutes,
            used_percent,
            resets_at: None,
            extra: Extra::new(),
        }],
        ..Reading::of(Verdict::Ok)
    }
}

/// Records an answer that was seen now, of a request that went out then.
fn see(account: &mut Account, reading: &Reading, then: u64, now: u64) {
    account.record(&Observation {
        asking: Asking {
            who: Handle::from(&*account),
            model: None,
            at: secs(then),
        },
        reading: reading.clone(),
        seen_at: secs(now),
    });
}

fn account() -> Account {
    Account::new(RefreshToken::new("r"))
}

fn until(account: &Account) -> Option<UnixMillis> {
    account.limits().get(Scope::DEFAULT).map(|mark| mark.until)
}

#[test]
fn a_mark_never_shortens_a_longer_one() {
    let mut account = account();
    see(&mut account, &limited(Some(5000)), 1000, 1000);
    see(&mut account, &limited(Some(2000)), 1001, 1001);
    assert_eq!(until(&account), Some(secs(5000)));
}

#[test]
fn without_a_hint_it_doubles_but_not_for_one_event() {
    let mut account = account();
    see(&mut account, &limited(None), 1000, 1000);
    assert_eq!(until(&account), Some(secs(1060)));
    // A twin of the same moment.
    see(&mut account, &limited(None), 999, 1000);
    assert_eq!(until(&account), Some(secs(1060)));
    see(&mut account, &limited(None), 1070, 1070);
    assert_eq!(until(&account), Some(secs(1070 + 120)));
    // Seven at once are one event too.
    for _ in 0..7 {
        see(&mut account, &limited(None), 1190, 1190);
    }
    assert_eq!(until(&account), Some(secs(1190 + 240)));
    for _ in 0..9 {
        let over = until(&account).unwrap().as_millis() / 1000;
        see(&mut account, &limited(None), over, over);
        assert!(until(&account) <= Some(secs(over).plus(LAST_BACKOFF)));
    }
    assert_eq!(account.limits()[Scope::DEFAULT].repeats, 11);
}

#[test]
fn a_later_success_lifts_the_mark_of_the_window_it_speaks_of() {
    let mut account = account();
    see(&mut account, &limited(Some(5000)), 1000, 1000);
    see(&mut account, &served(10_080, 30.0), 1100, 1100);
    assert_eq!(until(&account), Some(secs(5000)), "another window");
    see(&mut account, &served(300, 3.0), 900, 1100);
    assert_eq!(until(&account), Some(secs(5000)), "asked before the mark");
    see(&mut account, &served(300, 100.0), 1100, 1100);
    assert_eq!(until(&account), Some(secs(5000)), "nothing left");
    see(&mut account, &served(300, 3.0), 1100, 1100);
    assert_eq!(until(&account), None);
}

#[test]
fn an_answer_to_tokens_that_were_replaced_says_nothing_of_the_new_ones() {
    let refused = Reading::of;
    let dead = refused(Verdict::LoginRequired {
        code: "token_revoked".to_owned(),
    });
    let unauthorized = refused(Verdict::Unauthorized { invalidated: true });
    let mut account = account();
    account.tokens.refreshed_at = Some(secs(1000));
    account.tokens.expires_at = Some(secs(5000));
    for reading in [&dead, &unauthorized] {
        see(&mut account, reading, 999, 1001);
        assert_eq!(account.tokens.expires_at, Some(secs(5000)));
        assert_eq!(account.login_required, None);
    }
    see(&mut account, &unauthorized, 1600, 1601);
    assert_eq!(account.tokens.expires_at, None);
    see(&mut account, &dead, 1600, 1601);
    assert!(account.login_required.is_some());
}

#[test]
fn what_a_hand_set_only_a_hand_or_time_ends() {
    let mut account = account();
    account.record_by_hand(Scope::default_scope(), secs(2000), None, secs(1000));
    see(&mut account, &served(300, 3.0), 1100, 1100);
    see(&mut account, &limited(Some(9000)), 1200, 1200);
    assert_eq!(until(&account), Some(secs(2000)));
    see(&mut account, &limited(Some(9000)), 2100, 2100);
    assert_eq!(until(&account), Some(secs(9000)));
}

fn usage(minutes: u32, used_percent: f64, resets_at: u64) -> Reading {
    let mut reading = served(minutes, used_percent);
    reading.windows[0].resets_at = Some(secs(resets_at));
    reading.origin = Origin::Usage;
    reading
}

fn not_included(offer: Offer, model: Option<&str>) -> Reading {
    Reading::of(Verdict::ModelNotIncluded(ModelNotIncluded {
        offer,
        model: model.map(str::to_owned),
    }))
}

fn see_of(account: &mut Account, reading: &Reading, model: &str, at: u64) {
    let asking = Asking {
        who: Handle::from(&*account),
        model: Some(model.to_owned()),
        at: secs(at),
    };
    account.record(&Observation {
        asking,
        reading: reading.clone(),
        seen_at: secs(at),
    });
}

#[test]
fn an_optimistic_usage_answer_does_not_lift_the_mark_of_a_refused_request() {
    let mut account = account();
    see(&mut account, &limited(Some(5000)), 1000, 1000);
    see(&mut account, &usage(300, 0.0, 5000), 1100, 1100);
    assert_eq!(until(&account), Some(secs(5000)), "the same reset");
    see(&mut account, &usage(300, 0.0, 5060), 1100, 1100);
    assert_eq!(until(&account), Some(secs(5000)), "told a minute later");
    see(&mut account, &usage(10_080, 0.0, 90_000), 1100, 1100);
    assert_eq!(until(&account), Some(secs(5000)), "another window");
    see(&mut account, &usage(300, 0.0, 19_100), 1100, 1100);
    assert_eq!(until(&account), None, "its reset moved");
}

#[test]
fn usage_is_believed_once_a_request_was_served_in_spite_of_the_mark() {
    let mut account = account();
    see(&mut account, &limited(Some(5000)), 1000, 1000);
    see(&mut account, &Reading::of(Verdict::Ok), 1100, 1100);
    assert_eq!(until(&account), Some(secs(5000)), "it told no figures");
    see(&mut account, &usage(300, 50.0, 5000), 1200, 1200);
    assert_eq!(until(&account), None);
}

#[test]
fn what_usage_marked_usage_lifts() {
    let mut account = account();
    let mut spent = limited(Some(5000));
    spent.origin = Origin::Usage;
    if let Verdict::Limited(limit) = &mut spent.verdict {
        limit.reset = limit.reset.take().map(|reset| Reset {
            source: Source::Usage,
            ..reset
        });
    }
    see(&mut account, &spent, 1000, 1000);
    see(&mut account, &usage(300, 0.0, 5000), 1100, 1100);
    assert_eq!(until(&account), None);
}

#[test]
fn a_mark_of_a_clock_that_was_ahead_is_void() {
    const DAY: u64 = 24 * 60 * 60;
    let mut account = account();
    // Thirty days ahead, five hours of limit: no window is so long.
    let ahead = 1000 + 30 * DAY;
    see(&mut account, &limited(Some(ahead + 18_000)), ahead, ahead);
    assert!(account.state(None, secs(ahead)) != State::Ready);
    assert_eq!(account.state(None, secs(1000)), State::Ready);
    // One day ahead: it ends in time, but it was made in a time to come.
    let mut account = self::account();
    see(
        &mut account,
        &limited(Some(1000 + DAY + 18_000)),
        1000 + DAY,
        1000 + DAY,
    );
    assert_eq!(account.state(None, secs(1000)), State::Ready);
    // It gives way to any newer one.
    see(&mut account, &limited(Some(5000)), 1000, 1000);
    assert_eq!(until(&account), Some(secs(5000)));
    // Clocks that differ by a little make no mark void.
    assert!(account.state(None, secs(940)) != State::Ready);
}

#[test]
fn a_window_of_30_days_is_no_void_mark() {
    const DAY: u64 = 24 * 60 * 60;
    let mut account = account();
    let mut month = limited(Some(1000 + 22 * DAY));
    if let Verdict::Limited(limit) = &mut month.verdict {
        limit.window_minutes = Some(43_200);
    }
    see(&mut account, &month, 1000, 1000);
    assert_eq!(
        account.state(None, secs(1001)).until(),
        Some(secs(1000 + 22 * DAY))
    );
}

#[test]
fn a_fresh_token_that_is_refused_is_left_alone_longer_each_time() {
    let refused = Reading::of(Verdict::Unauthorized { invalidated: false });
    let mut account = account();
    account.tokens.refreshed_at = Some(secs(1000));
    account.tokens.expires_at = Some(secs(100_000));
    let mut at = 1001;
    for minutes in [5, 10, 20, 40, 60, 60] {
        see(&mut account, &refused, at, at);
        // Those that were under way tell of the same event.
        see(&mut account, &refused, at, at);
        assert_eq!(account.state(None, secs(at + 1)).word(), "refused");
        let until = account.state(None, secs(at + 1)).until();
        assert_eq!(until, Some(secs(at + 60 * minutes)), "{minutes}");
        assert!(
            account.tokens.expires_at.is_some(),
            "it is not renewed again"
        );
        at += 60 * minutes;
        account.tokens.refreshed_at = Some(secs(at));
    }
    assert_eq!(account.state(None, secs(at)), State::Ready);
    see(&mut account, &refused, at, at);
    see(&mut account, &Reading::of(Verdict::Ok), at + 1, at + 1);
    assert_eq!(
        account.state(None, secs(at + 1)),
        State::Ready,
        "it was served"
    );
}

#[test]
fn a_model_that_is_not_included_is_passed_over_and_no_other_model() {
    let mut account = account();
    let refused = not_included(Offer::Plan, Some("gpt-5.3-codex"));
    see_of(&mut account, &refused, "openai/gpt-5.3-codex", 1000);
    let state = |account: &Account, model, at| account.state(Some(model), secs(at)).word();
    assert_eq!(state(&account, "gpt-5.3-codex", 1001), "model-not-included");
    assert_eq!(
        state(&account, "openai/GPT-5.3-codex", 1001),
        "model-not-included"
    );
    assert_eq!(state(&account, "gpt-5.5", 1001), "ready");
    assert_eq!(account.state(None, secs(1001)), State::Ready);
    assert_eq!(state(&account, "gpt-5.3-codex", 1000 + 86_400), "ready");
    // An answer of another model lifts nothing; one of this does.
    see_of(&mut account, &Reading::of(Verdict::Ok), "gpt-5.5", 1100);
    assert_eq!(state(&account, "gpt-5.3-codex", 1101), "model-not-included");
    see_of(
        &mut account,
        &Reading::of(Verdict::Ok),
        "gpt-5.3-codex",
        1100,
    );
    assert_eq!(state(&account, "gpt-5.3-codex", 1101), "ready");
}

#[test]
fn a_refusal_of_lite_is_believed_for_half_an_hour() {
    let mut account = account();
    see_of(
        &mut account,
        &not_included(Offer::Lite, None),
        "gpt-5.6-sol",
        1000,
    );
    let until = account.state(Some("gpt-5.6-sol"), secs(1001)).until();
    assert_eq!(until, Some(secs(1000 + 1800)));
}

#[test]
fn a_model_that_nobody_asked_for_is_not_marked() {
    let mut account = account();
    see_of(
        &mut account,
        &not_included(Offer::Plan, Some("gpt-4")),
        "gpt-5.5",
        1000,
    );
    see(&mut account, &not_included(Offer::Lite, None), 1000, 1000);
    assert!(account.limits().is_empty());
}

#[test]
fn credit_is_known_until_it_is_gone() {
    let credits = |available| Credits {
        available,
        balance: Some("1".to_owned()),
        extra: Extra::new(),
    };
    let mut account = account();
    let mut answer = served(300, 100.0);
    answer.credits = Some(Box::new(credits(false)));
    see(&mut account, &answer, 1000, 1000);
    let known = |account: &Account| account.usage.clone().and_then(|usage| usage.credits);
    assert_eq!(known(&account), None, "that there is none is no news");
    answer.credits = Some(Box::new(credits(true)));
    see(&mut account, &answer, 1001, 1001);
    assert!(
        account
            .usage
            .as_ref()
            .is_some_and(|it| it.on_credit(secs(1001)))
    );
    see(&mut account, &served(300, 100.0), 1002, 1002);
    assert!(known(&account).is_some(), "an answer tells a part");
    see(&mut account, &usage(300, 100.0, 5000), 1003, 1003);
    assert_eq!(known(&account), None, "the usage endpoint tells all");
}
