//! Codex CLI's `config.toml` of a person (PROTOCOL §6), pointed at a relay for good: a provider of ours,
//! whose key Codex reads from its file by a command, so that no secret is in it.

use std::fs;
use std::path::Path;

use toml_edit::{Array, DocumentMut, Item, Table, value};

use super::PROVIDER;
use super::folder::folder;
use crate::account::utf8::without_mark;
use crate::client::for_good::{self, Edit, Standing};
use crate::sys::place::PRINT_FILE;

const NOT_TOML: &str = "it is not TOML";
const IN_THE_WAY: &str = "model_providers is no table";

pub(super) fn point(relay: &Standing<'_>) -> Result<Vec<Edit>, for_good::Error> {
    let folder = folder().map_err(|_| for_good::Error::NoHome)?;
    let edit = Edit::of(folder.join("config.toml"), |text| pointed(text, relay))?;
    Ok(vec![edit])
}

fn pointed(text: &str, relay: &Standing<'_>) -> Result<String, &'static str> {
    let mut config: DocumentMut = text.parse().map_err(|_| NOT_TOML)?;
    match config.get_mut("model_provider") {
        Some(chosen) => set(chosen, PROVIDER),
        None => drop(config.insert("model_provider", value(PROVIDER))),
    }
    let providers = config.entry("model_providers").or_insert_with(|| {
        let mut table = Table::new();
        table.set_implicit(true);
        Item::Table(table)
    });
    let providers = providers.as_table_like_mut().ok_or(IN_THE_WAY)?;
    providers.insert(PROVIDER, Item::Table(provider(relay)));
    Ok(config.to_string())
}

/// Another text in the place of a value, with what stands around it.
fn set(item: &mut Item, text: &str) {
    let decor = item.as_value().map(|it| it.decor().clone());
    *item = value(text);
    if let (Some(decor), Some(value)) = (decor, item.as_value_mut()) {
        *value.decor_mut() = decor;
    }
}

/// The name `OpenAI` keeps what Codex does only for OpenAI.
fn provider(relay: &Standing<'_>) -> Table {
    let mut provider = Table::new();
    provider.insert("name", value("OpenAI"));
    provider.insert("base_url", value(relay.url));
    provider.insert("wire_api", value("responses"));
    provider.insert("supports_websockets", value(false));
    let mut key = Table::new();
    let (command, arguments) = PRINT_FILE;
    key.insert("command", value(command));
    let mut words: Array = arguments.iter().copied().collect();
    words.push(relay.key_file.display().to_string());
    key.insert("args", value(words));
    provider.insert("auth", Item::Table(key));
    provider
}

pub(super) fn let_go(path: &Path, text: &[u8]) -> Result<Vec<u8>, for_good::Error> {
    for_good::changed(path, text, |text| {
        let mut config: DocumentMut = text.parse().map_err(|_| NOT_TOML)?;
        let chosen = config.get("model_provider").and_then(Item::as_str);
        if chosen == Some(PROVIDER) {
            config.remove("model_provider");
        }
        if let Some(providers) = config.get_mut("model_providers") {
            let providers = providers.as_table_like_mut().ok_or(IN_THE_WAY)?;
            providers.remove(PROVIDER);
            if providers.is_empty() {
                config.remove("model_providers");
            }
        }
        Ok(config.to_string())
    })
}

/// The configuration as it is, where there is one that can be read.
fn of_person() -> Option<DocumentMut> {
    let text = fs::read(folder().ok()?.join("config.toml")).ok()?;
    let text = std::str::from_utf8(without_mark(&text)).ok()?;
    text.parse().ok()
}

/// Whether logins are kept in the keyring, or may be.
pub(super) fn uses_keyring() -> bool {
    let config = of_person();
    let kept = config
        .as_ref()
        .and_then(|it| it.get("cli_auth_credentials_store"));
    let kept = kept.and_then(|item| item.as_str());
    matches!(kept, Some("keyring" | "auto"))
}

/// Where the configuration points, if the provider that is chosen is ours.
pub(super) fn points_at() -> Option<String> {
    let config = of_person()?;
    if config.get("model_provider")?.as_str()? != PROVIDER {
        return None;
    }
    let provider = config.get("model_providers")?.get(PROVIDER)?;
    Some(provider.get("base_url")?.as_str()?.to_owned())
}

pub(super) fn snippet(relay: &Standing<'_>) -> String {
    let block = pointed("", relay).unwrap_or_default();
    format!("# in ~/.codex/config.toml\n{block}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn relay() -> Standing<'static> {
        Standing {
            url: "http://127.0.0.1:8765/codex",
            key_file: Path::new("/home/me/relay.key"),
        }
    }

    #[test]
    fn what_the_person_wrote_stays_in_its_place() {
        let before = "# mine\nmodel = \"gpt-5.5\" # the big one\n\n[projects.\"/a\"]\ntrust_level = \"trusted\"\n";
        let during = pointed(before, &relay()).unwrap();
        for kept in ["# mine\n", "# the big one\n", "[projects.\"/a\"]\n"] {
            assert!(during.contains(kept), "{during}");
        }
        let config: DocumentMut = during.parse().unwrap();
        assert_eq!(config["model_provider"].as_str(), Some(PROVIDER));
        let provider = &config["model_providers"][PROVIDER];
        assert_eq!(provider["base_url"].as_str(), Some(relay().url));
        let after = let_go(Path::new("config.toml"), during.as_bytes()).unwrap();
        assert_eq!(String::from_utf8(after).unwrap(), before);
        assert_eq!(pointed(&during, &relay()).unwrap(), during);
    }

    #[test]
    fn another_provider_of_theirs_stays() {
        let before =
            "model_provider = \"mine\" # for now\n\n[model_providers.mine]\nname = \"m\"\n";
        let during = pointed(before, &relay()).unwrap();
        assert!(
            during.contains("[model_providers.mine]\nname = \"m\"\n"),
            "{during}"
        );
        assert!(
            during.contains("model_provider = \"codex_accounts\" # for now\n"),
            "{during}"
        );
    }

    #[test]
    fn what_is_no_toml_is_not_changed() {
        assert_eq!(pointed("a = ", &relay()), Err(NOT_TOML));
        assert_eq!(pointed("model_providers = 1", &relay()), Err(IN_THE_WAY));
    }
}
