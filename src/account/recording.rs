//! What an account keeps of what responses said about it: the rules by which a newer reading
//! extends a mark, lifts it, or leaves it alone (DESIGN §2, `codex-ratelimit-mark`). What a
//! response means, [`super::limit`] says.

use std::collections::BTreeSet;
use std::time::Duration;

use super::limit::{Class, LONGEST, Limit, ModelNotIncluded, Origin, Reading, Source, Verdict};
use super::mark::{Mark, bare_model, same_model};
use super::observation::{Asking, Observation};
use super::time::UnixMillis;
use super::tokens::Tokens;
use super::usage::Window;
use super::{Account, Extra, LoginRequired, Scope};

/// How long a limit without a hint is believed at first, and at most.
const FIRST_BACKOFF: Duration = Duration::from_secs(60);
const LAST_BACKOFF: Duration = Duration::from_secs(30 * 60);

/// How long an account whose fresh token is refused is left alone at first, and at most.
const FIRST_REFUSAL: Duration = Duration::from_secs(5 * 60);
const LAST_REFUSAL: Duration = Duration::from_secs(60 * 60);

/// A token is fresh for this long after it was renewed.
const FRESH: Duration = Duration::from_secs(10 * 60);

/// Two times of one reset differ by the time the answers took.
const SAME_RESET: Duration = Duration::from_secs(5 * 60);

impl Account {
    /// Takes over what a response said. Returns the scope whose mark holds for it now, if it is one
    /// that marks.
    pub fn record(&mut self, observation: &Observation) -> Option<Scope> {
        let Observation {
            asking: asked,
            reading,
            seen_at: now,
        } = observation;
        let now = *now;
        self.drop_void_marks(now);
        self.record_usage(reading, now);
        if let Some(plan) = &reading.plan_type {
            self.plan_type = Some(plan.clone());
        }
        let had_other_tokens = self.tokens.refreshed_at > Some(asked.at);
        match &reading.verdict {
            Verdict::Limited(limit) => return Some(self.record_limit(limit, asked, now)),
            Verdict::Ok => self.record_success(reading, asked, now),
            // It speaks of tokens that were replaced meanwhile.
            Verdict::LoginRequired { .. } | Verdict::Unauthorized { .. } if had_other_tokens => {}
            Verdict::LoginRequired { code } => {
                self.login_required = Some(LoginRequired {
                    code: code.clone(),
                    at: now,
                    extra: Extra::new(),
                });
            }
            Verdict::Unauthorized { .. } if self.was_fresh(asked) => {
                return Some(self.record_refusal(asked, now));
            }
            // Whoever picks it next renews the token first.
            Verdict::Unauthorized { .. } => self.tokens.expires_at = None,
            Verdict::WorkspaceGone => self.enabled = false,
            Verdict::ModelNotIncluded(refused) => return self.record_model(refused, asked, now),
            Verdict::NoEntitlement
            | Verdict::ForeignContent(_)
            | Verdict::Network
            | Verdict::Server
            | Verdict::Content
            | Verdict::Other => {}
        }
        None
    }

    /// Has the tokens of another login from now on: what was refused was said of the ones before.
    pub(super) fn take_login(&mut self, tokens: Tokens, shared_with: BTreeSet<String>) {
        self.tokens.replace(tokens);
        self.shared_with = shared_with;
        self.login_required = None;
        self.clear_limit(Scope::REFUSED);
    }

    /// A banked reset was spent: no used-up quota is left, but for what was marked by hand.
    pub fn windows_began_anew(&mut self) {
        let spent = self.limits().iter();
        let spent = spent.filter(|(_, mark)| mark.class == Class::Quota && !mark.by_hand());
        let spent: Vec<Scope> = spent.map(|(scope, _)| scope.clone()).collect();
        for scope in spent {
            self.clear_limit(scope.as_str());
        }
    }

    /// What was told of the quota. The usage endpoint tells all there is; an answer tells a part.
    fn record_usage(&mut self, reading: &Reading, now: UnixMillis) {
        let all = reading.origin == Origin::Usage;
        let known = self.usage.as_ref().is_some_and(|it| it.credits.is_some());
        let credits = reading.credits.as_deref();
        // That there is none is news only where there was some.
        let credits = credits.filter(|it| it.available || known);
        let tells = !reading.windows.is_empty()
            || credits.is_some()
            || reading.budget.is_some()
            || reading.banked_resets.is_some();
        if !tells {
            return;
        }
        let usage = self.usage.get_or_insert_default();
        usage.update(&reading.windows, now);
        replace(&mut usage.credits, credits, all);
        replace(&mut usage.budget, reading.budget.as_deref(), all);
        replace(
            &mut usage.banked_resets,
            reading.banked_resets.as_deref(),
            all,
        );
    }

    /// A clock that was ahead leaves marks that end later than any limit can; they are no fact.
    fn drop_void_marks(&mut self, now: UnixMillis) {
        let void = self.limits().iter().filter(|(_, mark)| mark.is_void(now));
        let void: Vec<Scope> = void.map(|(scope, _)| scope.clone()).collect();
        for scope in void {
            self.clear_limit(scope.as_str());
        }
    }

    /// Whether the token that was asked with had just been renewed.
    fn was_fresh(&self, asked: &Asking) -> bool {
        let renewed = self.tokens.refreshed_at;
        renewed.is_some_and(|at| asked.at >= at && asked.at.since(at) < FRESH)
    }

    /// Not even a fresh token was accepted: renewing it again at once would do no good.
    fn record_refusal(&mut self, asked: &Asking, now: UnixMillis) -> Scope {
        let scope = Scope::new(Scope::REFUSED);
        let before = self.limits().get(&scope);
        let repeats = before.map_or(0, |mark| repeats_of(mark, LAST_REFUSAL, asked, now));
        let wait = FIRST_REFUSAL.saturating_mul(1 << repeats.min(8));
        let mark = Mark {
            class: Class::Refused,
            repeats,
            ..Mark::until(now.plus(wait.min(LAST_REFUSAL)), Source::Status, now)
        };
        self.keep_longer(scope.clone(), mark, now);
        scope
    }

    /// The account is not served with a model: that model's scope is marked, and no other.
    fn record_model(
        &mut self,
        refused: &ModelNotIncluded,
        asked: &Asking,
        now: UnixMillis,
    ) -> Option<Scope> {
        let model = match (&refused.model, &asked.model) {
            // It speaks of another model than this asking was about.
            (Some(named), Some(asked)) if !same_model(named, asked) => return None,
            (Some(model), _) | (None, Some(model)) => bare_model(model).to_owned(),
            (None, None) => return None,
        };
        let scope = Scope::of_model(&model);
        let mark = Mark {
            class: Class::ModelNotIncluded,
            models: vec![model],
            ..Mark::until(now.plus(refused.offer.believed_for()), Source::Model, now)
        };
        self.keep_longer(scope.clone(), mark, now);
        Some(scope)
    }

    /// Marks it limited by a person's or a script's own word. Never shortens a longer mark.
    pub fn record_by_hand(
        &mut self,
        scope: Scope,
        until: UnixMillis,
        model: Option<&str>,
        now: UnixMillis,
    ) -> &Mark {
        self.drop_void_marks(now);
        let mark = Mark {
            models: self.models_under(&scope, model),
            ..Mark::until(until.min(now.plus(LONGEST)), Source::Hand, now)
        };
        self.keep_longer(scope, mark, now)
    }

    fn record_limit(&mut self, limit: &Limit, asked: &Asking, now: UnixMillis) -> Scope {
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
            class: limit.class.clone(),
            window_minutes: limit.window_minutes,
            repeats,
            models: self.models_under(&limit.scope, told.chain(asked.model.as_deref())),
            ..Mark::until(until, source, now)
        };
        self.keep_longer(limit.scope.clone(), mark, now);
        limit.scope.clone()
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

    /// Recovery is seen, not waited for: a success lifts the marks that it disproves. What is left
    /// of them was served in spite of it, and keeps that.
    fn record_success(&mut self, reading: &Reading, asked: &Asking, now: UnixMillis) {
        let older = |mark: &Mark| !mark.by_hand() && mark.marked_at.is_none_or(|at| at <= asked.at);
        let older: Vec<Scope> = self
            .limits()
            .iter()
            .filter(|(_, mark)| older(mark))
            .map(|(scope, _)| scope.clone())
            .collect();
        for scope in older {
            let Some(mark) = self.limits.get_mut(&scope) else {
                continue;
            };
            let served =
                reading.origin == Origin::Request && mark.covers(&scope, asked.model.as_deref());
            if disproves(reading, &scope, mark, served) {
                self.clear_limit(scope.as_str());
            } else if served {
                mark.served_at.get_or_insert(now);
            }
        }
    }
}

/// Whether an answer of a good account shows that a mark does not hold any more.
fn disproves(reading: &Reading, scope: &Scope, mark: &Mark, served: bool) -> bool {
    match mark.class {
        Class::Refused | Class::ModelNotIncluded => served,
        _ if mark.source == Source::Backoff && served => true,
        _ => is_left(&reading.windows, scope, mark) && is_believed(reading, scope, mark),
    }
}

/// Whether something is left in each window of the mark's scope, and the window that was used up is
/// among them.
fn is_left(windows: &[Window], scope: &Scope, mark: &Mark) -> bool {
    let seen: Vec<&Window> = windows.iter().filter(|it| is_of(it, scope)).collect();
    let speaks_of_it = match mark.window_minutes {
        Some(minutes) => seen.iter().any(|window| window.minutes == minutes),
        None => !seen.is_empty(),
    };
    speaks_of_it && !seen.iter().any(|window| window.exhausted())
}

fn is_of(window: &Window, scope: &Scope) -> bool {
    window.scope.as_ref().map_or(Scope::DEFAULT, Scope::as_str) == scope.as_str()
}

/// The usage endpoint is too optimistic at times: of what a refused request told it is believed
/// only where the reset of the window moved, or a request was served since (codex-proxy 753).
fn is_believed(reading: &Reading, scope: &Scope, mark: &Mark) -> bool {
    if reading.origin == Origin::Request
        || matches!(mark.source, Source::Usage | Source::Budget)
        || mark.served_at.is_some()
    {
        return true;
    }
    let is_its = |window: &&Window| {
        is_of(window, scope) && mark.window_minutes.is_none_or(|it| it == window.minutes)
    };
    let resets = reading.windows.iter().filter(is_its);
    let resets: Vec<UnixMillis> = resets.filter_map(|window| window.resets_at).collect();
    let is_same =
        |reset: &UnixMillis| reset.since(mark.until).max(mark.until.since(*reset)) <= SAME_RESET;
    !resets.is_empty() && !resets.iter().any(is_same)
}

/// How many guesses in a row went before.
fn guesses_before(mark: &Mark, asked: &Asking, now: UnixMillis) -> u32 {
    if mark.source == Source::Backoff {
        repeats_of(mark, LAST_BACKOFF, asked, now)
    } else {
        0
    }
}

/// How often in a row it was marked so before: a request that was under way when the mark was made,
/// or that was made while it runs, tells of the same event and is no repeat, and neither is one
/// long after the mark was over.
fn repeats_of(mark: &Mark, longest: Duration, asked: &Asking, now: UnixMillis) -> u32 {
    if now > mark.until.plus(longest) {
        0
    } else if mark.until > now || mark.marked_at.is_some_and(|at| at > asked.at) {
        mark.repeats
    } else {
        mark.repeats.saturating_add(1)
    }
}

/// Puts what was told in the place of what was known; what tells all also says what is not there.
fn replace<T: Clone>(known: &mut Option<T>, told: Option<&T>, all: bool) {
    if told.is_some() || all {
        *known = told.cloned();
    }
}

fn backoff(repeats: u32) -> Duration {
    FIRST_BACKOFF
        .saturating_mul(1 << repeats.min(8))
        .min(LAST_BACKOFF)
}

#[cfg(test)]
mod tests;
