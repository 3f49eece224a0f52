//! Where something is kept, as a person names it.

use std::ffi::OsStr;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What `--store` takes: a file, or the URL of what a helper keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Locator {
    /// A file, by its path.
    File(PathBuf),
    /// What a helper keeps, by its URL.
    Helper(StoreUrl),
}

/// A URL that may hold a password. What is shown of it does not.
#[derive(Clone, PartialEq, Eq)]
pub struct StoreUrl(Arc<Url>);

#[derive(PartialEq, Eq)]
struct Url {
    text: String,
    shown: String,
}

impl Locator {
    /// What a person means: a URL, which has two slashes after a scheme, or else a file.
    #[must_use]
    pub fn named(name: PathBuf) -> Self {
        match name.to_str().and_then(StoreUrl::parse) {
            Some(url) => Self::Helper(url),
            None => Self::File(name),
        }
    }

    /// The file, if it is one.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::File(path) => Some(path),
            Self::Helper(_) => None,
        }
    }

    /// As it is typed, without quotes, and without what is secret in it.
    #[must_use]
    pub fn as_os_str(&self) -> &OsStr {
        match self {
            Self::File(path) => path.as_os_str(),
            Self::Helper(url) => OsStr::new(&url.0.shown),
        }
    }

    /// The one name of it, wherever it is said.
    #[must_use]
    pub fn absolute(&self) -> Self {
        match self {
            Self::File(path) => {
                Self::File(std::path::absolute(path).unwrap_or_else(|_| path.to_owned()))
            }
            Self::Helper(_) => self.clone(),
        }
    }
}

impl fmt::Display for Locator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_os_str().display().fmt(f)
    }
}

impl From<PathBuf> for Locator {
    fn from(path: PathBuf) -> Self {
        Self::File(path)
    }
}

impl StoreUrl {
    /// `None`: it is none, and so a file's name.
    fn parse(text: &str) -> Option<Self> {
        let (scheme, rest) = text.split_once("://")?;
        let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
        is_scheme.then(|| {
            let (text, shown) = (text.to_owned(), shown(scheme, rest));
            Self(Arc::new(Url { text, shown }))
        })
    }

    /// Its scheme, in small letters.
    #[must_use]
    pub fn scheme(&self) -> String {
        let scheme = self
            .0
            .text
            .split_once("://")
            .map_or("", |(scheme, _)| scheme);
        scheme.to_ascii_lowercase()
    }

    /// Whether all of it is shown.
    #[must_use]
    pub fn is_shown_whole(&self) -> bool {
        self.0.text == self.0.shown
    }

    /// All of it, for the environment of its helper and nowhere else.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0.text
    }
}

impl fmt::Debug for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("StoreUrl").field(&self.0.shown).finish()
    }
}

/// The URL without its password, and without parameters that by their name hold a secret.
fn shown(scheme: &str, rest: &str) -> String {
    let rest = rest.split('#').next().unwrap_or_default();
    let (place, query) = match rest.split_once('?') {
        Some((place, query)) => (place, Some(query)),
        None => (rest, None),
    };
    let (authority, path) = match place.find('/') {
        Some(at) => place.split_at(at),
        None => (place, ""),
    };
    // The last `@`: a password that should have been escaped may have one.
    let authority = match authority.rsplit_once('@') {
        Some((person, host)) => match person.split(':').next() {
            Some(name) if !name.is_empty() => format!("{name}@{host}"),
            _ => host.to_owned(),
        },
        None => authority.to_owned(),
    };
    let told: Vec<&str> = query
        .into_iter()
        .flat_map(|query| query.split('&'))
        .filter(|parameter| !is_secret(parameter))
        .collect();
    let query = match told.is_empty() {
        true => String::new(),
        false => format!("?{}", told.join("&")),
    };
    format!("{scheme}://{authority}{path}{query}")
}

fn is_secret(parameter: &str) -> bool {
    let name = parameter.split('=').next().unwrap_or_default();
    let name = name.to_ascii_lowercase();
    let sounds_so = ["pass", "secret", "token", "key"]
        .iter()
        .any(|word| name.contains(word));
    // An escaped name is nobody's habit, and could be any.
    (sounds_so && !name.ends_with("file")) || name.contains('%')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_secret_in_a_url_is_not_shown() {
        for (text, expected) in [
            ("postgres://db/codex", "postgres://db/codex"),
            ("postgres://me@db:5432", "postgres://me@db:5432"),
            ("postgres://me:canary@db/codex", "postgres://me@db/codex"),
            ("postgres://me:can@ary@db/codex", "postgres://me@db/codex"),
            ("postgres://:canary@db", "postgres://db"),
            (
                "postgres:///codex?host=/run&password=canary&store=work",
                "postgres:///codex?host=/run&store=work",
            ),
            ("x://h?ssl%70assword=canary", "x://h"),
            ("x://h/?KEY=canary#canary", "x://h/"),
            ("x://h?key-file=/k&Token=canary", "x://h?key-file=/k"),
        ] {
            let named = Locator::named(text.into());
            assert_eq!(named.to_string(), expected);
            assert!(named.file().is_none(), "{text}");
            assert!(!format!("{named:?}").contains("canary"), "{named:?}");
        }
    }

    #[test]
    fn what_is_no_url_is_a_file() {
        for text in ["store.json", "/a/b", "C:\\a", "a:/b", "://x", "1a://x", ""] {
            assert_eq!(Locator::named(text.into()), Locator::File(text.into()));
        }
    }
}
