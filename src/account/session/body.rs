//! The body of a request for a response, and what is cut out of it.

use std::collections::HashSet;
use std::fmt;
use std::ops::Range;

use serde::Serialize;

use super::blob::Blob;
use super::item::{Edit, Item, Kind, apply};
use super::text::{Unclear, Value, cut_parts, get};

/// A body, read as far as it matters who made what.
#[derive(Clone, Debug)]
pub struct Body<'a> {
    text: &'a str,
    items: Vec<Item<'a>>,
}

/// What is cut out of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent<'b> {
    /// Reasoning, and what is encrypted in outputs, messages and arguments. Of what stays, all but
    /// compactions lose their ids.
    AllButCompactions,
    /// Compactions too: a note takes their place, and what they summarised is lost.
    All,
    /// Reasoning that led to nothing: what follows it is not the model's. Also the one with this id.
    Unfollowed(Option<&'b str>),
    /// Only what holds one of these blobs.
    These(&'b HashSet<Blob>),
}

/// A body without what was cut out of it. What is left has its bytes and its order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    /// The body.
    pub body: String,
    /// How much was cut out.
    pub counts: Counts,
    /// The blobs that were cut out.
    pub blobs: Vec<Blob>,
}

/// How much was cut out of a body. Shown as `reasoning=7 compaction=1`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Reasoning items.
    #[serde(skip_serializing_if = "is_zero")]
    pub reasoning: usize,
    /// Compaction items.
    #[serde(skip_serializing_if = "is_zero")]
    pub compaction: usize,
    /// Other items of which a part was encrypted.
    #[serde(skip_serializing_if = "is_zero")]
    pub parts: usize,
}

const fn is_zero(count: &usize) -> bool {
    *count == 0
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = [
            ("reasoning", self.reasoning),
            ("compaction", self.compaction),
            ("parts", self.parts),
        ];
        let counts = counts.iter().filter(|(_, count)| *count > 0);
        for (index, (what, count)) in counts.enumerate() {
            let space = if index == 0 { "" } else { " " };
            write!(f, "{space}{what}={count}")?;
        }
        Ok(())
    }
}

impl<'a> Body<'a> {
    /// Reads a body. One whose `input` is missing, or no list, has no items.
    ///
    /// # Errors
    /// When its parts can't be told beyond doubt: it is passed on as it is.
    pub fn read(body: &'a [u8]) -> Result<Self, Unclear> {
        let text = std::str::from_utf8(body).map_err(|_| Unclear::NotJson)?;
        let members = Value::whole(text)?.members()?;
        let input = get(&members, "input").map(|input| input.value);
        let items = match input.filter(Value::is_list) {
            Some(input) => input.elements()?,
            None => Vec::new(),
        };
        let items = items
            .into_iter()
            .map(Item::read)
            .collect::<Result<_, _>>()?;
        Ok(Self { text, items })
    }

    /// The blobs in it, in their order.
    pub fn blobs(&self) -> impl Iterator<Item = Blob> {
        self.items
            .iter()
            .flat_map(|item| item.blobs.iter().copied())
    }

    /// Whether it asks for a compaction.
    #[must_use]
    pub fn asks_for_compaction(&self) -> bool {
        let last = self.items.last();
        last.is_some_and(|item| item.kind == Kind::CompactionTrigger)
    }

    /// The body without what `extent` says; `None` where there is no such thing in it.
    #[must_use]
    pub fn cut(&self, extent: Extent<'_>) -> Option<Cut> {
        let mut counts = Counts::default();
        let mut blobs = Vec::new();
        let mut edits = Vec::new();
        let mut loses_ids = matches!(extent, Extent::AllButCompactions | Extent::All);
        let is_cut = self.what_is_cut(extent);
        for (item, is_cut) in self.items.iter().zip(&is_cut) {
            if *is_cut {
                counts.count(item.kind);
                blobs.extend(&item.blobs);
                // What comes behind it was minted with it, up to the next reasoning that stays.
                loses_ids = true;
                if item.kind != Kind::Reasoning {
                    edits.extend(item.readable());
                }
            } else {
                loses_ids &= item.kind != Kind::Reasoning;
                if loses_ids {
                    edits.extend(item.without_id());
                }
            }
        }
        if counts == Counts::default() {
            return None;
        }
        let items: Vec<Range<usize>> = self.items.iter().map(|item| item.range.clone()).collect();
        let stays = |index: usize| self.items[index].kind != Kind::Reasoning || !is_cut[index];
        edits.extend(cut_parts(&items, stays).into_iter().map(Edit::cut));
        Some(Cut {
            body: apply(self.text, edits),
            counts,
            blobs,
        })
    }

    /// Which items are cut out, or something of them.
    fn what_is_cut(&self, extent: Extent<'_>) -> Vec<bool> {
        let Extent::Unfollowed(named) = extent else {
            return self.items.iter().map(|item| extent.has(item)).collect();
        };
        let mut leads_to_nothing = true;
        let mut is_cut = Vec::with_capacity(self.items.len());
        for item in self.items.iter().rev() {
            let is_reasoning = item.kind == Kind::Reasoning;
            if !is_reasoning {
                leads_to_nothing = !item.can_follow_reasoning;
            }
            is_cut.push(is_reasoning && (leads_to_nothing || item.is_named(named)));
        }
        is_cut.reverse();
        is_cut
    }
}

impl Extent<'_> {
    /// Whether the item is cut out, or something of it, whatever stands around it.
    fn has(self, item: &Item<'_>) -> bool {
        let kind = item.kind;
        match self {
            Self::These(blobs) => item.blobs.iter().any(|blob| blobs.contains(blob)),
            Self::All if kind == Kind::Compaction => true,
            Self::Unfollowed(_) => false,
            _ => kind == Kind::Reasoning || (kind == Kind::Other && !item.notes.is_empty()),
        }
    }
}

impl Counts {
    fn count(&mut self, kind: Kind) {
        match kind {
            Kind::Reasoning => self.reasoning += 1,
            Kind::Compaction => self.compaction += 1,
            _ => self.parts += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(body: &str, extent: Extent<'_>) -> String {
        let cut = Body::read(body.as_bytes()).unwrap().cut(extent);
        cut.map_or_else(
            || "unchanged".to_owned(),
            |cut| format!("{}\n{}", cut.counts, cut.body),
        )
    }

    const CODEX: &str = r#"{"model":"gpt-5.6", "input":[
 {"type":"message","role":"user","content":[],"id":"msg_1"},
 {"type":"compaction","id":"cmp_1","encrypted_content":"gAAAAc"},
 {"type":"reasoning","id":"rs_1","summary":[],"content":null,"encrypted_content":"gAAAAr"},
 {"id":"fc_1","type":"function_call","call_id":"call_1","arguments":"{}"},
 {"type":"function_call_output","id":"fco_1","call_id":"call_1","output":"x"}],
 "store":false,"seed":1.0}"#;

    #[test]
    fn a_body_of_codex_loses_its_reasoning_and_ids_and_then_its_summary() {
        insta::assert_snapshot!(cut(CODEX, Extent::AllButCompactions), @r#"
        reasoning=1
        {"model":"gpt-5.6", "input":[
         {"type":"message","role":"user","content":[]},
         {"type":"compaction","id":"cmp_1","encrypted_content":"gAAAAc"},
         {"type":"function_call","call_id":"call_1","arguments":"{}"},
         {"type":"function_call_output","call_id":"call_1","output":"x"}],
         "store":false,"seed":1.0}
        "#);
        insta::assert_snapshot!(cut(CODEX, Extent::All), @r#"
        reasoning=1 compaction=1
        {"model":"gpt-5.6", "input":[
         {"type":"message","role":"user","content":[]},
         {"type":"message","role":"developer","content":[{"type":"input_text","text":"An earlier part of this conversation was summarised in a form that is not readable here. Ask, or look at the files, where you need it."}]},
         {"type":"function_call","call_id":"call_1","arguments":"{}"},
         {"type":"function_call_output","call_id":"call_1","output":"x"}],
         "store":false,"seed":1.0}
        "#);
    }

    #[test]
    fn what_is_encrypted_in_outputs_messages_and_arguments_becomes_a_note() {
        let body = r#"{"input":[
 {"type":"function_call_output","call_id":"c","output":[{"type":"encrypted_content","encrypted_content":"gAAAAo"}]},
 {"type":"agent_message","id":"amsg_1","author":"a","content":[{"type":"input_text","text":"x"},{"type":"encrypted_content","encrypted_content":"gAAAAm"}]},
 {"type":"function_call","call_id":"d","arguments":"{\"to\":\"b\", \"message\":\"gAAAAa\"}","encrypted_function_args":["message"]},
 {"type":"function_call","call_id":"e","arguments":"gAAAAa","encrypted_function_args":["message"]},
 {"type":"function_call","call_id":"f","arguments":"{\"message\":\"plain\"}","encrypted_function_args":[]}]}"#;
        insta::assert_snapshot!(cut(body, Extent::AllButCompactions), @r#"
        parts=4
        {"input":[
         {"type":"function_call_output","call_id":"c","output":[{"type":"input_text","text":"This part is encrypted for another account and can't be read here."}]},
         {"type":"agent_message","author":"a","content":[{"type":"input_text","text":"x"},{"type":"input_text","text":"This part is encrypted for another account and can't be read here."}]},
         {"type":"function_call","call_id":"d","arguments":"{\"to\":\"b\", \"message\":\"This part is encrypted for another account and can't be read here.\"}","encrypted_function_args":[]},
         {"type":"function_call","call_id":"e","arguments":"{}","encrypted_function_args":[]},
         {"type":"function_call","call_id":"f","arguments":"{\"message\":\"plain\"}","encrypted_function_args":[]}]}
        "#);
    }

    #[test]
    fn only_the_blobs_that_are_named_go_and_the_ids_minted_with_them() {
        let body = r#"{"input":[
 {"type":"message","id":"msg_0"},
 {"type":"reasoning","id":"rs_1","encrypted_content":"a\u0061"},
 {"type":"message","id":"msg_1"},
 {"type":"reasoning","id":"rs_2","encrypted_content":"b"},
 {"type":"message","id":"msg_2"}]}"#;
        let blobs = HashSet::from([Blob::of("aa")]);
        insta::assert_snapshot!(cut(body, Extent::These(&blobs)), @r#"
        reasoning=1
        {"input":[
         {"type":"message","id":"msg_0"},
         {"type":"message"},
         {"type":"reasoning","id":"rs_2","encrypted_content":"b"},
         {"type":"message","id":"msg_2"}]}
        "#);
        let others = HashSet::from([Blob::of("c")]);
        assert_eq!(cut(body, Extent::These(&others)), "unchanged");
    }

    #[test]
    fn reasoning_that_led_to_nothing_goes_and_no_other() {
        let cut = |items: &str| {
            let items = items.replace('R', r#"{"type":"reasoning","id":"rs"}"#);
            let body = format!("{{\"input\":[{items}]}}");
            cut(&body, Extent::Unfollowed(Some("rs_1")))
        };
        for followed in [
            r#"R,{"type":"message","role":"assistant"}"#,
            r#"R,R,{"type":"function_call"},{"type":"function_call_output"}"#,
            r#"R,{"type":"a kind of later"}"#,
            "",
        ] {
            assert_eq!(cut(followed), "unchanged", "{followed}");
        }
        insta::assert_snapshot!([
            r#"{"role":"user","id":"msg_1"},R"#,
            r#"R,{"type":"function_call","id":"fc_1"},R,R,{"role":"user"},R"#,
            r#"R,{"type":"compaction_trigger"}"#,
            r#"{"type":"reasoning","id":"rs_1"},R,{"type":"function_call","id":"fc_1"}"#,
        ].map(cut).join("\n"), @r#"
        reasoning=1
        {"input":[{"role":"user","id":"msg_1"}]}
        reasoning=3
        {"input":[{"type":"reasoning","id":"rs"},{"type":"function_call","id":"fc_1"},{"role":"user"}]}
        reasoning=1
        {"input":[{"type":"compaction_trigger"}]}
        reasoning=1
        {"input":[{"type":"reasoning","id":"rs"},{"type":"function_call","id":"fc_1"}]}
        "#);
    }

    #[test]
    fn where_nothing_is_encrypted_nothing_is_changed() {
        for body in [
            r#"{"input":[{"type":"message","id":"msg_1"},{"type":"item_reference","id":"rs_1"}]}"#,
            r#"{"input":[{"type":"compaction_trigger"},7,null,[]]}"#,
            r#"{"input":[]}"#,
            r#"{"input":"reasoning"}"#,
            r#"{"input":{"type":"reasoning","encrypted_content":"g"}}"#,
            "{}",
        ] {
            assert_eq!(cut(body, Extent::All), "unchanged", "{body}");
            assert_eq!(cut(body, Extent::Unfollowed(None)), "unchanged", "{body}");
        }
    }

    #[test]
    fn a_summary_alone_is_left_to_the_last() {
        let body = r#"{"input":[{"type":"compaction","id":"cmp_1","encrypted_content":"g"},{"type":"message","id":"msg_1"}]}"#;
        assert_eq!(cut(body, Extent::AllButCompactions), "unchanged");
        assert!(cut(body, Extent::All).starts_with("compaction=1\n"));
    }

    #[test]
    fn the_last_item_asks_for_a_compaction() {
        let asks = |body: &str| Body::read(body.as_bytes()).unwrap().asks_for_compaction();
        assert!(asks(
            r#"{"input":[{"type":"message"},{"type":"compaction_trigger"}]}"#
        ));
        assert!(!asks(
            r#"{"input":[{"type":"compaction_trigger"},{"type":"message"}]}"#
        ));
    }

    #[test]
    fn blobs_of_answers_are_those_of_the_requests_that_follow() {
        let item = r#"{"type":"reasoning","id":"rs_1","summary":[],"encrypted_content":"gAAAAr"}"#;
        let done =
            format!(r#"{{"type":"response.output_item.done","item":{item},"output_index":0}}"#);
        let added = done.replace("done", "added");
        let body = format!(r#"{{"input":[{item}]}}"#);
        let in_request: Vec<Blob> = Body::read(body.as_bytes()).unwrap().blobs().collect();
        assert_eq!(Blob::of_event(&done), in_request);
        assert_eq!(in_request, [Blob::of("gAAAAr")]);
        for other in [
            &added,
            "[DONE]",
            "{}",
            r#"{"type":"response.output_item.done"}"#,
        ] {
            assert_eq!(Blob::of_event(other), [], "{other}");
        }
    }

    #[test]
    fn bodies_of_ten_megabytes_are_cut_in_one_go() {
        let turn = |n: usize| {
            format!(
                r#"{{"type":"reasoning","id":"rs_{n}","encrypted_content":"{}"}},{{"type":"function_call_output","id":"fco_{n}","output":"{}"}}"#,
                "g".repeat(2000),
                r#"a\n\"b"#.repeat(1000),
            )
        };
        let turns: Vec<String> = (0..1400).map(turn).collect();
        let body = format!(r#"{{"input":[{}]}}"#, turns.join(","));
        assert!(body.len() > 10 << 20);
        let cut = Body::read(body.as_bytes())
            .unwrap()
            .cut(Extent::All)
            .unwrap();
        assert_eq!(cut.counts.reasoning, 1400);
        assert_eq!(cut.blobs.len(), 1400);
        assert!(!cut.body.contains("fco_"));
    }
}
