//! What an account keeps of what responses said about it. A mark is a fact with its source; here
//! stand the rules by which a newer reading extends it, lifts it, or leaves it alone (DESIGN §2,
//! `codex-ratelimit-mark`).

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::limit::{Class, LONGEST, Limit, Source, Verdict};
use super::observation::{Asking, Observation};
use super::time::{self, UnixMillis};
use super::usage::Window;
use super::{Account, Extra, LoginRequired, Scope};

/// How long a limit without a hint is believed at first, and at most.
const FIRST_BACKOFF: Duration = Duration::from_secs(60);
const LAST_BACKOFF: Duration = Duration::from_secs(30 * 60);

/// That an account is limited, as it was seen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Mark {
    /// When it is over.
    pub until: UnixMillis,
    /// Used up, or just too fast.
    #[serde(default = "quota")]
    pub class: Class,
    /// How the end is known.
    #[serde(default = "unknown_source")]
    pub source: Source,
    /// When it was seen.
    #[serde(default, with = "time::or_zero")]
    pub marked_at: Option<UnixMillis>,
    /// The length of the window that was used up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window_minutes: Option<u32>,
    /// How often in a row a limit came without a hint.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub repeats: u32,
    /// The models it covers, for a limit of one family.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub models: Vec<String>,
    /// Fields that this program does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

fn quota() -> Class {
    Class::Quota
}

fn unknown_source() -> Source {
    Source::Other("unknown".to_owned())
}

// serde passes a reference.
#[allow(clippy::trivially_copy_pass_by_ref)]
const fn is_zero(number: &u32) -> bool {
    *number == 0
}

impl Mark {
    /// The mark for a reset time that a program wrote which knows no marks.
    #[must_use]
    pub fn by_other_program(until: UnixMillis) -> Self {
        Self {
            until,
            class: Class::Quota,
            source: Source::Other("rateLimitResetTime".to_owned()),
            marked_at: None,
            window_minutes: None,
            repeats: 0,
            models: Vec::new(),
            extra: Extra::new(),
        }
    }

    /// Whether a request for `model` falls under it. A limit of one family covers the models it was
    /// seen with; where the model is not known, only the default scope counts.
    #[must_use]
    pub fn covers(&self, scope: &Scope, model: Option<&str>) -> bool {
        let is_this = |model: &str| self.models.iter().any(|covered| same_model(covered, model));
        scope.as_str() == Scope::DEFAULT || model.is_some_and(is_this)
    }

    fn by_hand(&self) -> bool {
        self.source == Source::Hand
    }
}

/// Whether two names are of one model. opencode puts the provider before it: `openai/gpt-5.5`.
fn same_model(one: &str, other: &str) -> bool {
    fn bare(name: &str) -> &str {
        name.rsplit('/').next().unwrap_or(name)
    }
    bare(one).eq_ignore_ascii_case(bare(other))
}

impl Account {
    /// Takes over what a response said. Returns the mark that holds now for the scope of the
    /// verdict, if the verdict is a limit.
    pub fn record(&mut self, observation: &Observation) -> Option<&Mark> {
        let Observation {
            asking: asked,
            reading,
            seen_at: now,
        } = observation;
        let now = *now;
        if !reading.windows.is_empty() {
            let usage = self.usage.get_or_insert_default();
            usage.update(&reading.windows, now);
        }
        if let Some(plan) = &reading.plan_type {
            self.plan_type = Some(plan.clone());
        }
        let had_other_tokens = self.tokens.refreshed_at > Some(asked.at);
        match &reading.verdict {
            Verdict::Limited(limit) => return Some(self.record_limit(limit, asked, now)),
            Verdict::Ok => self.record_success(&reading.windows, asked),
            // It speaks of tokens that were replaced meanwhile.
            Verdict::LoginRequired { .. } | Verdict::Unauthorized { .. } if had_other_tokens => {}
            Verdict::LoginRequired { code } => {
                self.login_required = Some(LoginRequired {
                    code: code.clone(),
                    at: now,
                    extra: Extra::new(),
                });
            }
            // Whoever picks it next renews the token first.
            Verdict::Unauthorized { .. } => self.tokens.expires_at = None,
            Verdict::WorkspaceGone => self.enabled = false,
            Verdict::NoEntitlement
            | Verdict::ModelNotIncluded(_)
            | Verdict::ForeignContent(_)
            | Verdict::Network
            | Verdict::Server
            | Verdict::Content
            | Verdict::Other => {}
        }
        None
    }

    /// Marks it limited by a person's or a script's own word. Never shortens a longer mark.
    pub fn record_by_hand(
        &mut self,
        scope: Scope,
        until: UnixMillis,
        model: Option<&str>,
        now: UnixMillis,
    ) -> &Mark {
        let mark = Mark {
            until: until.min(now.plus(LONGEST)),
            class: Class::Quota,
            source: Source::Hand,
            marked_at: Some(now),
            window_minutes: None,
            repeats: 0,
            models: self.models_under(&scope, model),
            extra: Extra::new(),
        };
        self.keep_longer(scope, mark, now)
    }

    fn record_limit(&mut self, limit: &Limit, asked: &Asking, now: UnixMillis) -> &Mark {
        let before = self.limits().get(&limit.scope);
        let (until, source, repeats) = match &limit.reset {
            Some(reset) => (reset.at, reset.source.clone(), 0),
            None => {
                let repeats = before.map_or(0, |mark| guesses_before(mark, asked, now));
                (now.plus(backoff(repeats)), Source::Backoff, repeats)
            }
        };
        let told = limit.models.iter().map(String::as_str);
        let mark = Mark {
            until,
            class: limit.class.clone(),
            source,
            marked_at: Some(now),
            window_minutes: limit.window_minutes,
            repeats,
            models: self.models_under(&limit.scope, told.chain(asked.model.as_deref())),
            extra: Extra::new(),
        };
        self.keep_longer(limit.scope.clone(), mark, now)
    }

    /// The models that are known to be under a scope, and those that were seen with it now. The
    /// default scope covers all, and lists none.
    fn models_under<'a>(
        &self,
        scope: &Scope,
        seen: impl IntoIterator<Item = &'a str>,
    ) -> Vec<String> {
        if scope.as_str() == Scope::DEFAULT {
            return Vec::new();
        }
        let marked = self.limits().get(scope).map(|mark| &mark.models);
        let known = marked.or_else(|| self.families.get(scope));
        let mut models = known.cloned().unwrap_or_default();
        for model in seen {
            if !models.iter().any(|known| same_model(known, model)) {
                models.push(model.to_owned());
            }
        }
        models
    }

    /// Of the mark that stands and the new one, the one that ends later stays; one set by hand
    /// gives way only to another set by hand.
    fn keep_longer(&mut self, scope: Scope, mark: Mark, now: UnixMillis) -> &Mark {
        let kept = self.limits().get(&scope).filter(|before| {
            before.until > now
                && (before.until > mark.until || (before.by_hand() && !mark.by_hand()))
        });
        let mark = match kept {
            Some(before) => Mark {
                models: mark.models,
                ..before.clone()
            },
            None => mark,
        };
        self.set_limit(scope.clone(), mark);
        &self.limits()[&scope]
    }

    /// Recovery is seen, not waited for: a success lifts the marks that its figures disprove, and
    /// those that were only a guess.
    fn record_success(&mut self, windows: &[Window], asked: &Asking) {
        let disproved: Vec<Scope> = self
            .limits()
            .iter()
            .filter(|(scope, mark)| {
                let guess =
                    mark.source == Source::Backoff && mark.covers(scope, asked.model.as_deref());
                !mark.by_hand()
                    && mark.marked_at.is_none_or(|at| at <= asked.at)
                    && (guess || disproves(windows, scope, mark))
            })
            .map(|(scope, _)| scope.clone())
            .collect();
        for scope in disproved {
            self.clear_limit(scope.as_str());
        }
    }
}

/// Whether figures show that a limit is over: something is left in each window of its scope, and
/// the window that was used up is among them.
fn disproves(windows: &[Window], scope: &Scope, mark: &Mark) -> bool {
    let of_scope = |window: &&Window| {
        window.scope.as_ref().map_or(Scope::DEFAULT, Scope::as_str) == scope.as_str()
    };
    let seen: Vec<&Window> = windows.iter().filter(of_scope).collect();
    let speaks_of_it = match mark.window_minutes {
        Some(minutes) => seen.iter().any(|window| window.minutes == minutes),
        None => !seen.is_empty(),
    };
    speaks_of_it && !seen.iter().any(|window| window.exhausted())
}

/// How many guesses in a row went before: a request that was under way when the mark was made, or
/// that was made while it runs, tells of the same event and is no repeat, and neither is one long
/// after the mark was over.
fn guesses_before(mark: &Mark, asked: &Asking, now: UnixMillis) -> u32 {
    if mark.source != Source::Backoff || now > mark.until.plus(LAST_BACKOFF) {
        0
    } else if mark.until > now || mark.marked_at.is_some_and(|at| at > asked.at) {
        mark.repeats
    } else {
        mark.repeats.saturating_add(1)
    }
}

fn backoff(repeats: u32) -> Duration {
    FIRST_BACKOFF
        .saturating_mul(1 << repeats.min(8))
        .min(LAST_BACKOFF)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::handle::Handle;
    use crate::account::limit::{Reading, Reset};
    use crate::account::secret::RefreshToken;

    fn secs(secs: u64) -> UnixMillis {
        UnixMillis::from_secs(secs)
    }

    fn limited(reset: Option<u64>) -> Reading {
        Reading {
            verdict: Verdict::Limited(Limit {
                scope: Scope::default_scope(),
                models: Vec::new(),
                class: Class::Quota,
                reset: reset.map(|at| Reset {
                    at: secs(at),
                    source: Source::BodyResetsAt,
                }),
                window_minutes: Some(300),
            }),
            windows: Vec::new(),
            plan_type: None,
        }
    }

    fn served(minutes: u32, used_percent: f64) -> Reading {
        Reading {
            verdict: Verdict::Ok,
            windows: vec![Window {
                scope: None,
                minutes,
                used_percent,
                resets_at: None,
                extra: Extra::new(),
            }],
            plan_type: None,
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
        let refused = |verdict| Reading {
            verdict,
            windows: Vec::new(),
            plan_type: None,
        };
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
        see(&mut account, &unauthorized, 1000, 1001);
        assert_eq!(account.tokens.expires_at, None);
        see(&mut account, &dead, 1000, 1001);
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
}
