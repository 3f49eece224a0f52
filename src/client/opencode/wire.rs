//! Pointing opencode at a relay for one run (PROTOCOL §5): its configuration and, where it has no
//! login for openai, an entry that stands for one, by the environment or in its file.

use serde_json::{Map, Value, json};

use super::auth_file::AuthFile;
use super::entry::{PROVIDER, is_stand_in, stand_in};
use super::placeholder::Placeholder;
use crate::client::jsonc;
use crate::client::wiring::{self, Relay, Wiring};
use crate::store::lock::Waiting;

/// The variable that opencode merges into its configuration last.
const CONFIG: &str = "OPENCODE_CONFIG_CONTENT";
/// Whether opencode goes by WebSocket; a refusal costs it a minute (PROTOCOL §5).
const WEBSOCKETS: &str = "OPENCODE_EXPERIMENTAL_WEBSOCKETS";
/// The variable that stands for `auth.json` when it is read, but not when it is written.
const AUTH: &str = "OPENCODE_AUTH_CONTENT";

/// How opencode finds the oauth entry for openai that it wants to see (DESIGN §2, `codex-launch`).
#[derive(Debug, PartialEq)]
enum Login {
    /// It has one; its token reaches only the relay, which drops it.
    Own,
    /// It gets one with no token in it, by the environment: these are all its entries then.
    ByEnvironment(Map<String, Value>),
    /// Another provider's token is renewed into the file while reads stay on the environment, and
    /// would be used twice: so the entry goes into the file.
    InFile,
}

/// Points opencode at a relay: its configuration gets the address and the key, and where it has no
/// login for openai it gets one that is no secret.
///
/// # Errors
/// When the person's own settings, or `auth.json`, can't be read.
pub(super) fn wire(relay: Relay<'_>, waiting: Waiting) -> Result<Wiring, wiring::Error> {
    let mut wiring = Wiring::default();
    let mut config = setting(CONFIG)?.unwrap_or_default();
    merge(&mut config, configuration(relay));
    wiring
        .environment
        .push((CONFIG, Value::Object(config).to_string()));
    if !relay.websocket {
        wiring.environment.push((WEBSOCKETS, "false".to_owned()));
    }

    let auth = AuthFile::of_person(waiting)?;
    let by_environment = setting(AUTH)?;
    let in_file = by_environment.is_none();
    let entries = match by_environment {
        Some(entries) => entries,
        None => auth.entries()?,
    };
    match login(entries, in_file, relay) {
        Login::Own => {}
        Login::ByEnvironment(entries) => wiring
            .environment
            .push((AUTH, Value::Object(entries).to_string())),
        Login::InFile => {
            wiring.borrowed = Some(Box::new(Placeholder::put(auth, &stand_in(relay))?));
        }
    }
    Ok(wiring)
}

fn configuration(relay: Relay<'_>) -> Map<String, Value> {
    let options = json!({
        "baseURL": relay.url,
        "headers": {KEY_HEADER: relay.key},
    });
    let mut config = Map::new();
    config.insert("provider".into(), json!({PROVIDER: {"options": options}}));
    config
}

/// The header by which the relay knows who may use it.
pub(super) const KEY_HEADER: &str = "x-codex-accounts-key";

fn login(mut entries: Map<String, Value>, in_file: bool, relay: Relay<'_>) -> Login {
    let is_oauth = |entry: &Value| entry["type"] == "oauth";
    let own = |entry: &Value| is_oauth(entry) && !is_stand_in(entry);
    if entries.get(PROVIDER).is_some_and(own) {
        return Login::Own;
    }
    if in_file && entries.values().any(is_oauth) {
        return Login::InFile;
    }
    entries.insert(PROVIDER.into(), stand_in(relay));
    Login::ByEnvironment(entries)
}

fn setting(variable: &'static str) -> Result<Option<Map<String, Value>>, wiring::Error> {
    match std::env::var(variable) {
        // opencode takes comments and trailing commas (PROTOCOL §5), and so does the person.
        Ok(text) if !text.trim().is_empty() => match jsonc::value(&text) {
            Some(Value::Object(setting)) => Ok(Some(setting)),
            _ => Err(wiring::Error::Setting { variable }),
        },
        _ => Ok(None),
    }
}

/// Merges deeply; where both have a value that is no object, the second one's stays.
fn merge(into: &mut Map<String, Value>, from: Map<String, Value>) {
    for (key, value) in from {
        match (into.get_mut(&key), value) {
            (Some(Value::Object(into)), Value::Object(from)) => merge(into, from),
            (_, value) => {
                into.insert(key, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RELAY: Relay<'_> = Relay {
        websocket: true,
        url: "http://127.0.0.1:1/codex",
        key: "key",
        account_id: "acc",
    };

    fn object(value: Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn what_the_person_configured_stays() {
        let mut config = object(json!({
            "theme": "dark",
            "provider": {"openai": {"options": {"timeout": 5, "headers": {"x-mine": "1"}}}},
        }));
        merge(&mut config, configuration(RELAY));
        let options = &config["provider"]["openai"]["options"];
        assert_eq!(config["theme"], "dark");
        assert_eq!(options["timeout"], 5);
        assert_eq!(options["headers"]["x-mine"], "1");
        assert_eq!(options["headers"][KEY_HEADER], "key");
        assert_eq!(options["baseURL"], RELAY.url);
    }

    #[test]
    fn the_three_ways_to_a_login() {
        let own = object(json!({"openai": {"type": "oauth"}}));
        assert_eq!(login(own, true, RELAY), Login::Own);

        let with_keys =
            object(json!({"x": {"type": "api", "key": "k"}, "openai": {"type": "api"}}));
        let Login::ByEnvironment(entries) = login(with_keys, true, RELAY) else {
            panic!("by the environment");
        };
        assert_eq!(entries["x"]["key"], "k");
        assert_eq!(entries["openai"]["access"], "key");
        assert_eq!(entries["openai"]["refresh"], "none");

        let other = object(json!({"anthropic": {"type": "oauth"}}));
        assert_eq!(login(other, true, RELAY), Login::InFile);

        let another_launch = object(json!({"openai": stand_in(RELAY)}));
        assert_eq!(login(another_launch, true, RELAY), Login::InFile);
    }
}
