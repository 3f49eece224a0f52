//! Where the parts of a JSON text stand. What is changed in a text later is cut out of it and put
//! into it; nothing is written anew. `serde_json` does the reading, and the spans that it borrows
//! from the text say where things are.
//!
//! Only what can be understood in one way is read: a key that comes twice, or is written with
//! escapes, may be another to whoever reads the text next.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;
use std::ops::Range;

use serde::de::{Deserialize, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// Texts are read so deep: as `serde_json` does for whoever parses them whole.
const DEEPEST: usize = 127;

/// A list may have so many elements, and an object so many members.
const MOST: usize = 1 << 17;

/// Why the parts of a text can't be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unclear {
    /// It is no JSON, or has a key that is written with escapes.
    #[error("the text is not JSON, or has a key with escapes in it")]
    NotJson,
    /// Its values are nested too deep.
    #[error("the values of the text are nested too deep")]
    TooDeep,
    /// A key comes twice in one object.
    #[error("a key comes twice in one object")]
    KeyTwice,
    /// A list or an object is too long.
    #[error("a list or an object is too long")]
    TooLong,
    /// It is JSON, but no object.
    #[error("the text is no JSON object")]
    NoObject,
}

/// A value, as it is written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Value<'a> {
    text: &'a str,
    at: usize,
}

/// A member of an object.
#[derive(Clone, Debug)]
pub(super) struct Member<'a> {
    pub(super) key: &'a str,
    pub(super) value: Value<'a>,
    /// Where its key begins, with the quote.
    at: usize,
}

impl Member<'_> {
    /// From its key to the end of its value.
    pub(super) fn range(&self) -> Range<usize> {
        self.at..self.value.range().end
    }
}

impl<'a> Value<'a> {
    /// The value that is the whole text.
    pub(super) fn whole(text: &'a str) -> Result<Self, Unclear> {
        if depth(text.as_bytes()) > DEEPEST {
            return Err(Unclear::TooDeep);
        }
        let value: &RawValue = serde_json::from_str(text).map_err(|_| Unclear::NotJson)?;
        Ok(Self::at(value, text, 0))
    }

    /// A value that was borrowed from `text`, which itself begins at `offset`.
    fn at(value: &'a RawValue, text: &str, offset: usize) -> Self {
        let text_at = text.as_ptr().addr();
        Self {
            text: value.get(),
            at: value.get().as_ptr().addr() - text_at + offset,
        }
    }

    pub(super) fn text(&self) -> &'a str {
        self.text
    }

    pub(super) fn range(&self) -> Range<usize> {
        self.at..self.at + self.text.len()
    }

    pub(super) fn is_object(&self) -> bool {
        self.text.starts_with('{')
    }

    pub(super) fn is_list(&self) -> bool {
        self.text.starts_with('[')
    }

    /// The string that it is.
    pub(super) fn string(&self) -> Option<Cow<'a, str>> {
        let quoted = self.text.strip_prefix('"')?.strip_suffix('"')?;
        if quoted.contains('\\') {
            serde_json::from_str(self.text).ok().map(Cow::Owned)
        } else {
            Some(Cow::Borrowed(quoted))
        }
    }

    /// The members of the object that it is.
    pub(super) fn members(&self) -> Result<Vec<Member<'a>>, Unclear> {
        if !self.is_object() {
            return Err(Unclear::NoObject);
        }
        let Pairs(pairs) = serde_json::from_str(self.text).map_err(|_| Unclear::NotJson)?;
        let mut keys = HashSet::with_capacity(pairs.len());
        if !pairs.iter().all(|(key, _)| keys.insert(*key)) {
            return Err(Unclear::KeyTwice);
        }
        let member = |(key, value): (&'a str, &'a RawValue)| Member {
            key,
            value: Self::at(value, self.text, self.at),
            // A key that is borrowed stands in the text, behind its quote.
            at: key.as_ptr().addr() - self.text.as_ptr().addr() - 1 + self.at,
        };
        within(pairs).map(|pairs| pairs.into_iter().map(member).collect())
    }

    /// The elements of the list that it is.
    pub(super) fn elements(&self) -> Result<Vec<Self>, Unclear> {
        let Elements(elements) = serde_json::from_str(self.text).map_err(|_| Unclear::NotJson)?;
        let elements = within(elements)?.into_iter();
        let element = |value| Self::at(value, self.text, self.at);
        Ok(elements.map(element).collect())
    }
}

/// The member with this key.
pub(super) fn get<'m, 'a>(members: &'m [Member<'a>], key: &str) -> Option<&'m Member<'a>> {
    members.iter().find(|member| member.key == key)
}

fn within<T>(parts: Vec<T>) -> Result<Vec<T>, Unclear> {
    if parts.len() > MOST {
        return Err(Unclear::TooLong);
    }
    Ok(parts)
}

/// What to cut so that of these parts of a list or an object, which stand in their order, only those
/// are left that `stays` names, with the right commas between them.
pub(super) fn cut_parts(
    parts: &[Range<usize>],
    stays: impl Fn(usize) -> bool,
) -> Vec<Range<usize>> {
    let mut cuts = Vec::new();
    let mut last_left = None;
    for (index, part) in parts.iter().enumerate() {
        if stays(index) {
            last_left = Some(index);
            continue;
        }
        // The comma before it goes with it, or if it would be the first, the one behind it.
        cuts.push(match (last_left, parts.get(index + 1)) {
            (Some(_), _) => parts[index - 1].end..part.end,
            (None, Some(next)) => part.start..next.start,
            (None, None) => part.clone(),
        });
    }
    cuts
}

/// How deep the values of a JSON text are nested at most.
fn depth(text: &[u8]) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let mut rest = text;
    while let Some(at) = rest.iter().position(|byte| b"[]{}\"".contains(byte)) {
        let sign = rest[at];
        rest = &rest[at + 1..];
        match sign {
            b'"' => rest = behind_string(rest),
            b'[' | b'{' => depth += 1,
            _ => depth = depth.saturating_sub(1),
        }
        deepest = deepest.max(depth);
    }
    deepest
}

/// What comes behind the end of a string.
fn behind_string(mut text: &[u8]) -> &[u8] {
    while let Some(at) = memchr::memchr2(b'"', b'\\', text) {
        let skipped = if text[at] == b'\\' { 2 } else { 1 };
        let ends = text[at] == b'"';
        text = text.get(at + skipped..).unwrap_or_default();
        if ends {
            return text;
        }
    }
    &[]
}

/// The members of an object. A key with escapes can't be borrowed, and is an error.
struct Pairs<'a>(Vec<(&'a str, &'a RawValue)>);

struct Elements<'a>(Vec<&'a RawValue>);

impl<'de> Deserialize<'de> for Pairs<'de> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Pairs<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    // One more than are allowed says that it is too long.
                    if pairs.len() <= MOST {
                        pairs.push(pair);
                    }
                }
                Ok(Pairs(pairs))
            }
        }
        deserializer.deserialize_map(Members)
    }
}

impl<'de> Deserialize<'de> for Elements<'de> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct List;
        impl<'de> Visitor<'de> for List {
            type Value = Elements<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut elements = Vec::new();
                while let Some(element) = seq.next_element()? {
                    if elements.len() <= MOST {
                        elements.push(element);
                    }
                }
                Ok(Elements(elements))
            }
        }
        deserializer.deserialize_seq(List)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<usize, Unclear> {
        Ok(Value::whole(text)?.members()?.len())
    }

    #[test]
    fn what_can_be_read_in_two_ways_is_not_read() {
        let nested = |depth: usize| format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
        for (text, expected) in [
            (r#" {"a":1,"b":{"c":"}\""}} "#, Ok(2)),
            ("{}", Ok(0)),
            (r#"{"a":1,"a":1}"#, Err(Unclear::KeyTwice)),
            (r#"{"\u0061":1}"#, Err(Unclear::NotJson)),
            (r#"{"a":1}{}"#, Err(Unclear::NotJson)),
            (r#"{"a":1,}"#, Err(Unclear::NotJson)),
            ("\u{feff}{}", Err(Unclear::NotJson)),
            ("", Err(Unclear::NotJson)),
            ("[]", Err(Unclear::NoObject)),
            ("null", Err(Unclear::NoObject)),
            (&nested(DEEPEST - 1), Ok(1)),
            (&nested(DEEPEST), Err(Unclear::TooDeep)),
            (&nested(1 << 20), Err(Unclear::TooDeep)),
            (&"[".repeat(1 << 20), Err(Unclear::TooDeep)),
        ] {
            let shown: String = text.chars().take(40).collect();
            assert_eq!(read(text), expected, "{shown}");
        }
    }

    #[test]
    fn brackets_in_strings_are_no_depth() {
        let text = format!("{{\"a\":\"\\\"{}\",\"b\\\\\":[]}}", "[".repeat(1000));
        assert_eq!(depth(text.as_bytes()), 2);
        assert_eq!(depth(b"\"\\"), 0);
    }

    #[test]
    fn a_list_without_end_is_not_kept() {
        let list = |length: usize| format!("[{}0]", "0,".repeat(length - 1));
        let elements = |length| {
            let list = list(length);
            Value::whole(&list)?
                .elements()
                .map(|elements| elements.len())
        };
        assert_eq!(elements(MOST), Ok(MOST));
        assert_eq!(elements(MOST + 1), Err(Unclear::TooLong));
    }

    #[test]
    fn parts_know_where_they_stand() {
        let text = r#" { "a" : [ 1 , "x\u00e9" ] , "b":{}}"#;
        let members = Value::whole(text).unwrap().members().unwrap();
        assert_eq!(&text[members[0].range()], r#""a" : [ 1 , "x\u00e9" ]"#);
        assert_eq!(&text[members[1].range()], r#""b":{}"#);
        let elements = members[0].value.elements().unwrap();
        assert_eq!(&text[elements[0].range()], "1");
        assert_eq!(&text[elements[1].range()], r#""x\u00e9""#);
        assert_eq!(elements[1].string().as_deref(), Some("xé"));
        assert_eq!(elements[0].string(), None);
    }
}
