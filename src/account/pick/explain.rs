//! Why each account would be chosen or passed over.

use super::order::{self, Standing};
use super::{Decision, Request, pick};
use crate::account::Account;
use crate::account::time::UnixMillis;

/// Why an account was chosen or passed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It is the one.
    Chosen,
    /// It was excluded, or another was asked for.
    Excluded,
    /// The person does not want it.
    Disabled,
    /// Its login is dead.
    LoginRequired,
    /// It is limited until then.
    Limited(UnixMillis),
    /// It is not served with this model, until then.
    ModelNotIncluded(UnixMillis),
    /// Its fresh token was not accepted; it is left alone until then.
    Refused(UnixMillis),
    /// Its plan is spent, and its credit is not to be used; that ends then, as far as it is known.
    CreditKept(Option<UnixMillis>),
    /// Its plan is spent, and others go before credit.
    OnCredit,
    /// Its last bit is kept in reserve.
    Reserved,
    /// Somebody else holds it.
    Busy,
    /// It could be used; the strategy chose another.
    NotNext,
}

impl Reason {
    /// The word for it in records.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Chosen => "chosen",
            Self::Excluded => "excluded",
            Self::Disabled => "disabled",
            Self::LoginRequired => "login-required",
            Self::Limited(_) => "limited",
            Self::ModelNotIncluded(_) => "model-not-included",
            Self::Refused(_) => "refused",
            Self::CreditKept(_) => "credit-kept",
            Self::OnCredit => "on-credit",
            Self::Reserved => "reserved",
            Self::Busy => "busy",
            Self::NotNext => "not-next",
        }
    }

    /// When the reason ends by itself, if it does.
    #[must_use]
    pub const fn until(self) -> Option<UnixMillis> {
        match self {
            Self::Limited(until) | Self::ModelNotIncluded(until) | Self::Refused(until) => {
                Some(until)
            }
            Self::CreditKept(until) => until,
            _ => None,
        }
    }
}

/// Why each account would be chosen or passed over now.
#[must_use]
pub fn explain(
    accounts: &[Account],
    active: usize,
    request: &Request<'_>,
    now: UnixMillis,
) -> Vec<Reason> {
    let chosen = match pick(accounts, active, request, now) {
        Decision::Use { index, .. } => Some(index),
        Decision::Nothing(_) | Decision::Limited { .. } => None,
    };
    let standings = order::standings(accounts, request, now);
    let reasons = standings.into_iter().enumerate();
    let reasons = reasons.map(|(index, standing)| match standing {
        _ if chosen == Some(index) => Reason::Chosen,
        Standing::Excluded => Reason::Excluded,
        Standing::Disabled => Reason::Disabled,
        Standing::LoginRequired => Reason::LoginRequired,
        Standing::Limited(until) => Reason::Limited(until),
        Standing::ModelNotIncluded(until) => Reason::ModelNotIncluded(until),
        Standing::Refused(until) => Reason::Refused(until),
        Standing::CreditKept(until) => Reason::CreditKept(until),
        Standing::Usable(rank) if rank.on_credit => Reason::OnCredit,
        Standing::Usable(rank) if rank.reserved => Reason::Reserved,
        Standing::Usable(rank) if rank.busy => Reason::Busy,
        Standing::Usable(_) => Reason::NotNext,
    });
    reasons.collect()
}
