//! Server-sent events, as far as they matter here: cutting a stream into events while it passes,
//! and telling output from preamble. It keeps no more than one event, and changes nothing.

use std::borrow::Cow;
use std::sync::LazyLock;

use memchr::memmem::Finder;
use serde_json::{Value, json};

use super::session::Blob;

/// An event larger than this is passed over: none that tells of a limit is.
const LARGEST_EVENT: usize = 1 << 20;

/// Cuts a byte stream into events.
#[derive(Debug, Default)]
pub struct Events {
    pending: Vec<u8>,
    /// The event under way is too large and its data is not kept.
    skipping: bool,
}

/// What an event is to somebody who waits for the answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// It only announces the answer, or says that it is still to come: `response.created`,
    /// `response.in_progress`, `response.metadata`, a comment.
    Preamble,
    /// It may say something about the account: to be read by [`super::limit::read_event`].
    Notice(Value),
    /// It is a part of the answer.
    Output,
    /// It is a part of the answer, an item with these blobs in it.
    Item(Vec<Blob>),
    /// The answer is whole, and this is the last of it.
    End,
}

impl Event {
    /// What a message of a WebSocket is, each of which is the data of one event.
    #[must_use]
    pub fn of_message(text: &[u8]) -> Self {
        of_data(None, text)
    }

    /// Whether an answer ends with it: a client that does not see such an event takes the stream
    /// for broken.
    #[must_use]
    pub fn is_terminal(&self) -> bool {
        match self {
            Self::Preamble | Self::Output | Self::Item(_) => false,
            Self::Notice(notice) => notice["type"] != "codex.rate_limits",
            Self::End => true,
        }
    }

    /// Whether it is a part of the answer.
    #[must_use]
    pub fn is_output(&self) -> bool {
        matches!(self, Self::Output | Self::Item(_))
    }
}

impl Events {
    /// Takes the next bytes, and shows the events that they complete. What is whole in them is read
    /// where it is; only what is not is kept.
    pub fn push(&mut self, bytes: &[u8], mut show: impl FnMut(Event)) {
        if self.pending.is_empty() {
            let read = self.read(bytes, &mut show);
            self.pending.extend_from_slice(&bytes[read..]);
        } else {
            self.pending.extend_from_slice(bytes);
            let pending = std::mem::take(&mut self.pending);
            let read = self.read(&pending, &mut show);
            self.pending = pending;
            self.pending.drain(..read);
        }
        if self.pending.len() > LARGEST_EVENT {
            // Output this large is output whatever it says; the last bytes may begin a blank line.
            if !self.skipping {
                show(Event::Output);
            }
            self.skipping = true;
            let keep = self.pending.len() - 3;
            self.pending.drain(..keep);
        }
    }

    /// Shows the events that are whole in these bytes. How far they go.
    fn read(&mut self, bytes: &[u8], show: &mut impl FnMut(Event)) -> usize {
        let mut from = 0;
        while let Some((end, next)) = blank_line(bytes, from) {
            let event = &bytes[from..end];
            if !std::mem::take(&mut self.skipping) && !event.is_empty() {
                show(classify(event));
            }
            from = next;
        }
        from
    }

    /// The event that the end of the stream completes, if one was under way.
    pub fn finish(&mut self) -> Option<Event> {
        let pending = std::mem::take(&mut self.pending);
        (!self.skipping && !pending.trim_ascii().is_empty()).then(|| classify(&pending))
    }
}

/// The end of the first event at or after `from`, and where the next one begins.
fn blank_line(bytes: &[u8], from: usize) -> Option<(usize, usize)> {
    let mut at = from;
    while let Some(found) = memchr::memchr(b'\n', &bytes[at..]) {
        let end = at + found + 1;
        match &bytes[end..] {
            [b'\n', ..] => return Some((end, end + 1)),
            [b'\r', b'\n', ..] => return Some((end, end + 2)),
            _ => at = end,
        }
    }
    None
}

fn classify(event: &[u8]) -> Event {
    // Nearly all are one line of data.
    if let Some(line) = event.strip_prefix(b"data: ")
        && let [text @ .., b'\n'] = line
        && memchr::memchr(b'\n', text).is_none()
    {
        return of_data(None, text.strip_suffix(b"\r").unwrap_or(text));
    }
    let has_data = event.starts_with(b"data:") || finds(&DATA, event);
    if !has_data {
        return Event::Preamble;
    }
    let name = field(event, b"event:").next();
    of_data(name, &data(event))
}

/// What is in an event that holds what only an account can read.
static BLOB: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("encrypted_content"));

static DATA: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\ndata:"));

/// What stands in an event that does not begin with its type, if it can be something else than
/// output.
static WORDS: LazyLock<[Finder<'static>; 11]> = LazyLock::new(|| {
    [
        "response.created",
        "response.in_progress",
        "response.queued",
        "response.metadata",
        "response.completed",
        "response.done",
        "response.incomplete",
        "response.failed",
        "\"error\"",
        "\"codex.",
        "keepalive",
    ]
    .map(Finder::new)
});

fn finds(finder: &Finder<'_>, text: &[u8]) -> bool {
    finder.find(text).is_some()
}

/// What an event is by its data, and by the name that it has beside that. There are thousands of
/// events, and most are output: their type stands first, and no more is read of those whose type
/// can't matter.
fn of_data(name: Option<&[u8]>, data: &[u8]) -> Event {
    let kind = first_type(data);
    if let Some(kind) = kind {
        if kind.ends_with(b".delta") {
            return Event::Output;
        }
        if is_preamble(kind) {
            return Event::Preamble;
        }
        if is_end(kind) {
            return Event::End;
        }
    }
    if let Some(item) = finds(&BLOB, data).then(|| item(data)).flatten() {
        return item;
    }
    let is_known = |kind| is_notice(kind) || name == Some(b"error");
    let is_worth_reading = match kind {
        Some(kind) => is_known(kind),
        None => name == Some(b"error") || WORDS.iter().any(|word| finds(word, data)),
    };
    match is_worth_reading || data.trim_ascii().is_empty() {
        true => parsed(name, data),
        false => Event::Output,
    }
}

/// The type, where it stands first as the backend writes it.
fn first_type(data: &[u8]) -> Option<&[u8]> {
    let rest = data.strip_prefix(br#"{"type":""#)?;
    let kind = &rest[..memchr::memchr(b'"', rest)?];
    (!kind.contains(&b'\\')).then_some(kind)
}

fn is_preamble(kind: &[u8]) -> bool {
    const PREAMBLE: [&[u8]; 5] = [
        b"response.created",
        b"response.in_progress",
        b"response.queued",
        b"response.metadata",
        b"keepalive",
    ];
    PREAMBLE.contains(&kind) || (kind.starts_with(b"codex.") && !is_notice(kind))
}

fn is_end(kind: &[u8]) -> bool {
    matches!(kind, b"response.completed" | b"response.done")
}

fn is_notice(kind: &[u8]) -> bool {
    const NOTICES: [&[u8]; 4] = [
        b"response.failed",
        b"response.incomplete",
        b"error",
        b"codex.rate_limits",
    ];
    NOTICES.contains(&kind)
}

/// An item that is whole, with its blobs; nothing where the data is no such event.
fn item(data: &[u8]) -> Option<Event> {
    let blobs = std::str::from_utf8(data).map_or(Vec::new(), Blob::of_event);
    (!blobs.is_empty()).then_some(Event::Item(blobs))
}

/// What an event is by all of its data.
fn parsed(name: Option<&[u8]>, data: &[u8]) -> Event {
    if data.trim_ascii().is_empty() {
        return Event::Preamble;
    }
    let Ok(mut json) = serde_json::from_slice::<Value>(data) else {
        return Event::Output;
    };
    // What the data does not say of its type, the event's name does, or that it holds an error.
    let is_error = !json["error"].is_null();
    if let Some(object) = json.as_object_mut() {
        let implied = match name {
            Some(name) => String::from_utf8_lossy(name).into(),
            None if is_error => Value::from("error"),
            None => Value::Null,
        };
        object.entry("type").or_insert(implied);
    }
    match json["type"].as_str().map(str::as_bytes) {
        Some(kind) if is_preamble(kind) => Event::Preamble,
        Some(kind) if is_notice(kind) => Event::Notice(json),
        Some(kind) if is_end(kind) => Event::End,
        // Its type is the error's own: `usage_limit_reached`.
        _ if name == Some(b"error") => Event::Notice(json!({ "type": "error", "error": json })),
        _ => Event::Output,
    }
}

/// The `data:` lines of an event, joined.
fn data(event: &[u8]) -> Cow<'_, [u8]> {
    let mut lines = field(event, b"data:");
    let first = lines.next().unwrap_or_default();
    let mut joined = Cow::Borrowed(first);
    for text in lines {
        let joined = joined.to_mut();
        joined.push(b'\n');
        joined.extend_from_slice(text);
    }
    joined
}

/// What the lines of an event say that begin with `name`.
fn field<'a>(event: &'a [u8], name: &'static [u8]) -> impl Iterator<Item = &'a [u8]> {
    lines(event).filter_map(move |line| {
        let text = line
            .strip_suffix(b"\r")
            .unwrap_or(line)
            .strip_prefix(name)?;
        Some(text.strip_prefix(b" ").unwrap_or(text))
    })
}

fn lines(event: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(event);
    std::iter::from_fn(move || {
        let text = rest?;
        let end = memchr::memchr(b'\n', text);
        rest = end.map(|end| &text[end + 1..]);
        Some(&text[..end.unwrap_or(text.len())])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &str = "event: response.created\r\ndata: {\"type\":\"response.created\"}\r\n\r\n\
        : comment\n\n\
        data: {\"type\":\"response.output_text.delta\",\"delta\":\"an \\\"error\\\" in words\"}\n\n\
        data: {\"type\":\"error\",\ndata: \"status\":429}\n\n\
        event: error\ndata: {\"error\":{}}\n\n";

    fn pushed(events: &mut Events, bytes: &[u8]) -> Vec<Event> {
        let mut seen = Vec::new();
        events.push(bytes, |event| seen.push(event));
        seen
    }

    #[test]
    fn where_its_type_stands_does_not_change_what_an_event_is() {
        for kind in [
            "response.created",
            "response.queued",
            "response.output_text.delta",
            "response.output_item.done",
            "response.completed",
            "response.done",
            "response.failed",
            "response.incomplete",
            "error",
            "codex.rate_limits",
            "codex.keepalive",
            "keepalive",
            "something.else",
        ] {
            let first = format!(r#"{{"type":"{kind}","error":null}}"#);
            let last = format!(r#"{{"error":null,"type":"{kind}"}}"#);
            let [first, last] = [first, last].map(|text| Event::of_message(text.as_bytes()));
            match (first, last) {
                // The order of their fields is as it came.
                (Event::Notice(_), Event::Notice(_)) => {}
                (first, last) => assert_eq!(first, last, "{kind}"),
            }
        }
    }

    #[test]
    fn the_same_events_whatever_the_chunks() {
        let whole = pushed(&mut Events::default(), STREAM.as_bytes());
        assert_eq!(
            whole,
            [
                Event::Preamble,
                Event::Preamble,
                Event::Output,
                Event::Notice(json!({"type": "error", "status": 429})),
                Event::Notice(json!({"error": {}, "type": "error"})),
            ]
        );
        for size in 1..STREAM.len() {
            let mut events = Events::default();
            let cut: Vec<_> = STREAM
                .as_bytes()
                .chunks(size)
                .flat_map(|chunk| pushed(&mut events, chunk))
                .collect();
            assert_eq!(cut, whole, "chunks of {size}");
        }
    }

    #[test]
    fn a_huge_event_is_output_and_does_not_pile_up() {
        let mut events = Events::default();
        let mut seen = pushed(&mut events, b"data: ");
        for _ in 0..40 {
            seen.extend(pushed(&mut events, &[b'x'; 100_000]));
            assert!(events.pending.len() <= LARGEST_EVENT);
        }
        let end = b"\n\ndata: {\"type\":\"response.created\"}\n\n";
        seen.extend(pushed(&mut events, end));
        assert_eq!(seen, [Event::Output, Event::Preamble]);
    }
}
