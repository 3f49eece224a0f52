//! The lines of `codex-store-helper(7)`.

use serde::{Deserialize, Serialize};

use crate::failure::{Failure, Kind};

/// The first line.
pub(crate) const GREETING: &str = concat!(
    r#"{"v":1,"helper":"codex-store-postgres","version":""#,
    env!("CARGO_PKG_VERSION"),
    r#"","can":["read","begin","hold","scratch","watch"]}"#,
);

/// The longest line, in bytes.
pub(crate) const LONGEST: u64 = 256 << 20;

/// A request, with what the one or the other takes.
#[derive(Deserialize)]
pub(crate) struct Request {
    /// What to do.
    pub(crate) r#do: String,
    wait: Option<u64>,
    unless: Option<String>,
    version: Option<String>,
    document: Option<String>,
    name: Option<String>,
    text: Option<String>,
}

/// What is asked.
#[derive(Clone)]
pub(crate) enum Asked {
    Read { unless: Option<String> },
    Begin { wait: u64, unless: Option<String> },
    Commit { document: String },
    Abort,
    Hold { name: String, wait: u64 },
    Release { name: String },
    ScratchRead { name: String },
    ScratchWrite { name: String, text: String },
    ScratchClear { name: String },
    Watch { version: Option<String>, wait: u64 },
}

/// An answer.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Answer {
    /// The word of the request.
    pub(crate) ok: String,
    /// The version that there is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) version: Option<String>,
    /// It is the one that was named.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) unchanged: bool,
    /// The document.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) document: Option<String>,
    /// What is in a scratch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) text: Option<String>,
}

#[derive(Serialize)]
struct Refusal<'a> {
    error: Kind,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'a str>,
}

impl Request {
    /// Reads a line.
    ///
    /// # Errors
    /// When it is no request.
    pub(crate) fn read(line: &[u8]) -> Result<Self, Failure> {
        serde_json::from_slice(line).map_err(|_| not_understood("the line is no request"))
    }

    /// What is asked.
    ///
    /// # Errors
    /// When that is nothing known, or something is missing.
    pub(crate) fn asked(self) -> Result<Asked, Failure> {
        let wait = self.wait.unwrap_or(0);
        Ok(match &*self.r#do {
            "read" => Asked::Read {
                unless: self.unless,
            },
            "begin" => Asked::Begin {
                wait,
                unless: self.unless,
            },
            "commit" => Asked::Commit {
                document: needed("document", self.document)?,
            },
            "abort" => Asked::Abort,
            "hold" => Asked::Hold {
                name: named(self.name)?,
                wait,
            },
            "release" => Asked::Release {
                name: named(self.name)?,
            },
            "scratch-read" => Asked::ScratchRead {
                name: named(self.name)?,
            },
            "scratch-write" => {
                let text = needed("text", self.text)?;
                Asked::ScratchWrite {
                    name: named(self.name)?,
                    text,
                }
            }
            "scratch-clear" => Asked::ScratchClear {
                name: named(self.name)?,
            },
            "watch" => Asked::Watch {
                version: self.version,
                wait,
            },
            _ => return Err(not_understood("there is no such request")),
        })
    }
}

impl Asked {
    /// The same once more, where it does no harm to ask it twice.
    pub(crate) fn repeated(&self) -> Option<Self> {
        let ends = matches!(
            self,
            Self::Commit { .. } | Self::Abort | Self::Release { .. }
        );
        (!ends).then(|| self.clone())
    }

    /// How long it may wait for others, in milliseconds.
    pub(crate) fn wait(&self) -> u64 {
        match self {
            Self::Begin { wait, .. } | Self::Hold { wait, .. } | Self::Watch { wait, .. } => *wait,
            _ => 0,
        }
    }
}

fn needed(key: &str, value: Option<String>) -> Result<String, Failure> {
    value.ok_or_else(|| not_understood(&format!("the request is without '{key}'")))
}

fn named(name: Option<String>) -> Result<String, Failure> {
    let name = needed("name", name)?;
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    match (1..=100).contains(&name.len()) && name.chars().all(is_plain) {
        true => Ok(name),
        false => Err(not_understood("that is no name")),
    }
}

/// A request that is none.
pub(crate) fn not_understood(what: &str) -> Failure {
    Failure::new(Kind::Unknown, what)
}

/// An answer as a line.
pub(crate) fn line(result: &Result<Answer, Failure>) -> Vec<u8> {
    let line = match result {
        Ok(answer) => serde_json::to_vec(answer),
        Err(failure) => serde_json::to_vec(&Refusal {
            error: failure.kind,
            message: &failure.message,
            hint: failure.hint.as_deref(),
        }),
    };
    // Texts and numbers: there is nothing in it that JSON can't say.
    let mut line = line.unwrap_or_default();
    line.push(b'\n');
    line
}
