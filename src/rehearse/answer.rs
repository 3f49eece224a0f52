//! The answers that can be scripted.
//!
//! Says which answers there are; `render` knows how each of them looks on the wire.

use super::style::Style;
use bytes::Bytes;
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
    /// The connection is closed: over a WebSocket with this code, without a close frame where there is none.
    Close {
        /// The code of the close frame.
        code: Option<u16>,
        /// How far the response gets before.
        after: Progress,
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
    /// These bytes again and again, for as long as the client reads.
    Endless {
        /// The HTTP status; `None`: they come in the place of the head.
        status: Option<u16>,
        /// The header fields.
        headers: Vec<(String, String)>,
        /// What comes again and again.
        chunk: Bytes,
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

/// How far a response gets before it ends otherwise than it should.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Progress {
    /// Not to its first event.
    Nothing,
    /// To `response.created`.
    Created,
    /// To the end of its reasoning, with nothing behind it.
    Reasoning,
    /// To a first piece of text.
    Output,
    /// To the end of its first item that is no reasoning.
    Item,
    /// To its end: what comes then comes after `response.completed`.
    Completed,
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
pub const DEAD_TOKEN_CODES: [&str; 13] = [
    "refresh_token_expired",
    "refresh_token_reused",
    "refresh_token_invalidated",
    "refresh_token_revoked",
    "invalid_refresh_token",
    "invalid_grant",
    "token_revoked",
    "token_expired",
    "account_deactivated",
    "account_suspended",
    "account_deleted",
    "app_session_terminated",
    "app_session_expired",
];

/// What the token endpoint does with a request.
#[derive(Clone, Debug)]
pub enum TokenAnswer {
    /// Answers so without carrying the request out: no code and no token is used up. [`Answer::Good`] is an empty object.
    Refuse(Answer),
    /// Carries the request out, using up what it brought, and answers so. With [`Answer::Good`] that is an ordinary
    /// grant; with anything else the new tokens are lost on the way, or a part of them.
    Grant(Answer),
}
