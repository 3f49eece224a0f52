//! How refusals look that are about no limit: of the login, the workspace, the model, the content, the network and the
//! server (PROTOCOL §4, PROTOCOL-SWITCH §5).

use super::outcome::Outcome;
use super::reply::Field;
use super::style::Style;
use http::StatusCode;
use http::header::{HeaderName, HeaderValue};
use serde_json::{Value, json};

/// What is said when a model is at its capacity.
pub(super) const AT_CAPACITY: &str = "Selected model is at capacity. Please try a different model.";

/// What is said of content that is not to be answered.
pub(super) const CYBER: &str = "This content was flagged for possible cybersecurity risk. If this seems wrong, try \
                                rephrasing your request.";

/// What is said of an input that is too long for the model.
pub(super) const TOO_LONG: &str = "Your input exceeds the context window of this model. Please adjust your input and \
                                   try again.";

/// What is said of a server that has too much to do.
pub(super) const OVERLOADED: &str = "Our servers are currently overloaded. Please try again later.";

/// The refusal of this style; a style that is none is a bug of the caller's, and answered as one.
pub(super) fn outcome(style: Style, model: &str) -> Outcome {
    match style {
        Style::Overloaded => error(
            StatusCode::SERVICE_UNAVAILABLE,
            "service_unavailable_error",
            "server_is_overloaded",
            OVERLOADED,
        ),
        Style::Error502 => page(StatusCode::BAD_GATEWAY, "502 Bad Gateway"),
        Style::Error529 => error(
            // 529 has no name, and is in the range that every status code must be in.
            StatusCode::from_u16(529).unwrap_or(StatusCode::SERVICE_UNAVAILABLE),
            "overloaded_error",
            "overloaded",
            "Overloaded",
        ),
        Style::Capacity => error(
            StatusCode::SERVICE_UNAVAILABLE,
            "server_error",
            "model_at_capacity",
            AT_CAPACITY,
        ),
        Style::Expired => expired(),
        Style::Invalidated => invalidated(),
        Style::WorkspaceGone402 => coded(StatusCode::PAYMENT_REQUIRED, "deactivated_workspace"),
        Style::WorkspaceGone403 => coded(StatusCode::FORBIDDEN, "deactivated_workspace"),
        Style::WrongWorkspace => wrong_workspace(),
        Style::WorkspaceDenied => coded(StatusCode::FORBIDDEN, "codex_workspace_access_denied"),
        Style::Region => wrong_region(),
        Style::ModelUnsupported => Outcome::json(
            StatusCode::BAD_REQUEST,
            &json!({"detail": unsupported(model)}),
        ),
        Style::Lite => Outcome::json(
            StatusCode::BAD_REQUEST,
            &json!({"error": {
                "message": "This model is not supported when using X-OpenAI-Internal-Codex-Responses-Lite.",
                "type": "invalid_request_error", "param": "model", "code": "unsupported_value",
            }}),
        ),
        Style::Challenge => page(StatusCode::FORBIDDEN, "Just a moment...").with_headers(vec![(
            HeaderName::from_static("cf-mitigated"),
            HeaderValue::from_static("challenge"),
        )]),
        Style::Edge429 => page(StatusCode::TOO_MANY_REQUESTS, "Too many requests"),
        Style::TooLarge => page(
            StatusCode::PAYLOAD_TOO_LARGE,
            "413 Request Entity Too Large",
        ),
        Style::Country => error(
            StatusCode::FORBIDDEN,
            "request_forbidden",
            "unsupported_country_region_territory",
            "Country, region, or territory not supported",
        ),
        Style::Cyber => error(
            StatusCode::BAD_REQUEST,
            "invalid_request_error",
            "cyber_policy",
            CYBER,
        ),
        Style::ContextLength => error(
            StatusCode::BAD_REQUEST,
            "invalid_request_error",
            "context_length_exceeded",
            TOO_LONG,
        ),
        _ => error(
            StatusCode::INTERNAL_SERVER_ERROR,
            "server_error",
            "internal_error",
            "The server had an error while processing your request.",
        ),
    }
}

/// An error in the shape that most of them have.
pub(super) fn error(status: StatusCode, kind: &str, code: &str, message: &str) -> Outcome {
    Outcome::json(status, &json!({"error": object(kind, code, message)}))
}

/// The `error` of a body or an event.
pub(super) fn object(kind: &str, code: &str, message: &str) -> Value {
    json!({"message": message, "type": kind, "param": null, "code": code})
}

/// Said of a model that the plan does not have, that is retired, or that never was.
pub(super) fn unsupported(model: &str) -> String {
    format!("The '{model}' model is not supported when using Codex with a ChatGPT account.")
}

/// 401: the access token's time is over.
pub(super) fn expired() -> Outcome {
    error(
        StatusCode::UNAUTHORIZED,
        "invalid_request_error",
        "token_expired",
        "Provided authentication token is expired. Please try signing in again.",
    )
}

/// 401: the login that the access token belongs to is dead.
pub(super) fn invalidated() -> Outcome {
    error(
        StatusCode::UNAUTHORIZED,
        "invalid_request_error",
        "token_invalidated",
        "Your authentication token has been invalidated. Please try signing in again.",
    )
}

/// 401: the request does not say where the workspace's data must stay, or says it wrong.
pub(super) fn wrong_region() -> Outcome {
    Outcome::whole(
        StatusCode::UNAUTHORIZED,
        "text/plain",
        "Workspace is not authorized in this region.",
    )
}

/// 403: the token is for another workspace than the one that is named.
pub(super) fn wrong_workspace() -> Outcome {
    let code = "invalid_workspace_selected";
    let field: Field = (
        HeaderName::from_static("x-openai-authorization-error"),
        HeaderValue::from_static(code),
    );
    coded(StatusCode::FORBIDDEN, code).with_headers(vec![field])
}

fn coded(status: StatusCode, code: &str) -> Outcome {
    Outcome::json(status, &json!({"detail": {"code": code}}))
}

fn page(status: StatusCode, title: &str) -> Outcome {
    let page =
        format!("<html><head><title>{title}</title></head><body><h1>{title}</h1></body></html>\n");
    Outcome::whole(status, "text/html", page)
}
