//! A whole response, and what is read of it.

use http::{HeaderMap, StatusCode};
use serde_json::Value;

use super::body::Body;
use super::headers::{Headers, text};
use super::verdict::{Verdict, verdict};
use crate::account::time::UnixMillis;
use crate::account::usage::{self, BankedResets, Budget, Credits, Window};

/// What a response means for the account that got it.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// The verdict.
    pub verdict: Verdict,
    /// The quota windows that came with it.
    pub windows: Vec<Window>,
    /// The plan that came with it.
    pub plan_type: Option<String>,
    /// The credit that came with it.
    pub credits: Option<Box<Credits>>,
    /// The budget that came with it.
    pub budget: Option<Box<Budget>>,
    /// The banked resets that came with it.
    pub banked_resets: Option<Box<BankedResets>>,
    /// What it was that answered.
    pub origin: Origin,
}

/// What it was that answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A request for the model: an answer shows what the account can do.
    Request,
    /// The usage endpoint: it tells all there is, and is too optimistic at times.
    Usage,
}

/// A response, as far as it is known: a script may have kept only some of it.
#[derive(Clone, Copy, Debug)]
pub struct Response<'a> {
    /// The status, if it is known.
    pub status: Option<StatusCode>,
    /// The headers.
    pub headers: &'a HeaderMap,
    /// The body, decoded from any content encoding.
    pub body: &'a [u8],
}

impl Response<'_> {
    /// Judges it.
    #[must_use]
    pub fn read(&self, now: UnixMillis) -> Reading {
        let headers = Headers::of(self.headers, now);
        if self.is_of_the_edge(&headers) {
            return Reading::of(Verdict::Network);
        }
        let mut body = match serde_json::from_slice::<Value>(self.body) {
            Ok(json) => Body::of(&json),
            // A text whose status is not known may be anything, a model's answer too; and a page
            // is mostly not the backend's: "internet usage limit".
            Err(_) if self.status.is_none() || self.is_page() => Body::default(),
            Err(_) => Body::of_text(self.body),
        };
        if !self.status.is_some_and(|status| status.is_success()) {
            body.codes.extend_from_slice(&headers.codes);
        }
        judge(self.status, &headers, &body, now)
    }

    /// Whether something on the way answered in the backend's place: a challenge, a page for a
    /// browser, the edge's own text (PROTOCOL-SWITCH §5). A server in trouble also sends pages,
    /// and so does an edge that finds a request too large.
    fn is_of_the_edge(&self, headers: &Headers) -> bool {
        let of_another = match self.status.map(|status| status.as_u16()) {
            Some(413 | 500..) => false,
            Some(_) => self.is_page() || is_edge_text(self.body),
            // A head whose status is not known may be that of a success.
            None => !self.body.is_empty() && self.is_page(),
        };
        self.headers.contains_key("cf-mitigated") || (of_another && headers.are_silent())
    }

    /// Whether the body is for a browser.
    fn is_page(&self) -> bool {
        let said = text(self.headers, "content-type").map(str::to_lowercase);
        said.is_some_and(|kind| kind.starts_with("text/html"))
            || self.body.trim_ascii_start().starts_with(b"<")
    }
}

/// What Cloudflare says to programs that are no browser: `error code: 1015`.
fn is_edge_text(body: &[u8]) -> bool {
    let number = body.trim_ascii().strip_prefix(b"error code: ");
    number.is_some_and(|number| number.iter().all(u8::is_ascii_digit))
}

impl Reading {
    /// A verdict of an answer that says nothing else.
    #[must_use]
    pub const fn of(verdict: Verdict) -> Self {
        Self {
            verdict,
            windows: Vec::new(),
            plan_type: None,
            credits: None,
            budget: None,
            banked_resets: None,
            origin: Origin::Request,
        }
    }
}

impl Reading {
    /// Adds what a further part of an answer says. Of two verdicts the one that tells more stays,
    /// and of two that tell as much the later one.
    pub fn add(&mut self, more: Self) {
        usage::update(&mut self.windows, &more.windows);
        self.plan_type = more.plan_type.or(self.plan_type.take());
        self.credits = more.credits.or(self.credits.take());
        if weight(&more.verdict) >= weight(&self.verdict) {
            self.verdict = more.verdict;
        }
    }
}

fn weight(verdict: &Verdict) -> u8 {
    match verdict {
        Verdict::Ok => 0,
        Verdict::Other => 1,
        Verdict::Server | Verdict::Network => 2,
        _ => 3,
    }
}

pub(super) fn judge(
    status: Option<StatusCode>,
    headers: &Headers,
    body: &Body,
    now: UnixMillis,
) -> Reading {
    let plan_type = headers.plan_type.as_ref().or(body.plan_type.as_ref());
    Reading {
        windows: headers.windows.clone(),
        plan_type: plan_type.cloned(),
        credits: headers.credits.clone().map(Box::new),
        ..Reading::of(verdict(status, headers, body, now))
    }
}
