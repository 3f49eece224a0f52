//! A client's JSON file, as whoever else writes it must treat it: read again when it is torn,
//! changed value by value with every other byte kept, replaced by rename with its permissions kept.
//! It does not know what the values mean.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use serde_json::Value;
use serde_json::value::RawValue;

use crate::account::utf8::without_mark;
use crate::store::{self, commit, read};
use crate::sys::file::is_mount;

/// A client may write in place and without a lock (PROTOCOL §5): what is half a file now is whole
/// a moment later.
const TRIES: u32 = 10;
const BETWEEN_TRIES: Duration = Duration::from_millis(20);

/// A JSON file of a client's.
#[derive(Clone, Debug)]
pub struct JsonFile {
    path: PathBuf,
}

impl JsonFile {
    /// The file at this path, whether it is there or not.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its text; `None` if there is no file.
    ///
    /// # Errors
    /// When it can't be read, or stays torn.
    pub fn read(&self) -> Result<Option<Text>, store::Error> {
        let mut tries = 1;
        loop {
            let read = read::regular(&self.path).map_err(|source| self.error(source))?;
            let Some(bytes) = read else {
                return Ok(None);
            };
            match Text::parse(&bytes) {
                Ok(text) => return Ok(Some(text)),
                Err(_) if tries < TRIES => thread::sleep(BETWEEN_TRIES),
                Err(error) => return Err(self.error(error)),
            }
            tries += 1;
        }
    }

    /// Changes its text, and hands out what the closure returns; `None` if there is no file.
    /// Nothing is written where nothing changed. A symlink stays one: what it points at is replaced.
    ///
    /// # Errors
    /// When it can't be read or written, or the closure fails; it is then as it was.
    pub fn change<T>(
        &self,
        change: impl FnOnce(&mut Text) -> Result<T, store::Error>,
    ) -> Result<Option<T>, store::Error> {
        let Some(before) = self.read()? else {
            return Ok(None);
        };
        let mut text = before.clone();
        let result = change(&mut text)?;
        if text != before {
            self.replace(&text).map_err(|source| self.error(source))?;
        }
        Ok(Some(result))
    }

    /// Takes away what changes that were cut off left beside it, once `lock` keeps others from
    /// changing it. Where that can't be had, it stays until the next time.
    pub fn sweep<L>(&self, lock: impl FnOnce() -> Result<L, store::Error>) {
        if let Ok(target) = fs::canonicalize(&self.path)
            && commit::leftovers(&target).next().is_some()
            && let Ok(_lock) = lock()
        {
            commit::sweep(&target);
        }
    }

    /// Finds out whether it could be changed, by a temporary file with nothing in it.
    ///
    /// # Errors
    /// When it could not.
    pub fn refuse_unwritable(&self) -> Result<(), store::Error> {
        let target = fs::canonicalize(&self.path).map_err(|source| self.error(source))?;
        if is_mount(&target) {
            let why = "it is mounted by itself, and can't be replaced";
            return Err(self.error(io::Error::other(why)));
        }
        let tried = commit::prepare(&target, b"", None).map(drop);
        // The name of that file is nobody's business.
        tried.map_err(|source| self.error(source.kind().into()))
    }

    fn replace(&self, text: &Text) -> io::Result<()> {
        let target = fs::canonicalize(&self.path)?;
        let permissions = fs::metadata(&target)?.permissions();
        commit::sweep(&target);
        commit::replace(&target, text.written().as_bytes(), Some(permissions))
    }

    /// A failure that is about this file.
    #[must_use]
    pub fn error(&self, source: io::Error) -> store::Error {
        store::Error::Io {
            path: self.path.clone(),
            source,
        }
    }
}

/// A text that is JSON, with the formatting and the order that its writer gave it.
#[derive(Clone, PartialEq, Eq)]
pub struct Text {
    /// Whether a byte order mark stands before it: some editors write one, and clients read past it.
    marked: bool,
    text: String,
}

impl Text {
    /// Takes a text that is JSON. What is wrong with one that is not is told without quoting it.
    ///
    /// # Errors
    /// When it is no such text.
    pub fn parse(bytes: &[u8]) -> io::Result<Self> {
        let bare = without_mark(bytes);
        let marked = bare.len() < bytes.len();
        let text = std::str::from_utf8(bare).map_err(|_| io::Error::other("not valid UTF-8"))?;
        // What has no value, as a number beyond all bounds, is read by nobody.
        match serde_json::from_str::<Value>(text) {
            Ok(_) => Ok(Self {
                marked,
                text: text.to_owned(),
            }),
            Err(error) => Err(io::Error::other(format!(
                "not valid JSON at line {}, column {}",
                error.line(),
                error.column()
            ))),
        }
    }

    /// The text as it is in a file.
    fn written(&self) -> String {
        let mark = if self.marked { "\u{feff}" } else { "" };
        format!("{mark}{}", self.text)
    }

    /// What it says.
    #[must_use]
    pub fn value(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_default()
    }

    /// The text itself.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The value at `path`, the names of the objects it is in, as it is written.
    #[must_use]
    pub fn raw(&self, path: &[&str]) -> Option<&str> {
        self.find(path).map(|range| &self.text[range])
    }

    /// Puts a value in the place of the one at `path`. Nothing happens where there is none.
    pub fn set(&mut self, path: &[&str], value: impl Into<Value>) {
        if let Some(range) = self.find(path) {
            self.text.replace_range(range, &value.into().to_string());
        }
    }

    /// Gives the outermost object a member, whose value is written as `json`: in the place of the
    /// one of that name, or else behind the last one. Nothing happens where there is no object.
    pub fn put(&mut self, name: &str, json: &str) {
        if let Some(range) = self.find(&[name]) {
            self.text.replace_range(range, json);
        } else if let Some(ends) = self.ends() {
            let (start, last) = (ends[0], ends[ends.len() - 1]);
            let comma = if ends.len() > 1 { "," } else { "" };
            let space = &self.text[start..start + white_space(&self.text[start..])];
            // Formatted like the first one.
            let (before, colon) = match ends.len() {
                1 => ("", ":"),
                _ if space.is_empty() => ("", ":"),
                _ => (space, ": "),
            };
            let name = Value::from(name);
            let member = format!("{comma}{before}{name}{colon}{json}");
            self.text.insert_str(last, &member);
        }
    }

    /// Takes a member out of the outermost object, with the comma that it needed.
    pub fn remove(&mut self, name: &str) {
        let (Some(range), Some(ends)) = (self.find(&[name]), self.ends()) else {
            return;
        };
        let before = ends.iter().rfind(|end| **end <= range.start);
        let mut part = before.copied().unwrap_or(range.start)..range.end;
        let rest = &self.text[range.end..];
        let space = white_space(rest);
        // The first of several: the comma behind it goes.
        if part.start == ends[0] && rest[space..].starts_with(',') {
            part.end += space + 1;
        }
        self.text.replace_range(part, "");
    }

    /// Where the outermost object begins, behind its brace, and where each of its values ends, in
    /// their order; `None` where there is no object.
    fn ends(&self) -> Option<Vec<usize>> {
        let values = members(&self.text)?;
        let brace = self.text.find('{')? + 1;
        let ends = values.values().map(|value| self.place(value.get()).end);
        let mut ends: Vec<usize> = std::iter::once(brace).chain(ends).collect();
        ends.sort_unstable();
        Some(ends)
    }

    fn find(&self, path: &[&str]) -> Option<Range<usize>> {
        let mut part = self.text.as_str();
        for name in path {
            part = members(part)?.get(*name)?.get();
        }
        Some(self.place(part))
    }

    /// Where a raw value is: it is a piece of the text it was read from.
    fn place(&self, part: &str) -> Range<usize> {
        let start = part.as_ptr().addr() - self.text.as_ptr().addr();
        start..start + part.len()
    }
}

fn members(object: &str) -> Option<BTreeMap<String, &RawValue>> {
    serde_json::from_str(object).ok()
}

/// How much white space a text begins with.
fn white_space(text: &str) -> usize {
    text.len() - text.trim_ascii_start().len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_but_the_value_stays_byte_for_byte() {
        let mut text = Text::parse(
            b"{ \"b\": 1,\n\t\"a\":{\"x\" : \"old\" , \"\\u0078y\":[ ]} , \"b2\":1.50}\r\n",
        )
        .unwrap();
        text.set(&["a", "x"], "n\"ew");
        text.set(&["b"], 12_u64);
        text.set(&["a", "none"], 1);
        text.set(&["b", "x"], 1);
        assert_eq!(
            text.text,
            "{ \"b\": 12,\n\t\"a\":{\"x\" : \"n\\\"ew\" , \"\\u0078y\":[ ]} , \"b2\":1.50}\r\n"
        );
    }

    #[test]
    fn a_member_comes_and_goes_and_leaves_no_trace() {
        for (before, during) in [
            ("{}", r#"{"n":[1]}"#),
            (" { }\n", " {\"n\":[1] }\n"),
            (r#"{"a":{"n":2}}"#, r#"{"a":{"n":2},"n":[1]}"#),
            (
                "{\n  \"b\": 1 ,\n  \"a\": {}\n}\n",
                "{\n  \"b\": 1 ,\n  \"a\": {},\n  \"n\": [1]\n}\n",
            ),
        ] {
            let mut text = Text::parse(before.as_bytes()).unwrap();
            text.put("n", "[1]");
            assert_eq!(text.text, during);
            assert_eq!(text.raw(&["n"]), Some("[1]"));
            text.remove("n");
            assert_eq!(text.text, before);
            text.remove("n");
            assert_eq!(text.text, before);
        }
    }

    #[test]
    fn a_member_is_put_in_the_place_of_the_one_of_its_name() {
        let mut text = Text::parse(br#"{ "n" : {"x": 1} , "a":2}"#).unwrap();
        text.put("n", "3");
        assert_eq!(text.text, r#"{ "n" : 3 , "a":2}"#);
    }

    #[test]
    fn a_member_is_taken_out_from_anywhere() {
        for (before, after) in [
            (r#"{"n":1,"b":2}"#, r#"{"b":2}"#),
            ("{\n \"n\": 1 ,\n \"b\": 2\n}", "{\n \"b\": 2\n}"),
            (r#"{"a":1, "n":1, "b":2}"#, r#"{"a":1, "b":2}"#),
            (r#"{"\u006e":1}"#, "{}"),
            ("[1]", "[1]"),
        ] {
            let mut text = Text::parse(before.as_bytes()).unwrap();
            text.remove("n");
            assert_eq!(text.text, after);
        }
    }

    #[test]
    fn what_is_no_json_is_told_without_a_word_of_it() {
        let error = Text::parse(b"{\"refresh\":\n\"canary\"").err().unwrap();
        assert_eq!(error.to_string(), "not valid JSON at line 2, column 8");
    }
}
