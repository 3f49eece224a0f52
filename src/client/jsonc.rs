//! JSON with comments and trailing commas, as people write it in configuration files: read, and
//! changed member by member with every other byte kept.

use jsonc_parser::cst::{CstInputValue, CstObject, CstObjectProp, CstRootNode};
use jsonc_parser::{ParseOptions, parse_to_serde_value};
use serde_json::Value;

/// What a text says; `None` if it is not such JSON. An empty text says nothing.
#[must_use]
pub fn value(text: &str) -> Option<Value> {
    parse_to_serde_value(text, &ParseOptions::default()).ok()
}

/// The text with a string as the member at `path`, the names of the objects it is in; objects that
/// are missing are made. `None` where the text is not such JSON, or something else is in the way.
#[must_use]
pub fn with_member(text: &str, path: &[&str], value: &str) -> Option<String> {
    let root = CstRootNode::parse(text, &ParseOptions::default()).ok()?;
    let (last, folders) = path.split_last()?;
    let mut object = root.object_value_or_create()?;
    for name in folders {
        object = match members(&object, name).pop() {
            Some(folder) => folder.object_value()?,
            None => object.object_value_or_create(name)?,
        };
    }
    let value = CstInputValue::String(value.to_owned());
    match members(&object, last).pop() {
        Some(member) => member.set_value(value),
        None => drop(object.append(last, value)),
    }
    Some(root.to_string())
}

/// The text without the member at `path`, and without the objects around it that are empty then.
/// `None` where the text is not such JSON.
#[must_use]
pub fn without_member(text: &str, path: &[&str]) -> Option<String> {
    let root = CstRootNode::parse(text, &ParseOptions::default()).ok()?;
    if let Some(object) = root.object_value() {
        remove(&object, path);
    }
    Some(root.to_string())
}

fn remove(object: &CstObject, path: &[&str]) {
    let Some((name, inside)) = path.split_first() else {
        return;
    };
    for member in members(object, name) {
        match member.object_value() {
            Some(folder) if !inside.is_empty() => {
                remove(&folder, inside);
                if folder.properties().is_empty() {
                    member.remove();
                }
            }
            _ if inside.is_empty() => member.remove(),
            _ => {}
        }
    }
}

/// The members of this name: of several the last one counts.
fn members(object: &CstObject, name: &str) -> Vec<CstObjectProp> {
    let mut members = object.properties();
    members.retain(|member| member.decoded_name().as_deref() == Some(name));
    members
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_the_order_of_members_stay() {
        let before = "// mine\n{\n  \"theme\": \"dark\", // for the night\n  \"provider\": {\n    /* theirs */\n    \"x\": {},\n  },\n}\n";
        let during = with_member(before, &["provider", "openai", "options", "baseURL"], "u");
        let during = during.expect("it is JSON");
        for kept in [
            "// mine\n",
            "// for the night\n",
            "/* theirs */\n",
            "\"x\": {},",
        ] {
            assert!(during.contains(kept), "{during}");
        }
        let said = value(&during).expect("it is JSON");
        assert_eq!(said["provider"]["openai"]["options"]["baseURL"], "u");
        let after = without_member(&during, &["provider", "openai", "options", "baseURL"]);
        assert_eq!(value(&after.expect("JSON")), value(before));
    }

    #[test]
    fn of_several_members_of_one_name_the_last_one_counts() {
        let twice = "{\"a\": {\"b\": \"x\"}, \"a\": {\"b\": \"y\", \"b\": \"z\"}}";
        let changed = with_member(twice, &["a", "b"], "u").expect("it is JSON");
        assert_eq!(value(&changed).expect("JSON")["a"]["b"], "u");
        let without = without_member(&changed, &["a", "b"]).expect("it is JSON");
        assert_eq!(value(&without).expect("JSON")["a"]["b"], Value::Null);
    }

    #[test]
    fn what_is_in_the_way_is_left_alone() {
        assert_eq!(with_member("[1]", &["a"], "x"), None);
        assert_eq!(with_member("{\"a\": 1}", &["a", "b"], "x"), None);
        assert_eq!(with_member("{", &["a"], "x"), None);
        assert_eq!(value("{\"a\": 1,}"), Some(serde_json::json!({"a": 1})));
    }
}
