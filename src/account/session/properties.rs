//! What is true of every body that is cut: what is cut out is cut out of its text, and all the rest
//! is the same bytes.

use std::collections::HashSet;

use proptest::prelude::{
    Just, Strategy as Generate, any, prop, prop_assert, prop_assert_eq, prop_assume, prop_oneof,
    proptest,
};

use super::text::{Value, get};
use super::{Blob, Body, Extent};

/// An item in the making: its members, and those it has after a cut.
#[derive(Clone, Debug)]
struct Made {
    before: Vec<(&'static str, String)>,
    /// `None` where it goes.
    after: Option<Vec<(&'static str, String)>>,
}

/// What is written between the signs of a text.
fn white() -> impl Generate<Value = &'static str> {
    prop_oneof![Just(""), Just(" "), Just("\n\t "), Just("\r\n")]
}

/// A value that means nothing here, however it is written.
fn odd() -> impl Generate<Value = String> {
    prop_oneof![
        Just("1.0".to_owned()),
        Just("-0e+07".to_owned()),
        Just("null".to_owned()),
        Just(r#"[ {"id":"x","type":"reasoning"}, [ ] ]"#.to_owned()),
        Just(r#"{"id" : 1,"id":2, "\u0069d":3}"#.to_owned()),
        Just(r#""\u00e9\/\\\" ],}""#.to_owned()),
        any::<String>().prop_map(|text| serde_json::Value::from(text).to_string()),
    ]
}

const TYPES: [&str; 5] = [
    "message",
    "function_call",
    "function_call_output",
    "custom_tool_call",
    "additional_tools",
];

/// An item, and what an extent that leaves compactions leaves of it.
fn item() -> impl Generate<Value = Made> {
    let id = "[a-z]{1,4}".prop_map(|id| ("id", format!("\"{id}\"")));
    let call = "[a-z]{1,4}".prop_map(|id| ("call_id", format!("\"{id}\"")));
    let blob = "[a-z=+/]{1,9}".prop_map(|blob| ("encrypted_content", format!("\"{blob}\"")));
    let more = || prop_oneof![Just("summary"), Just("content"), Just("output"), Just("Ω")];
    let other = (more(), odd(), call, prop::option::of(id.clone()));
    let other = (prop::sample::select(&TYPES), other).prop_map(|(kind, (key, odd, call, id))| {
        let before = [Some(typed(kind)), id, Some(call), Some((key, odd))];
        let before: Vec<_> = before.into_iter().flatten().collect();
        Made {
            after: Some(without("id", &before)),
            before,
        }
    });
    let closed = (prop::bool::ANY, prop::option::of(id), blob, odd());
    let closed = closed.prop_map(|(reasons, id, blob, odd)| {
        let kind = typed(if reasons { "reasoning" } else { "compaction" });
        let before = [id, Some(kind), Some(("content", odd)), Some(blob)];
        let before: Vec<_> = before.into_iter().flatten().collect();
        Made {
            after: (!reasons).then(|| before.clone()),
            before,
        }
    });
    prop_oneof![other, closed].prop_flat_map(|made| {
        // The members in any order, before and after alike.
        let order = Just((0..made.before.len()).collect::<Vec<_>>()).prop_shuffle();
        order.prop_map(move |order| {
            let before: Vec<_> = order.iter().map(|at| made.before[*at].clone()).collect();
            let stays = |member: &&(&str, String)| {
                let after = made.after.as_ref();
                after.is_some_and(|after| after.iter().any(|other| other.0 == member.0))
            };
            let after = before.iter().filter(stays).cloned().collect();
            Made {
                after: made.after.as_ref().map(|_| after),
                before,
            }
        })
    })
}

fn typed(kind: &str) -> (&'static str, String) {
    ("type", format!("\"{kind}\""))
}

fn without(key: &str, members: &[(&'static str, String)]) -> Vec<(&'static str, String)> {
    let stays = |member: &&(&str, String)| member.0 != key;
    members.iter().filter(stays).cloned().collect()
}

fn written(members: &[(&str, String)], white: &str) -> String {
    let member = |(key, value): &(&str, String)| format!("{white}\"{key}\"{white}:{white}{value}");
    let members: Vec<String> = members.iter().map(member).collect();
    format!("{{{}{white}}}", members.join(&format!("{white},")))
}

/// The elements of a body's `input`, and what stands before and behind it.
fn taken_apart(body: &str) -> (Vec<&str>, &str, &str) {
    let members = Value::whole(body).unwrap().members().unwrap();
    let input = get(&members, "input").unwrap().value;
    let items = input.elements().unwrap().iter().map(Value::text).collect();
    let range = input.range();
    (items, &body[..range.start], &body[range.end..])
}

fn call_ids(body: &str) -> Vec<serde_json::Value> {
    let body: serde_json::Value = serde_json::from_str(body).unwrap();
    let items = body["input"].as_array().unwrap().iter();
    items
        .filter_map(|item| item.get("call_id").cloned())
        .collect()
}

proptest! {
    #[test]
    fn what_stays_has_its_bytes_and_its_order(
        items in prop::collection::vec(item(), 0..12),
        white in white(),
        (head, tail) in (odd(), odd()),
    ) {
        let before: Vec<String> = items.iter().map(|it| written(&it.before, white)).collect();
        let input = before.join(&format!("{white},{white}"));
        let body = format!(
            "{white}{{\"model\":{head},{white}\"input\":[{white}{input}{white}]{white},\"x\":{tail}}}"
        );
        let cut = Body::read(body.as_bytes()).unwrap().cut(Extent::AllButCompactions);
        prop_assert_eq!(cut.is_some(), items.iter().any(|it| it.after.is_none()));
        if let Some(cut) = cut {
            let (left, head, tail) = taken_apart(&cut.body);
            let after = items.iter().filter_map(|it| it.after.as_ref());
            let after: Vec<String> = after.map(|it| written(it, white)).collect();
            prop_assert_eq!(left, after);
            let (_, head_before, tail_before) = taken_apart(&body);
            prop_assert_eq!((head, tail), (head_before, tail_before));
            prop_assert_eq!(call_ids(&cut.body), call_ids(&body));
            // It is JSON, and there is nothing left to cut.
            let again = Body::read(cut.body.as_bytes()).unwrap();
            prop_assert_eq!(again.cut(Extent::AllButCompactions), None);
        }
    }

    #[test]
    fn what_is_cut_is_json_and_cut_only_once(
        items in prop::collection::vec(prop_oneof![encrypted(), odd()], 0..8),
    ) {
        let body = format!("{{\"input\":[{}]}}", items.join(","));
        for extent in [Extent::AllButCompactions, Extent::All] {
            let Ok(read) = Body::read(body.as_bytes()) else { continue };
            let Some(cut) = read.cut(extent) else { continue };
            prop_assert!(serde_json::from_str::<serde_json::Value>(&cut.body).is_ok());
            prop_assert_eq!(Body::read(cut.body.as_bytes()).unwrap().cut(extent), None);
            if extent == Extent::All {
                prop_assert_eq!(Body::read(cut.body.as_bytes()).unwrap().blobs().count(), 0);
            }
        }
    }

    #[test]
    fn no_text_is_too_much(text in "[\\[\\]{}\",:a\\\\ 1]{0,40}", bytes: Vec<u8>) {
        for body in [text.clone().into_bytes(), format!("{{\"input\":[{text}]}}").into_bytes(), bytes] {
            if let Ok(read) = Body::read(&body) {
                let cut = read.cut(Extent::All).map(|cut| cut.body).unwrap_or_default();
                prop_assert!(cut.is_empty() || serde_json::from_str::<&serde_json::value::RawValue>(&cut).is_ok());
            }
        }
    }

    /// Each turn of a session is made by one of two accounts, and its ids are minted together.
    #[test]
    fn no_id_is_left_whose_reasoning_is_gone(turns in prop::collection::vec(turn(), 1..8)) {
        prop_assume!(turns.iter().any(|turn| turn.by_a && turn.reasons));
        let items = turns.iter().enumerate().flat_map(|(at, turn)| turn.items(at));
        let items: Vec<String> = items.collect();
        let body = format!("{{\"input\":[{}]}}", items.join(","));
        let blobs = turns.iter().enumerate().filter(|(_, turn)| turn.by_a);
        let blobs: HashSet<Blob> = blobs.map(|(at, _)| Blob::of(&format!("blob{at}"))).collect();
        let cut = Body::read(body.as_bytes()).unwrap().cut(Extent::These(&blobs)).unwrap();
        let (left, ..) = taken_apart(&cut.body);
        let ids = |items: &[&str]| -> Vec<String> {
            let id = |item: &&str| {
                let item: serde_json::Value = serde_json::from_str(item).unwrap();
                item["id"].as_str().map(str::to_owned)
            };
            items.iter().filter_map(id).collect()
        };
        let ids = ids(&left);
        for (at, turn) in turns.iter().enumerate().filter(|(_, turn)| turn.reasons) {
            let fellows: Vec<_> = ids.iter().filter(|id| id.ends_with(&format!("_{at}"))).collect();
            // All of them, or none.
            let expected = if turn.by_a { 0 } else { turn.items(at).len() };
            prop_assert_eq!(fellows.len(), expected, "turn {}: {:?}", at, left);
        }
        prop_assert_eq!(call_ids(&cut.body), call_ids(&body));
        let again = Body::read(cut.body.as_bytes()).unwrap();
        prop_assert_eq!(again.cut(Extent::These(&blobs)), None);
    }
}

/// One answer of a model, with what was called by it.
#[derive(Clone, Debug)]
struct Turn {
    by_a: bool,
    reasons: bool,
    calls: usize,
}

fn turn() -> impl Generate<Value = Turn> {
    (any::<bool>(), any::<bool>(), 0..3_usize).prop_map(|(by_a, reasons, calls)| Turn {
        by_a,
        reasons,
        calls,
    })
}

impl Turn {
    fn items(&self, at: usize) -> Vec<String> {
        let reasoning = format!(
            r#"{{"type":"reasoning","id":"rs_{at}","content":null,"encrypted_content":"blob{at}"}}"#
        );
        let calls = (0..self.calls).flat_map(|call| {
            [
                format!(r#"{{"type":"function_call","id":"fc{call}_{at}","call_id":"c{at}{call}"}}"#),
                format!(r#"{{"type":"function_call_output","id":"fco{call}_{at}","call_id":"c{at}{call}"}}"#),
            ]
        });
        let message = format!(r#"{{"type":"message","id":"msg_{at}"}}"#);
        let reasoning = self.reasons.then_some(reasoning);
        reasoning
            .into_iter()
            .chain(calls)
            .chain([message])
            .collect()
    }
}

/// An item with something encrypted, in any of the places where there can be.
fn encrypted() -> impl Generate<Value = String> {
    const ITEMS: [&str; 9] = [
        r#"{"type":"reasoning","id":"rs","summary":[],"content":null,"encrypted_content":"g"}"#,
        r#"{"type":"compaction","id":"cmp","encrypted_content":"h"}"#,
        r#"{"type":"compaction"}"#,
        r#"{"type":"function_call_output","call_id":"c","output":[{"type":"encrypted_content","encrypted_content":"i"},1]}"#,
        r#"{"type":"agent_message","content":[{"type":"encrypted_content"} , {"type":"input_text","text":"x"}]}"#,
        r#"{"id":"fc","type":"function_call","arguments":"{\"m\":\"j\",\"n\":1}","encrypted_function_args":["m","m"]}"#,
        r#"{"arguments":"no object","type":"function_call","encrypted_function_args":["m"],"id":"fc"}"#,
        r#"{"type":"function_call","encrypted_function_args":[3],"arguments":"{\"m\":1}"}"#,
        r#"{"type":"function_call","encrypted_function_args":[]}"#,
    ];
    prop::sample::select(&ITEMS).prop_map(str::to_owned)
}
