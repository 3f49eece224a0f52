//! What a scripted answer comes to.
//!
//! Turns an [`Answer`] into an [`Outcome`] and decides nothing: whose turn it is was settled before. How a limit looks is
//! `limits`', how another refusal looks is `refused`'s, how a stream goes wrong is `streams`'.

use super::answer::{Answer, Progress};
use super::limits::Limit;
use super::outcome::{Outcome, Pieces};
use super::refused;
use super::reply::{End, Field, Reply};
use super::scene::Scene;
use super::streams::{self, Broken};
use super::style::Style;
use bytes::Bytes;
use http::StatusCode;
use http::header::{HeaderName, HeaderValue};
use std::time::Duration;

/// What `answer` comes to. `good` carries the request out and says what is said when all is well, with the text asked for.
pub(super) fn render(
    answer: &Answer,
    scene: &Scene,
    good: impl FnOnce(Option<&str>) -> Outcome,
) -> Outcome {
    match answer {
        Answer::Good(text) => good(text.as_deref()),
        Answer::Raw {
            status,
            headers,
            chunks,
        } => scripted(*status, headers, |status| {
            Reply::new(status, chunks.clone())
        }),
        Answer::Endless {
            status: None,
            chunk,
            ..
        } => Outcome::EndlessHead(chunk.clone()),
        Answer::Endless {
            status: Some(status),
            headers,
            chunk,
        } => scripted(*status, headers, |status| {
            Reply::endless(status, chunk.clone())
        }),
        Answer::Close { code, after } => match after {
            Progress::Nothing => Outcome::closed(*code),
            after => streams::closed(good(None), *after, *code),
        },
        Answer::Styled { style, resets_in } => styled(*style, *resets_in, scene, good),
    }
}

fn styled(
    style: Style,
    resets_in: Duration,
    scene: &Scene,
    good: impl FnOnce(Option<&str>) -> Outcome,
) -> Outcome {
    let limit = Limit {
        scene,
        style,
        resets_in,
    };
    let broken = Broken { limit: &limit };
    match style {
        Style::CloseMidBody => good(None).cut(End::Broken),
        Style::Stall => good(None).cut(End::Never),
        Style::CloseBeforeHead => Outcome::Hangup(Bytes::new()),
        Style::NoHead => Outcome::Silence,
        Style::Garbage => Outcome::Hangup(Bytes::from_static(
            b"\x16\x03\x00garbage\r\n\xff\xfe\r\n\r\n",
        )),
        Style::InPieces => good(None).in_pieces(Pieces::Bytes(7)),
        Style::LastOne => broken.used_up_after(good(None)),

        Style::UsageLimit
        | Style::ResetsIn
        | Style::WindowsOnly
        | Style::WindowsUnsized
        | Style::WeeklyPrimary
        | Style::ThirtyDays
        | Style::RetryAfter
        | Style::RetryAfterDate
        | Style::RetryAfterMs
        | Style::BodyRetryAfter
        | Style::BodyRetryAfterMs
        | Style::NoHint
        | Style::Throttle
        | Style::WorkspaceMember
        | Style::ModelFamily
        | Style::ModelCooldown
        | Style::NotIncluded
        | Style::NotIncluded403
        | Style::InsufficientQuota
        | Style::Limit404 => limit.outcome(),

        Style::FailedFirst
        | Style::FailedCreated
        | Style::FailedOutput
        | Style::FailedAtOnce
        | Style::FailedThrottle
        | Style::ShortFailed
        | Style::ErrorFirst
        | Style::ErrorCreated
        | Style::ErrorOutput
        | Style::IncompleteCreated
        | Style::IncompleteOutput
        | Style::IncompleteTokens
        | Style::ModelEvent
        | Style::CyberEvent
        | Style::ContextLengthEvent
        | Style::CapacityEvent
        | Style::OverloadedEvent
        | Style::OverloadedFailed
        | Style::EmptyStream
        | Style::CommentsOnly
        | Style::NoOutput
        | Style::NoTerminal => broken.outcome(),

        Style::Overloaded
        | Style::Error500
        | Style::Error502
        | Style::Error529
        | Style::Capacity
        | Style::Expired
        | Style::Invalidated
        | Style::WorkspaceGone402
        | Style::WorkspaceGone403
        | Style::WrongWorkspace
        | Style::WorkspaceDenied
        | Style::Region
        | Style::ModelUnsupported
        | Style::Lite
        | Style::Challenge
        | Style::Edge429
        | Style::TooLarge
        | Style::Country
        | Style::Cyber
        | Style::ContextLength => refused::outcome(style, &scene.model),
    }
}

fn scripted(
    status: u16,
    headers: &[(String, String)],
    reply: impl FnOnce(StatusCode) -> Reply,
) -> Outcome {
    // 1xx never ends a request, so hyper would not send it as an answer either.
    let status = StatusCode::from_u16(status)
        .ok()
        .filter(|status| !status.is_informational());
    let fields: Option<Vec<Field>> = headers
        .iter()
        .map(|(name, value)| {
            Some((
                HeaderName::try_from(name).ok()?,
                HeaderValue::try_from(value).ok()?,
            ))
        })
        .collect();
    match (status, fields) {
        (Some(status), Some(fields)) => {
            let mut reply = reply(status);
            reply.headers = fields;
            Outcome::Reply(reply)
        }
        _ => Outcome::whole(
            StatusCode::INTERNAL_SERVER_ERROR,
            "text/plain",
            "the scripted answer has a status or a header that HTTP does not have",
        ),
    }
}
