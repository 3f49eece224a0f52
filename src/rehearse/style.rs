//! The names of the answers that are no good ones: PROTOCOL §4 and PROTOCOL-SWITCH §5, each with a word for it.
//!
//! Says which styles there are; `render` knows how each of them looks on the wire.

use std::fmt;
use std::str::FromStr;

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
    /// 429 as captured, whose one window is 30 days long.
    ThirtyDays = "thirty-days",
    /// 429 whose windows do not say how long they are.
    WindowsUnsized = "windows-unsized",
    /// 429 `model_cooldown` with `reset_seconds`, as another pool in the backend's place says it.
    ModelCooldown = "model-cooldown",
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
    /// 403 `invalid_workspace_selected`.
    WrongWorkspace = "wrong-workspace",
    /// 403 `codex_workspace_access_denied`.
    WorkspaceDenied = "workspace-denied",
    /// 401 "Workspace is not authorized in this region."
    Region = "region",
    /// 400 "model is not supported when using Codex with a ChatGPT account".
    ModelUnsupported = "model-unsupported",
    /// The same as an `error` event with status 400.
    ModelEvent = "model-event",
    /// 400 "not supported when using X-OpenAI-Internal-Codex-Responses-Lite".
    Lite = "lite",
    /// 403 of the edge: an HTML page that challenges the browser.
    Challenge = "challenge",
    /// 429 of the edge: an HTML page.
    Edge429 = "edge-429",
    /// 413 of the edge: an HTML page.
    TooLarge = "too-large",
    /// 403 `unsupported_country_region_territory`.
    Country = "country",
    /// 400 `cyber_policy`.
    Cyber = "cyber",
    /// 200, `response.created`, then `response.failed` with `cyber_policy`.
    CyberEvent = "cyber-event",
    /// 400 `context_length_exceeded`.
    ContextLength = "context-length",
    /// 200, `response.created`, then `response.failed` with `context_length_exceeded`.
    ContextLengthEvent = "context-length-event",
    /// 503 "Selected model is at capacity".
    Capacity = "capacity",
    /// 200, `response.created`, then `response.failed` with that text.
    CapacityEvent = "capacity-event",
    /// 200, `response.created`, then `error` with `server_is_overloaded`.
    OverloadedEvent = "overloaded-event",
    /// 200, `response.created`, then `response.failed` with `server_is_overloaded`.
    OverloadedFailed = "overloaded-failed",
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
    /// 200, and in one read `response.created`, a first piece of text and `response.failed` with a usage limit.
    FailedAtOnce = "failed-at-once",
    /// 200, `response.created`, then `response.incomplete` with a usage limit as its reason.
    IncompleteCreated = "incomplete-created",
    /// 200, a first piece of text, then `response.incomplete` with a usage limit as its reason.
    IncompleteOutput = "incomplete-output",
    /// 200, a first piece of text, then `response.incomplete` with `max_output_tokens`: no limit.
    IncompleteTokens = "incomplete-tokens",
    /// The good answer, with a `codex.rate_limits` event that says that all is used up.
    LastOne = "last-one",
    /// The good answer in pieces of a few bytes.
    InPieces = "in-pieces",
    /// 200 and not one byte more.
    EmptyStream = "empty-stream",
    /// 200, and comments only.
    CommentsOnly = "comments-only",
    /// 200, `response.created`, and the end.
    NoOutput = "no-output",
    /// 200, a first piece of text, and the end without a last event.
    NoTerminal = "no-terminal",
    /// 200, then `response.failed` with a usage limit, without `sequence_number` and a whole `response`.
    ShortFailed = "short-failed",
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
                | Self::ThirtyDays
                | Self::WindowsUnsized
                | Self::ModelCooldown
                | Self::FailedAtOnce
                | Self::IncompleteCreated
                | Self::IncompleteOutput
                | Self::ShortFailed
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
