//! Server-sent events, as far as they matter here: cutting a stream into events while it passes,
//! and telling output from preamble. It keeps no more than one event, and changes nothing.

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
        let item = contains(text, BLOB).then(|| item(text)).flatten();
        item.unwrap_or_else(|| match is_worth_reading(text) {
            true => of_data(None, text),
            false => Self::Output,
        })
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
    /// Takes the next bytes; returns the events that they complete.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<Event> {
        let mut events = Vec::new();
        let mut from = 0;
        self.pending.extend_from_slice(bytes);
        while let Some((end, next)) = blank_line(&self.pending, from) {
            let event = &self.pending[from..end];
            if !std::mem::take(&mut self.skipping) && !event.is_empty() {
                events.push(classify(event));
            }
            from = next;
        }
        self.pending.drain(..from);
        if self.pending.len() > LARGEST_EVENT {
            // Output this large is output whatever it says; the last bytes may begin a blank line.
            if !self.skipping {
                events.push(Event::Output);
            }
            self.skipping = true;
            let keep = self.pending.len() - 3;
            self.pending.drain(..keep);
        }
        events
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

/// Most events are output, and there are thousands of them: only those that can be something else
/// are parsed.
fn is_worth_reading(event: &[u8]) -> bool {
    const WORDS: [&[u8]; 11] = [
        b"response.created",
        b"response.in_progress",
        b"response.queued",
        b"response.metadata",
        b"response.completed",
        b"response.done",
        b"response.incomplete",
        b"response.failed",
        b"\"error\"",
        b"\"codex.",
        b"keepalive",
    ];
    WORDS.iter().any(|word| contains(event, word))
}

fn classify(event: &[u8]) -> Event {
    let has_data = event.starts_with(b"data:") || contains(event, b"\ndata:");
    if !has_data {
        return Event::Preamble;
    }
    let name = field(event, b"event:").next();
    if contains(event, BLOB)
        && let Some(item) = item(&data(event))
    {
        return item;
    }
    if name != Some(b"error") && !is_worth_reading(event) {
        return Event::Output;
    }
    of_data(name, &data(event))
}

/// What is in an event that holds what only an account can read.
const BLOB: &[u8] = b"encrypted_content";

/// An item that is whole, with its blobs; nothing where the data is no such event.
fn item(data: &[u8]) -> Option<Event> {
    let blobs = std::str::from_utf8(data).map_or(Vec::new(), Blob::of_event);
    (!blobs.is_empty()).then_some(Event::Item(blobs))
}

/// What an event is by its data, and by the name that it has beside that.
fn of_data(name: Option<&[u8]>, data: &[u8]) -> Event {
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
    match json["type"].as_str() {
        Some(
            "response.created"
            | "response.in_progress"
            | "response.queued"
            | "response.metadata"
            | "keepalive",
        ) => Event::Preamble,
        Some("response.failed" | "response.incomplete" | "error" | "codex.rate_limits") => {
            Event::Notice(json)
        }
        Some(of_codex) if of_codex.starts_with("codex.") => Event::Preamble,
        Some("response.completed" | "response.done") => Event::End,
        // Its type is the error's own: `usage_limit_reached`.
        _ if name == Some(b"error") => Event::Notice(json!({ "type": "error", "error": json })),
        _ => Event::Output,
    }
}

/// The `data:` lines of an event, joined.
fn data(event: &[u8]) -> Vec<u8> {
    let mut data = Vec::with_capacity(event.len());
    for text in field(event, b"data:") {
        if !data.is_empty() {
            data.push(b'\n');
        }
        data.extend_from_slice(text);
    }
    data
}

/// What the lines of an event say that begin with `name`.
fn field<'a>(event: &'a [u8], name: &'static [u8]) -> impl Iterator<Item = &'a [u8]> {
    let lines = event.split(|&b| b == b'\n');
    lines.filter_map(move |line| {
        let text = line
            .strip_suffix(b"\r")
            .unwrap_or(line)
            .strip_prefix(name)?;
        Some(text.strip_prefix(b" ").unwrap_or(text))
    })
}

fn contains(event: &[u8], word: &[u8]) -> bool {
    memchr::memmem::find(event, word).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &str = "event: response.created\r\ndata: {\"type\":\"response.created\"}\r\n\r\n\
        : comment\n\n\
        data: {\"type\":\"response.output_text.delta\",\"delta\":\"an \\\"error\\\" in words\"}\n\n\
        data: {\"type\":\"error\",\ndata: \"status\":429}\n\n\
        event: error\ndata: {\"error\":{}}\n\n";

    #[test]
    fn the_same_events_whatever_the_chunks() {
        let whole = Events::default().push(STREAM.as_bytes());
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
                .flat_map(|chunk| events.push(chunk))
                .collect();
            assert_eq!(cut, whole, "chunks of {size}");
        }
    }

    #[test]
    fn a_huge_event_is_output_and_does_not_pile_up() {
        let mut events = Events::default();
        let mut seen = events.push(b"data: ");
        for _ in 0..40 {
            seen.extend(events.push(&[b'x'; 100_000]));
            assert!(events.pending.len() <= LARGEST_EVENT);
        }
        seen.extend(events.push(b"\n\ndata: {\"type\":\"response.created\"}\n\n"));
        assert_eq!(seen, [Event::Output, Event::Preamble]);
    }
}
