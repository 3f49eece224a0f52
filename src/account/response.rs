//! Reads a response that somebody kept: raw HTTP as `curl -i` prints it, headers alone, a body
//! alone, an event stream, or what a client printed. The kinds are told apart by how they begin. What is none of them is an error, never a verdict.

use http::header::{CONTENT_LENGTH, CONTENT_TYPE, DATE, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use jiff::tz::TimeZone;
use serde::de::IgnoredAny;
use serde_json::Value;
use thiserror::Error;

use super::limit::{self, Reading, Response, Verdict};
use super::printed;
use super::stream::{Event, Events};
use super::time::UnixMillis;

/// Why an input can't be read as a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Error {
    /// There is nothing.
    #[error("the input is empty")]
    Empty,
    /// It begins like no response.
    #[error(
        "the input is no response: neither HTTP, headers, JSON, an event stream nor opencode events"
    )]
    Unknown,
    /// It begins like a head, but a line of it is none of a head.
    #[error("line {line} of the head is no header")]
    BadHeader {
        /// Which line, counted from 1.
        line: usize,
    },
    /// It begins like JSON, but is none.
    #[error("the JSON ends or breaks off at line {line}, column {column}")]
    BadJson {
        /// Which line, counted from 1.
        line: usize,
        /// Which column, counted from 1.
        column: usize,
    },
}

/// Reads a kept response and judges it. A clock time that a client printed is one of `zone`.
///
/// # Errors
/// When it is empty, or no response.
pub fn read(input: &[u8], now: UnixMillis, zone: &TimeZone) -> Result<Reading, Error> {
    let input = input.strip_prefix(b"\xef\xbb\xbf").unwrap_or(input);
    let start = input.trim_ascii_start();
    if start.is_empty() {
        return Err(Error::Empty);
    }
    match start {
        [b'H', b'T', b'T', b'P', b'/', ..] => read_http(start, now),
        [b'{' | b'[', ..] => read_json(start, now, zone),
        _ if is_stream(start) => Ok(read_stream(None, &HeaderMap::new(), start, now)),
        _ => match read_head(start, 1) {
            Ok((headers, body)) if is_of_response(&headers) => {
                Ok(read_body(None, &headers, body, now))
            }
            _ => printed::read_text(start, now, zone).ok_or(Error::Unknown),
        },
    }
}

/// Whether these are the headers of a response. Without a status line before them, any text with a
/// colon looks like one: `curl: (7) Failed to connect`.
fn is_of_response(headers: &HeaderMap) -> bool {
    let tells = |name: &HeaderName| {
        let of_any = [CONTENT_TYPE, CONTENT_LENGTH, DATE, RETRY_AFTER];
        of_any.contains(name) || name == "retry-after-ms" || name.as_str().starts_with("x-")
    };
    headers.keys().any(tells)
}

/// Several responses in a row are redirects, `100 Continue`, a proxy's `200 Connection established`
/// or attempts that failed: the last one is the response.
fn read_http(input: &[u8], now: UnixMillis) -> Result<Reading, Error> {
    let mut rest = input;
    let mut line = 1;
    loop {
        let (status_line, after) = cut_line(rest);
        let status = status(status_line).ok_or(Error::BadHeader { line })?;
        let (headers, body) = read_head(after, line + 1)?;
        let next = next_response(&headers, body).or_else(|| {
            let told = status.is_success() || body_is_told(&headers, body);
            (!told).then(|| response_in_text(version(status_line), body))?
        });
        let Some(next) = next else {
            return Ok(read_body(Some(status), &headers, body, now));
        };
        let read = &rest[..rest.len() - next.len()];
        line += read.iter().filter(|&&b| b == b'\n').count();
        rest = next;
    }
}

/// The next response where it is certain that it begins: right after this one's head, where
/// `Content-Length` says that its body ends, or where its JSON does.
fn next_response<'a>(headers: &HeaderMap, body: &'a [u8]) -> Option<&'a [u8]> {
    [Some(0), content_length(headers), json_length(body)]
        .into_iter()
        .flatten()
        .filter_map(|end| Some(body.get(end..)?.trim_ascii_start()))
        .find(|rest| rest.starts_with(b"HTTP/"))
}

fn content_length(headers: &HeaderMap) -> Option<usize> {
    headers
        .get(CONTENT_LENGTH)?
        .to_str()
        .ok()?
        .trim()
        .parse()
        .ok()
}

/// Where a body of JSON ends.
fn json_length(body: &[u8]) -> Option<usize> {
    if !matches!(body.trim_ascii_start(), [b'{' | b'[', ..]) {
        return None;
    }
    let mut values = serde_json::Deserializer::from_slice(body).into_iter::<IgnoredAny>();
    values.next()?.ok()?;
    Some(values.byte_offset())
}

/// Whether it is known where the body ends, and that nothing comes after it.
fn body_is_told(headers: &HeaderMap, body: &[u8]) -> bool {
    let ends = [content_length(headers), json_length(body)];
    ends.into_iter()
        .flatten()
        .filter_map(|end| body.get(end..))
        .any(|rest| rest.trim_ascii().is_empty())
}

/// The next response after a body whose end nothing tells. Text may quote a response, so only a
/// whole head counts that begins a line, has the version of the one before, and says what none but
/// a response's says; and not after a success, after which nobody tries again.
fn response_in_text<'a>(version: &[u8], body: &'a [u8]) -> Option<&'a [u8]> {
    let starts = memchr::memchr_iter(b'\n', body).map(|end| &body[end + 1..]);
    starts
        .filter(|rest| rest.starts_with(version))
        .find(|rest| {
            let (line, after) = cut_line(rest);
            let head = read_head(after, 1);
            status(line).is_some()
                && self::version(line) == version
                && head.is_ok_and(|(headers, _)| is_of_response(&headers))
        })
}

/// `HTTP/1.1` of a status line.
fn version(line: &[u8]) -> &[u8] {
    let end = line.iter().position(u8::is_ascii_whitespace);
    &line[..end.unwrap_or(line.len())]
}

fn status(line: &[u8]) -> Option<StatusCode> {
    let text = std::str::from_utf8(line).ok()?;
    StatusCode::from_bytes(text.split_whitespace().nth(1)?.as_bytes()).ok()
}

/// Reads headers up to a blank line or the end; returns what comes after it.
fn read_head(input: &[u8], first_line: usize) -> Result<(HeaderMap, &[u8]), Error> {
    let mut headers = HeaderMap::new();
    let mut rest = input;
    let mut number = first_line;
    while !rest.is_empty() {
        let (line, after) = cut_line(rest);
        rest = after;
        if line.is_empty() {
            break;
        }
        let bad = Error::BadHeader { line: number };
        let (name, value) = header(line).ok_or(bad)?;
        // It has room for 32,768.
        headers.try_append(name, value).map_err(|_| bad)?;
        number += 1;
    }
    Ok((headers, rest))
}

fn cut_line(input: &[u8]) -> (&[u8], &[u8]) {
    let (line, rest) = match input.iter().position(|&b| b == b'\n') {
        Some(end) => (&input[..end], &input[end + 1..]),
        None => (input, &input[input.len()..]),
    };
    (line.strip_suffix(b"\r").unwrap_or(line), rest)
}

fn header(line: &[u8]) -> Option<(HeaderName, HeaderValue)> {
    let colon = line.iter().position(|&b| b == b':')?;
    let name = HeaderName::from_bytes(&line[..colon]).ok()?;
    let value = HeaderValue::from_bytes(line[colon + 1..].trim_ascii()).ok()?;
    Some((name, value))
}

fn is_stream(input: &[u8]) -> bool {
    [&b"event:"[..], b"data:", b"id:", b"retry:", b":"]
        .iter()
        .any(|field| input.starts_with(field))
}

fn read_body(
    status: Option<StatusCode>,
    headers: &HeaderMap,
    body: &[u8],
    now: UnixMillis,
) -> Reading {
    let body = body.trim_ascii_start();
    if is_stream(body) {
        return read_stream(status, headers, body, now);
    }
    // A head is enough to judge by, whatever became of the body.
    Response {
        status,
        headers,
        body,
    }
    .read(now)
}

/// A stream begins with the verdict of its head, and one without a head was served if it says
/// anything; an event that tells more overrides it.
fn read_stream(
    status: Option<StatusCode>,
    headers: &HeaderMap,
    body: &[u8],
    now: UnixMillis,
) -> Reading {
    let head = Response {
        status,
        headers,
        body: b"",
    };
    let mut reading = head.read(now);
    let mut cutter = Events::default();
    let mut events = Vec::new();
    cutter.push(body, |event| events.push(event));
    events.extend(cutter.finish());
    if status.is_none() && events.iter().any(|event| *event != Event::Preamble) {
        reading.verdict = Verdict::Ok;
    }
    let (mut has_begun, mut is_whole) = (false, false);
    for event in events {
        has_begun |= event == Event::Preamble;
        is_whole |= event == Event::Output || event.is_terminal();
        if let Event::Notice(json) = event
            && let Some(more) = limit::read_event(&json, headers, now)
        {
            reading.add(more);
        }
    }
    // It ended before there was anything in it (PROTOCOL §4).
    let is_stream = status.map_or(has_begun, |status| status.is_success());
    if !is_whole && is_stream && matches!(reading.verdict, Verdict::Ok | Verdict::Other) {
        reading.verdict = Verdict::Server;
    }
    reading
}

fn read_json(input: &[u8], now: UnixMillis, zone: &TimeZone) -> Result<Reading, Error> {
    let mut values: Vec<Value> = Vec::new();
    for value in serde_json::Deserializer::from_slice(input).into_iter() {
        match value {
            Ok(value) => values.push(value),
            // A run that was cut off: what it printed before counts.
            Err(error) if error.is_eof() && values.last().is_some_and(printed::is_event) => break,
            Err(error) => {
                return Err(Error::BadJson {
                    line: error.line(),
                    column: error.column(),
                });
            }
        }
    }
    match values.as_slice() {
        [one] if one.is_object() && !printed::is_event(one) => Ok(read_json_body(one, now)),
        events if events.iter().all(printed::is_event) => {
            Ok(printed::read_events(events, now, zone))
        }
        _ => Err(Error::Unknown),
    }
}

fn read_json_body(body: &Value, now: UnixMillis) -> Reading {
    if body.get("rate_limit").is_some() {
        return limit::read_usage(body, now);
    }
    let headers = HeaderMap::new();
    limit::read_event(body, &headers, now).unwrap_or_else(|| {
        let text = body.to_string();
        Response {
            status: None,
            headers: &headers,
            body: text.as_bytes(),
        }
        .read(now)
    })
}

#[cfg(test)]
mod properties;
