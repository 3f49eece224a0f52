//! opencode's configuration of a person (PROTOCOL §5), pointed at a relay for good: the address, and
//! the key by the name of its file, so that no secret is in it. And the entry that its `auth.json`
//! needs where there is no login.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::auth_file::AuthFile;
use super::entry::{PROVIDER, is_for_good, placeholder};
use super::wire::KEY_HEADER;
use crate::account::utf8::without_mark;
use crate::client::contract::LoginFile;
use crate::client::for_good::{self, Edit, Standing};
use crate::client::json_file::Text;
use crate::client::jsonc;

const ADDRESS: [&str; 4] = ["provider", PROVIDER, "options", "baseURL"];
const KEY: [&str; 5] = ["provider", PROVIDER, "options", "headers", KEY_HEADER];

/// The files that opencode reads as a person's configuration; a later one goes before.
const NAMES: [&str; 3] = ["config.json", "opencode.json", "opencode.jsonc"];

const NOT_JSON: &str = "it is not JSON, or something else is where the address belongs";

pub(super) fn point(relay: &Standing<'_>) -> Result<Vec<Edit>, for_good::Error> {
    let folder = folder()?;
    let there = NAMES.iter().rev().map(|name| folder.join(name));
    let path = there.into_iter().find(|path| path.exists());
    let path = path.unwrap_or_else(|| folder.join("opencode.json"));
    let config = Edit::of(path, |text| pointed(text, relay).ok_or(NOT_JSON))?;
    let mut edits = vec![config];
    edits.extend(login()?);
    Ok(edits)
}

fn pointed(text: &str, relay: &Standing<'_>) -> Option<String> {
    let text = match text.trim() {
        "" => "{\n  \"$schema\": \"https://opencode.ai/config.json\"\n}\n",
        _ => text,
    };
    let text = jsonc::with_member(text, &ADDRESS, relay.url)?;
    jsonc::with_member(&text, &KEY, &key(relay))
}

/// opencode puts the text of the file in its place.
fn key(relay: &Standing<'_>) -> String {
    format!("{{file:{}}}", relay.key_file.display())
}

/// opencode wants to see a login for openai, and asks nothing of it.
fn login() -> Result<Option<Edit>, for_good::Error> {
    let auth = AuthFile::of_person(|_| ()).map_err(|_| for_good::Error::NoHome)?;
    let edit = Edit::of(auth.path().to_owned(), |text| {
        let text = if text.trim().is_empty() { "{}" } else { text };
        let mut text = Text::parse(text.as_bytes()).map_err(|_| "it is not JSON")?;
        if text.value()[PROVIDER]["type"] != "oauth" {
            text.put(PROVIDER, &placeholder().to_string());
        }
        Ok(text.as_str().to_owned())
    })?;
    Ok(Some(edit).filter(|edit| !edit.is_empty()))
}

pub(super) fn let_go(path: &Path, text: &[u8]) -> Result<Vec<u8>, for_good::Error> {
    for_good::changed(path, text, |text| {
        if path.file_name().is_some_and(|name| name == "auth.json") {
            let mut text = Text::parse(text.as_bytes()).map_err(|_| "it is not JSON")?;
            if is_for_good(&text.value()[PROVIDER]) {
                text.remove(PROVIDER);
            }
            return Ok(text.as_str().to_owned());
        }
        let text = jsonc::without_member(text, &KEY).ok_or("it is not JSON")?;
        jsonc::without_member(&text, &ADDRESS).ok_or("it is not JSON")
    })
}

/// Where the configuration points, if it also has a key for there.
pub(super) fn points_at() -> Option<String> {
    let folder = folder().ok()?;
    let files = NAMES.iter().rev().map(|name| folder.join(name));
    files.into_iter().find_map(|path| {
        let text = fs::read(path).ok()?;
        let said = jsonc::value(std::str::from_utf8(without_mark(&text)).ok()?)?;
        let options = &said["provider"][PROVIDER]["options"];
        options["headers"].get(KEY_HEADER)?;
        Some(options["baseURL"].as_str()?.to_owned())
    })
}

pub(super) fn snippet(relay: &Standing<'_>) -> String {
    let options = json!({"baseURL": relay.url, "headers": {KEY_HEADER: key(relay)}});
    let config = json!({"provider": {PROVIDER: {"options": options}}});
    let login = json!({ PROVIDER: placeholder() });
    let pretty = |value: &Value| serde_json::to_string_pretty(value).unwrap_or_default();
    format!(
        "// in ~/.config/opencode/opencode.json\n{}\n\n// in ~/.local/share/opencode/auth.json, \
         unless you are logged in to openai there\n{}\n",
        pretty(&config),
        pretty(&login)
    )
}

fn folder() -> Result<PathBuf, for_good::Error> {
    let config = for_good::config_folder();
    Ok(config.ok_or(for_good::Error::NoHome)?.join("opencode"))
}
