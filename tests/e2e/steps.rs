//! How a case is written: a line a step, `#` and what it shows first.
//!
//! ```text
//! runs codex-http codex-socket opencode     all three where it does not say
//! accounts 2                                a, b, c
//! relay lasting | each-turn
//! model gpt-5.6-sol                         gpt-5.5 where it does not say
//! limit a [after N]                         at once, or from its Nth request of the turn on
//! cut a after N                             its Nth answer stops behind its reasoning
//! lift a                                    the limit is over, and the store knows
//! directly a | relayed                      the client as that account's own login, without us; behind the relay again
//! by-latest                                 sessions go on as the latest one, and not by their id
//! shows TEXT                                a notice that the client may show
//! say PROMPT => ANSWER                      `a`: "answered by" that account; more behind a comma; `…` for whatever follows
//! together PROMPT => ANSWER                 the same in two sessions at once
//! review PROMPT => ANSWER                   the same by `codex exec review`, a session of its own
//! fails PROMPT => TEXT                      the client gives up, and says this
//! asked a (a) [b] b | b b                   who was asked over HTTP: limited, unable to take it; ' of a further session
//! store a quota, b -                        what is noted of each account
//! ```

/// See the module.
pub(super) struct Case {
    pub(super) runs: Vec<Run>,
    pub(super) accounts: usize,
    pub(super) relay: Relay,
    pub(super) model: String,
    /// Notices that are no failure.
    pub(super) notices: Vec<String>,
    pub(super) steps: Vec<Step>,
}

/// A client, and how it speaks to the relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Run {
    /// Each request by itself: what is asked of whom is the same each time.
    CodexHttp,
    /// A connection that warms up and is made anew.
    CodexSocket,
    Opencode,
}

/// Where the relay is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Relay {
    /// One runs all the time, and remembers what it saw.
    Lasting,
    /// Each turn has one of its own.
    EachTurn,
}

pub(super) enum Step {
    Limit { account: usize, after: Option<u32> },
    Cut { account: usize, after: u32 },
    Lift(usize),
    Directly(Option<usize>),
    ByLatest,
    Say { prompt: String, answer: String },
    Together { prompt: String, answer: String },
    Review { prompt: String, answer: String },
    Fails { prompt: String, text: String },
    Asked(Vec<String>),
    Store(String),
}

const LETTERS: [&str; 3] = ["a", "b", "c"];
const NAMES: [&str; 3] = ["one", "two", "three"];

/// The letter of an account in a case.
pub(super) fn letter(account: usize) -> &'static str {
    LETTERS[account]
}

fn account(letter: &str) -> usize {
    let place = LETTERS.iter().position(|it| *it == letter);
    place.unwrap_or_else(|| panic!("{letter} is no account"))
}

impl Case {
    pub(super) fn read(text: &str) -> Case {
        let mut case = Case {
            runs: vec![Run::CodexHttp, Run::CodexSocket, Run::Opencode],
            accounts: 2,
            relay: Relay::Lasting,
            model: "gpt-5.5".to_owned(),
            notices: Vec::new(),
            steps: Vec::new(),
        };
        let lines = text.lines().map(str::trim);
        for line in lines.filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
            match verb {
                "runs" => case.runs = rest.split(' ').map(run).collect(),
                "accounts" => case.accounts = rest.parse().expect("a number"),
                "relay" => case.relay = relay(rest),
                "model" => case.model = rest.to_owned(),
                "shows" => case.notices.push(rest.to_owned()),
                _ => case.steps.push(step(verb, rest)),
            }
        }
        case
    }
}

fn run(name: &str) -> Run {
    match name {
        "codex-http" => Run::CodexHttp,
        "codex-socket" => Run::CodexSocket,
        "opencode" => Run::Opencode,
        _ => panic!("{name} is no run"),
    }
}

fn relay(name: &str) -> Relay {
    match name {
        "lasting" => Relay::Lasting,
        "each-turn" => Relay::EachTurn,
        _ => panic!("{name} is no relay"),
    }
}

fn step(verb: &str, rest: &str) -> Step {
    let after = rest.split_once(" after ");
    let number = |text: &str| text.parse().expect("a number");
    match verb {
        "limit" => match after {
            Some((who, count)) => Step::Limit {
                account: account(who),
                after: Some(number(count)),
            },
            None => Step::Limit {
                account: account(rest),
                after: None,
            },
        },
        "cut" => {
            let (who, count) = after.expect("an account after a count");
            Step::Cut {
                account: account(who),
                after: number(count),
            }
        }
        "lift" => Step::Lift(account(rest)),
        "directly" => Step::Directly(Some(account(rest))),
        "relayed" => Step::Directly(None),
        "by-latest" => Step::ByLatest,
        "say" | "together" | "review" | "fails" => {
            let (prompt, expected) = rest.split_once(" => ").expect("a prompt => an answer");
            let prompt = prompt.to_owned();
            match verb {
                "say" => Step::Say {
                    prompt,
                    answer: answer(expected),
                },
                "together" => Step::Together {
                    prompt,
                    answer: answer(expected),
                },
                "review" => Step::Review {
                    prompt,
                    answer: answer(expected),
                },
                _ => Step::Fails {
                    prompt,
                    text: expected.to_owned(),
                },
            }
        }
        "asked" => Step::Asked(rest.split(" | ").map(str::to_owned).collect()),
        "store" => Step::Store(rest.to_owned()),
        _ => panic!("{verb} is no step"),
    }
}

/// What the pretend model says as this account.
fn answer(expected: &str) -> String {
    let (who, more) = expected.split_at(1);
    format!("answered by {}@example.com{more}", NAMES[account(who)])
}
