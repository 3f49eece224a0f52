//! One item of a request's `input`: what of it only the account that made it can read, and how it
//! is written without that (PROTOCOL-SWITCH §1).

use std::ops::Range;

use serde_json::Value as Json;

use super::blob::Blob;
use super::text::{Member, Unclear, Value, cut_parts, get};

/// What takes the place of something that was encrypted.
const NOTE: &str = "This part is encrypted for another account and can't be read here.";

/// What takes the place of a compaction item.
const COMPACTION_NOTE: &str = concat!(
    r#"{"type":"message","role":"developer","content":[{"type":"input_text","text":""#,
    "An earlier part of this conversation was summarised in a form that is not readable here. ",
    "Ask, or look at the files, where you need it.",
    r#""}]}"#
);

/// An item. Its ranges are those of the text that holds it.
#[derive(Clone, Debug)]
pub(super) struct Item<'a> {
    pub(super) range: Range<usize>,
    pub(super) kind: Kind,
    /// Whether it can be what a model came to by the reasoning before it.
    pub(super) can_follow_reasoning: bool,
    /// The blobs in it.
    pub(super) blobs: Vec<Blob>,
    members: Vec<Member<'a>>,
    /// What to write so that it has no blob any more, where it stays.
    pub(super) notes: Vec<Edit>,
}

/// What matters of an item's type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// `reasoning`: only its maker can read it, and it can be left out.
    Reasoning,
    /// `compaction`: the only copy of what was before it.
    Compaction,
    /// `compaction_trigger`: asks for one.
    CompactionTrigger,
    /// Any other.
    Other,
}

/// A change of a text: what takes the place of a part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Edit {
    pub(super) range: Range<usize>,
    pub(super) text: String,
}

impl Edit {
    pub(super) fn cut(range: Range<usize>) -> Self {
        Self::put(range, "")
    }

    fn put(range: Range<usize>, text: impl Into<String>) -> Self {
        let text = text.into();
        Self { range, text }
    }
}

impl<'a> Item<'a> {
    /// Reads an item. What is no object holds nothing.
    pub(super) fn read(value: Value<'a>) -> Result<Self, Unclear> {
        let members = if value.is_object() {
            value.members()?
        } else {
            Vec::new()
        };
        let mut item = Self {
            range: value.range(),
            kind: Kind::of(&members),
            can_follow_reasoning: !is_told_to_the_model(&members),
            blobs: Vec::new(),
            notes: Vec::new(),
            members,
        };
        match item.kind {
            Kind::Reasoning | Kind::Compaction => {
                let content = get(&item.members, "encrypted_content");
                item.blobs
                    .extend(content.and_then(|it| Blob::of_value(it.value)));
            }
            Kind::CompactionTrigger => {}
            Kind::Other => {
                item.find_parts(value)?;
                item.find_arguments()?;
            }
        }
        Ok(item)
    }

    /// Whether this is its id.
    pub(super) fn is_named(&self, id: Option<&str>) -> bool {
        let own = get(&self.members, "id").and_then(|member| member.value.string());
        id.is_some() && own.as_deref() == id
    }

    /// The item without what is encrypted in it, and without its id.
    pub(super) fn readable(&self) -> Vec<Edit> {
        if self.kind == Kind::Compaction {
            return vec![Edit::put(self.range.clone(), COMPACTION_NOTE)];
        }
        let mut edits = self.without_id();
        edits.extend(self.notes.iter().cloned());
        edits
    }

    /// The item without its id. Ids are minted together: one whose fellow is gone is refused.
    pub(super) fn without_id(&self) -> Vec<Edit> {
        let refers = |member: &Member<'_>| {
            let text = member.value.string();
            member.key == "type" && text.is_some_and(|kind| kind == "item_reference")
        };
        // A compaction is bound to its own id, and a reference is nothing else.
        if self.kind == Kind::Compaction || self.members.iter().any(refers) {
            return Vec::new();
        }
        let members: Vec<_> = self.members.iter().map(Member::range).collect();
        let cuts = cut_parts(&members, |index| self.members[index].key != "id");
        cuts.into_iter().map(Edit::cut).collect()
    }

    /// The encrypted parts of a tool's output, or of another agent's message.
    fn find_parts(&mut self, item: Value<'_>) -> Result<(), Unclear> {
        const PART: &str = "encrypted_content";
        // Few have any, and most of a body are long outputs.
        if memchr::memmem::find(item.text().as_bytes(), PART.as_bytes()).is_none() {
            return Ok(());
        }
        let lists = ["output", "content"].map(|key| get(&self.members, key).map(|it| it.value));
        for list in lists.into_iter().flatten().filter(Value::is_list) {
            for part in list.elements()?.into_iter().filter(Value::is_object) {
                let members = part.members()?;
                let kind = get(&members, "type").and_then(|kind| kind.value.string());
                if kind.is_some_and(|kind| kind == PART) {
                    let blob = get(&members, PART).and_then(|it| Blob::of_value(it.value));
                    self.blobs.extend(blob);
                    let note = serde_json::json!({"type": "input_text", "text": NOTE});
                    self.notes.push(Edit::put(part.range(), note.to_string()));
                }
            }
        }
        Ok(())
    }

    /// The encrypted ones of a call's arguments, which `encrypted_function_args` names.
    fn find_arguments(&mut self) -> Result<(), Unclear> {
        let Some(list) = get(&self.members, "encrypted_function_args") else {
            return Ok(());
        };
        let list = list.value;
        let names: Vec<_> = match list.is_list() {
            true => list.elements()?.iter().map(Value::string).collect(),
            false => Vec::new(),
        };
        if names.is_empty() {
            return Ok(());
        }
        if let Some(arguments) = get(&self.members, "arguments")
            && let Some(text) = arguments.value.string()
        {
            let names: Vec<&str> = names.iter().flatten().map(AsRef::as_ref).collect();
            let readable = Json::String(readable_arguments(&text, &names));
            self.blobs.push(Blob::of(&text));
            self.notes
                .push(Edit::put(arguments.value.range(), readable.to_string()));
        }
        self.notes.push(Edit::put(list.range(), "[]"));
        Ok(())
    }
}

impl Kind {
    fn of(members: &[Member<'_>]) -> Self {
        let kind = get(members, "type").and_then(|kind| kind.value.string());
        match kind.as_deref() {
            Some("reasoning") => Self::Reasoning,
            // The second is another name that Codex reads; the third is in its old rollouts.
            Some("compaction" | "compaction_summary" | "context_compaction") => Self::Compaction,
            Some("compaction_trigger") => Self::CompactionTrigger,
            _ => Self::Other,
        }
    }
}

/// Whether an item is what somebody else says to the model: nothing that it came to itself.
fn is_told_to_the_model(members: &[Member<'_>]) -> bool {
    let text = |key| get(members, key).and_then(|member| member.value.string());
    if text("role").is_some_and(|role| role != "assistant") {
        return true;
    }
    let kind = text("type").unwrap_or_default();
    kind.ends_with("_output")
        || ["agent_message", "additional_tools", "compaction_trigger"].contains(&&*kind)
}

/// A call's arguments with a note in the place of those that are named. Where one of them can't be
/// found, none is kept.
fn readable_arguments(text: &str, names: &[&str]) -> String {
    let edits = || {
        let members = Value::whole(text).ok()?.members().ok()?;
        let note = Json::from(NOTE).to_string();
        let edit = |name: &&str| Some(Edit::put(get(&members, name)?.value.range(), note.clone()));
        names.iter().map(edit).collect::<Option<Vec<_>>>()
    };
    edits().map_or_else(|| "{}".to_owned(), |edits| apply(text, edits))
}

/// The text with these changes, which do not overlap.
pub(super) fn apply(text: &str, mut edits: Vec<Edit>) -> String {
    edits.sort_by_key(|edit| edit.range.start);
    edits.dedup();
    let mut changed = String::with_capacity(text.len());
    let mut from = 0;
    for edit in edits {
        changed.push_str(&text[from..edit.range.start]);
        changed.push_str(&edit.text);
        from = edit.range.end;
    }
    changed.push_str(&text[from..]);
    changed
}
