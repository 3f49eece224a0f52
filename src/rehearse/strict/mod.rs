//! What the backend refuses, as PROTOCOL-SWITCH captured it: decisions on a request that is in memory, in the backend's
//! words.
//!
//! Pure. Sends nothing, knows no transport, and takes nothing back: what passes here is what the real one is believed to
//! take.

mod blobs;
mod items;
mod models;
mod shape;

pub(super) use models::{etag, listed};

use super::outcome::Outcome;
use super::request::ModelRequest;
use super::script::{Foreign, Reason};
use super::seen::Refused;
use http::StatusCode;
use serde_json::{Value, json};

/// A request that is refused, and why.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    pub(super) fault: Fault,
    pub(super) about: Refused,
}

/// What is said.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// `{"detail": …}`, as what stands before the model says it.
    Detail(String),
    /// `{"error": …}`.
    Error {
        message: String,
        code: Option<&'static str>,
        param: Option<String>,
    },
}

/// Who asks.
pub(super) struct Asker<'a> {
    /// Whose encrypted items can be read.
    pub(super) org: &'a str,
    pub(super) plan: &'a str,
    /// The models that the account may use, where they are not those of its plan.
    pub(super) models: Option<&'a [String]>,
    pub(super) lite: bool,
}

/// What stands before the model and looks at the shape of a request only.
pub(super) fn at_the_gate(request: &ModelRequest, asker: &Asker<'_>) -> Result<(), Refusal> {
    shape::check(request)?;
    models::check(request, asker)
}

/// What the model looks at: the items and what is sealed in them.
pub(super) fn at_the_model(
    request: &ModelRequest,
    asker: &Asker<'_>,
    portable: bool,
    foreign: Foreign,
) -> Result<(), Refusal> {
    items::check(&request.input)?;
    blobs::check(&request.input, asker.org, portable, foreign.reason)
}

impl Refusal {
    fn detail(text: impl Into<String>) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            fault: Fault::Detail(text.into()),
            about: Refused::Request,
        }
    }

    fn error(
        message: impl Into<String>,
        code: Option<&'static str>,
        param: impl Into<String>,
    ) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            fault: Fault::Error {
                message: message.into(),
                code,
                param: Some(param.into()),
            },
            about: Refused::Request,
        }
    }

    /// Item ids mean nothing where nothing is stored (E9).
    fn not_stored(id: &str) -> Self {
        Self {
            status: StatusCode::NOT_FOUND,
            ..Self::error(
                format!(
                    "Item with id '{id}' not found. Items are not persisted when `store` is set to false. Try again \
                     with `store` set to true, or remove this item from your input."
                ),
                None,
                "input",
            )
        }
    }

    /// A previous response that this connection did not make (E13).
    pub(super) fn no_previous(id: &str) -> Self {
        Self::error(
            format!("Previous response with id '{id}' not found."),
            Some("previous_response_not_found"),
            "previous_response_id",
        )
    }

    /// An encrypted item that can't be read (E1 to E5). `what` names it.
    fn unreadable(what: &str, reason: Option<&str>) -> Self {
        let reason = reason
            .map(|reason| format!(" Reason: {reason}"))
            .unwrap_or_default();
        Self {
            about: Refused::Foreign,
            fault: Fault::Error {
                message: format!("The encrypted content {what} could not be verified.{reason}"),
                code: Some("invalid_encrypted_content"),
                param: None,
            },
            status: StatusCode::BAD_REQUEST,
        }
    }

    /// As an answer of HTTP.
    pub(super) fn outcome(&self) -> Outcome {
        let body = match &self.fault {
            Fault::Detail(text) => json!({"detail": text}),
            Fault::Error { .. } => json!({"error": self.object()}),
        };
        Outcome::json(self.status, &body)
    }

    /// As the `error` of an event or a body.
    pub(super) fn object(&self) -> Value {
        let (message, code, param) = match &self.fault {
            Fault::Detail(text) => (text, &None, &None),
            Fault::Error {
                message,
                code,
                param,
            } => (message, code, param),
        };
        json!({"message": message, "type": "invalid_request_error", "param": param, "code": code})
    }

    /// Without its code, as some were captured.
    pub(super) fn without_code(mut self) -> Self {
        if let Fault::Error { code, .. } = &mut self.fault {
            *code = None;
        }
        self
    }
}

impl Reason {
    /// The words of the refusal.
    fn words(self) -> Option<&'static str> {
        match self {
            Self::Key => Some("Encrypted content could not be decrypted or parsed."),
            Self::Organization => {
                Some("Encrypted content organization_id did not match the target organization.")
            }
            Self::Unsaid => None,
        }
    }
}
