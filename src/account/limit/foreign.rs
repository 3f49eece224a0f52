//! Refusals of what a session carries: what another account encrypted (PROTOCOL-SWITCH §1, E1–E8 and
//! E14), and reasoning that led to nothing (E10).

use super::body::Body;
use super::codes::Meaning;

/// That an account can't take what a session carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Foreign {
    /// The id of the item, `rs_…` or `cmp_…`, where the refusal names one.
    pub item: Option<String>,
    /// What it is that can't be taken.
    pub what: Unreadable,
}

/// What it is that can't be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unreadable {
    /// The encrypted content of an item: of reasoning or of a compaction.
    Item,
    /// An encrypted part of a tool's output or of an agent's message (E7).
    ToolContent,
    /// Nothing: an item that has to have encrypted content came without (E8).
    Missing,
    /// Reasoning that nothing follows: its answer was cut off behind it (E10). No account takes it.
    Unfollowed,
}

impl Foreign {
    /// What a body says of it. The texts count also where the code is another or none (E5, E6).
    pub(super) fn of(body: &Body) -> Option<Self> {
        let what = if body.message.contains(TOOL_CONTENT) {
            Unreadable::ToolContent
        } else if is_missing(body) {
            Unreadable::Missing
        } else if is_unfollowed(&body.message) {
            Unreadable::Unfollowed
        } else if body.means(Meaning::Encrypted) || is_unverified(&body.message) {
            Unreadable::Item
        } else {
            return None;
        };
        Some(Self {
            item: item_id(&body.message),
            what,
        })
    }
}

const TOOL_CONTENT: &str = "Encrypted function output content could not be decrypted or decoded";

fn is_unverified(message: &str) -> bool {
    message.starts_with("The encrypted content ") && message.contains("could not be verified")
}

fn is_unfollowed(message: &str) -> bool {
    message.starts_with("Item '")
        && message.contains("of type 'reasoning' was provided without its required following item")
}

fn is_missing(body: &Body) -> bool {
    let of_blob =
        |param: &String| param.starts_with("input[") && param.ends_with("].encrypted_content");
    body.says("missing_required_parameter") && body.param.as_ref().is_some_and(of_blob)
}

/// The id in "The encrypted content for item cmp_… could not be verified." (E3), or in "Item 'rs_…' of
/// type" (E10).
fn item_id(message: &str) -> Option<String> {
    let named = message.split_once("encrypted content for item ");
    let rest = named.map_or_else(|| message.strip_prefix("Item '"), |(_, rest)| Some(rest))?;
    let is_of_id = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let end = rest.find(|c| !is_of_id(c)).unwrap_or(rest.len());
    (end > 0).then(|| rest[..end].to_owned())
}
