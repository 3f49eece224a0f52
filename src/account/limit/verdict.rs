//! The verdict on a response: what it means, and so whose fault it is (DESIGN §2).

use http::StatusCode;

use super::body::Body;
use super::codes::Meaning;
use super::foreign::Foreign;
use super::headers::Headers;
use super::limited::{Limit, limit};
use super::model::ModelNotIncluded;
use crate::account::time::UnixMillis;

/// The verdict on a response.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// The account was served.
    Ok,
    /// The account is limited.
    Limited(Limit),
    /// The access token was not accepted.
    Unauthorized {
        /// It was explicitly invalidated, and did not just expire.
        invalidated: bool,
    },
    /// The login is dead.
    LoginRequired {
        /// The code that said so.
        code: String,
    },
    /// The account has no right to this.
    NoEntitlement,
    /// The workspace was deactivated.
    WorkspaceGone,
    /// The account is not served with this model.
    ModelNotIncluded(ModelNotIncluded),
    /// The session carries what this account can't read.
    ForeignContent(Foreign),
    /// Something on the way answered: the same for all accounts.
    Network,
    /// The server is in trouble; no account's fault.
    Server,
    /// What was asked was flagged: to be asked as no other account.
    Content,
    /// An answer that says nothing about the account.
    Other,
}

impl Verdict {
    /// The word for it in records.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Limited(_) => "limited",
            Self::Unauthorized { .. } => "unauthorized",
            Self::LoginRequired { .. } => "login-required",
            Self::NoEntitlement => "no-entitlement",
            Self::WorkspaceGone => "workspace-gone",
            Self::ModelNotIncluded(_) => "model-not-included",
            Self::ForeignContent(_) => "foreign-content",
            Self::Network => "network",
            Self::Server => "server",
            Self::Content => "content",
            Self::Other => "other",
        }
    }
}

pub(super) fn verdict(
    status: Option<StatusCode>,
    headers: &Headers,
    body: &Body,
    now: UnixMillis,
) -> Verdict {
    by_code(status, headers, body, now)
        .or_else(|| by_text(status, headers, body, now))
        .unwrap_or_else(|| by_status(status, headers, body, now))
}

/// What the codes of a body say, whatever the status, but where that takes their sense away.
fn by_code(
    status: Option<StatusCode>,
    headers: &Headers,
    body: &Body,
    now: UnixMillis,
) -> Option<Verdict> {
    let status = status.map(|status| status.as_u16());
    let counts = |meaning: &Meaning| match meaning {
        Meaning::Overloaded => status != Some(429),
        Meaning::Encrypted => status.is_none_or(|status| (400..500).contains(&status)),
        // Of a server in trouble it is no proof that a token is dead.
        Meaning::LoginDead | Meaning::TokenInvalidated | Meaning::TokenExpired => {
            matches!(status, Some(400 | 401 | 403) | None)
        }
        _ => true,
    };
    Some(match body.meanings().filter(counts).min()? {
        Meaning::WorkspaceGone => Verdict::WorkspaceGone,
        Meaning::NotIncluded => Verdict::NoEntitlement,
        Meaning::Flagged => Verdict::Content,
        Meaning::Region => Verdict::Network,
        Meaning::Encrypted => Verdict::ForeignContent(Foreign::of(body)?),
        Meaning::Overloaded => Verdict::Server,
        Meaning::UsedUp | Meaning::TooFast => Verdict::Limited(limit(headers, body, now)),
        Meaning::LoginDead => Verdict::LoginRequired {
            code: body.code_that_means(Meaning::LoginDead)?.to_owned(),
        },
        Meaning::TokenInvalidated => Verdict::Unauthorized { invalidated: true },
        Meaning::TokenExpired => Verdict::Unauthorized { invalidated: false },
        Meaning::Request => Verdict::Other,
    })
}

/// What the text of a body says where no code does. An answer may well speak of usage limits: its
/// text counts only where the status is no success.
fn by_text(
    status: Option<StatusCode>,
    headers: &Headers,
    body: &Body,
    now: UnixMillis,
) -> Option<Verdict> {
    if status.is_some_and(|status| status.is_success()) {
        return None;
    }
    let of_request = status.is_none_or(|status| status.is_client_error());
    if let Some(refused) = ModelNotIncluded::of(body).filter(|_| of_request) {
        return Some(Verdict::ModelNotIncluded(refused));
    }
    if let Some(foreign) = Foreign::of(body).filter(|_| of_request) {
        return Some(Verdict::ForeignContent(foreign));
    }
    let message = body.message.to_lowercase();
    if message.contains("at capacity") {
        return Some(Verdict::Server);
    }
    message
        .contains("usage limit")
        .then(|| Verdict::Limited(limit(headers, body, now)))
}

/// What is left to go by: the headers, and the status.
fn by_status(
    status: Option<StatusCode>,
    headers: &Headers,
    body: &Body,
    now: UnixMillis,
) -> Verdict {
    let silent = body.is_empty();
    match status.map(|status| status.as_u16()) {
        None if silent && headers.says_limit() => Verdict::Limited(limit(headers, body, now)),
        None if body.is_answer || (silent && !headers.windows.is_empty()) => Verdict::Ok,
        None => Verdict::Other,
        Some(200..=299) => Verdict::Ok,
        Some(429) => Verdict::Limited(limit(headers, body, now)),
        Some(_) if headers.reached_type.is_some() => Verdict::Limited(limit(headers, body, now)),
        Some(401) => Verdict::Unauthorized {
            invalidated: body.message.contains("has been invalidated"),
        },
        Some(500..) => Verdict::Server,
        Some(_) => Verdict::Other,
    }
}
