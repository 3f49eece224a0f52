//! What is said to a store helper and what it says, line by line: codex-store-helper(7). It sends
//! nothing, and shows nothing: documents are in here.

use serde::{Deserialize, Serialize};

/// The version of the protocol.
pub(super) const PROTOCOL: u64 = 1;

/// What every helper can do.
const NEEDED: [&str; 4] = ["read", "begin", "hold", "scratch"];

/// What a helper says first.
#[derive(Deserialize)]
pub(super) struct Greeting {
    pub(super) v: u64,
    #[serde(default)]
    can: Vec<String>,
}

impl Greeting {
    pub(super) fn can(&self, word: &str) -> bool {
        self.can.iter().any(|it| it == word)
    }

    /// What it would have to be able to do, and is not.
    pub(super) fn lacks(&self) -> Option<&'static str> {
        NEEDED.into_iter().find(|word| !self.can(word))
    }
}

/// What is asked of a helper.
#[derive(Clone, Copy, Serialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
pub(super) enum Request<'a> {
    Read {
        #[serde(skip_serializing_if = "Option::is_none")]
        unless: Option<&'a str>,
    },
    Begin {
        wait: u64,
        #[serde(skip_serializing_if = "Option::is_none")]
        unless: Option<&'a str>,
    },
    Commit {
        document: &'a str,
    },
    Abort,
    Hold {
        name: &'a str,
        wait: u64,
    },
    Release {
        name: &'a str,
    },
    ScratchRead {
        name: &'a str,
    },
    ScratchWrite {
        name: &'a str,
        text: &'a str,
    },
    ScratchClear {
        name: &'a str,
    },
    Watch {
        #[serde(skip_serializing_if = "Option::is_none")]
        version: Option<&'a str>,
        wait: u64,
    },
}

impl<'r> Request<'r> {
    /// The same with another text.
    pub(super) const fn with<'a>(&self, text: &'a str) -> Request<'a>
    where
        'r: 'a,
    {
        match *self {
            Self::ScratchWrite { name, .. } => Request::ScratchWrite { name, text },
            _ => Request::Commit { document: text },
        }
    }

    /// The word that an answer to it begins with.
    const fn word(&self) -> &'static str {
        match self {
            Self::Read { .. } => "read",
            Self::Begin { .. } => "begin",
            Self::Commit { .. } => "commit",
            Self::Abort => "abort",
            Self::Hold { .. } => "hold",
            Self::Release { .. } => "release",
            Self::ScratchRead { .. } => "scratch-read",
            Self::ScratchWrite { .. } => "scratch-write",
            Self::ScratchClear { .. } => "scratch-clear",
            Self::Watch { .. } => "watch",
        }
    }

    /// How long the helper may wait for what it is about, in milliseconds.
    pub(super) const fn wait(&self) -> u64 {
        match self {
            Self::Begin { wait, .. } | Self::Hold { wait, .. } | Self::Watch { wait, .. } => *wait,
            _ => 0,
        }
    }

    /// Whether it is for a lock that another may have.
    pub(super) const fn is_for_lock(&self) -> bool {
        matches!(self, Self::Begin { .. } | Self::Hold { .. })
    }

    /// Whether it can be asked of another helper where one ended before it answered.
    pub(super) const fn can_be_repeated(&self) -> bool {
        !matches!(
            self,
            Self::Commit { .. } | Self::Abort | Self::Release { .. }
        )
    }

    /// The line, with its end.
    pub(super) fn line(&self) -> Vec<u8> {
        let mut line = serde_json::to_vec(self)
            // Proof: writing to memory does not fail, and no map is in it.
            .unwrap_or_else(|error| unreachable!("a request is always JSON: {error}"));
        line.push(b'\n');
        line
    }
}

/// What a helper answers.
#[derive(Default, Deserialize)]
pub(super) struct Answer {
    ok: Option<String>,
    error: Option<Kind>,
    message: Option<String>,
    hint: Option<String>,
    pub(super) version: Option<String>,
    pub(super) document: Option<String>,
    #[serde(default)]
    unchanged: Option<bool>,
    pub(super) text: Option<String>,
}

/// That a helper refused.
pub(super) struct Refusal {
    pub(super) kind: Kind,
    pub(super) message: String,
    pub(super) hint: Option<String>,
}

impl Refusal {
    pub(super) const fn new(kind: Kind, message: String) -> Self {
        Self {
            kind,
            message,
            hint: None,
        }
    }
}

/// Why a helper can't do what it was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Its engine can't be reached, or takes no change now.
    Unavailable,
    /// The lock was not had in time.
    Locked,
    /// Somebody else was quicker.
    Conflict,
    /// Whether it was committed is not known.
    Unclear,
    /// The engine refuses this person.
    Denied,
    /// What a person set up is wrong.
    Config,
    /// There is no room.
    Full,
    /// The request is not understood.
    Unknown,
    /// Anything else.
    #[serde(other)]
    Failed,
}

impl Answer {
    /// The answer that a line is to a request; `None` if it is none.
    pub(super) fn read(line: &[u8], request: &Request<'_>) -> Option<Result<Self, Refusal>> {
        let answer: Self = serde_json::from_slice(line).ok()?;
        match (&answer.error, &answer.ok) {
            (Some(kind), _) => Some(Err(Refusal {
                kind: *kind,
                message: answer.message.unwrap_or_else(|| "it failed".to_owned()),
                hint: answer.hint,
            })),
            (None, Some(word)) if word == request.word() => {
                answer.is_whole(request).then_some(Ok(answer))
            }
            _ => None,
        }
    }

    /// Whether all is there that must be: a document has a version, and a version its document.
    fn is_whole(&self, request: &Request<'_>) -> bool {
        match request {
            Request::Read { unless } | Request::Begin { unless, .. } => {
                match (&self.version, &self.document) {
                    (None, None) => true,
                    (Some(version), None) => {
                        self.unchanged == Some(true) && *unless == Some(version.as_str())
                    }
                    (Some(_), Some(_)) => true,
                    (None, Some(_)) => false,
                }
            }
            Request::Commit { .. } => self.version.is_some(),
            _ => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    const PAGE: &str = include_str!("../../../man/codex-store-helper.7");

    /// The lines of the page that begin so, as they are sent.
    fn lines(mark: &str) -> impl Iterator<Item = Vec<u8>> {
        let lines = PAGE.lines().filter_map(move |line| line.strip_prefix(mark));
        lines.map(|line| line.replace("\\e", "\\").into_bytes())
    }

    #[test]
    fn what_the_page_sends_is_what_is_sent() {
        let document = "{\"version\":1,\"accounts\":[]}\n";
        let lock = "refresh-00c0ffee00c0ffee";
        let journal = "refresh-00c0ffee00c0ffee.journal";
        let all = [
            Request::Read { unless: None },
            Request::Read { unless: Some("17") },
            Request::Begin {
                wait: 10_000,
                unless: Some("17"),
            },
            Request::Commit { document },
            Request::Abort,
            Request::Hold {
                name: lock,
                wait: 35_000,
            },
            Request::Release { name: lock },
            Request::ScratchWrite {
                name: journal,
                text: "[]",
            },
            Request::ScratchRead { name: journal },
            Request::ScratchClear { name: journal },
            Request::Watch {
                version: Some("19"),
                wait: 60_000,
            },
        ];
        let page: Vec<Value> = lines("> ")
            .map(|line| serde_json::from_slice(&line).unwrap())
            .collect();
        for request in all {
            let sent: Value = serde_json::from_slice(&request.line()).unwrap();
            assert!(page.contains(&sent), "{sent}");
            assert_eq!(sent["do"], request.word());
        }
        let words = all.map(|request| request.word());
        for line in page {
            assert!(words.contains(&line["do"].as_str().unwrap()), "{line}");
        }
    }

    #[test]
    fn what_the_page_answers_is_understood() {
        let mut greetings = 0;
        for line in lines("< ") {
            let text = String::from_utf8_lossy(&line).into_owned();
            let value: Value = serde_json::from_slice(&line).expect(&text);
            if value.get("v").is_some() {
                let greeting: Greeting = serde_json::from_slice(&line).unwrap();
                assert_eq!((greeting.v, greeting.lacks()), (PROTOCOL, None));
                greetings += 1;
            } else if let Some(kind) = value.get("error") {
                let request = Request::Read { unless: None };
                let refusal = Answer::read(&line, &request).expect(&text).err();
                assert_ne!(refusal.expect(&text).kind, Kind::Failed, "{kind}");
            } else {
                let unless = value["unchanged"].as_bool().and(value["version"].as_str());
                let request = match value["ok"].as_str().unwrap() {
                    "read" => Request::Read { unless },
                    "begin" => Request::Begin { wait: 0, unless },
                    "commit" => Request::Commit { document: "" },
                    "abort" => Request::Abort,
                    "hold" => Request::Hold { name: "", wait: 0 },
                    "release" => Request::Release { name: "" },
                    "scratch-read" => Request::ScratchRead { name: "" },
                    "scratch-write" => Request::ScratchWrite { name: "", text: "" },
                    "scratch-clear" => Request::ScratchClear { name: "" },
                    "watch" => Request::Watch {
                        version: None,
                        wait: 0,
                    },
                    other => panic!("{other}"),
                };
                assert!(Answer::read(&line, &request).expect(&text).is_ok());
            }
        }
        assert!(greetings > 0);
    }

    #[test]
    fn what_is_no_answer_is_none() {
        for line in [
            "",
            "{",
            "[]",
            "7",
            r#"{"ok":"begin"}"#,
            r#"{"ok":"read","document":"{}"}"#,
            r#"{"ok":"read","version":"2"}"#,
            r#"{"ok":"read","version":"2","unchanged":true}"#,
            r#"{"ok":"read","version":3}"#,
        ] {
            let request = Request::Read { unless: Some("1") };
            assert!(Answer::read(line.as_bytes(), &request).is_none(), "{line}");
        }
        let later = br#"{"error":"later-kind","odd":[1]}"#;
        let refusal = Answer::read(later, &Request::Abort).unwrap().err().unwrap();
        assert_eq!(refusal.kind, Kind::Failed);
    }
}
