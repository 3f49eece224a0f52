//! Reading what comes encoded (RFC 9110 §8.4). What is decoded here is a copy, to be looked at:
//! what passes to the client is never touched.

use std::borrow::Cow;
use std::io::{self, Read, Write};

use brotli_decompressor::DecompressorWriter;
use bytes::Bytes;
use flate2::write::{MultiGzDecoder, ZlibDecoder};
use http::HeaderMap;
use http::header::CONTENT_ENCODING;

use crate::account::stream::{Event, Events};

/// One piece of a stream must not become more than this: what tells of a limit is short.
const LARGEST_PIECE: usize = 4 << 20;

const BROTLI_BUFFER: usize = 4 << 10;

/// Decodes the body of one message, piece by piece.
enum Decoder {
    /// It is not encoded.
    Plain,
    Gzip(Box<MultiGzDecoder<Sink>>),
    Deflate(Box<ZlibDecoder<Sink>>),
    Brotli(Box<DecompressorWriter<Sink>>),
    Zstd(Box<zstd::stream::write::Decoder<'static, Sink>>),
    /// In a way that is not known here, or it is damaged.
    Unreadable,
}

/// Where decoded bytes gather, up to a limit.
struct Sink {
    bytes: Vec<u8>,
    most: usize,
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + bytes.len() > self.most {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Decoder {
    /// The decoder for a message with these headers. Of one piece it makes so many bytes at most.
    fn of(headers: &HeaderMap, most: usize) -> Self {
        let mut codings = headers.get_all(CONTENT_ENCODING).into_iter();
        let coding = match (codings.next(), codings.next()) {
            (None, _) => return Self::Plain,
            (Some(one), None) => one.as_bytes().to_ascii_lowercase(),
            _ => return Self::Unreadable,
        };
        let sink = Sink {
            bytes: Vec::new(),
            most,
        };
        match coding.as_slice() {
            b"identity" => Self::Plain,
            b"gzip" | b"x-gzip" => Self::Gzip(Box::new(MultiGzDecoder::new(sink))),
            b"deflate" => Self::Deflate(Box::new(ZlibDecoder::new(sink))),
            b"br" => Self::Brotli(Box::new(DecompressorWriter::new(sink, BROTLI_BUFFER))),
            b"zstd" => zstd::stream::write::Decoder::new(sink)
                .map_or(Self::Unreadable, |decoder| Self::Zstd(Box::new(decoder))),
            _ => Self::Unreadable,
        }
    }

    /// What the next piece says; `None` if it can't be read, and nor can what follows.
    fn push<'a>(&mut self, piece: &'a [u8]) -> Option<Cow<'a, [u8]>> {
        let decoded = match self {
            Self::Plain => return Some(Cow::Borrowed(piece)),
            Self::Unreadable => return None,
            Self::Gzip(decoder) => feed(decoder.as_mut(), piece).map(|()| decoder.get_mut()),
            Self::Deflate(decoder) => feed(decoder.as_mut(), piece).map(|()| decoder.get_mut()),
            Self::Brotli(decoder) => feed(decoder.as_mut(), piece).map(|()| decoder.get_mut()),
            Self::Zstd(decoder) => feed(decoder.as_mut(), piece).map(|()| decoder.get_mut()),
        };
        match decoded {
            Ok(sink) => Some(Cow::Owned(std::mem::take(&mut sink.bytes))),
            Err(_) => {
                *self = Self::Unreadable;
                None
            }
        }
    }
}

fn feed(decoder: &mut impl Write, piece: &[u8]) -> io::Result<()> {
    decoder.write_all(piece)?;
    decoder.flush()
}

/// The text of a whole body; nothing where it can't be read, or is longer than `most`.
pub(super) fn whole<'a>(headers: &HeaderMap, body: &'a [u8], most: usize) -> Cow<'a, [u8]> {
    Decoder::of(headers, most).push(body).unwrap_or_default()
}

/// A reader of the text of a whole body, so many bytes at most; none where it is encoded in a way
/// that is not known here. It decodes as far as it is read.
pub(super) fn reader<'a>(
    headers: &HeaderMap,
    body: &'a [u8],
    most: usize,
) -> Option<Box<dyn Read + 'a>> {
    let mut codings = headers.get_all(CONTENT_ENCODING).into_iter();
    let coding = codings.next()?.as_bytes().to_ascii_lowercase();
    if codings.next().is_some() {
        return None;
    }
    let text: Box<dyn Read + 'a> = match coding.as_slice() {
        b"identity" => Box::new(body),
        b"gzip" | b"x-gzip" => Box::new(flate2::read::MultiGzDecoder::new(body)),
        b"deflate" => Box::new(flate2::read::ZlibDecoder::new(body)),
        b"br" => Box::new(brotli_decompressor::Decompressor::new(body, BROTLI_BUFFER)),
        b"zstd" => Box::new(zstd::stream::read::Decoder::with_buffer(body).ok()?),
        _ => return None,
    };
    let text = io::BufReader::new(text);
    Some(Box::new(text.take(most as u64)))
}

/// Cuts a stream that may be encoded into events.
pub(super) struct EventReader {
    decoder: Decoder,
    events: Events,
    count: u64,
    ended: bool,
}

impl EventReader {
    /// For the body of an answer with these headers.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        Self {
            decoder: Decoder::of(headers, LARGEST_PIECE),
            events: Events::default(),
            count: 0,
            ended: false,
        }
    }

    /// Shows the events that the next piece completes. What can't be read is output, whatever it
    /// says: it must not be held back.
    pub(super) fn push(&mut self, piece: &Bytes, mut see: impl FnMut(&Event)) {
        let Self {
            decoder,
            events,
            count,
            ended,
        } = self;
        let mut seen = |event: Event| {
            *count += 1;
            *ended |= event.is_terminal();
            see(&event);
        };
        match decoder.push(piece) {
            Some(text) => events.push(&text, seen),
            None => seen(Event::Output),
        }
    }

    /// The event that the end of the stream completes, if one was under way.
    pub(super) fn finish(&mut self) -> Option<Event> {
        let last = self.events.finish()?;
        self.count += 1;
        self.ended |= last.is_terminal();
        Some(last)
    }

    /// The number that an event would have that came next.
    pub(super) const fn next_number(&self) -> u64 {
        self.count
    }

    /// Whether the event came that answers end with.
    pub(super) const fn has_ended(&self) -> bool {
        self.ended
    }

    /// Whether the stream can be read, and lacks the event that answers end with.
    pub(super) const fn lacks_its_end(&self) -> bool {
        matches!(self.decoder, Decoder::Plain) && !self.ended
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &[u8] =
        b"data: {\"type\":\"error\",\"error\":{\"type\":\"error\"}}\n\ndata: {\"type\":\"error\"}\n\n";

    /// [`TEXT`], as Node's zlib encodes it.
    const BROTLI: &[u8] = &[
        0x1b, 0x48, 0x00, 0x18, 0x1c, 0x07, 0x76, 0xa3, 0x0f, 0xd9, 0xbb, 0x08, 0x03, 0xdb, 0xec,
        0x4f, 0x18, 0xa1, 0xd2, 0x53, 0x44, 0x87, 0xac, 0x15, 0x74, 0x58, 0xfa, 0x16, 0xc8, 0x9e,
        0x63, 0x1c, 0xb0, 0x0f, 0xe7, 0xd7, 0xb4, 0x6d, 0x38, 0xd9, 0x65, 0xa1, 0x48, 0x2f, 0x70,
        0xf0, 0x01, 0x04, 0xd0, 0x74, 0x22, 0x6b, 0x73, 0x95, 0xff, 0x79, 0x89, 0x00,
    ];

    fn encoded(coding: &str) -> Vec<u8> {
        match coding {
            "gzip" => {
                let mut encoder = flate2::write::GzEncoder::new(Vec::new(), Default::default());
                encoder.write_all(TEXT).unwrap();
                encoder.finish().unwrap()
            }
            "deflate" => {
                let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), Default::default());
                encoder.write_all(TEXT).unwrap();
                encoder.finish().unwrap()
            }
            "zstd" => zstd::encode_all(TEXT, 0).unwrap(),
            "br" => BROTLI.to_vec(),
            _ => TEXT.to_vec(),
        }
    }

    fn decoder(coding: &str) -> Decoder {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_ENCODING, coding.parse().unwrap());
        Decoder::of(&headers, LARGEST_PIECE)
    }

    #[test]
    fn every_coding_byte_by_byte() {
        for coding in ["identity", "gzip", "deflate", "br", "zstd"] {
            let mut decoder = decoder(coding);
            let mut text = Vec::new();
            for byte in encoded(coding) {
                text.extend_from_slice(&decoder.push(&[byte]).expect(coding));
            }
            assert_eq!(text, TEXT, "{coding}");
        }
    }

    #[test]
    fn what_is_damaged_or_unknown_is_not_read() {
        for coding in ["gzip", "deflate", "zstd", "compress", "gzip, br"] {
            assert_eq!(
                decoder(coding).push(b"no such thing at all"),
                None,
                "{coding}"
            );
        }
    }

    #[test]
    fn a_bomb_does_not_go_off() {
        let zeros = vec![0; 64 << 20];
        let small = zstd::encode_all(&zeros[..], 0).unwrap();
        assert!(small.len() < 64 << 10);
        assert_eq!(decoder("zstd").push(&small), None);
    }
}
