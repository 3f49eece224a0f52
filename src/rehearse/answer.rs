//! The answers that can be scripted, and the names of their styles.
//!
//! Says which answers there are; `render` knows how each of them looks on the wire.

use bytes::Bytes;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// One scripted answer.
#[derive(Clone, Debug)]
pub enum Answer {
    /// What the endpoint says when all is well. For a model request the text; `None`: the account's own.
    Good(Option<String>),
    /// A style of PROTOCOL §4.
    Styled {
        /// The style.
        style: Style,
        /// The time until the reset, for the styles that name one.
        resets_in: Duration,
    },
    /// These very bytes.
    Raw {
        /// The HTTP status, 200 to 599.
        status: u16,
        /// The header fields, in this order. `Content-Length` is seen to.
        headers: Vec<(String, String)>,
        /// The body. More than one chunk makes it a stream, sent at the script's pace.
        chunks: Vec<Bytes>,
    },
}

impl Answer {
    /// A good answer with this text.
    pub fn good(text: impl Into<String>) -> Self {
        Self::Good(Some(text.into()))
    }

    /// An answer of this style that resets after this time.
    pub fn limit(style: Style, resets_in: Duration) -> Self {
        Self::Styled { style, resets_in }
    }

    /// Any answer with a body in one piece.
    pub fn raw(status: u16, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Self {
        Self::Raw {
            status,
            headers: headers
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            chunks: vec![body.into()],
        }
    }

    /// An error of the token endpoint (PROTOCOL §1), as JSON with the code where `shape` puts it.
    pub fn token_error(status: u16, code: &str, shape: ErrorShape) -> Self {
        let message = "The pretend issuer was told to refuse this";
        let body = match shape {
            ErrorShape::Text => serde_json::json!({"error": code, "error_description": message}),
            ErrorShape::Object => serde_json::json!({"error": {
                "message": message, "type": "invalid_request_error", "param": null, "code": code,
            }}),
            ErrorShape::TopLevel => serde_json::json!({"code": code, "message": message}),
        };
        Self::raw(
            status,
            &[("content-type", "application/json")],
            body.to_string(),
        )
    }
}

impl From<Style> for Answer {
    /// The style with an hour until the reset.
    fn from(style: Style) -> Self {
        Self::limit(style, Duration::from_secs(60 * 60))
    }
}

/// Where an error of the token endpoint puts its code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorShape {
    /// `{"error":"CODE"}`, as RFC 6749 has it.
    Text,
    /// `{"error":{"code":"CODE"}}`, as captured.
    Object,
    /// `{"code":"CODE"}`, which Codex reads too.
    TopLevel,
}

/// The codes that say a refresh token is dead (PROTOCOL §1), put down here once more so that a test can compare.
pub const DEAD_TOKEN_CODES: [&str; 9] = [
    "refresh_token_expired",
    "refresh_token_reused",
    "refresh_token_invalidated",
    "refresh_token_revoked",
    "invalid_refresh_token",
    "invalid_grant",
    "token_revoked",
    "token_expired",
    "account_deactivated",
];

/// Declares [`Style`] with each variant's name and documentation in one place, so that none can be left out of
/// [`Style::ALL`].
macro_rules! styles {
    ($($(#[doc = $about:literal])+ $variant:ident = $name:literal,)+) => {
        /// How an answer other than the good one looks (PROTOCOL §4). Its text form is the name that `codex-rehearse
        /// --limit ID=DURATION:STYLE` takes.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Style {
            $($(#[doc = $about])+ $variant,)+
        }

        impl Style {
            /// Every style, in the order in which they are documented.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The name, as [`FromStr`] reads it.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }

            /// What it is, in a sentence or two, for a list of styles.
            pub fn about(self) -> &'static str {
                match self { $(Self::$variant => concat!($($about),+).trim_ascii()),+ }
            }
        }
    };
}

styles! {
    /// 429 as captured: the windows in `x-codex-*`, `resets_at` in the body, no `Retry-After`.
    UsageLimit = "usage-limit",
    /// 429 whose body has `resets_in_seconds` only.
    ResetsIn = "resets-in",
    /// 429 that names its reset in the `x-codex-*` windows only.
    WindowsOnly = "windows-only",
    /// 429 with the weekly window as primary, no second one, and an empty `x-codex-secondary-reset-at`.
    WeeklyPrimary = "weekly-primary",
    /// 429 with `Retry-After` in seconds.
    RetryAfter = "retry-after",
    /// 429 with `Retry-After` as an HTTP-date.
    RetryAfterDate = "retry-after-date",
    /// 429 with `Retry-After-Ms`.
    RetryAfterMs = "retry-after-ms",
    /// 429 whose body has `retry_after`, in seconds.
    BodyRetryAfter = "body-retry-after",
    /// 429 whose body has `retry_after_ms`.
    BodyRetryAfterMs = "body-retry-after-ms",
    /// 429 that does not say when it ends.
    NoHint = "no-hint",
    /// 429 `rate_limit_exceeded`, "Please try again in 1.898s", with windows that are not used up.
    Throttle = "throttle",
    /// 429 as captured, because a member of the workspace has used up their share.
    WorkspaceMember = "workspace-member",
    /// 429 for one model family, `codex_bengalfox`, whose windows come beside the account's own.
    ModelFamily = "model-family",
    /// 429 `usage_not_included`: the plan does not have it.
    NotIncluded = "not-included",
    /// 403 `usage_not_included`.
    NotIncluded403 = "not-included-403",
    /// 429 `insufficient_quota`: the credit is used up.
    InsufficientQuota = "insufficient-quota",
    /// 404 whose body is a usage limit.
    Limit404 = "limit-404",
    /// 503 `server_is_overloaded`.
    Overloaded = "overloaded",
    /// 500 with a JSON body.
    Error500 = "error-500",
    /// 502 with an HTML body.
    Error502 = "error-502",
    /// 529 with a JSON body.
    Error529 = "error-529",
    /// 401 `token_expired`.
    Expired = "expired",
    /// 401 `token_invalidated`: "has been invalidated".
    Invalidated = "invalidated",
    /// 402 `deactivated_workspace`.
    WorkspaceGone402 = "workspace-gone-402",
    /// 403 `deactivated_workspace`.
    WorkspaceGone403 = "workspace-gone-403",
    /// 400 "model is not supported when using Codex with a ChatGPT account".
    ModelUnsupported = "model-unsupported",
    /// 200, and the first event is `response.failed` with a usage limit.
    FailedFirst = "failed-first",
    /// 200, `response.created`, then `response.failed` with a usage limit.
    FailedCreated = "failed-created",
    /// 200, a first piece of text, then `response.failed` with a usage limit.
    FailedOutput = "failed-output",
    /// 200, `response.created`, then `response.failed` with `rate_limit_exceeded`, "Please try again in 11.054s".
    FailedThrottle = "failed-throttle",
    /// 200, and the first event is `error` with a usage limit, status and headers.
    ErrorFirst = "error-first",
    /// 200, `response.created`, then `error` with a usage limit.
    ErrorCreated = "error-created",
    /// 200, a first piece of text, then `error` with a usage limit.
    ErrorOutput = "error-output",
    /// The connection is closed before the head.
    CloseBeforeHead = "close-before-head",
    /// The connection is closed in the middle of the good body.
    CloseMidBody = "close-mid-body",
    /// The head never comes.
    NoHead = "no-head",
    /// The good body stops in the middle and never goes on.
    Stall = "stall",
    /// Bytes that are not HTTP.
    Garbage = "garbage",
}

impl Style {
    /// Whether it says that one of the account's own windows is used up, which the usage endpoint then shows as well.
    pub(super) fn is_usage_limit(self) -> bool {
        matches!(
            self,
            Self::UsageLimit
                | Self::ResetsIn
                | Self::WindowsOnly
                | Self::WeeklyPrimary
                | Self::RetryAfter
                | Self::RetryAfterDate
                | Self::RetryAfterMs
                | Self::BodyRetryAfter
                | Self::BodyRetryAfterMs
                | Self::NoHint
                | Self::WorkspaceMember
                | Self::Limit404
                | Self::FailedFirst
                | Self::FailedCreated
                | Self::FailedOutput
                | Self::ErrorFirst
                | Self::ErrorCreated
                | Self::ErrorOutput
        )
    }
}

impl fmt::Display for Style {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Style {
    type Err = UnknownStyle;

    /// Reads a [`name`](Self::name).
    fn from_str(text: &str) -> Result<Self, UnknownStyle> {
        Self::ALL
            .iter()
            .copied()
            .find(|style| style.name() == text)
            .ok_or(UnknownStyle)
    }
}

/// The text names no [`Style`]. Displays the names there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownStyle;

impl fmt::Display for UnknownStyle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("unknown style; there are")?;
        for (index, style) in Style::ALL.iter().enumerate() {
            write!(f, "{} {style}", if index == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}

impl std::error::Error for UnknownStyle {}
